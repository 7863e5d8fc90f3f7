//! DSPy's own prompt, read back: the format it wants, the fields it asks for with their types, and the inputs.
//!
//! The marks are those of DSPy 3.4's `ChatAdapter`, `JSONAdapter` and `XMLAdapter`; the golden file `prompts.json`
//! holds what they write.

use serde_json::{Map, Value, json};

use super::hint::Hint;
use crate::lm::{LmRequest, Message, Role};

/// How the answer has to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// `[[ ## field ## ]]` markers: `ChatAdapter`.
    Chat,
    /// One JSON object: `JSONAdapter`, and any request for JSON.
    Json,
    /// One XML element a field: `XMLAdapter`.
    Xml,
    /// No adapter asked: plain text.
    Free,
}

/// An output field that the prompt asks for.
#[derive(Debug, Clone)]
pub(super) struct AskedField {
    pub name: String,
    /// The type as DSPy prints it.
    pub hint: Option<Hint>,
    /// JSON Schema of the type: from the prompt, from `response_format`, or made of the hint.
    pub schema: Value,
    /// The prompt shows a JSON Schema, so DSPy reads the answer as JSON.
    pub shown_schema: bool,
    /// `XMLAdapter` wants nested elements instead of JSON.
    pub nested_xml: bool,
}

impl AskedField {
    /// DSPy takes the text as it stands.
    pub(super) fn is_raw_text(&self) -> bool {
        match &self.hint {
            Some(hint) => hint.is_raw_text() || !self.shown_schema,
            None => !self.shown_schema,
        }
    }

    /// A missing field becomes `None`.
    pub(super) fn may_be_missing(&self) -> bool {
        self.hint.as_ref().is_some_and(Hint::allows_none)
    }
}

/// What a request asks for.
#[derive(Debug, Clone)]
pub(super) struct Prompt {
    pub format: Format,
    pub fields: Vec<AskedField>,
    /// Names and texts of the input fields of the newest request, in order.
    pub inputs: Vec<(String, String)>,
    /// The instructions of the signature.
    pub objective: String,
}

const CHAT: &str = "Respond with the corresponding output fields, starting with the field ";
const JSON: &str = "Respond with a JSON object in the following order of fields: ";
const XML: &str = "Respond with the corresponding output fields wrapped in XML tags ";
const NOTE: &str = "# note: the value you produce ";
const SCHEMA: &str = "must adhere to the JSON schema: ";

impl Prompt {
    pub(super) fn read(request: &LmRequest) -> Self {
        let system = request.system_text();
        let found =
            request.messages.iter().rev().filter(|message| message.role == Role::User).find_map(reminder);
        let objective = system
            .rsplit_once("your objective is: ")
            .map(|(_, text)| text.lines().map(str::trim).collect::<Vec<_>>().join("\n").trim().to_owned())
            .unwrap_or_default();
        let Some((format, asked, before)) = found else {
            return Self::unmarked(request, objective);
        };
        let names = match format {
            Format::Chat => between(&asked, "`[[ ## ", " ## ]]`", Some("and then ending with")),
            Format::Xml => between(&asked, "`<", ">`", Some(" Use this nested XML structure: ")),
            Format::Json | Format::Free => json_names(&asked),
        };
        let structured = request.config.json_schema();
        let described = Description::read(&system);
        let templates =
            asked.split_once(" Use this nested XML structure: ").map_or("", |(_, templates)| templates);
        let fields =
            names.iter().map(|name| described.field(name, structured, templates, format)).collect::<Vec<_>>();
        let mut inputs = sections(&before, format);
        if inputs.iter().all(|(name, _)| name == "tools") {
            // A later turn of an agent: what it is about stands in an earlier message.
            let earlier = request.messages.iter().rev().filter(|message| message.role == Role::User);
            let earlier = earlier.map(|message| sections(&strip_reminder(&message.text()), format));
            let about = |inputs: &Vec<(String, String)>| {
                inputs.iter().any(|(name, _)| name != "tools" && name != "tool_call_results")
            };
            inputs.extend(earlier.into_iter().find(about).unwrap_or_default());
        }
        Self { format, fields, inputs, objective }
    }

    /// A request that no adapter wrote.
    fn unmarked(request: &LmRequest, objective: String) -> Self {
        let schema = request.config.json_schema();
        let fields = schema
            .and_then(|schema| schema.get("properties"))
            .and_then(Value::as_object)
            .map(|properties| {
                let names = properties.keys();
                names.map(|name| Description::default().field(name, schema, "", Format::Json)).collect()
            })
            .unwrap_or_default();
        let format = if request.config.wants_json() { Format::Json } else { Format::Free };
        Self { format, fields, inputs: vec![("prompt".to_owned(), request.last_user_text())], objective }
    }

    /// The field of this name is asked for.
    pub(super) fn asks(&self, name: &str) -> bool {
        self.fields.iter().any(|field| field.name == name)
    }

    /// The text of an input field.
    pub(super) fn input(&self, name: &str) -> Option<&str> {
        self.inputs.iter().find(|(input, _)| input == name).map(|(_, text)| text.as_str())
    }
}

/// A message's format, its reminder of the output fields, and the text before that.
fn reminder(message: &Message) -> Option<(Format, String, String)> {
    let text = message.text();
    let newest = [(CHAT, Format::Chat), (JSON, Format::Json), (XML, Format::Xml)]
        .into_iter()
        .filter_map(|(mark, format)| text.rfind(mark).map(|start| (start, mark, format)))
        .max_by_key(|(start, _, _)| *start);
    let (start, mark, format) = newest?;
    Some((format, text[start + mark.len()..].to_owned(), text[..start].to_owned()))
}

fn strip_reminder(text: &str) -> String {
    let start = [CHAT, JSON, XML].iter().filter_map(|mark| text.rfind(mark)).max();
    start.map_or(text, |start| &text[..start]).to_owned()
}

/// Every name between two marks, before the end mark.
fn between(text: &str, open: &str, close: &str, end: Option<&str>) -> Vec<String> {
    let text = end.and_then(|end| text.rfind(end)).map_or(text, |end| &text[..end]);
    let mut names: Vec<String> = Vec::new();
    let mut rest = text;
    while let Some((_, after)) = rest.split_once(open) {
        let Some((name, after)) = after.split_once(close) else { break };
        if is_identifier(name) && !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
        }
        rest = after;
    }
    names
}

/// The names of ``` `x` (must be ..), then `y`. ```
fn json_names(text: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut rest = text;
    while let Some((name, after)) = rest.strip_prefix('`').and_then(|rest| rest.split_once('`')) {
        if !is_identifier(name) {
            break;
        }
        names.push(name.to_owned());
        // The type in between may hold anything, but `, then `` ends it.
        match after.split_once(", then `") {
            Some((_, next)) => rest = &after[after.len() - next.len() - 1..],
            None => break,
        }
    }
    names
}

fn is_identifier(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_')
}

/// What the system message says about the output fields.
#[derive(Default)]
struct Description<'a> {
    /// The list after "Your output fields are:".
    list: &'a str,
    /// The structure after it, up to the objective.
    structure: &'a str,
    /// `JSONAdapter` shows the structure as an object.
    object: Map<String, Value>,
}

impl<'a> Description<'a> {
    fn read(system: &'a str) -> Self {
        let after = system.split_once("Your output fields are:\n").map_or("", |(_, after)| after);
        let (list, structure) =
            after.split_once("\nAll interactions will be structured").unwrap_or((after, ""));
        let structure = structure
            .rsplit_once("In adhering to this structure, your objective is")
            .map_or(structure, |(structure, _)| structure);
        let object = structure
            .split_once("Outputs will be a JSON object with the following fields.")
            .and_then(|(_, object)| serde_json::Deserializer::from_str(object).into_iter().next()?.ok())
            .unwrap_or_default();
        Self { list, structure, object }
    }

    fn field(&self, name: &str, structured: Option<&Value>, templates: &str, format: Format) -> AskedField {
        let entry = self.entry(name);
        let hint = entry.and_then(|entry| Hint::read(entry)).map(|(hint, _)| hint);
        let shown = self.shown_schema(name);
        let shown_schema = shown.is_some();
        let nested_xml = format == Format::Xml && templates.contains(&format!("<{name}>"));
        let mut schema = structured
            .and_then(|schema| property(schema, name))
            .or(shown)
            .or_else(|| hint.as_ref().and_then(Hint::schema))
            .or_else(|| nested_xml.then(|| template_schema(name, templates)).flatten())
            .or_else(|| self.members(name))
            .unwrap_or_else(|| json!({}));
        if let Some(entry) = entry {
            constrain(&mut schema, entry);
            constrain_text(&mut schema, entry);
        }
        AskedField { name: name.to_owned(), hint, schema, shown_schema, nested_xml }
    }

    /// From the type on: `int): the count\nConstraints: ..`, up to the next field.
    fn entry(&self, name: &str) -> Option<&'a str> {
        let mark = format!(". `{name}` (");
        let start = self.list.match_indices(&mark).map(|(start, _)| start).find(|start| {
            let line = self.list[..*start].rfind('\n').map_or(0, |line| line + 1);
            self.list[line..*start].bytes().all(|byte| byte.is_ascii_digit())
        })?;
        let number: usize = self.list[..start].rsplit('\n').next()?.parse().ok()?;
        let entry = &self.list[start + mark.len()..];
        let end = entry.find(&format!("\n{}. `", number + 1)).unwrap_or(entry.len());
        Some(&entry[..end])
    }

    /// The line that shows how the field is filled in.
    fn note(&self, name: &str) -> Option<String> {
        let mark = format!("{{{name}}}        {NOTE}");
        if let Some(Value::String(shown)) = self.object.get(name) {
            return shown.strip_prefix(&mark).map(str::to_owned);
        }
        let start = self.structure.rfind(&mark)? + mark.len();
        self.structure[start..].lines().next().map(str::to_owned)
    }

    fn shown_schema(&self, name: &str) -> Option<Value> {
        serde_json::from_str(self.note(name)?.strip_prefix(SCHEMA)?).ok()
    }

    /// An enumeration that is shown by its values alone.
    fn members(&self, name: &str) -> Option<Value> {
        let note = self.note(name)?;
        let members: Vec<&str> = note.strip_prefix("must be one of: ")?.split("; ").collect();
        Some(json!({"enum": members}))
    }
}

/// A property of the schema of all outputs, with the definitions that it refers to.
fn property(schema: &Value, name: &str) -> Option<Value> {
    let mut property = schema.get("properties")?.get(name)?.clone();
    if let (Some(property), Some(definitions)) = (property.as_object_mut(), schema.get("$defs")) {
        property.insert("$defs".to_owned(), definitions.clone());
    }
    Some(property)
}

/// Adds what DSPy writes as text: `Constraints: greater than or equal to: 1, less than: 5`.
fn constrain(schema: &mut Value, entry: &str) {
    let (Some(object), Some((_, text))) = (schema.as_object_mut(), entry.rsplit_once("\nConstraints: "))
    else {
        return;
    };
    let list = object.get("type").and_then(Value::as_str) == Some("array");
    let (shortest, longest) = if list { ("minItems", "maxItems") } else { ("minLength", "maxLength") };
    for constraint in text.lines().next().unwrap_or_default().split(", ") {
        let Some((words, limit)) = constraint.rsplit_once(": ") else { continue };
        let Ok(limit) = serde_json::from_str::<Value>(limit) else { continue };
        let key = match words {
            "greater than" => "exclusiveMinimum",
            "greater than or equal to" => "minimum",
            "less than" => "exclusiveMaximum",
            "less than or equal to" => "maximum",
            "minimum length" => shortest,
            "maximum length" => longest,
            "a multiple of the given number" => "multipleOf",
            _ => continue,
        };
        object.insert(key.to_owned(), limit);
    }
}

/// Adds what the worker writes behind the description of a text, where DSPy shows no schema:
/// `(at least 3 characters, at most 8 characters, matching the regular expression .., in the format date)`.
fn constrain_text(schema: &mut Value, entry: &str) {
    const PATTERN: &str = "matching the regular expression ";
    const FORMAT: &str = "in the format ";
    let entry = entry.split_once("\nConstraints: ").map_or(entry, |(entry, _)| entry).trim_end();
    let starts = ["(at least ", "(at most ", "(matching the regular expression ", "(in the format "];
    let start = starts.iter().filter_map(|start| entry.find(start)).min();
    let (Some(object), Some(start), true) = (schema.as_object_mut(), start, entry.ends_with(')')) else {
        return;
    };
    let mut notes = &entry[start + 1..entry.len() - 1];
    let mut last = |notes: &mut &str, mark: &str, key: &str| {
        if let Some(at) = notes.find(mark).filter(|at| *at == 0 || notes[..*at].ends_with(", ")) {
            object.insert(key.to_owned(), json!(notes[at + mark.len()..]));
            *notes = notes[..at].trim_end_matches(", ");
        }
    };
    // From the end, because a pattern may hold commas.
    if let Some(at) = notes.rfind(FORMAT) {
        let mut format = &notes[at..];
        last(&mut format, FORMAT, "format");
        notes = notes[..at].trim_end_matches(", ");
    }
    last(&mut notes, PATTERN, "pattern");
    for note in notes.split(", ") {
        let length = |start| note.strip_prefix(start)?.strip_suffix(" characters")?.parse::<u64>().ok();
        if let Some(least) = length("at least ") {
            object.insert("minLength".to_owned(), json!(least));
        } else if let Some(most) = length("at most ") {
            object.insert("maxLength".to_owned(), json!(most));
        }
    }
}

/// The shape that `XMLAdapter` shows, where it shows no types: `<a><b>...</b><c><item>...</item></c></a>`.
fn template_schema(name: &str, templates: &str) -> Option<Value> {
    let start = templates.find(&format!("<{name}>"))?;
    element(&templates[start..], 0).map(|(_, schema, _)| schema)
}

fn element(text: &str, depth: usize) -> Option<(&str, Value, &str)> {
    if depth > 32 {
        return None;
    }
    let (name, mut rest) = text.strip_prefix('<')?.split_once('>')?;
    let close = format!("</{name}>");
    let mut children = Vec::new();
    while rest.starts_with('<') && !rest.starts_with("</") {
        let (child, schema, after) = element(rest, depth + 1)?;
        children.push((child, schema));
        rest = after;
    }
    let rest = rest.strip_prefix("...").unwrap_or(rest).strip_prefix(close.as_str())?;
    let schema = match children.as_slice() {
        [] => leaf(name),
        // Of the items of an inner list nothing is known; none at all is always right.
        [("item", item)] if depth > 0 && item.get("properties").is_none() => {
            json!({"type": "array", "maxItems": 0})
        }
        [("item", item)] => json!({"type": "array", "items": item}),
        children => {
            let names: Vec<&str> = children.iter().map(|(name, _)| *name).collect();
            let properties: Map<String, Value> =
                children.iter().map(|(name, schema)| ((*name).to_owned(), schema.clone())).collect();
            json!({"type": "object", "properties": properties, "required": names})
        }
    };
    Some((name, schema, rest))
}

/// Nothing says what belongs there but the name.
fn leaf(name: &str) -> Value {
    const WHOLE: [&str; 10] =
        ["age", "amount", "count", "number", "quantity", "rank", "rating", "total", "year", "zip"];
    let numeric = name.split('_').any(|word| WHOLE.contains(&word));
    json!({"type": if numeric { "integer" } else { "string" }})
}

/// The input fields of a user message.
fn sections(text: &str, format: Format) -> Vec<(String, String)> {
    match format {
        Format::Xml => xml_sections(text),
        _ => {
            let mut found: Vec<(String, String)> = Vec::new();
            for line in text.lines() {
                let name = line.trim().strip_prefix("[[ ## ").and_then(|rest| rest.strip_suffix(" ## ]]"));
                match (name.filter(|name| is_identifier(name)), found.last_mut()) {
                    (Some(name), _) => found.push((name.to_owned(), String::new())),
                    (None, Some((_, text))) => {
                        text.push_str(line);
                        text.push('\n');
                    }
                    (None, None) => {}
                }
            }
            for (_, text) in &mut found {
                *text = text.trim().to_owned();
            }
            found
        }
    }
}

fn xml_sections(text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find('<') {
        rest = &rest[start + 1..];
        let Some((name, body)) = rest.split_once(">\n") else { break };
        if !is_identifier(name) {
            continue;
        }
        let Some((body, after)) = body.split_once(&format!("\n</{name}>")) else { continue };
        found.push((name.to_owned(), body.trim().to_owned()));
        rest = after;
    }
    found
}
