//! The arguments of a tool against its parameters.

use serde_json::{Map, Value};

use super::describe::{cut, describe, found, names};
use super::report::{Path, Problem, Report, Sink, Verdict};
use super::rules::{Check, Others, Property};
use crate::tool::schema::Arguments;

/// Longer than this, what a tool takes is cut.
const LONGEST_SIGNATURE: usize = 600;

/// What holds for the arguments of a tool, compiled.
#[derive(Debug)]
pub(in super::super) struct ArgumentsCheck {
    parameters: Vec<Property>,
    /// In the order of the parameters. Null for those whose absence is the default.
    defaults: Vec<Option<Value>>,
    rest: Others,
    between: Option<Check>,
}

impl ArgumentsCheck {
    /// Compiles the schemas of parameters, and holds their defaults against them.
    pub(in super::super) fn new(arguments: &Arguments) -> Result<Self, String> {
        let mut parameters = Vec::with_capacity(arguments.parameters.len());
        for parameter in &arguments.parameters {
            let name = parameter.name();
            let check = Check::new(parameter.schema())
                .map_err(|problem| format!("its parameter `{name}`: {problem}"))?;
            if let Some(default) = parameter.default().filter(|default| !default.is_null()) {
                let mut report = Report::default();
                check.visit(default, &Path::Root, &mut report);
                if let Some(problem) = report.lines().next() {
                    return Err(format!("the default of its parameter `{name}` does not fit: {problem}"));
                }
            }
            parameters.push(Property { name: name.to_owned(), required: parameter.is_required(), check });
        }
        Ok(Self {
            parameters,
            defaults: arguments.parameters.iter().map(|parameter| parameter.default().cloned()).collect(),
            rest: match &arguments.rest {
                None => Others::Nothing,
                Some(schema) => Others::Fitting(Box::new(Check::new(schema)?)),
            },
            between: match arguments.between.is_empty() {
                true => None,
                false => Some(Check::new(&Value::Object(arguments.between.clone()))?),
            },
        })
    }

    /// The arguments with defaults, or what the model is told of those that do not fit.
    pub(in super::super) fn validate(&self, tool: &str, given: Value) -> Result<Map<String, Value>, String> {
        let mut given = match given {
            Value::Null => Map::new(),
            Value::Object(given) => given,
            other => {
                let found = found(&other);
                return Err(format!(
                    "The arguments of `{tool}` must be one object, got {found}. {}",
                    self.signature()
                ));
            }
        };
        for (parameter, default) in self.parameters.iter().zip(&self.defaults) {
            if default.is_some() && given.get(&parameter.name) == Some(&Value::Null) {
                given.shift_remove(&parameter.name);
            }
        }
        let given = Value::Object(given);
        let mut verdict = Verdict::default();
        self.visit(&given, &mut verdict);
        if verdict.unfit {
            return Err(self.refusal(tool, &given));
        }
        let Value::Object(mut given) = given else { return Ok(Map::new()) };
        if verdict.whole_floats {
            self.settle(&mut given);
        }
        for (parameter, default) in self.parameters.iter().zip(&self.defaults) {
            if let Some(default) = default.as_ref().filter(|default| !default.is_null())
                && !given.contains_key(&parameter.name)
            {
                given.insert(parameter.name.clone(), default.clone());
            }
        }
        Ok(given)
    }

    fn visit<S: Sink>(&self, given: &Value, sink: &mut S) {
        let Some(entries) = given.as_object() else { return };
        let mut known = 0;
        for parameter in &self.parameters {
            match entries.get(&parameter.name) {
                Some(value) => {
                    known += 1;
                    parameter.check.visit(value, &Path::Key(&Path::Root, &parameter.name), sink);
                }
                None if parameter.required => sink.add(&Path::Root, || Problem::Missing {
                    name: parameter.name.clone(),
                    expected: describe(&parameter.check),
                }),
                None => {}
            }
        }
        if known < entries.len() {
            self.visit_others(entries, sink);
        }
        if let Some(between) = self.between.as_ref().filter(|_| !sink.is_full()) {
            between.visit(given, &Path::Root, sink);
        }
    }

    fn visit_others<S: Sink>(&self, entries: &Map<String, Value>, sink: &mut S) {
        let others = entries.iter().filter(|(key, _)| !names(&self.parameters).any(|name| name == *key));
        for (key, value) in others {
            match &self.rest {
                Others::Fitting(check) => check.visit(value, &Path::Key(&Path::Root, key), sink),
                _ => sink.add(&Path::Root, || Problem::Unknown {
                    name: key.clone(),
                    suggestion: dspex_schema::closest(&cut(key, 64), names(&self.parameters))
                        .map(str::to_owned),
                }),
            }
            if sink.is_full() {
                return;
            }
        }
    }

    fn settle(&self, given: &mut Map<String, Value>) {
        for (key, value) in given {
            match (self.parameters.iter().find(|parameter| parameter.name == *key), &self.rest) {
                (Some(parameter), _) => parameter.check.settle(value),
                (None, Others::Fitting(check)) => check.settle(value),
                (None, _) => {}
            }
        }
    }

    fn refusal(&self, tool: &str, given: &Value) -> String {
        let mut report = Report::default();
        self.visit(given, &mut report);
        let mut message = format!("The arguments of `{tool}` do not fit:");
        for line in report.lines() {
            message.push_str("\n- ");
            message.push_str(line);
        }
        if report.is_cut() {
            message.push_str("\n- and more");
        }
        message.push('\n');
        message.push_str(&self.signature());
        message
    }

    /// What the tool takes, in one line.
    fn signature(&self) -> String {
        if self.parameters.is_empty() {
            return "It takes no arguments.".to_owned();
        }
        let parameters: Vec<String> = self
            .parameters
            .iter()
            .map(|parameter| {
                let optional = if parameter.required { "" } else { ", optional" };
                format!("`{}` ({}{optional})", parameter.name, describe(&parameter.check))
            })
            .collect();
        format!("It takes {}.", cut(&parameters.join(", "), LONGEST_SIGNATURE))
    }
}
