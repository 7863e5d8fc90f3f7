//! Fields of a signature that was written as text: their Rust types, and the enums that some of them need.

use std::collections::BTreeSet;

use dspex_schema::signature::{Field as TextField, Kind, Signature, Type, Value};
use heck::{ToSnakeCase, ToUpperCamelCase};
use proc_macro2::{Ident, Literal, Span, TokenStream, TokenTree};
use quote::{ToTokens, format_ident, quote};

use crate::ident::field_ident;
use crate::{Field, Root};

/// What the fields of a text become.
#[derive(Clone, Debug)]
pub struct TextFields {
    /// The inputs, in order.
    pub inputs: Vec<Field>,
    /// The outputs, in order.
    pub outputs: Vec<Field>,
    /// The enums that stand for `Literal` and for alternatives.
    pub types: TokenStream,
    /// The enums that stand for `Literal`, for each input.
    pub choices: Vec<Vec<Choice>>,
}

/// An enum that stands for a `Literal`.
#[derive(Clone, Debug)]
pub struct Choice {
    /// Its name.
    pub ident: Ident,
    /// Its variants, in the order of the values.
    pub variants: Vec<Ident>,
}

impl Choice {
    /// The name of the struct that has all values.
    pub(crate) fn values_ident(&self) -> Ident {
        format_ident!("{}Values", self.ident)
    }

    /// The variants as names of fields, each of them once.
    pub(crate) fn value_names(&self) -> Vec<Ident> {
        let mut taken = BTreeSet::new();
        let snake = self.variants.iter().map(|variant| variant.to_string().to_snake_case());
        snake.map(|name| field_ident(&once(name, &mut taken)).0).collect()
    }
}

/// The name, with a number behind it if it is taken.
fn once(name: String, taken: &mut BTreeSet<String>) -> String {
    let numbered = (2..).map(|number: u32| format!("{name}_{number}"));
    let free = std::iter::once(name.clone()).chain(numbered).find(|name| !taken.contains(name));
    let name = free.unwrap_or(name);
    taken.insert(name.clone());
    name
}

/// The context in which a text's fields are generated.
#[derive(Clone, Debug)]
pub struct TextOwner<'a> {
    /// Where dspex is.
    pub root: &'a Root,
    /// Visibility of the enums.
    pub vis: &'a TokenStream,
    /// The name that those of the enums begin with.
    pub ident: &'a Ident,
    /// Where the text stands, and errors about its Rust types point.
    pub span: Span,
    /// Attributes of the user's for generated types.
    pub attrs: &'a [TokenStream],
    /// Whether enums of alternatives are made from the values of their alternatives with `into`, as those are that
    /// nobody can name.
    pub conversions: bool,
}

/// Generates the fields. Their names have to be identifiers of Rust, see [`is_identifier`].
pub fn text_fields(signature: &Signature, owner: &TextOwner<'_>) -> TextFields {
    let taken = ["Inputs", "Outputs"].map(|suffix| format!("{}{suffix}", bare(owner.ident))).into();
    let mut types = Types { owner, taken, items: Vec::new(), choices: Vec::new() };
    let (inputs, choices) =
        signature.inputs.iter().map(|field| (types.field(field), std::mem::take(&mut types.choices))).unzip();
    let outputs = signature.outputs.iter().map(|field| types.field(field)).collect();
    let items = types.items;
    TextFields { inputs, outputs, types: quote!(#(#items)*), choices }
}

/// Whether a name can be an identifier of Rust, a raw one if need be.
pub fn is_identifier(name: &str) -> bool {
    // Asked of the compiler, which alone knows its letters.
    let tokens = name.parse::<TokenStream>().map(|tokens| tokens.into_iter().collect::<Vec<_>>());
    matches!(tokens.as_deref(), Ok([TokenTree::Ident(_)]))
}

fn bare(ident: &Ident) -> String {
    ident.to_string().trim_start_matches("r#").to_owned()
}

struct Types<'a> {
    owner: &'a TextOwner<'a>,
    /// Names of generated types.
    taken: BTreeSet<String>,
    items: Vec<TokenStream>,
    /// The enums of the field that is being generated.
    choices: Vec<Choice>,
}

impl Types<'_> {
    fn field(&mut self, field: &TextField) -> Field {
        let (mut ident, renamed) = field_ident(&field.name);
        ident.set_span(self.owner.span);
        let name = &field.name;
        Field {
            ident,
            name: name.clone(),
            ty: self.ty(&field.ty, name),
            ty_span: self.owner.span,
            documented: false,
            attrs: renamed.then(|| quote!(#[serde(rename = #name)])).into_iter().collect(),
            cfg: Vec::new(),
        }
    }

    fn ty(&mut self, ty: &Type, field: &str) -> TokenStream {
        let root = self.owner.root;
        let json = || root.item("serde_json::Value");
        match &ty.kind {
            Kind::Str => quote!(::std::string::String),
            Kind::Int => quote!(::core::primitive::i64),
            Kind::Float => quote!(::core::primitive::f64),
            Kind::Bool => quote!(::core::primitive::bool),
            Kind::List(of) => {
                let of = self.ty(of, field);
                quote!(::std::vec::Vec<#of>)
            }
            Kind::Set(of) => {
                let ordered = is_ordered(of);
                let of = self.ty(of, field);
                if ordered { quote!(::std::collections::BTreeSet<#of>) } else { quote!(::std::vec::Vec<#of>) }
            }
            Kind::Tuple(of) => {
                let of: Vec<_> = of.iter().map(|ty| self.ty(ty, field)).collect();
                quote!((#(#of,)*))
            }
            Kind::Dict(key, value) if key.kind == Kind::Str && value.kind == Kind::Any => {
                let (map, json) = (root.item("serde_json::Map"), json());
                quote!(#map<::std::string::String, #json>)
            }
            // Only in a stand-in is a key anything else.
            Kind::Dict(key, _) if !matches!(key.kind, Kind::Str | Kind::Int) => json().to_token_stream(),
            Kind::Dict(key, value) => {
                let (key, value) = (self.ty(key, field), self.ty(value, field));
                quote!(::std::collections::BTreeMap<#key, #value>)
            }
            Kind::Union(of) if of.iter().any(|ty| ty.kind == Kind::Any) => json().to_token_stream(),
            Kind::Union(of) => match ty.optional() {
                None => self.alternatives(&of.iter().collect::<Vec<_>>(), field),
                Some(rest) => {
                    let of = match rest.as_slice() {
                        [only] => self.ty(only, field),
                        several => self.alternatives(several, field),
                    };
                    quote!(::core::option::Option<#of>)
                }
            },
            Kind::Literal(values) => self.choice(values, field),
            Kind::Native(native) => {
                let name = Ident::new(native.rust(), Span::call_site());
                quote!(#root::types::#name)
            }
            Kind::Rust(path) => spanned(path, self.owner.span),
            // `None` alone and kinds of a later release.
            _ => json().to_token_stream(),
        }
    }

    /// A name for a type of a field, which no other has.
    fn name(&mut self, field: &str) -> Ident {
        let stem = format!("{}{}", bare(self.owner.ident), field.to_upper_camel_case());
        let numbered = (2..).map(|number: u32| format!("{stem}{number}"));
        let free = std::iter::once(stem.clone()).chain(numbered).find(|name| !self.taken.contains(name));
        let name = free.unwrap_or(stem);
        self.taken.insert(name.clone());
        // Raw, should it be a keyword; none begins with a capital letter but `Self`, which has a field's name behind it.
        Ident::new(&name, self.owner.span)
    }

    /// An enum for the values of a `Literal`.
    fn choice(&mut self, values: &[Value], field: &str) -> TokenStream {
        let ident = self.name(field);
        let TextOwner { root, vis, .. } = self.owner;
        let [serde, schemars, literal] = ["serde", "schemars", "literal"].map(|item| root.item(item));
        let variants = variant_names(values.iter().map(value_name));
        self.choices.push(Choice { ident: ident.clone(), variants: variants.clone() });
        let docs = values.iter().map(|value| format!(" `{value}`"));
        let scalars = values.iter().map(|value| match value {
            Value::Str(text) => quote!(#literal::Scalar::Str(#text)),
            Value::Int(number) => {
                let number = Literal::i64_suffixed(*number);
                quote!(#literal::Scalar::Int(#number))
            }
            Value::Bool(value) => quote!(#literal::Scalar::Bool(#value)),
            Value::None => quote!(#literal::Scalar::None),
        });
        let doc = format!(" One of the values of `{field}`.");
        let name = ident.to_string();
        let result = quote!(::core::result::Result);
        self.items.push(quote! {
            #[doc = #doc]
            #[derive(
                ::core::clone::Clone, ::core::marker::Copy, ::core::fmt::Debug, ::core::hash::Hash,
                ::core::cmp::PartialEq, ::core::cmp::Eq, ::core::cmp::PartialOrd, ::core::cmp::Ord,
            )]
            #vis enum #ident {
                #(#[doc = #docs] #variants,)*
            }

            const _: () = {
                const VALUES: &[#literal::Scalar] = &[#(#scalars),*];
                const ALL: &[#ident] = &[#(#ident::#variants),*];

                #[automatically_derived]
                impl #serde::Serialize for #ident {
                    fn serialize<S: #serde::Serializer>(&self, serializer: S) -> #result<S::Ok, S::Error> {
                        VALUES[*self as ::core::primitive::usize].serialize(serializer)
                    }
                }

                #[automatically_derived]
                impl<'de> #serde::Deserialize<'de> for #ident {
                    fn deserialize<D: #serde::Deserializer<'de>>(deserializer: D) -> #result<Self, D::Error> {
                        match #literal::deserialize(deserializer, VALUES) {
                            #result::Ok(place) => #result::Ok(ALL[place]),
                            #result::Err(error) => #result::Err(error),
                        }
                    }
                }

                #[automatically_derived]
                impl #schemars::JsonSchema for #ident {
                    fn schema_name() -> ::std::borrow::Cow<'static, ::core::primitive::str> {
                        ::std::borrow::Cow::Borrowed(#name)
                    }

                    fn inline_schema() -> ::core::primitive::bool {
                        true
                    }

                    fn json_schema(_: &mut #schemars::SchemaGenerator) -> #schemars::Schema {
                        #literal::schema(VALUES)
                    }
                }
            };
        });
        quote!(#ident)
    }

    /// An enum for alternatives of several types.
    fn alternatives(&mut self, of: &[&Type], field: &str) -> TokenStream {
        let mut of = of.to_vec();
        // Read in this order: a whole number is an integer before it is a float.
        of.sort_by_key(|ty| ty.kind == Kind::Float);
        let ident = self.name(field);
        let tys: Vec<_> = of.iter().map(|ty| self.ty(ty, field)).collect();
        let variants = variant_names(of.iter().map(|ty| type_name(ty)));
        let TextOwner { root, vis, attrs, .. } = self.owner;
        let (serde, schemars) = (root.item("serde"), root.item("schemars"));
        let (serde_text, schemars_text) = (root.crate_text("serde"), root.crate_text("schemars"));
        // What a Rust type of the user's derives is only known to the user.
        let attrs: Vec<_> = match of.iter().any(|ty| ty.has_rust_type()) {
            true => attrs.to_vec(),
            false => vec![quote! {
                #[derive(::core::clone::Clone, ::core::fmt::Debug, ::core::cmp::PartialEq)]
            }],
        };
        let conversions = self.owner.conversions.then(|| conversions(&ident, &of, &tys, &variants));
        self.items.push(quote! {
            #conversions
            // Documentation would become a description that the model reads.
            #[allow(missing_docs)]
            #(#attrs)*
            #[derive(#serde::Serialize, #serde::Deserialize, #schemars::JsonSchema)]
            #[serde(crate = #serde_text, untagged)]
            #[schemars(crate = #schemars_text, inline)]
            #vis enum #ident {
                #(#variants(#tys),)*
            }
        });
        quote!(#ident)
    }
}

/// From each alternative whose type no other has.
fn conversions(ident: &Ident, of: &[&Type], tys: &[TokenStream], variants: &[Ident]) -> TokenStream {
    let texts: Vec<_> = tys.iter().map(ToString::to_string).collect();
    let own = |place: &usize| texts.iter().filter(|text| **text == texts[*place]).count() == 1;
    let from = |ty: &TokenStream, variant: &Ident, value: TokenStream| {
        quote! {
            impl ::core::convert::From<#ty> for #ident {
                fn from(value: #ty) -> Self {
                    Self::#variant(#value)
                }
            }
        }
    };
    let owned = (0..tys.len()).filter(own).map(|place| from(&tys[place], &variants[place], quote!(value)));
    let text = of.iter().position(|ty| ty.kind == Kind::Str);
    let borrowed = text.map(|place| {
        let value = quote!(::std::string::String::from(value));
        from(&quote!(&::core::primitive::str), &variants[place], value)
    });
    quote!(#(#owned)* #borrowed)
}

/// Whether the Rust type has an order, so that it can be in a `BTreeSet`.
fn is_ordered(ty: &Type) -> bool {
    match &ty.kind {
        Kind::Str | Kind::Int | Kind::Bool | Kind::Literal(_) => true,
        Kind::List(of) => is_ordered(of),
        Kind::Tuple(of) => of.iter().all(is_ordered),
        Kind::Union(_) => ty.optional().is_some_and(|rest| rest.len() == 1 && is_ordered(rest[0])),
        _ => false,
    }
}

/// A path as tokens that point at the text.
fn spanned(path: &str, span: Span) -> TokenStream {
    let tokens = path.parse::<TokenStream>().unwrap_or_default();
    tokens
        .into_iter()
        .map(|mut token| {
            token.set_span(span);
            token
        })
        .collect()
}

fn value_name(value: &Value) -> String {
    match value {
        Value::Str(text) => text.to_upper_camel_case(),
        Value::Int(number) if *number < 0 => format!("Minus{}", number.unsigned_abs()),
        Value::Int(number) => format!("N{number}"),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::None => "None".to_owned(),
    }
}

fn type_name(ty: &Type) -> String {
    match &ty.kind {
        Kind::Str => "Str".to_owned(),
        Kind::Int => "Int".to_owned(),
        Kind::Float => "Float".to_owned(),
        Kind::Bool => "Bool".to_owned(),
        Kind::List(_) => "List".to_owned(),
        Kind::Set(_) => "Set".to_owned(),
        Kind::Tuple(_) => "Tuple".to_owned(),
        Kind::Dict(..) => "Dict".to_owned(),
        Kind::Literal(_) => "Literal".to_owned(),
        Kind::Native(native) => native.rust().to_owned(),
        Kind::Rust(path) => path.rsplit("::").next().unwrap_or_default().to_upper_camel_case(),
        _ => "Other".to_owned(),
    }
}

/// Identifiers for variants, each of them once.
fn variant_names(names: impl Iterator<Item = String>) -> Vec<Ident> {
    let mut taken = BTreeSet::new();
    names
        .map(|name| {
            let name: String = name.chars().filter(|char| char.is_alphanumeric()).collect();
            let stem = match name.chars().next() {
                None => "Empty".to_owned(),
                Some(first) if first.is_numeric() => format!("V{name}"),
                Some(_) if name == "Self" || !is_identifier(&name) => "Value".to_owned(),
                Some(_) => name,
            };
            let name = once(stem, &mut taken);
            format_ident!("{name}")
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use dspex_schema::signature::{Options, parse_with};

    use super::*;

    fn generated(text: &str) -> TextFields {
        let options = Options { rust_types: true, ..Options::default() };
        let signature = parse_with(text, &options).finish().unwrap();
        let (root, vis, ident) = (Root::default(), quote!(pub), format_ident!("Qa"));
        let span = Span::call_site();
        text_fields(
            &signature,
            &TextOwner { root: &root, vis: &vis, ident: &ident, span, attrs: &[], conversions: false },
        )
    }

    fn shown(ty: &str) -> String {
        let text = generated(&format!("q -> a: {ty}")).outputs[0].ty.to_string().replace(' ', "");
        ["::std::", "::core::", "::dspex::", "__private::"]
            .iter()
            .fold(text, |text, path| text.replace(path, ""))
    }

    #[test]
    fn types_are_those_that_hold_the_same_values() {
        for (python, rust) in [
            ("str", "string::String"),
            ("list[int]", "vec::Vec<primitive::i64>"),
            ("set[str]", "collections::BTreeSet<string::String>"),
            ("set[float]", "vec::Vec<primitive::f64>"),
            ("tuple[int, bool]", "(primitive::i64,primitive::bool,)"),
            ("dict[int, float]", "collections::BTreeMap<primitive::i64,primitive::f64>"),
            ("dict", "serde_json::Map<string::String,serde_json::Value>"),
            ("Optional[dspy.Image]", "option::Option<types::Image>"),
            ("Any | None", "serde_json::Value"),
            ("list[crate::Person]", "vec::Vec<crate::Person>"),
            ("Literal['a'] | None", "option::Option<QaA>"),
            ("int | str", "QaA"),
        ] {
            assert_eq!(shown(python), rust);
        }
    }

    #[test]
    fn every_value_gets_a_variant_of_its_own() {
        let types = generated(
            "q -> a: Literal['a b', 'A_B', '', '1st', '!', -1, 1, True, None, 'Self', 'größe', 'Ⓐ']",
        )
        .types;
        let text = types.to_string();
        let wanted =
            ["AB", "AB_2", "Empty", "V1st", "Empty_2", "Minus1", "N1", "True", "None", "Value", "Größe"];
        for variant in wanted {
            assert!(text.contains(&format!("QaA :: {variant} ")), "{variant}: {text}");
        }
    }

    #[test]
    fn types_of_one_field_and_of_others_do_not_share_a_name() {
        let text =
            generated("inputs: Literal['a'] -> x: tuple[Literal['a'], Literal['b']]").types.to_string();
        for name in ["QaInputs2", "QaX", "QaX2"] {
            assert!(text.contains(&format!("enum {name} ")), "{text}");
        }
    }

    #[test]
    fn a_keyword_that_cannot_be_raw_is_renamed_for_rust_only() {
        let fields = generated("q -> crate, type");
        assert_eq!(fields.outputs[0].ident.to_string(), "crate_");
        assert_eq!(fields.outputs[0].attrs[0].to_string(), "# [serde (rename = \"crate\")]");
        assert_eq!(fields.outputs[1].ident.to_string(), "r#type");
        assert!(is_identifier("größe") && !is_identifier("a b") && !is_identifier(""));
    }
}
