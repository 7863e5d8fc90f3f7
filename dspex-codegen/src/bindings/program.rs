//! Programs of a team: the types of what they take and answer, and of their predictors.

use dspex_schema::{Call, Class, Predictor, ProgramField};
use heck::ToUpperCamelCase;
use proc_macro2::Ident;

use super::tree::{last, parent};
use super::writer::Writer;
use crate::rustdoc;
use crate::schema::{Record, RecordField, SchemaTypes};

/// The types of a program's call, as far as they are known.
#[derive(Debug, Default)]
pub(super) struct Program {
    pub(super) inputs: Option<Ident>,
    pub(super) outputs: Option<Ident>,
    /// What a person should know about them: paragraphs.
    pub(super) notes: Vec<String>,
}

/// Which side of a call a struct is for.
#[derive(Clone, Copy)]
pub(super) enum Side {
    Inputs,
    Outputs,
}

impl Side {
    fn name(self) -> &'static str {
        match self {
            Self::Inputs => "Inputs",
            Self::Outputs => "Outputs",
        }
    }
}

/// Makes the types of a class; none for a class that is no program of a team's.
pub(super) fn program(class: &Class, ident: &str, types: &mut SchemaTypes) -> Program {
    let mut program = Program::default();
    if let Some(why) = &class.predictors_unknown {
        program.notes.push(format!("Its inputs and outputs have no types: {}.", rustdoc(why)));
    }
    let Some(known) = &class.program else { return program };
    let of = format!("[`{}`]", ident.trim_start_matches("r#"));
    let module = parent(&class.name);
    let mut make =
        |name: &str, of: &str, side, fields: &[ProgramField]| record(types, module, name, of, side, fields);
    if class.call != Call::None {
        match &known.inputs {
            Some(fields) => program.inputs = Some(make(last(&class.name), &of, Side::Inputs, fields)),
            None => program.notes.push("It takes any inputs, so they have no type.".to_owned()),
        }
        match &known.outputs {
            Some(fields) => program.outputs = Some(make(last(&class.name), &of, Side::Outputs, fields)),
            None => program.notes.push(
                "The source of its `forward` does not tell what it answers, so its outputs have no type."
                    .to_owned(),
            ),
        }
    }
    let mut list = Vec::new();
    for predictor in &class.predictors {
        let name = format!("{}{}", last(&class.name), predictor_name(&predictor.name));
        let of = format!("the predictor `{}` of {of}", predictor.name);
        let inputs = make(&name, &of, Side::Inputs, &predictor.signature.inputs);
        let outputs = make(&name, &of, Side::Outputs, &predictor.signature.outputs);
        list.push(format!("* `{}`: [`{inputs}`] to [`{outputs}`]{}", predictor.name, told(predictor)));
    }
    if !list.is_empty() {
        program.notes.push(format!("Its predictors:\n\n{}", list.join("\n")));
    }
    program
}

/// The struct for one side.
pub(super) fn record(
    types: &mut SchemaTypes,
    module: &str,
    name: &str,
    of: &str,
    side: Side,
    fields: &[ProgramField],
) -> Ident {
    types.record(&Record {
        module: module.to_owned(),
        name: format!("{name}{}", side.name()),
        doc: format!("The {} of {of}.", side.name().to_lowercase()),
        fields: fields.iter().map(|field| record_field(side, field)).collect(),
        builder: matches!(side, Side::Inputs),
    })
}

/// `answer.predict` is the predictor that a `dspy.ChainOfThought` called `answer` holds: `Answer`.
fn predictor_name(path: &str) -> String {
    let path = path.strip_suffix(".predict").unwrap_or(path);
    let words: String = path.chars().map(|char| if char.is_alphanumeric() { char } else { ' ' }).collect();
    words.to_upper_camel_case()
}

/// The first line of what a predictor's model is told.
fn told(predictor: &Predictor) -> String {
    let first = predictor.signature.instructions.as_deref().and_then(|text| text.lines().next());
    first.map(|line| format!(". {}", rustdoc(line))).unwrap_or_default()
}

fn record_field(side: Side, field: &ProgramField) -> RecordField {
    let mut paragraphs: Vec<String> = field.desc.as_deref().map(rustdoc).into_iter().collect();
    if let Some(why) = &field.untyped {
        paragraphs.push(format!("Any JSON: {}.", rustdoc(why)));
    }
    if let Some(default) = &field.default {
        paragraphs.push(format!("Default in Python: `{}`.", default.describe().replace(['`', '\n'], " ")));
    }
    RecordField {
        name: field.name.clone(),
        doc: paragraphs.join("\n\n"),
        description: field.desc.clone(),
        schema: field.schema.clone(),
        required: field.required || matches!(side, Side::Outputs),
        default: field.default.as_ref().and_then(|default| default.json()).cloned(),
    }
}

impl Program {
    /// Makes a class whose inputs and outputs are both known a module like those of `#[dspy_module]`.
    pub(super) fn implementation(&self, class: &Class, ident: &str, out: &mut Writer) {
        let (Some(inputs), Some(outputs)) = (&self.inputs, &self.outputs) else { return };
        let names = |fields: Option<&Vec<ProgramField>>| -> Vec<String> {
            fields.into_iter().flatten().map(|field| field.name.clone()).collect()
        };
        let known = class.program.as_ref();
        let input_names = names(known.and_then(|program| program.inputs.as_ref()));
        let output_names = names(known.and_then(|program| program.outputs.as_ref()));
        out.line("");
        out.block(format!("impl __b::Module for {ident}"), |body| {
            body.line(format!("type Inputs = {inputs};"));
            body.line(format!("type Outputs = {outputs};"));
            body.line(format!("type Answer = {outputs};"));
            body.line("const TAKES_SIGNATURE: ::core::primitive::bool = false;");
            body.line("");
            body.block("fn definition() -> &'static __b::Definition", |body| {
                body.nested("static DEFINITION: __b::Definition = __b::Definition {", |body| {
                    body.line(format!("name: {:?},", ident.trim_start_matches("r#")));
                    body.line(format!("class: {:?},", class.name));
                    body.line(format!("fingerprint: ::core::option::Option::Some({:?}),", class.abi_sha256));
                    body.line("instructions: ::core::option::Option::None,");
                    body.line(format!("inputs: &{input_names:?},"));
                    body.line(format!("outputs: &{output_names:?},"));
                    body.line("extra_outputs: &[],");
                    body.line("args: \"{}\",");
                    body.line("method: \"\",");
                });
                body.line("};");
                body.line("&DEFINITION");
            });
            body.line("");
            body.block(format!("fn answer(outputs: {outputs}) -> __b::Result<{outputs}>"), |body| {
                body.line("::core::result::Result::Ok(outputs)");
            });
        });
    }

    /// The convenience of a single call.
    pub(super) fn call(&self, class: &Class, body: &mut Writer) {
        let (Some(inputs), Some(outputs)) = (&self.inputs, &self.outputs) else { return };
        body.line("");
        body.doc(&format!(
            "Creates an instance of `{}` with the defaults of its constructor, executes it once and drops it.\n\n\
             # Errors\n\nIf the call cannot be made, fails in Python, or its outputs do not have these types.",
            class.name
        ));
        let head = format!(
            "pub async fn call(caller: &impl __b::Caller, inputs: {inputs}) -> __b::Result<{outputs}>"
        );
        body.block(head, |body| body.line("__b::call_module::<Self, _>(caller, inputs).await"));
    }
}
