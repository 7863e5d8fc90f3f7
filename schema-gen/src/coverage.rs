//! What of a schema is reachable with types, and what is not and why: one line per public name.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use dspex_schema::{Call, Catalog, Class, Parameter, Role, Type};
use serde_json::Value;

use crate::Error;

/// How a public name can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    /// With types.
    Bound,
    /// As JSON, because these parts of it can be anything.
    Untyped(Vec<String>),
    /// Not at all, for this reason.
    Unsupported(String),
}

impl Status {
    /// `bound`, `untyped` or `unsupported`.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Bound => "bound",
            Self::Untyped(_) => "untyped",
            Self::Unsupported(_) => "unsupported",
        }
    }

    /// Why it is not bound; empty if it is.
    pub fn reason(&self) -> String {
        match self {
            Self::Bound => String::new(),
            Self::Untyped(parts) => format!("no type: {}", parts.join(", ")),
            Self::Unsupported(reason) => reason.clone(),
        }
    }
}

/// Every public name of a schema: classes with their calls, methods, properties and fields; functions; what is
/// unsupported; modules that were skipped.
#[derive(Clone, Debug)]
pub struct Coverage {
    dspy: String,
    symbols: BTreeMap<String, Status>,
}

impl Coverage {
    /// The names of a schema.
    ///
    /// # Errors
    /// A document of the schema that cannot be read.
    pub fn of(catalog: &Catalog) -> Result<Self, Error> {
        let index = catalog.index();
        let mut symbols = BTreeMap::new();
        for (name, reason) in index.unsupported.iter().chain(&index.skipped) {
            symbols.insert(name.clone(), Status::Unsupported(reason.clone()));
        }
        for name in index.classes.keys() {
            let (Some(class), Some(document)) = (catalog.get(name)?, catalog.document(name)?) else {
                continue;
            };
            add_class(&class, &document, &mut symbols);
        }
        for function in catalog.functions()? {
            symbols.insert(function.name, status(&function.params, Some(&function.returns)));
        }
        Ok(Self { dspy: index.dspy.clone(), symbols })
    }

    /// The names, sorted.
    pub fn symbols(&self) -> &BTreeMap<String, Status> {
        &self.symbols
    }

    /// How many names are bound, untyped and unsupported.
    pub fn counts(&self) -> [usize; 3] {
        let count = |word: &str| self.symbols.values().filter(|status| status.word() == word).count();
        [count("bound"), count("untyped"), count("unsupported")]
    }

    /// The text of a file to check in: a line per name, so that a review shows what was gained or lost.
    pub fn baseline(&self) -> String {
        let [bound, untyped, unsupported] = self.counts();
        let mut text = format!(
            "# The public names of DSPy {}: {bound} bound, {untyped} untyped, {unsupported} unsupported.\n\
             # Generated, see `schema-gen coverage --help`; do not edit.\n",
            self.dspy
        );
        for (name, status) in &self.symbols {
            text += format!("{name}  {}  {}", status.word(), status.reason()).trim_end();
            text.push('\n');
        }
        text
    }

    /// What a checked-in baseline and these names do not have in common.
    ///
    /// # Errors
    /// [`Error::Io`] for a file that cannot be read.
    pub fn compare(&self, baseline: &Path) -> Result<Drift, Error> {
        let text = std::fs::read_to_string(baseline).map_err(Error::io("read", baseline))?;
        let now = self.baseline();
        let (before, after) = (lines(&text), lines(&now));
        let names: BTreeSet<&str> = before.iter().filter_map(|line| line.split_whitespace().next()).collect();
        let gone = |line: &&&str| !after.contains(*line);
        Ok(Drift {
            removed: before.iter().filter(gone).map(|line| (*line).to_owned()).collect(),
            added: after
                .iter()
                .filter(|line| !before.contains(*line))
                .map(|line| (*line).to_owned())
                .collect(),
            lost: self.lost(names),
        })
    }

    /// The names that an earlier schema has as bound or untyped, and these say nothing of.
    pub fn lost_since(&self, earlier: &Self) -> Vec<String> {
        let usable = earlier.symbols.iter().filter(|(_, status)| !matches!(status, Status::Unsupported(_)));
        self.lost(usable.map(|(name, _)| name.as_str()))
    }

    /// Which of the names are not accounted for. A class that is gone stands for its members, and the members of a
    /// class that is unsupported as a whole are accounted for.
    fn lost<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> Vec<String> {
        let gone: Vec<&str> = names.into_iter().filter(|name| !self.symbols.contains_key(*name)).collect();
        let unsupported = |name: &str| {
            self.symbols
                .iter()
                .any(|(outer, status)| within(name, outer) && matches!(status, Status::Unsupported(_)))
        };
        gone.iter()
            .filter(|name| !gone.iter().any(|outer| outer != *name && within(name, outer)))
            .filter(|name| !unsupported(name))
            .map(|name| (*name).to_owned())
            .collect()
    }
}

/// How a baseline differs from what there is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Drift {
    /// Lines of the baseline that are no longer true.
    pub removed: Vec<String>,
    /// Lines that it lacks.
    pub added: Vec<String>,
    /// Names of the baseline that nothing is said of any more.
    pub lost: Vec<String>,
}

impl Drift {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.removed.is_empty() && self.added.is_empty()
    }

    /// Leaves out the lost names, and their members, whose loss is known.
    pub fn allow(&mut self, allowed: &[String]) {
        self.lost.retain(|name| !allowed.iter().any(|known| within(name, known)));
    }
}

/// Whether a name is another one or a member of it.
fn within(name: &str, outer: &str) -> bool {
    name == outer || name.strip_prefix(outer).is_some_and(|rest| rest.starts_with('.'))
}

fn lines(text: &str) -> Vec<&str> {
    text.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty()).collect()
}

fn add_class(class: &Class, document: &Value, symbols: &mut BTreeMap<String, Status>) {
    let member = |member: &str| format!("{}.{member}", class.name);
    symbols.insert(class.name.clone(), status(&class.init, None));
    for field in &class.fields {
        symbols.insert(member(&field.name), status(std::slice::from_ref(field), None));
    }
    if class.call != Call::None {
        symbols.insert(member("__call__"), status(&class.call_extra, Some(&class.call_returns)));
    }
    for method in &class.methods {
        symbols.insert(member(&method.name), status(&method.params, Some(&method.returns)));
    }
    for (name, reason) in document.get("unsupported").and_then(Value::as_object).into_iter().flatten() {
        let reason = reason.as_str().unwrap_or_default().to_owned();
        symbols.insert(member(name), Status::Unsupported(reason));
    }
}

fn status(parameters: &[Parameter], returns: Option<&Type>) -> Status {
    let mut untyped: Vec<String> = parameters
        .iter()
        // What the other roles take is known without a type.
        .filter(|parameter| parameter.role == Role::Value && !is_known(&parameter.ty))
        .map(|parameter| format!("`{}`", parameter.name))
        .collect();
    if returns.is_some_and(|returns| !is_known(returns)) {
        untyped.push("the result".to_owned());
    }
    if untyped.is_empty() { Status::Bound } else { Status::Untyped(untyped) }
}

/// Whether a type says anything. A dictionary or list of anything does: it is JSON's own.
fn is_known(ty: &Type) -> bool {
    match ty {
        Type::Any | Type::Opaque { .. } | Type::Unresolved { .. } | Type::TypeVar => false,
        Type::Option { of } => is_known(of),
        Type::Union { of } => of.iter().all(is_known),
        _ => true,
    }
}
