//! Rust types for JSON Schemas, such as those of a team's own pydantic models and enums.
//!
//! Objects become structs, enumerations and unions become enums, definitions become items of their own; all carry
//! serde's derives and the documentation of the schema. What JSON has of a value survives: reading and writing it
//! gives the same value, up to defaults that Python would fill in as well.

mod defs;
mod enums;
mod names;
mod structs;
mod unions;

use std::collections::BTreeMap;

use proc_macro2::{Ident, Span, TokenStream};
use quote::{format_ident, quote};
use serde_json::{Value, json};

use crate::Root;
use defs::Defs;

/// The type for a schema, and the items that it needs. `name` is for what the schema itself does not name.
///
/// ```
/// use dspex_codegen::{Root, types_from_schema};
/// use serde_json::json;
///
/// let schema = json!({"type": "array", "items": {"enum": ["calm", "angry"]}});
/// let (ty, items) = types_from_schema(&schema, "Mood", &Root::default());
/// assert_eq!(ty.to_string().replace(' ', ""), "::std::vec::Vec<MoodItem>");
/// assert!(items.to_string().contains("enum MoodItem"));
/// ```
pub fn types_from_schema(schema: &Value, name: &str, root: &Root) -> (TokenStream, TokenStream) {
    let mut types = SchemaTypes::new(root.clone());
    let ty = types.ty(schema, name);
    (ty, types.items())
}

/// The types of several schemas that belong into one module. The same definition in several of them is one item;
/// different ones of the same name are told apart by a number.
#[derive(Clone, Debug)]
pub struct SchemaTypes {
    root: Root,
    /// Names by what they stand for.
    known: BTreeMap<String, Ident>,
    /// Items by name, so that their order does not depend on that of the schemas. `None` while one is being made.
    items: BTreeMap<String, Option<TokenStream>>,
}

/// A type, and what whoever contains it has to know of it.
#[derive(Clone, Debug)]
struct Shape {
    tokens: TokenStream,
    kind: Kind,
}

#[derive(Clone, Debug)]
enum Kind {
    Null,
    Bool,
    Integer,
    Number,
    Text,
    List,
    Map,
    /// Of what.
    Option(Box<Shape>),
    /// An enum of texts: each with its variant.
    Choice(Vec<(String, Ident)>),
    /// An enum of integers.
    Numbers,
    /// A struct; how many of its fields are required and how many there are.
    Struct(usize, usize),
    Union,
    Any,
}

/// Where a type stands.
#[derive(Clone, Copy)]
struct Place<'a> {
    defs: &'a Defs<'a>,
    /// The name for what has none.
    hint: &'a str,
    /// Whether the type that is being written holds this one in itself, not on the heap.
    inline: bool,
    /// Whether the schema's own title is the name of a class, and not that of a field.
    titled: bool,
}

impl<'a> Place<'a> {
    fn inner(self, hint: &'a str) -> Self {
        Self { hint, titled: false, ..self }
    }

    fn on_the_heap(self, hint: &'a str) -> Self {
        Self { inline: false, ..self.inner(hint) }
    }
}

impl SchemaTypes {
    /// No types yet.
    pub fn new(root: Root) -> Self {
        Self { root, known: BTreeMap::new(), items: BTreeMap::new() }
    }

    /// Keeps a name for something else in the module.
    pub fn reserve(&mut self, name: &str) {
        self.items.entry(name.to_owned()).or_default();
    }

    /// The type for a schema, which has its own `$defs`. `name` is for what the schema itself does not name.
    pub fn ty(&mut self, schema: &Value, name: &str) -> TokenStream {
        let defs = Defs::of(schema);
        let hint = names::type_name(name);
        self.shape(schema, Place { defs: &defs, hint: &hint, inline: false, titled: true }).tokens
    }

    /// The items of all schemas so far, sorted by name.
    pub fn items(&self) -> TokenStream {
        let items = self.items.values().flatten();
        quote!(#(#items)*)
    }

    fn shape(&mut self, schema: &Value, place: Place<'_>) -> Shape {
        if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
            return self.reference(reference, place);
        }
        if let Some([only]) = schema.get("allOf").and_then(Value::as_array).map(Vec::as_slice) {
            return self.shape(only, place);
        }
        for key in ["anyOf", "oneOf"] {
            if let Some(branches) = schema.get(key).and_then(Value::as_array) {
                return self.union(branches, schema, place);
            }
        }
        if let Some(value) = schema.get("const") {
            return self.values(std::slice::from_ref(value), schema, place);
        }
        if let Some(values) = schema.get("enum").and_then(Value::as_array) {
            return self.values(values, schema, place);
        }
        match schema.get("type") {
            Some(Value::Array(types)) => {
                let branches: Vec<Value> = types.iter().map(|ty| with_type(schema, ty)).collect();
                self.union(&branches, schema, place)
            }
            Some(Value::String(ty)) => self.of_type(ty, schema, place),
            _ if schema.get("properties").is_some() => self.object(schema, place),
            _ => self.any(),
        }
    }

    fn of_type(&mut self, ty: &str, schema: &Value, place: Place<'_>) -> Shape {
        match ty {
            "null" => Shape { tokens: quote!(()), kind: Kind::Null },
            "boolean" => Shape { tokens: quote!(::core::primitive::bool), kind: Kind::Bool },
            "integer" => {
                let natural = schema.get("minimum").and_then(Value::as_i64).is_some_and(|least| least >= 0);
                let tokens =
                    if natural { quote!(::core::primitive::u64) } else { quote!(::core::primitive::i64) };
                Shape { tokens, kind: Kind::Integer }
            }
            "number" => Shape { tokens: quote!(::core::primitive::f64), kind: Kind::Number },
            "string" => Shape { tokens: quote!(::std::string::String), kind: Kind::Text },
            "array" => self.array(schema, place),
            "object" => self.object(schema, place),
            _ => self.any(),
        }
    }

    fn array(&mut self, schema: &Value, place: Place<'_>) -> Shape {
        // The standard traits end at twelve.
        if let Some(parts) = schema.get("prefixItems").and_then(Value::as_array)
            && (1..=12).contains(&parts.len())
            && schema.get("maxItems").and_then(Value::as_u64) == Some(parts.len() as u64)
        {
            let mut of = Vec::new();
            for (at, part) in parts.iter().enumerate() {
                let hint = format!("{}{}", place.hint, at + 1);
                of.push(self.shape(part, place.inner(&hint)).tokens);
            }
            return Shape { tokens: quote!((#(#of,)*)), kind: Kind::List };
        }
        let hint = format!("{}Item", place.hint);
        let of = match schema.get("items") {
            Some(items) => self.shape(items, place.on_the_heap(&hint)).tokens,
            None => self.any().tokens,
        };
        Shape { tokens: quote!(::std::vec::Vec<#of>), kind: Kind::List }
    }

    fn object(&mut self, schema: &Value, place: Place<'_>) -> Shape {
        let named =
            schema.get("properties").and_then(Value::as_object).is_some_and(|fields| !fields.is_empty());
        if named {
            return self.item(schema, place, Self::structure);
        }
        let (string, json) = (quote!(::std::string::String), self.any().tokens);
        let tokens = match schema.get("additionalProperties") {
            Some(values @ Value::Object(keys)) if !keys.is_empty() => {
                let hint = format!("{}Value", place.hint);
                let of = self.shape(values, place.on_the_heap(&hint)).tokens;
                quote!(::std::collections::BTreeMap<#string, #of>)
            }
            _ => {
                let map = self.root.private(&quote!(serde_json::Map));
                quote!(#map<#string, #json>)
            }
        };
        Shape { tokens, kind: Kind::Map }
    }

    fn any(&self) -> Shape {
        Shape { tokens: self.root.private(&quote!(serde_json::Value)), kind: Kind::Any }
    }

    fn reference(&mut self, reference: &str, place: Place<'_>) -> Shape {
        let Some((name, target)) = place.defs.get(reference) else { return self.any() };
        if place.defs.is_alias_loop(reference) {
            return self.any();
        }
        let hint = names::type_name(name);
        let inner = Place { hint: &hint, titled: true, inline: place.inline, ..place };
        let shape = self.shape(target, inner);
        // A type that holds itself has to hold itself on the heap.
        if place.inline
            && matches!(shape.kind, Kind::Struct(..) | Kind::Union)
            && place.defs.holds_itself(name)
        {
            let tokens = shape.tokens;
            return Shape { tokens: quote!(::std::boxed::Box<#tokens>), kind: shape.kind };
        }
        shape
    }

    /// A type that needs an item: the one that stands for the same already, or a new one.
    fn item(
        &mut self,
        schema: &Value,
        place: Place<'_>,
        make: fn(&mut Self, &Value, &Ident, Place<'_>) -> TokenStream,
    ) -> Shape {
        let kind = structs::kind_of(schema).unwrap_or(Kind::Union);
        let title = schema.get("title").and_then(Value::as_str).filter(|_| place.titled);
        let wanted = title.map_or_else(|| place.hint.to_owned(), names::type_name);
        let key = format!("{wanted} {}", place.defs.key(schema));
        if let Some(ident) = self.known.get(&key) {
            return Shape { tokens: quote!(#ident), kind };
        }
        let ident = self.claim(&wanted);
        self.known.insert(key, ident.clone());
        let hint = ident.to_string();
        let item = make(self, schema, &ident, Place { hint: &hint, inline: true, titled: false, ..place });
        self.items.insert(hint.clone(), Some(item));
        Shape { tokens: quote!(#ident), kind }
    }

    /// A name that no other item has.
    fn claim(&mut self, wanted: &str) -> Ident {
        let free = |name: &String| !self.items.contains_key(name);
        let numbered = (2..).map(|number| format!("{wanted}{number}"));
        let name = std::iter::once(wanted.to_owned()).chain(numbered).find(free);
        let name = name.unwrap_or_else(|| wanted.to_owned());
        self.items.insert(name.clone(), None);
        Ident::new(&name, Span::call_site())
    }

    /// The derives of every item.
    fn derives(&self) -> TokenStream {
        let (serde, schemars) = (self.root.private(&quote!(serde)), self.root.private(&quote!(schemars)));
        let (serde_text, schemars_text) = (self.root.crate_text("serde"), self.root.crate_text("schemars"));
        quote! {
            #[derive(Clone, Debug, PartialEq, #serde::Serialize, #serde::Deserialize, #schemars::JsonSchema)]
            #[serde(crate = #serde_text)]
            #[schemars(crate = #schemars_text)]
        }
    }
}

/// The documentation of a schema as attributes, or a sentence in its place.
fn docs(schema: &Value, otherwise: &str) -> TokenStream {
    let text = schema.get("description").and_then(Value::as_str).filter(|text| !text.trim().is_empty());
    let text = text.map_or_else(|| otherwise.to_owned(), crate::rustdoc);
    let lines = text.lines().map(|line| format!(" {line}"));
    quote!(#(#[doc = #lines])*)
}

fn with_type(schema: &Value, ty: &Value) -> Value {
    let mut schema = schema.clone();
    schema["type"] = ty.clone();
    schema
}

/// Names of variants and fields that differ from each other.
fn distinct(names: impl IntoIterator<Item = String>) -> Vec<Ident> {
    let mut taken = std::collections::BTreeSet::new();
    names
        .into_iter()
        .map(|name| {
            let numbered = (2..).map(|number| format!("{name}{number}"));
            let free = std::iter::once(name.clone()).chain(numbered).find(|name| !taken.contains(name));
            let free = free.unwrap_or(name);
            taken.insert(free.clone());
            match free.strip_prefix("r#") {
                Some(raw) => format_ident!("r#{raw}"),
                None => format_ident!("{free}"),
            }
        })
        .collect()
}

/// The branch of a union for values of one JSON type.
fn enumeration(values: &[&Value]) -> Value {
    json!({"enum": values})
}
