//! What the text of one module of the bindings is written with: which Rust type stands for a type of Python there.

use std::collections::BTreeMap;

use dspex_schema::Type;
use proc_macro2::{Ident, TokenStream};

use super::Bindings;
use crate::schema::path;
use crate::types::rust_type_with;

/// Classes of data that have a Rust type of the bindings' own: by public name, the module and the identifier.
pub(super) type Data = BTreeMap<String, (String, Ident)>;

/// A module of the bindings.
#[derive(Clone, Copy)]
pub(super) struct Scope<'a> {
    pub(super) bindings: &'a Bindings,
    pub(super) data: &'a Data,
    /// Its dotted path.
    pub(super) module: &'a str,
}

impl Scope<'_> {
    /// The Rust type for values of a Python type, as text.
    pub(super) fn rust_type(&self, ty: &Type) -> String {
        let class = |name: &str| {
            if let Some(own) = self.bindings.type_paths.get(name) {
                return own.parse::<TokenStream>().ok();
            }
            if let Some((module, ident)) = self.data.get(name) {
                return Some(path(self.module, module, ident));
            }
            self.bindings.root.runtime_type(name)
        };
        let text = rust_type_with(ty, &self.bindings.root, &class).to_string();
        // Tokens are printed with spaces that people do not write.
        text.replace(' ', "").replace(",)", ")").replace(',', ", ")
    }

    /// The type for JSON of any shape.
    pub(super) fn json(&self) -> String {
        self.rust_type(&Type::Any)
    }
}
