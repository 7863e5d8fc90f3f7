//! Signatures of a team: a type that implements `dspex::Signature`, as `#[derive(Signature)]` does.

use dspex_schema::{Class, OwnSignature, ProgramField};

use super::Bindings;
use super::program::{Side, record};
use super::tree::{Tree, last, parent};
use super::writer::Writer;
use crate::schema::SchemaTypes;

/// Writes a signature.
pub(super) fn write(
    bindings: &Bindings,
    class: &Class,
    signature: &OwnSignature,
    tree: &mut Tree,
    types: &mut SchemaTypes,
) {
    let ident = tree.ident(&class.name);
    let (module, of) = (parent(&class.name), format!("[`{}`]", ident.trim_start_matches("r#")));
    let mut make =
        |side, fields: &[ProgramField]| record(types, module, last(&class.name), &of, side, fields);
    let inputs = make(Side::Inputs, &signature.inputs);
    let outputs = make(Side::Outputs, &signature.outputs);
    let names =
        |fields: &[ProgramField]| -> Vec<String> { fields.iter().map(|field| field.name.clone()).collect() };
    let root = bindings.root.path();

    let mut out = Writer::default();
    out.docstring(class.doc.as_deref(), &format!("Python's signature `{}`.", class.name));
    out.doc(&format!("\nPython: `{}`, a signature.", class.name));
    out.line("#[derive(::core::clone::Clone, ::core::marker::Copy, ::core::fmt::Debug)]");
    for attribute in bindings.attributes.get(&class.name).into_iter().flatten() {
        out.line(attribute);
    }
    out.line(format!("pub struct {ident};"));
    out.line("");
    out.block(format!("impl {root}::Signature for {ident}"), |body| {
        body.line(format!("type Inputs = {inputs};"));
        body.line(format!("type Outputs = {outputs};"));
        let definition = format!("{root}::__private::SignatureDefinition");
        body.nested(format!("const DEFINITION: {definition} = {definition} {{"), |body| {
            body.line(match &signature.instructions {
                Some(text) => format!("instructions: ::core::option::Option::Some({text:?}),"),
                None => "instructions: ::core::option::Option::None,".to_owned(),
            });
            body.line(format!("inputs: &{:?},", names(&signature.inputs)));
            body.line(format!("outputs: &{:?},", names(&signature.outputs)));
        });
        body.line("};");
    });
    tree.add(&class.name, out.into_text());
    tree.export(&class.name, &class.canonical, &class.exports, &[""]);
}
