//! Comparing two snapshots by what they mean, not by how they are written.

use std::fmt;
use std::path::Path;

use serde::Serialize;
use serde_json::{Value, json};

use crate::{Catalog, Result};

/// How the second of two snapshots differs from the first. Everything is in order of names.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Difference {
    /// The releases of DSPy, if they are not the same.
    pub dspy: Option<(String, String)>,
    /// Classes that only the second one has.
    pub added: Vec<String>,
    /// Classes that only the first one has.
    pub removed: Vec<String>,
    /// Classes that both have, and that differ.
    pub changed: Vec<ClassDifference>,
    /// Functions that only the second one has.
    pub functions_added: Vec<String>,
    /// Functions that only the first one has.
    pub functions_removed: Vec<String>,
    /// Functions that both have, and that differ.
    pub functions_changed: Vec<ClassDifference>,
    /// Names that became unreachable or reachable, modules that are skipped or no longer are, and changed reasons.
    pub unreached: Vec<MemberChange>,
}

/// How a class differs.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ClassDifference {
    /// The class.
    pub name: String,
    /// Whether a program can depend on the difference; otherwise only documentation changed.
    pub abi: bool,
    /// What changed, by place.
    pub members: Vec<MemberChange>,
}

/// A value that differs.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct MemberChange {
    /// Where: keys, and names of list elements, joined by dots, such as `init.max_iters.default.json`.
    pub path: String,
    /// The value in the first snapshot, unless there is none.
    pub before: Option<Value>,
    /// The value in the second snapshot, unless there is none.
    pub after: Option<Value>,
}

impl Difference {
    /// Whether the snapshots mean the same.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Compares the snapshots in two directories. Neither is changed.
///
/// # Errors
/// [`Error::Missing`](crate::Error::Missing) for a directory without a snapshot; otherwise a file that cannot be read or understood.
pub fn compare(first: &Path, second: &Path) -> Result<Difference> {
    compare_catalogs(&Catalog::open(first)?, &Catalog::open(second)?)
}

/// As [`compare`], for snapshots wherever they are.
///
/// # Errors
/// A document that cannot be read or understood.
pub fn compare_catalogs(first: &Catalog, second: &Catalog) -> Result<Difference> {
    let (left, right) = (first.index(), second.index());
    let mut difference = Difference {
        dspy: (left.dspy != right.dspy).then(|| (left.dspy.clone(), right.dspy.clone())),
        ..Difference::default()
    };
    difference.added = missing(right.classes.keys(), |name| left.classes.contains_key(name));
    difference.removed = missing(left.classes.keys(), |name| right.classes.contains_key(name));
    difference.functions_added = missing(right.functions.iter(), |name| left.functions.contains(name));
    difference.functions_removed = missing(left.functions.iter(), |name| right.functions.contains(name));
    for name in left.classes.keys() {
        let (Some(before), Some(after)) = (first.document(name)?, second.document(name)?) else { continue };
        difference.changed.extend(changes_of(name, &before, &after));
    }
    let (before, after) = (first.function_documents()?, second.function_documents()?);
    for function in &before {
        let Some(name) = name_of(function) else { continue };
        let Some(other) = after.iter().find(|other| name_of(other) == Some(name)) else { continue };
        difference.functions_changed.extend(changes_of(name, function, other));
    }
    for (kind, left, right) in
        [("unsupported", &left.unsupported, &right.unsupported), ("skipped", &left.skipped, &right.skipped)]
    {
        let mut changes = Vec::new();
        collect(kind, Some(&json!(left)), Some(&json!(right)), &mut changes);
        difference.unreached.extend(changes);
    }
    Ok(difference)
}

/// How the documents of one class or function differ, if they do.
fn changes_of(name: &str, before: &Value, after: &Value) -> Option<ClassDifference> {
    let mut members = Vec::new();
    collect("", Some(before), Some(after), &mut members);
    let abi =
        before.get("abi_sha256") != after.get("abi_sha256") || members.iter().any(|member| !member.is_doc());
    (!members.is_empty()).then(|| ClassDifference { name: name.to_owned(), abi, members })
}

impl MemberChange {
    /// Whether it is only documentation.
    pub fn is_doc(&self) -> bool {
        self.path == "doc" || self.path.ends_with(".doc")
    }
}

fn missing<'a>(names: impl Iterator<Item = &'a String>, present: impl Fn(&String) -> bool) -> Vec<String> {
    names.filter(|name| !present(name)).cloned().collect()
}

/// Keys that follow from the others or belong to the whole snapshot, and would only repeat a difference.
const DERIVED: &[&str] = &["abi_sha256", "doc_sha256", "dspy", "format"];

fn collect(path: &str, before: Option<&Value>, after: Option<&Value>, out: &mut Vec<MemberChange>) {
    if before == after {
        return;
    }
    let join = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    match (before, after) {
        (Some(Value::Object(left)), Some(Value::Object(right))) => {
            let mut keys: Vec<_> = left.keys().chain(right.keys()).collect();
            keys.sort();
            keys.dedup();
            for key in keys {
                if path.is_empty() && DERIVED.contains(&key.as_str()) {
                    continue;
                }
                collect(&join(key), left.get(key), right.get(key), out);
            }
        }
        (Some(Value::Array(left)), Some(Value::Array(right))) if named(left) && named(right) => {
            let find =
                |list: &'_ [Value], name: &str| list.iter().position(|item| name_of(item) == Some(name));
            let mut names: Vec<&str> = left.iter().chain(right).filter_map(name_of).collect();
            names.sort_unstable();
            names.dedup();
            for name in &names {
                let (l, r) = (find(left, name), find(right, name));
                collect(&join(name), l.map(|at| &left[at]), r.map(|at| &right[at]), out);
            }
            let order =
                |list: &[Value]| list.iter().filter_map(name_of).map(str::to_owned).collect::<Vec<_>>();
            let (l, r) = (order(left), order(right));
            // Positional parameters: the same names in another order are a difference too.
            if l != r && l.len() == r.len() && l.iter().all(|name| r.contains(name)) {
                out.push(MemberChange { path: join("order"), before: Some(l.into()), after: Some(r.into()) });
            }
        }
        _ => out.push(MemberChange { path: path.to_owned(), before: before.cloned(), after: after.cloned() }),
    }
}

fn named(items: &[Value]) -> bool {
    items.iter().all(|item| name_of(item).is_some())
}

fn name_of(item: &Value) -> Option<&str> {
    item.get("name")?.as_str()
}

impl fmt::Display for MemberChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let show =
            |value: &Option<Value>| value.as_ref().map_or_else(|| "nothing".to_owned(), Value::to_string);
        write!(f, "{}: {} -> {}", self.path, show(&self.before), show(&self.after))
    }
}

impl fmt::Display for Difference {
    /// One line per difference: `+` added, `-` removed, `~` changed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((before, after)) = &self.dspy {
            writeln!(f, "~ dspy: {before} -> {after}")?;
        }
        for (sign, kind, names) in [
            ('+', "class", &self.added),
            ('-', "class", &self.removed),
            ('+', "function", &self.functions_added),
            ('-', "function", &self.functions_removed),
        ] {
            for name in names {
                writeln!(f, "{sign} {kind} {name}")?;
            }
        }
        for (kind, changed) in [("class", &self.changed), ("function", &self.functions_changed)] {
            for class in changed {
                let only = if class.abi { "" } else { " (documentation only)" };
                writeln!(f, "~ {kind} {}{only}", class.name)?;
                for member in &class.members {
                    writeln!(f, "    {member}")?;
                }
            }
        }
        for change in &self.unreached {
            writeln!(f, "~ {change}")?;
        }
        Ok(())
    }
}
