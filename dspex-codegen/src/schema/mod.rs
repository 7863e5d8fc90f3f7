//! Rust types for JSON Schemas, such as those of a team's own pydantic models and enums.
//!
//! Objects become structs, enumerations and unions become enums, definitions become items of their own; all carry
//! serde's derives and the documentation of the schema. What JSON has of a value survives: reading and writing it
//! gives the same value, up to defaults that Python would fill in as well.

mod builder;
mod defs;
mod enums;
mod names;
mod record;
mod structs;
mod unions;

use std::collections::BTreeMap;

use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, format_ident, quote};
use serde_json::{Value, json};

use crate::Root;
use crate::ident::field_ident;
use defs::Defs;
pub use record::{Record, RecordField};

/// Where introspection tells of which class of Python a schema is, and of which module.
const CLASS: &str = "x-python";
const MODULE: &str = "x-python-module";

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

/// The types of several schemas that belong together. The same definition in several of them is one item; different
/// ones of the same name are told apart by a number.
///
/// A schema that says of which Python module it is (`x-python-module`) has its item in the Rust module of that path;
/// others are where they are needed. Without any module, all items stand side by side.
#[derive(Clone, Debug)]
pub struct SchemaTypes {
    root: Root,
    /// Types that exist already, by the class of Python that they stand for.
    own: BTreeMap<String, TokenStream>,
    /// Modules and names by what they stand for.
    known: BTreeMap<String, (String, Ident)>,
    /// Items by module and name, so that their order does not depend on that of the schemas. `None` while one is being
    /// made, and for names that are something else's.
    items: BTreeMap<(String, String), Option<TokenStream>>,
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
    /// A type that exists already.
    Own,
    Any,
}

/// Where a type stands.
#[derive(Clone, Copy)]
struct Place<'a> {
    defs: &'a Defs<'a>,
    /// The Python module whose Rust module the type stands in.
    module: &'a str,
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
        Self { root, own: BTreeMap::new(), known: BTreeMap::new(), items: BTreeMap::new() }
    }

    /// A type that exists already for a class of Python. It needs `Clone`, `Debug`, `PartialEq`, serde and schemars.
    pub fn own(&mut self, class: &str, ty: TokenStream) {
        self.own.insert(class.to_owned(), ty);
    }

    /// Keeps a name of a module for something else.
    pub fn reserve(&mut self, module: &str, name: &str) {
        self.items.entry((module.to_owned(), name.to_owned())).or_default();
    }

    /// The type for a schema, which has its own `$defs`. `name` is for what the schema itself does not name.
    pub fn ty(&mut self, schema: &Value, name: &str) -> TokenStream {
        self.ty_in("", schema, name)
    }

    /// As [`ty`](Self::ty), as it is written in the Rust module for a module of Python.
    pub fn ty_in(&mut self, module: &str, schema: &Value, name: &str) -> TokenStream {
        self.shape_in(module, schema, name).tokens
    }

    fn shape_in(&mut self, module: &str, schema: &Value, name: &str) -> Shape {
        let defs = Defs::of(schema);
        let hint = names::type_name(name);
        self.shape(schema, Place { defs: &defs, module, hint: &hint, inline: false, titled: true })
    }

    /// Gives a class of data its type, under its own name where that is free: its module and identifier.
    pub(crate) fn class(&mut self, module: &str, name: &str, schema: &Value) -> (String, Ident) {
        let shape = self.shape_in(module, schema, name);
        let item = matches!(shape.kind, Kind::Choice(_) | Kind::Numbers | Kind::Struct(..) | Kind::Union);
        let tokens = shape.tokens;
        if item && let Some(ident) = only_ident(&tokens) {
            return (module.to_owned(), ident);
        }
        let ident = self.claim(module, &names::type_name(name));
        let doc = format!(" Values of Python's `{name}`.");
        self.items.insert(
            (module.to_owned(), ident.to_string()),
            Some(quote!(#[doc = #doc] pub type #ident = #tokens;)),
        );
        (module.to_owned(), ident)
    }

    /// The items of all schemas so far, sorted by module and name.
    pub fn items(&self) -> TokenStream {
        let items = self.items.values().flatten();
        quote!(#(#items)*)
    }

    /// The items of all schemas so far, each with its module and name, sorted.
    pub fn modules(&self) -> impl Iterator<Item = (&str, &str, &TokenStream)> {
        self.items.iter().filter_map(|((module, name), item)| Some((&**module, &**name, item.as_ref()?)))
    }

    fn shape(&mut self, schema: &Value, place: Place<'_>) -> Shape {
        if let Some(class) = schema.get(CLASS).and_then(Value::as_str)
            && let Some(tokens) = self.own.get(class).cloned().or_else(|| self.root.runtime_type(class))
        {
            return Shape { tokens, kind: Kind::Own };
        }
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
        let text = |key| schema.get(key).and_then(Value::as_str);
        let module = text(MODULE).unwrap_or(place.module);
        // The name of the class within its module, or its title, which may be another.
        let class = text(CLASS).and_then(|class| class.strip_prefix(module)?.strip_prefix('.'));
        let title = class.or_else(|| text("title").filter(|_| place.titled));
        let wanted = title.map_or_else(|| place.hint.to_owned(), names::type_name);
        let key = format!("{module} {wanted} {}", place.defs.key(schema));
        if let Some((module, ident)) = self.known.get(&key) {
            return Shape { tokens: path(place.module, module, ident), kind };
        }
        let ident = self.claim(module, &wanted);
        self.known.insert(key, (module.to_owned(), ident.clone()));
        let hint = ident.to_string();
        let inner = Place { module, hint: &hint, inline: true, titled: false, ..place };
        let item = make(self, schema, &ident, inner);
        self.items.insert((module.to_owned(), hint.clone()), Some(item));
        Shape { tokens: path(place.module, module, &ident), kind }
    }

    /// A name that no other item of the module has.
    fn claim(&mut self, module: &str, wanted: &str) -> Ident {
        let free = |name: &String| !self.items.contains_key(&(module.to_owned(), name.clone()));
        let numbered = (2..).map(|number| format!("{wanted}{number}"));
        let name = std::iter::once(wanted.to_owned()).chain(numbered).find(free);
        let name = name.unwrap_or_else(|| wanted.to_owned());
        self.items.insert((module.to_owned(), name.clone()), None);
        Ident::new(&name, Span::call_site())
    }

    /// The derives of every item.
    fn derives(&self) -> TokenStream {
        let (serde, schemars) = (self.root.private(&quote!(serde)), self.root.private(&quote!(schemars)));
        let (serde_text, schemars_text) = (self.root.crate_text("serde"), self.root.crate_text("schemars"));
        quote! {
            #[derive(
                ::core::clone::Clone, ::core::fmt::Debug, ::core::cmp::PartialEq,
                #serde::Serialize, #serde::Deserialize, #schemars::JsonSchema
            )]
            #[serde(crate = #serde_text)]
            #[schemars(crate = #schemars_text)]
            #[allow(missing_docs)]
        }
    }
}

/// A type that is a name of its own module.
fn only_ident(tokens: &TokenStream) -> Option<Ident> {
    let mut tokens = tokens.clone().into_iter();
    match (tokens.next(), tokens.next()) {
        (Some(TokenTree::Ident(ident)), None) => Some(ident),
        _ => None,
    }
}

/// The path of an item of a Rust module as it is written in another one: up to where both begin, and down again.
pub(crate) fn path(from: &str, to: &str, ident: &Ident) -> TokenStream {
    if from == to {
        return quote!(#ident);
    }
    let parts = |module: &str| -> Vec<String> {
        module.split('.').filter(|part| !part.is_empty()).map(str::to_owned).collect()
    };
    let (from, to) = (parts(from), parts(to));
    let common = from.iter().zip(&to).take_while(|(one, other)| one == other).count();
    let up = from.iter().skip(common).map(|_| quote!(super::));
    let down = to.iter().skip(common).map(|part| field_ident(part).0);
    quote!(#(#up)* #(#down::)* #ident)
}

/// The documentation of a schema as attributes. What Python does not describe stays without a description: an invented one
/// would reach the prompt of a signature that is made of the type.
fn docs(schema: &Value) -> Docs {
    let text = schema.get("description").and_then(Value::as_str).filter(|text| !text.trim().is_empty());
    text.map(|text| Docs::new(&crate::rustdoc(text), text)).unwrap_or_default()
}

/// Documentation, and the text that JSON Schemas should have where that is another. The attribute for the latter has to
/// come after the derive that knows it.
#[derive(Clone, Debug, Default)]
struct Docs {
    lines: TokenStream,
    description: Option<TokenStream>,
}

impl Docs {
    fn new(doc: &str, description: &str) -> Self {
        let lines = doc.lines().map(|line| if line.is_empty() { String::new() } else { format!(" {line}") });
        let differs = doc != description;
        Self {
            lines: quote!(#(#[doc = #lines])*),
            description: differs.then(|| quote!(#[schemars(description = #description)])),
        }
    }
}

/// On a field, both.
impl ToTokens for Docs {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        self.lines.to_tokens(tokens);
        self.description.to_tokens(tokens);
    }
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
