//! Bindings: one module tree of Rust for all classes and functions of a catalogue.
//!
//! The tree follows Python's names (`dspy::ReAct`, `dspy::teleprompt::MIPROv2`, `my_team::rag::RagProgram`). It is written as
//! text, laid out for people, because that is where an editor leads them who asks for a definition.

mod class;
mod function;
mod layout;
mod method;
mod names;
mod parameter;
mod program;
mod scope;
mod signature;
#[cfg(test)]
mod tests;
mod tree;
mod writer;

use std::collections::{BTreeMap, BTreeSet};

use dspex_schema::{Class, Function, Kind};
use heck::ToUpperCamelCase;
use proc_macro2::TokenStream;
use serde_json::Value;

use self::scope::{Data, Scope};
use self::tree::{Tree, last, parent};
use crate::Root;
use crate::schema::SchemaTypes;

/// What bindings are written with, beside the catalogue.
#[derive(Clone, Debug, Default)]
pub struct Bindings {
    /// Where dspex is.
    pub root: Root,
    /// Types of the user's own for values of a class, by the class's public name.
    pub type_paths: BTreeMap<String, String>,
    /// Attributes for the struct that stands for a class, by the class's public name.
    pub attributes: BTreeMap<String, Vec<String>>,
}

/// How a class can be reached from Rust.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reach {
    /// Bindings have a type for it.
    Bound,
    /// Bindings have a type for it, which cannot be created because of a required parameter that has no form yet.
    NamedOnly(String),
    /// The runtime has an own type for it: this one.
    Runtime(&'static str),
}

/// How a class can be reached from Rust.
pub fn reach(class: &Class) -> Reach {
    match class.kind {
        Kind::Error => Reach::Runtime("dspex::Error"),
        Kind::Lm => Reach::Runtime("dspex::Lm"),
        _ => match class.init.iter().find(|parameter| parameter::form(parameter).is_placeholder()) {
            Some(parameter) => Reach::NamedOnly(parameter.name.clone()),
            None => Reach::Bound,
        },
    }
}

impl Bindings {
    /// The bindings of these classes and functions, as the text of a file that is meant for `include!`.
    ///
    /// # Errors
    ///
    /// An option that is no Rust: a sentence that says which.
    pub fn text(&self, classes: &[&Class], functions: &[&Function]) -> Result<String, String> {
        self.check()?;
        let mut tree = Tree::default();
        for class in classes {
            tree.reserve(&class.name);
        }
        for function in functions {
            tree.reserve(&function.name);
        }
        let (bound, data): (Vec<&Class>, Vec<&Class>) = classes
            .iter()
            .filter(|class| !self.type_paths.contains_key(&class.name))
            .filter(|class| !matches!(reach(class), Reach::Runtime(_)))
            .partition(|class| class.value.is_none());
        let mut types = self.types(&bound, classes, functions, &mut tree);
        let data = data_types(&data, &mut types);
        let scope = |name: &'_ str| parent(name).to_owned();
        for class in bound {
            if let Some(own) = &class.signature {
                signature::write(self, class, own, &mut tree, &mut types);
                continue;
            }
            let module = scope(&class.name);
            let scope = Scope { bindings: self, data: &data, module: &module };
            class::write(&scope, class, &mut tree, &mut types);
        }
        for function in functions {
            let module = scope(&function.name);
            let scope = Scope { bindings: self, data: &data, module: &module };
            function::write(&scope, function, &mut tree);
        }
        for class in classes {
            // Under its other paths only where it could keep its name.
            if data.get(&class.name).is_some_and(|(_, ident)| ident == last(&class.name)) {
                tree.export(&class.name, &class.canonical, &class.exports, &[""]);
            }
        }
        for (module, _, item) in types.modules() {
            tree.add_type(module, layout::layout(item.clone()));
        }
        Ok(tree.text(&self.root.path()))
    }

    /// The types of the bindings' own that other items are made of: none yet, with the names that are taken.
    fn types(
        &self,
        bound: &[&Class],
        classes: &[&Class],
        functions: &[&Function],
        tree: &mut Tree,
    ) -> SchemaTypes {
        let mut types = SchemaTypes::new(self.root.clone());
        for (class, path) in &self.type_paths {
            let Ok(tokens) = path.parse::<TokenStream>() else { continue };
            // JSON Schemas name a class by where it is defined.
            let canonical = classes.iter().find(|known| known.name == *class).map(|known| &known.canonical);
            for name in canonical.into_iter().chain([class]) {
                types.own(name, tokens.clone());
            }
        }
        for class in bound {
            let ident = tree.ident(&class.name);
            for ident in class::idents(class, &ident) {
                types.reserve(parent(&class.name), &ident);
            }
        }
        for function in functions {
            let name = last(&function.name).to_upper_camel_case();
            types.reserve(parent(&function.name), &format!("{name}Call"));
        }
        types
    }

    /// Parts of the text that a user gave must at least be made of Rust's tokens.
    fn check(&self) -> Result<(), String> {
        for (class, path) in &self.type_paths {
            let parsed = path.parse::<TokenStream>();
            if parsed.map_or(true, |tokens| tokens.is_empty()) {
                return Err(format!("the type path `{path}` for `{class}` is no path of Rust"));
            }
        }
        for (class, attributes) in &self.attributes {
            for attribute in attributes {
                let text = attribute.trim();
                let outer = text.starts_with("#[") && text.ends_with(']');
                if !outer || text.parse::<TokenStream>().is_err() {
                    return Err(format!(
                        "`{attribute}` for `{class}` is no attribute; give one as it stands above a struct, \
                         such as `#[allow(dead_code)]`"
                    ));
                }
            }
        }
        Ok(())
    }
}

/// Makes the types of classes of data.
fn data_types(classes: &[&Class], types: &mut SchemaTypes) -> Data {
    let data = classes.iter().filter_map(|class| {
        let schema = class.value.as_ref()?;
        Some((class.name.clone(), types.class(parent(&class.name), last(&class.name), schema)))
    });
    data.collect()
}

/// The classes of Python that JSON Schemas of a class speak of, by where they are defined.
pub fn classes_in_schemas(class: &Class) -> BTreeSet<String> {
    let program = class.program.iter().flat_map(|program| [&program.inputs, &program.outputs]).flatten();
    let predictors = class.predictors.iter().map(|predictor| &predictor.signature);
    let signatures = predictors.chain(&class.signature);
    let signatures = signatures.flat_map(|signature| [&signature.inputs, &signature.outputs]);
    let fields = program.chain(signatures).flatten().map(|field| &field.schema);
    let mut names = BTreeSet::new();
    for schema in fields.chain(&class.value) {
        collect(schema, &mut names);
    }
    names
}

fn collect(schema: &Value, names: &mut BTreeSet<String>) {
    match schema {
        Value::Object(keys) => {
            names.extend(keys.get("x-python").and_then(Value::as_str).map(str::to_owned));
            keys.values().for_each(|value| collect(value, names));
        }
        Value::Array(values) => values.iter().for_each(|value| collect(value, names)),
        _ => {}
    }
}
