//! A schema to what is held against values.

use dspex_state::Pattern;
use serde_json::{Map, Value};

use super::rules::{Check, Kinds, ListRules, Number, NumberRules, ObjectRules, Others, Property, TextRules};

impl Check {
    /// Compiles a schema without references. The error says what is no schema.
    pub(in super::super) fn new(schema: &Value) -> Result<Self, String> {
        match schema {
            Value::Bool(true) => Ok(Self::default()),
            Value::Bool(false) => Ok(Self { kinds: Kinds::NONE, ..Self::default() }),
            Value::Object(schema) => Self::of_keywords(&Keywords(schema)),
            other => Err(format!("{} is no JSON Schema", super::cut(&other.to_string(), 60))),
        }
    }

    fn of_keywords(schema: &Keywords<'_>) -> Result<Self, String> {
        Ok(Self {
            kinds: kinds(schema)?,
            constants: match (schema.0.get("const"), schema.0.get("enum")) {
                (Some(constant), _) => Some(vec![constant.clone()]),
                (None, Some(Value::Array(constants))) => Some(constants.clone()),
                (None, Some(_)) => return Err("`enum` must be a list".to_owned()),
                (None, None) => None,
            },
            number: number(schema)?.map(Box::new),
            text: text(schema)?.map(Box::new),
            list: list(schema)?.map(Box::new),
            object: object(schema)?.map(Box::new),
            all_of: schema.checks("allOf")?,
            any_of: schema.checks("anyOf")?,
            one_of: schema.checks("oneOf")?,
            not: schema.check("not")?.map(Box::new),
        })
    }
}

/// The keywords of one schema.
struct Keywords<'a>(&'a Map<String, Value>);

impl Keywords<'_> {
    fn check(&self, keyword: &str) -> Result<Option<Check>, String> {
        self.0.get(keyword).map(Check::new).transpose()
    }

    fn checks(&self, keyword: &str) -> Result<Vec<Check>, String> {
        match self.0.get(keyword) {
            None => Ok(Vec::new()),
            Some(Value::Array(parts)) => parts.iter().map(Check::new).collect(),
            Some(_) => Err(format!("`{keyword}` must be a list of schemas")),
        }
    }

    fn count(&self, keyword: &str) -> Result<Option<u64>, String> {
        let Some(value) = self.0.get(keyword) else { return Ok(None) };
        let whole = value.as_f64().filter(|count| count.fract() == 0.0 && *count >= 0.0);
        match value.as_u64().or(whole.map(|count| count as u64)) {
            Some(count) => Ok(Some(count)),
            None => Err(format!("`{keyword}` must be a count")),
        }
    }

    fn number(&self, keyword: &str) -> Result<Option<Number>, String> {
        match self.0.get(keyword) {
            None => Ok(None),
            Some(Value::Number(number)) => Ok(Some(Number::of(number))),
            Some(_) => Err(format!("`{keyword}` must be a number")),
        }
    }

    fn has_any(&self, keywords: &[&str]) -> bool {
        keywords.iter().any(|keyword| self.0.contains_key(*keyword))
    }
}

fn kinds(schema: &Keywords<'_>) -> Result<Kinds, String> {
    let of_name = |value: &Value| {
        value.as_str().and_then(Kinds::of_name).ok_or_else(|| {
            let types = "null, boolean, integer, number, string, array and object";
            format!("{} is no type; there are {types}", super::cut(&value.to_string(), 60))
        })
    };
    match schema.0.get("type") {
        None => Ok(Kinds::ANY),
        Some(Value::Array(names)) => {
            names.iter().try_fold(Kinds::NONE, |all, name| Ok(all.or(of_name(name)?)))
        }
        Some(name) => of_name(name),
    }
}

fn number(schema: &Keywords<'_>) -> Result<Option<NumberRules>, String> {
    if !schema.has_any(&["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"]) {
        return Ok(None);
    }
    let multiple_of = schema.number("multipleOf")?;
    if multiple_of.is_some_and(|step| step.as_f64() <= 0.0) {
        return Err("`multipleOf` must be above 0".to_owned());
    }
    Ok(Some(NumberRules {
        min: schema.number("minimum")?,
        max: schema.number("maximum")?,
        above: schema.number("exclusiveMinimum")?,
        below: schema.number("exclusiveMaximum")?,
        multiple_of,
    }))
}

fn text(schema: &Keywords<'_>) -> Result<Option<TextRules>, String> {
    if !schema.has_any(&["minLength", "maxLength", "pattern"]) {
        return Ok(None);
    }
    Ok(Some(TextRules {
        shortest: schema.count("minLength")?,
        longest: schema.count("maxLength")?,
        pattern: schema.0.get("pattern").map(pattern).transpose()?.flatten(),
    }))
}

/// None for one that the `regex` crate cannot compile, such as with look-around: it informs the model.
fn pattern(pattern: &Value) -> Result<Option<Pattern>, String> {
    let Some(pattern) = pattern.as_str() else { return Err("`pattern` must be a text".to_owned()) };
    Ok(compiled(pattern))
}

fn compiled(pattern: &str) -> Option<Pattern> {
    Pattern::new(pattern)
        .inspect_err(|error| {
            let why = error.to_string();
            tracing::warn!(target: "dspex::tool", pattern, why, "a schema's pattern is not enforced");
        })
        .ok()
}

fn list(schema: &Keywords<'_>) -> Result<Option<ListRules>, String> {
    if !schema.has_any(&["items", "prefixItems", "minItems", "maxItems", "uniqueItems"]) {
        return Ok(None);
    }
    Ok(Some(ListRules {
        first: schema.checks("prefixItems")?,
        items: schema.check("items")?,
        fewest: schema.count("minItems")?,
        most: schema.count("maxItems")?,
        unique: schema.0.get("uniqueItems") == Some(&Value::Bool(true)),
    }))
}

fn object(schema: &Keywords<'_>) -> Result<Option<ObjectRules>, String> {
    let own = ["properties", "required", "additionalProperties", "patternProperties", "dependentRequired"];
    if !schema.has_any(&own) && !schema.has_any(&["minProperties", "maxProperties"]) {
        return Ok(None);
    }
    let required = match schema.0.get("required") {
        None => Vec::new(),
        Some(names) => texts(names).ok_or("`required` must be a list of names")?,
    };
    let mut properties = Vec::new();
    for (name, part) in parts(schema, "properties")? {
        let check = Check::new(part).map_err(|problem| format!("{problem}, at `{name}`"))?;
        properties.push(Property { required: required.contains(name), name: name.clone(), check });
    }
    for name in required {
        if !properties.iter().any(|property| property.name == name) {
            properties.push(Property { name, required: true, check: Check::default() });
        }
    }
    // A key that is required and not described is one of the others, too.
    let described = parts(schema, "properties")?.count();
    let mut patterns = Vec::new();
    for (text, part) in parts(schema, "patternProperties")? {
        if let Some(pattern) = compiled(text) {
            patterns.push((pattern, Check::new(part)?));
        }
    }
    let others = match schema.0.get("additionalProperties") {
        None | Some(Value::Bool(true)) => Others::Anything,
        Some(Value::Bool(false)) => Others::Nothing,
        Some(part) => Others::Fitting(Box::new(Check::new(part)?)),
    };
    let mut dependent = Vec::new();
    for (key, needed) in parts(schema, "dependentRequired")? {
        let needed = texts(needed).ok_or("`dependentRequired` must hold lists of names")?;
        dependent.push((key.clone(), needed));
    }
    Ok(Some(ObjectRules {
        properties,
        described,
        patterns,
        others,
        fewest: schema.count("minProperties")?,
        most: schema.count("maxProperties")?,
        dependent,
    }))
}

fn parts<'a>(
    schema: &Keywords<'a>,
    keyword: &str,
) -> Result<impl Iterator<Item = (&'a String, &'a Value)>, String> {
    match schema.0.get(keyword) {
        None => Ok(None.into_iter().flatten()),
        Some(Value::Object(parts)) => Ok(Some(parts).into_iter().flatten()),
        Some(_) => Err(format!("`{keyword}` must be an object")),
    }
}

fn texts(value: &Value) -> Option<Vec<String>> {
    value.as_array()?.iter().map(|text| text.as_str().map(str::to_owned)).collect()
}
