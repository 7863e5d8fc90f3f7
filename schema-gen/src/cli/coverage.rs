//! `schema-gen coverage`: what of DSPy is reachable with types, and what is not and why.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;

use clap::Args;
use dspex_schema::{Catalog, Class, Parameter, Role, Type};
use serde_json::{Map, Value, json};

use super::output::{self, Style};
use super::{Failure, source};

/// Of which schema, and whether to compare.
#[derive(Args)]
pub struct Options {
    /// A directory with a schema, or a release of DSPy [default: dspy-schema, or the built-in schema without one].
    #[arg(long)]
    schema: Option<String>,
    /// Fail if a name that another schema has as bound or untyped is neither of them here, nor unsupported.
    #[arg(long)]
    check: bool,
    /// The schema to compare with: a directory or a release of DSPy [default: the built-in schema].
    #[arg(long, requires = "check")]
    against: Option<String>,
    /// A name whose loss is known; may be given several times. The members of a class go with it.
    #[arg(long = "allow", requires = "check", value_name = "NAME")]
    allowed: Vec<String>,
    /// Print as JSON.
    #[arg(long)]
    json: bool,
}

/// How a public name can be used.
enum Status {
    /// With types.
    Bound,
    /// As JSON, because DSPy does not say more about these parts.
    Untyped(Vec<String>),
    /// Not at all, for this reason.
    Unsupported(String),
}

impl Status {
    fn word(&self) -> &'static str {
        match self {
            Self::Bound => "bound",
            Self::Untyped(_) => "untyped",
            Self::Unsupported(_) => "unsupported",
        }
    }

    fn reason(&self) -> String {
        match self {
            Self::Bound => String::new(),
            Self::Untyped(parts) => format!("no type: {}", parts.join(", ")),
            Self::Unsupported(reason) => reason.clone(),
        }
    }
}

pub fn run(options: &Options) -> Result<ExitCode, Failure> {
    let catalog = match &options.schema {
        Some(name) => source::open(name)?,
        None if Path::new(source::DEFAULT_DIR).is_dir() => source::open(source::DEFAULT_DIR)?,
        None => Catalog::builtin().clone(),
    };
    let symbols = symbols(&catalog)?;
    let lost = if options.check {
        let earlier = match &options.against {
            Some(name) => source::open(name)?,
            None => Catalog::builtin().clone(),
        };
        lost(&self::symbols(&earlier)?, &symbols, &options.allowed)
    } else {
        Vec::new()
    };
    let count = |word: &str| symbols.values().filter(|status| status.word() == word).count();
    let counts = json!({
        "bound": count("bound"), "untyped": count("untyped"), "unsupported": count("unsupported"),
    });
    if options.json {
        let rows: Map<String, Value> = symbols
            .iter()
            .map(|(name, status)| {
                let reason = Some(status.reason()).filter(|reason| !reason.is_empty());
                (name.clone(), json!({"status": status.word(), "reason": reason}))
            })
            .collect();
        output::print_json(
            &json!({"dspy": catalog.index().dspy, "counts": counts, "symbols": rows, "lost": lost}),
        )?;
    } else {
        print_table(&symbols)?;
        output::print(&format!(
            "\nDSPy {}: {} bound, {} untyped, {} unsupported\n",
            catalog.index().dspy,
            counts["bound"],
            counts["untyped"],
            counts["unsupported"]
        ))?;
    }
    for name in &lost {
        eprintln!(
            "{} `{name}` was in the earlier schema and is neither bound, untyped nor unsupported now; if that is \
             intended, say `--allow {name}`",
            Style::of_stderr().bad("error:")
        );
    }
    Ok(if lost.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn print_table(symbols: &BTreeMap<String, Status>) -> Result<(), Failure> {
    let style = Style::of_stdout();
    let rows: Vec<Vec<String>> = symbols
        .iter()
        .map(|(name, status)| vec![status.word().to_owned(), name.clone(), status.reason()])
        .collect();
    let mut text = String::new();
    for (row, status) in output::columns(&rows).iter().zip(symbols.values()) {
        let word = match status {
            Status::Bound => style.good(&row[0]),
            Status::Untyped(_) => style.notice(&row[0]),
            Status::Unsupported(_) => style.bad(&row[0]),
        };
        text += format!("{word}  {}  {}", row[1], row[2]).trim_end();
        text.push('\n');
    }
    output::print(&text)
}

/// Names that programs could use with an earlier schema and that this one says nothing of. A class that is gone stands
/// for its members.
fn lost(
    earlier: &BTreeMap<String, Status>,
    now: &BTreeMap<String, Status>,
    allowed: &[String],
) -> Vec<String> {
    let within = |name: &str, outer: &str| {
        name == outer || name.strip_prefix(outer).is_some_and(|rest| rest.starts_with('.'))
    };
    let usable = earlier.iter().filter(|(_, status)| !matches!(status, Status::Unsupported(_)));
    let gone: Vec<&String> = usable.map(|(name, _)| name).filter(|name| !now.contains_key(*name)).collect();
    gone.iter()
        .filter(|name| !allowed.iter().any(|allowed| within(name, allowed)))
        .filter(|name| !gone.iter().any(|outer| outer != *name && within(name, outer)))
        .filter(|name| {
            // The members of a class that became unsupported as a whole are accounted for.
            !now.iter().any(|(outer, status)| within(name, outer) && matches!(status, Status::Unsupported(_)))
        })
        .map(|name| (*name).clone())
        .collect()
}

/// Every public name: classes, their methods and properties, functions, what is unsupported, skipped modules.
fn symbols(catalog: &Catalog) -> Result<BTreeMap<String, Status>, Failure> {
    let index = catalog.index();
    let mut symbols = BTreeMap::new();
    for (name, reason) in index.unsupported.iter().chain(&index.skipped) {
        symbols.insert(name.clone(), Status::Unsupported(reason.clone()));
    }
    for name in index.classes.keys() {
        let (Some(class), Some(document)) = (catalog.get(name)?, catalog.document(name)?) else { continue };
        let parameters = class.init.iter().chain(&class.call_extra);
        symbols.insert(name.clone(), status(parameters.collect(), None));
        for method in &class.methods {
            let returns = Some(&method.returns);
            symbols
                .insert(format!("{name}.{}", method.name), status(method.params.iter().collect(), returns));
        }
        for (method, reason) in refused(&class, &document) {
            symbols.insert(method, Status::Unsupported(reason));
        }
    }
    for function in catalog.function_documents()? {
        let Some(name) = function.get("name").and_then(Value::as_str) else { continue };
        let parameters: Vec<Parameter> =
            function.get("params").cloned().map(serde_json::from_value).transpose()?.unwrap_or_default();
        let returns: Type =
            function.get("returns").cloned().map(serde_json::from_value).transpose()?.unwrap_or_default();
        symbols.insert(name.to_owned(), status(parameters.iter().collect(), Some(&returns)));
    }
    Ok(symbols)
}

/// The methods that the host may not call.
fn refused(class: &Class, document: &Value) -> Vec<(String, String)> {
    let refused = document.get("unsupported").and_then(Value::as_object);
    let named = |(name, reason): (&String, &Value)| {
        (format!("{}.{name}", class.name), reason.as_str().unwrap_or_default().to_owned())
    };
    refused.into_iter().flatten().map(named).collect()
}

fn status(parameters: Vec<&Parameter>, returns: Option<&Type>) -> Status {
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
