//! One schema without references, lists of types and what models do not need.

use serde_json::{Map, Value, json};

use super::{alternatives, merge, types};

/// Schemas are shown to models; one with more parts than this is a mistake, or an attack by references that refer to references.
const MOST_PARTS: usize = 20_000;

/// As deep as values may nest, and then some for `anyOf`.
const MOST_DEPTH: usize = 100;

/// Why a schema cannot be told to models.
#[derive(Debug, thiserror::Error)]
#[error("{}{kind}", match path.as_str() { "" => String::new(), path => format!("at `{path}`, ") })]
pub(super) struct SchemaProblem {
    /// The names of properties, from the outermost.
    path: String,
    kind: Kind,
}

#[derive(Debug, thiserror::Error)]
enum Kind {
    #[error(
        "the type `{0}` is recursive, and what models are told has no references; take `serde_json::Value` there and \
         read the type out of it, or a type that nests only so often"
    )]
    Recursive(String),
    #[error("`{0}` refers to nothing in the schema; put what it refers to into its `$defs`")]
    Dangling(String),
    #[error("`{0}` cannot be followed; use `$ref` to a part of the same schema")]
    Dynamic(String),
    #[error("{0} is no JSON Schema; one is an object, `true` or `false`")]
    NoSchema(String),
    #[error("`{0}` is no value of the keyword `{1}`")]
    Malformed(String, &'static str),
    #[error(
        "the schema has more than {MOST_PARTS} parts without references; take a smaller type, or \
         `serde_json::Value`"
    )]
    TooLarge,
    #[error("the schema nests deeper than {MOST_DEPTH} levels; take a flatter type, or `serde_json::Value`")]
    TooDeep,
}

/// Writes schemas without references.
pub(super) struct Normaliser<'a> {
    /// What references refer to.
    document: &'a Value,
    /// The references that are being replaced now.
    open: Vec<&'a str>,
    path: Vec<&'a str>,
    depth: usize,
    parts: usize,
}

impl<'a> Normaliser<'a> {
    pub(super) fn new(document: &'a Value) -> Self {
        Self { document, open: Vec::new(), path: Vec::new(), depth: 0, parts: 0 }
    }

    /// The whole document.
    pub(super) fn root(mut self) -> Result<Map<String, Value>, SchemaProblem> {
        self.open.push("#");
        self.schema(self.document)
    }

    fn schema(&mut self, schema: &'a Value) -> Result<Map<String, Value>, SchemaProblem> {
        self.parts += 1;
        self.depth += 1;
        if self.parts > MOST_PARTS {
            return Err(self.problem(Kind::TooLarge));
        }
        if self.depth > MOST_DEPTH {
            return Err(self.problem(Kind::TooDeep));
        }
        let normal = match schema {
            Value::Bool(true) => Map::new(),
            Value::Bool(false) => Map::from_iter([("not".to_owned(), json!({}))]),
            Value::Object(schema) => self.object(schema)?,
            other => return Err(self.problem(Kind::NoSchema(shown(other)))),
        };
        self.depth -= 1;
        Ok(normal)
    }

    fn object(&mut self, schema: &'a Map<String, Value>) -> Result<Map<String, Value>, SchemaProblem> {
        let mut normal = Map::new();
        for (keyword, value) in schema {
            self.keyword(keyword, value, &mut normal)?;
        }
        older_bounds(schema, &mut normal);
        shorten_default(schema, &mut normal);
        if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
            normal = merge::into(normal, self.referred(reference)?);
        }
        types::split(&mut normal);
        if schema.get("nullable") == Some(&Value::Bool(true)) {
            types::allow_null(&mut normal);
        }
        alternatives::simplify(&mut normal);
        Ok(normal)
    }

    fn keyword(
        &mut self,
        keyword: &'a str,
        value: &'a Value,
        normal: &mut Map<String, Value>,
    ) -> Result<(), SchemaProblem> {
        let kept = match (keyword, value) {
            ("$ref" | "nullable" | "$schema" | "$id" | "$anchor" | "$comment" | "$vocabulary", _)
            | ("$dynamicAnchor" | "$recursiveAnchor" | "$defs" | "definitions", _)
            | ("unevaluatedProperties" | "unevaluatedItems", _)
            | ("id" | "title", Value::String(_))
            | ("exclusiveMinimum" | "exclusiveMaximum", Value::Bool(_))
            | ("additionalProperties" | "items", Value::Bool(true)) => return Ok(()),
            ("$dynamicRef" | "$recursiveRef", _) => {
                return Err(self.problem(Kind::Dynamic(keyword.to_owned())));
            }
            ("format", Value::String(format)) if is_numeric(format) => return Ok(()),
            // Of an older draft: whether the property itself is required.
            ("required", Value::Bool(_)) => return Ok(()),
            ("required", Value::Array(names)) if names.is_empty() => return Ok(()),
            ("additionalProperties", Value::Bool(false)) => value.clone(),
            ("properties" | "patternProperties" | "dependentSchemas", Value::Object(parts)) => {
                let mut all = Map::new();
                for (name, part) in parts {
                    self.path.push(name);
                    all.insert(name.clone(), self.schema(part)?.into());
                    self.path.pop();
                }
                all.into()
            }
            ("properties" | "patternProperties" | "dependentSchemas", other) => {
                return Err(self.problem(Kind::Malformed(shown(other), "properties")));
            }
            // A tuple of an older draft.
            ("items", Value::Array(parts)) => {
                let parts = self.each(parts)?;
                normal.insert("prefixItems".to_owned(), parts);
                return Ok(());
            }
            ("additionalItems", part) => {
                let part = self.schema(part)?;
                normal.insert("items".to_owned(), part.into());
                return Ok(());
            }
            ("allOf" | "anyOf" | "oneOf" | "prefixItems", Value::Array(parts)) => {
                // Of no schemas there is nothing to say.
                if parts.is_empty() {
                    return Ok(());
                }
                self.each(parts)?
            }
            ("allOf" | "anyOf" | "oneOf" | "prefixItems", other) => {
                return Err(self.problem(Kind::Malformed(shown(other), "anyOf")));
            }
            ("items" | "additionalProperties" | "not" | "contains" | "propertyNames", part)
            | ("if" | "then" | "else", part) => self.schema(part)?.into(),
            _ => value.clone(),
        };
        normal.insert(keyword.to_owned(), kept);
        Ok(())
    }

    fn each(&mut self, parts: &'a [Value]) -> Result<Value, SchemaProblem> {
        parts
            .iter()
            .map(|part| self.schema(part).map(Value::Object))
            .collect::<Result<_, _>>()
            .map(Value::Array)
    }

    /// What a reference refers to.
    fn referred(&mut self, reference: &'a str) -> Result<Map<String, Value>, SchemaProblem> {
        if self.open.contains(&reference) {
            return Err(self.problem(Kind::Recursive(self.name_of(reference))));
        }
        let pointer = reference.strip_prefix('#').map(percent_decoded);
        let target = match pointer.as_deref() {
            Some("" | "/") => Some(self.document),
            Some(pointer) => self.document.pointer(pointer),
            None => None,
        };
        let Some(target) = target else {
            return Err(self.problem(Kind::Dangling(reference.to_owned())));
        };
        self.open.push(reference);
        let normal = self.schema(target)?;
        self.open.pop();
        Ok(normal)
    }

    /// The type that a reference refers to, for people.
    fn name_of(&self, reference: &str) -> String {
        match reference.rsplit('/').next() {
            Some("#" | "") | None => match self.document.get("title").and_then(Value::as_str) {
                Some(title) => title.to_owned(),
                None => "the whole schema".to_owned(),
            },
            Some(name) => percent_decoded(name).replace("~1", "/").replace("~0", "~"),
        }
    }

    fn problem(&self, kind: Kind) -> SchemaProblem {
        SchemaProblem { path: self.path.join("."), kind }
    }
}

/// What schemars and OpenAPI call the formats of numbers. What they say of the range is in the bounds.
fn is_numeric(format: &str) -> bool {
    let digits = format.strip_prefix("uint").or_else(|| format.strip_prefix("int"));
    matches!(digits, Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()))
        || matches!(format, "float" | "double")
}

/// `"exclusiveMinimum": true` made the minimum an exclusive one.
fn older_bounds(schema: &Map<String, Value>, normal: &mut Map<String, Value>) {
    for (inclusive, exclusive) in [("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")] {
        if schema.get(exclusive) == Some(&Value::Bool(true))
            && let Some(bound) = normal.shift_remove(inclusive)
        {
            normal.insert(exclusive.to_owned(), bound);
        }
    }
}

/// 0.1 in single precision is 0.10000000149011612 in double, which is nothing to show to a model.
fn shorten_default(schema: &Map<String, Value>, normal: &mut Map<String, Value>) {
    if schema.get("format").and_then(Value::as_str) == Some("float")
        && let Some(default) = normal.get_mut("default")
        && let Some(double) = default.as_f64().filter(|_| default.is_f64())
        && let Ok(short) = (double as f32).to_string().parse::<f64>()
    {
        *default = short.into();
    }
}

/// References are URIs.
fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let hex = after.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        match hex.filter(|_| byte == b'%').and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(decoded) => {
                bytes.push(decoded);
                rest = &after[2..];
            }
            None => {
                bytes.push(byte);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn shown(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{}..", &text[..end]),
        None => text,
    }
}
