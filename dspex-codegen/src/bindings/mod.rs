//! Bindings: one module tree of Rust for all classes and functions of a catalogue.
//!
//! The tree follows Python's names (`dspy::ReAct`, `dspy::teleprompt::MIPROv2`, `my_team::rag::RagProgram`). It is written as
//! text, laid out for people, because that is where an editor leads them who asks for a definition.

mod class;
mod function;
mod method;
mod names;
mod parameter;
#[cfg(test)]
mod tests;
mod tree;
mod writer;

use std::collections::BTreeMap;

use dspex_schema::{Class, Function, Kind, Type};
use proc_macro2::TokenStream;

use self::tree::Tree;
use crate::Root;
use crate::types::rust_type_with;

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
        for class in classes {
            let own_type = self.type_paths.contains_key(&class.name);
            if !own_type && !matches!(reach(class), Reach::Runtime(_)) {
                class::write(self, class, &mut tree);
            }
        }
        for function in functions {
            function::write(self, function, &mut tree);
        }
        Ok(tree.text(&self.root.path()))
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

    /// The Rust type for values of a Python type, as text.
    fn rust_type(&self, ty: &Type) -> String {
        let own = |name: &str| self.type_paths.get(name)?.parse::<TokenStream>().ok();
        let text = rust_type_with(ty, &self.root, &own).to_string();
        // Tokens are printed with spaces that people do not write.
        text.replace(' ', "").replace(",)", ")").replace(',', ", ")
    }

    /// The type for JSON of any shape.
    fn json(&self) -> String {
        self.rust_type(&Type::Any)
    }
}
