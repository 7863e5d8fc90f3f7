//! What has to hold of `tools(..)`.

use dspex_schema::{Class, Role};
use syn::Path;
use syn::ext::IdentExt;

use super::options::Tools;
use crate::prelude::*;

/// Collects everything that is wrong with the tools; without a class, what can be said without one.
pub(super) fn check(
    Tools { key, paths }: &Tools,
    class: Option<&Class>,
    unchecked: bool,
    errors: &mut Errors,
) {
    let mut found = Vec::new();
    for (position, path) in paths.iter().enumerate() {
        let name = called(path);
        if paths[..position].contains(path) {
            found.push(err!(path, "`{}` is there twice; remove one", shown(path)));
        } else if let Some(other) = paths[..position].iter().find(|other| called(other) == name) {
            let (one, two) = (shown(other), shown(path));
            found
                .push(err!(path, "`{one}` and `{two}` are both called `{name}` in DSPy; rename one of them"));
        } else if let Some(class) = class
            && class.reserved.tools.contains(&name)
        {
            found.push(err!(path, "`{}` has a tool `{name}` of its own; rename the function", class.name));
        }
    }
    if let Some(class) = class {
        if runs_their_source(class) {
            found.push(err!(
                key,
                "`{}` runs the source of its tools in an interpreter of Python, and a Rust function has none; use \
                 `dspy.ReAct`",
                class.name
            ));
        } else if !class.init.iter().any(|parameter| parameter.role == Role::Tools) {
            found.push(err!(key, "`{}` takes no tools; remove them, or use `dspy.ReAct`", class.name));
        }
    }
    // What is wrong with the class has been said.
    if found.is_empty() && (class.is_some() || unchecked) {
        // Everything is right, and there is nothing yet that a path could lead to.
        found.push(err!(
            key,
            "functions of Rust cannot be tools yet; use `dspy.ChainOfThought`, or build the class through \
             `session.dspy()`"
        ));
    }
    found.into_iter().for_each(|error| errors.push(error));
}

/// The name that a function has as a tool.
fn called(path: &Path) -> String {
    path.segments.last().map(|last| last.ident.unraw().to_string()).unwrap_or_default()
}

/// A path as people write it.
fn shown(path: &Path) -> String {
    path.to_token_stream().to_string().replace(' ', "")
}

/// `dspy.CodeAct` and what derives from it.
fn runs_their_source(class: &Class) -> bool {
    let names = [&class.name, &class.canonical].into_iter().chain(&class.bases);
    names.into_iter().any(|name| name.rsplit('.').next() == Some("CodeAct"))
}
