//! `schema-gen diff`

use std::process::ExitCode;

use clap::Args;
use dspex_schema::{ClassDifference, Difference, MemberChange, compare_catalogs};
use serde_json::{Value, json};

use super::output::{self, Style};
use super::{Failure, source};

/// What to compare.
#[derive(Args)]
pub struct Options {
    /// A directory with a schema, or a release of DSPy such as 3.3.1.
    before: String,
    /// The same, to compare it with.
    after: String,
    /// Only what programs depend on: no documentation.
    #[arg(long)]
    abi: bool,
    /// Exit with 1 if there is a difference.
    #[arg(long)]
    exit_code: bool,
    /// Print the differences as JSON.
    #[arg(long)]
    json: bool,
}

pub fn run(options: &Options) -> Result<ExitCode, Failure> {
    let (before, after) = (source::open(&options.before)?, source::open(&options.after)?);
    let mut difference = compare_catalogs(&before, &after)?;
    if options.abi {
        difference.changed.retain(|class| class.abi);
        difference.functions_changed.retain(|function| function.abi);
        for class in difference.changed.iter_mut().chain(&mut difference.functions_changed) {
            class.members.retain(|member| !member.is_doc());
        }
        difference.unreached.clear();
    }
    if options.json {
        output::print_json(&json!(difference))?;
    } else if difference.is_empty() {
        output::print("no difference\n")?;
    } else {
        output::print(&render(&difference))?;
    }
    let found = options.exit_code && !difference.is_empty();
    Ok(if found { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// The differences for people: `+` added, `-` removed, `~` changed.
pub fn render(difference: &Difference) -> String {
    let style = Style::of_stdout();
    let mut text = String::new();
    if let Some((before, after)) = &difference.dspy {
        text += &style.notice(&format!("~ DSPy {before} -> {after}\n"));
    }
    for (kind, removed, added) in [
        ("class", &difference.removed, &difference.added),
        ("function", &difference.functions_removed, &difference.functions_added),
    ] {
        for name in removed {
            text += &style.bad(&format!("- {kind} {name}\n"));
        }
        for name in added {
            text += &style.good(&format!("+ {kind} {name}\n"));
        }
    }
    for (kind, changed) in [("class", &difference.changed), ("function", &difference.functions_changed)] {
        for class in changed {
            text += &change(kind, class, style);
        }
    }
    for member in &difference.unreached {
        text += &self::member(member, "", style);
    }
    text
}

fn change(kind: &str, class: &ClassDifference, style: Style) -> String {
    let only = if class.abi { "" } else { " (documentation only)" };
    let mut text = style.notice(&format!("~ {kind} {}{only}\n", class.name));
    // Documentation that changed beside what programs depend on would hide it.
    for member in class.members.iter().filter(|member| !class.abi || !member.is_doc()) {
        text += &self::member(member, "    ", style);
    }
    text
}

fn member(member: &MemberChange, indent: &str, style: Style) -> String {
    let MemberChange { path, before, after, .. } = member;
    match (before, after) {
        (None, Some(after)) => style.good(&format!("{indent}+ {path}: {}\n", short(after))),
        (Some(before), None) => style.bad(&format!("{indent}- {path}: {}\n", short(before))),
        (before, after) => {
            let side = |value: &Option<Value>| value.as_ref().map(short).unwrap_or_default();
            style.notice(&format!("{indent}~ {path}: {} -> {}\n", side(before), side(after)))
        }
    }
}

/// A value in one line. A whole parameter or method is its type; `--json` has the rest.
fn short(value: &Value) -> String {
    const LIMIT: usize = 100;
    let told = match value.get("name").and(value.get("type").or(value.get("params"))) {
        Some(of) if of.is_object() => {
            let ty: dspex_schema::Type = serde_json::from_value(of.clone()).unwrap_or_default();
            let default = value.get("default").map(|default| match default.get("json") {
                Some(json) => format!(" = {json}"),
                None => " = ..".to_owned(),
            });
            format!("{ty}{}", default.unwrap_or_default())
        }
        Some(Value::Array(params)) => {
            let names: Vec<_> = params.iter().filter_map(|param| param.get("name")?.as_str()).collect();
            format!("({})", names.join(", "))
        }
        _ => value.to_string(),
    };
    match told.char_indices().nth(LIMIT) {
        Some((at, _)) => format!("{}…", &told[..at]),
        None => told,
    }
}
