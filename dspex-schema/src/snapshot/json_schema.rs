//! The same schema as JSON Schema documents (2020-12), for tools other than dspex.
//!
//! One document per class, `<class>.schema.json`. Its root describes the arguments of the constructor; under `$defs`
//! are `call` (what a call takes beside the fields of a signature), `outputs` (what it adds to them), `value` (the JSON
//! form of a type such as `dspy.Image`), and `<method>.params` and `<method>.returns` of each method.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::{Map, Value, json};

use super::dump::{Dump, pretty};
use super::write::{Changes, write_files};
use crate::{Class, Function, Kind, Parameter, Result, Role, Type};

const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";
const FUNCTIONS: &str = "functions.schema.json";

impl Dump {
    /// The JSON Schema documents by file name. References between them are relative to their directory.
    ///
    /// # Errors
    /// [`Error::Malformed`](crate::Error::Malformed) for a function whose description cannot be understood.
    pub fn json_schema_files(&self) -> Result<BTreeMap<String, String>> {
        let types = self.classes().filter(|class| class.kind == Kind::Type).map(|class| class.name.as_str());
        let writer = Writer { types: types.collect() };
        let mut files: BTreeMap<String, String> =
            self.classes().map(|class| (file_name(&class.name), pretty(&writer.class(class)))).collect();
        let mut defs = Map::new();
        for function in self.functions()? {
            defs.insert(format!("{}.params", function.name), writer.function(&function));
            defs.insert(format!("{}.returns", function.name), writer.ty(&function.returns));
        }
        let functions = json!({"$schema": DIALECT, "$id": FUNCTIONS, "$defs": defs});
        files.insert(FUNCTIONS.to_owned(), pretty(&functions));
        Ok(files)
    }

    /// Writes the JSON Schema documents into a directory, as [`Dump::write_snapshot`] does the snapshot: only what
    /// changed, all of it or nothing.
    ///
    /// # Errors
    /// [`Error::Io`](crate::Error::Io) with the file it was about.
    pub fn write_json_schemas(&self, dir: &Path) -> Result<Changes> {
        write_files(dir, &self.json_schema_files()?, |name, document| {
            name.ends_with(".schema.json") && document.get("$schema") == Some(&json!(DIALECT))
        })
    }
}

fn file_name(class: &str) -> String {
    format!("{class}.schema.json")
}

struct Writer<'a> {
    /// Classes whose instances have a JSON form.
    types: BTreeSet<&'a str>,
}

impl Writer<'_> {
    fn class(&self, class: &Class) -> Value {
        let mut root = self.arguments(&class.init, class.init_extra);
        root.insert("$schema".into(), json!(DIALECT));
        root.insert("$id".into(), json!(file_name(&class.name)));
        root.insert("title".into(), json!(class.name));
        describe(&mut root, class.doc.as_deref());
        if class.deprecation().is_some() {
            root.insert("deprecated".into(), json!(true));
        }
        let mut defs = Map::new();
        defs.insert(
            "call".into(),
            Value::Object(self.arguments(&class.call_extra, class.outputs.from_signature)),
        );
        defs.insert(
            "outputs".into(),
            Value::Object(self.arguments(&class.outputs.extra, class.outputs.from_signature)),
        );
        if class.kind == Kind::Type || !class.fields.is_empty() {
            defs.insert("value".into(), Value::Object(self.arguments(&class.fields, true)));
        }
        for method in &class.methods {
            let mut params = self.arguments(&method.params, method.params_extra);
            describe(&mut params, method.doc.as_deref());
            defs.insert(format!("{}.params", method.name), Value::Object(params));
            defs.insert(format!("{}.returns", method.name), self.ty(&method.returns));
        }
        root.insert("$defs".into(), Value::Object(defs));
        Value::Object(root)
    }

    fn function(&self, function: &Function) -> Value {
        let mut params = self.arguments(&function.params, function.params_extra);
        describe(&mut params, function.doc.as_deref());
        Value::Object(params)
    }

    /// An object with the parameters as its properties.
    fn arguments(&self, parameters: &[Parameter], open: bool) -> Map<String, Value> {
        let properties: Map<String, Value> =
            parameters.iter().map(|parameter| (parameter.name.clone(), self.parameter(parameter))).collect();
        let required: Vec<&str> = parameters
            .iter()
            .filter(|parameter| parameter.required)
            .map(|parameter| parameter.name.as_str())
            .collect();
        let mut object = Map::new();
        object.insert("type".into(), json!("object"));
        object.insert("properties".into(), Value::Object(properties));
        object.insert("required".into(), json!(required));
        object.insert("additionalProperties".into(), json!(open));
        object
    }

    fn parameter(&self, parameter: &Parameter) -> Value {
        let role = |what: &str| json!({"$comment": what});
        let schema = match &parameter.role {
            Role::Signature => role("a signature"),
            Role::Tools => role("a list of tools"),
            Role::Callback => role("a function"),
            Role::Module => role("a module"),
            Role::Lm => role("a language model"),
            Role::Adapter => role("an adapter"),
            Role::Embedder => role("an embedder"),
            Role::Factory => role("a class or function that makes something"),
            Role::HostOnly => role("something of Python"),
            Role::Examples => json!({"type": ["array", "null"], "items": {"type": "object"}}),
            Role::Pairs => {
                let pair = json!({"type": "array", "prefixItems": [role("a module"), {"type": "object"}]});
                json!({"type": ["array", "null"], "items": pair})
            }
            Role::Value | Role::Other(_) => self.ty(&parameter.ty),
        };
        let Value::Object(mut schema) = schema else {
            return schema;
        };
        describe(&mut schema, parameter.doc.as_deref());
        if let Some(default) = parameter.default.as_ref().and_then(|default| default.json()) {
            schema.insert("default".into(), default.clone());
        }
        Value::Object(schema)
    }

    fn ty(&self, ty: &Type) -> Value {
        let many = |of: &[Type]| -> Vec<Value> { of.iter().map(|ty| self.ty(ty)).collect() };
        match ty {
            Type::Str => json!({"type": "string"}),
            Type::Int => json!({"type": "integer"}),
            Type::Float => json!({"type": "number"}),
            Type::Bool => json!({"type": "boolean"}),
            Type::None => json!({"type": "null"}),
            Type::List { of } => json!({"type": "array", "items": self.ty(of)}),
            Type::Set { of } => json!({"type": "array", "items": self.ty(of), "uniqueItems": true}),
            Type::Tuple { of } => {
                let mut tuple = json!({"type": "array", "minItems": of.len(), "maxItems": of.len()});
                if !of.is_empty() {
                    tuple["prefixItems"] = many(of).into();
                }
                tuple
            }
            Type::Map { value, .. } => json!({"type": "object", "additionalProperties": self.ty(value)}),
            Type::Option { of } => json!({"anyOf": [self.ty(of), {"type": "null"}]}),
            Type::Union { of } if !of.is_empty() => json!({"anyOf": many(of)}),
            Type::Literal { values } | Type::Enum { values, .. } if !values.is_empty() => {
                json!({"enum": values})
            }
            Type::Ref { name } if self.types.contains(name.as_str()) => {
                json!({"$ref": format!("{}#/$defs/value", file_name(name))})
            }
            Type::Any => json!({}),
            other => json!({"$comment": other.to_string()}),
        }
    }
}

fn describe(schema: &mut Map<String, Value>, doc: Option<&str>) {
    if let Some(doc) = doc {
        schema.insert("description".into(), json!(doc));
    }
}
