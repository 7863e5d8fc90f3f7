//! Structs whose fields are listed one by one, each with a schema of its own: the inputs and outputs of a program.

use proc_macro2::{Ident, TokenStream};
use quote::quote;
use serde_json::Value;

use super::builder::{Part, builder};
use super::defs::Defs;
use super::{Docs, Kind, Place, SchemaTypes, distinct, names};

/// A struct to be made.
#[derive(Clone, Debug)]
pub struct Record {
    /// The Python module whose Rust module it belongs to.
    pub module: String,
    /// Its name, to which a number is added if it is taken.
    pub name: String,
    /// Its documentation, as rustdoc.
    pub doc: String,
    /// Its fields, in order.
    pub fields: Vec<RecordField>,
    /// Whether it is made to be written: with a function `new` and setters.
    pub builder: bool,
}

/// A field of such a struct.
#[derive(Clone, Debug)]
pub struct RecordField {
    /// Its name in Python.
    pub name: String,
    /// Its documentation, as rustdoc; empty where there is none.
    pub doc: String,
    /// Its description in Python, which is part of what a model is told.
    pub description: Option<String>,
    /// Its schema, with its own `$defs`.
    pub schema: Value,
    /// Whether it has to be given.
    pub required: bool,
    /// The value that leaving it out means, if that is known.
    pub default: Option<Value>,
}

impl SchemaTypes {
    /// Makes a struct, and tells the name that it got.
    pub fn record(&mut self, record: &Record) -> Ident {
        let ident = self.claim(&record.module, &names::type_name(&record.name));
        let idents = distinct(record.fields.iter().map(|field| names::field_name(&field.name)));
        let fields: Vec<_> = record
            .fields
            .iter()
            .zip(idents)
            .map(|(field, name)| self.record_field(&record.module, &ident, field, name))
            .collect();
        let (fields, parts): (Vec<TokenStream>, Vec<Part>) = fields.into_iter().unzip();
        let (docs, derives) = (Docs::new(&record.doc, &record.doc), self.derives());
        let builder = record.builder.then(|| builder(&ident, &parts, None));
        let item = quote!(#docs #derives pub struct #ident { #(#fields)* } #builder);
        self.items.insert((record.module.clone(), ident.to_string()), Some(item));
        ident
    }

    fn record_field(
        &mut self,
        module: &str,
        owner: &Ident,
        field: &RecordField,
        ident: Ident,
    ) -> (TokenStream, Part) {
        let defs = Defs::of(&field.schema);
        let hint = format!("{owner}{}", names::type_name(&field.name));
        let place = Place { defs: &defs, module, hint: &hint, inline: true, titled: true };
        let shape = self.shape(&field.schema, place);
        let docs = Docs::new(&field.doc, field.description.as_deref().unwrap_or(&field.doc));
        let plain = ident.to_string();
        let name = &field.name;
        let rename = (plain.trim_start_matches("r#") != name).then(|| quote!(#[serde(rename = #name)]));
        let text = matches!(shape.kind, Kind::Text);
        let ty = shape.tokens;
        let part = |ty: &TokenStream, text, some, absent| Part {
            ident: ident.clone(),
            ty: ty.clone(),
            text,
            some,
            absent,
        };
        if field.required {
            return (quote!(#docs #rename pub #ident: #ty,), part(&ty, text, false, None));
        }
        let none = Some(quote!(::core::option::Option::None));
        let (ty, part) = match &shape.kind {
            // Leaving it out and null are the same.
            Kind::Option(of) if field.default.as_ref().is_none_or(Value::is_null) => {
                let text = matches!(of.kind, Kind::Text);
                (ty, part(&of.tokens, text, true, none))
            }
            // The setter takes null for null; not calling it leaves the default to Python.
            _ => (quote!(::core::option::Option<#ty>), part(&ty, text, true, none)),
        };
        let skip = quote!(#[serde(default, skip_serializing_if = "::core::option::Option::is_none")]);
        (quote!(#docs #rename #skip pub #ident: #ty,), part)
    }
}
