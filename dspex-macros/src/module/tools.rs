//! What has to hold of `tools(..)`, and the set that it makes.

use dspex_codegen::Root;
use dspex_schema::{Class, Role};

use super::options::Tools;
use crate::prelude::*;
use crate::tool::{set_of, shown};

/// Collects everything that can be said before the compiler knows the tools' names; without a class, what can be said
/// without one.
pub(super) fn check(Tools { key, paths }: &Tools, class: Option<&Class>, errors: &mut Errors) {
    for (position, path) in paths.iter().enumerate() {
        if paths[..position].contains(path) {
            errors.push(err!(path, "`{}` is there twice; remove one", shown(path)));
        }
    }
    let Some(class) = class else { return };
    if runs_their_source(class) {
        errors.push(err!(
            key,
            "`{}` runs the source of its tools in an interpreter of Python, and a Rust function has none; use \
             `dspy.ReAct`",
            class.name
        ));
    } else if !class.init.iter().any(|parameter| parameter.role == Role::Tools) {
        errors.push(err!(key, "`{}` takes no tools; remove them, or use `dspy.ReAct`", class.name));
    }
}

impl Tools {
    /// The set, as an expression. What the tools are called only the compiler knows, which compares their names.
    pub(super) fn set(&self, root: &Root, class: Option<&Class>) -> TokenStream {
        let taken = class.map(|class| (class.name.as_str(), class.reserved.tools.as_slice()));
        set_of(root, &self.paths, taken)
    }
}

/// `dspy.CodeAct` and what derives from it.
fn runs_their_source(class: &Class) -> bool {
    let names = [&class.name, &class.canonical].into_iter().chain(&class.bases);
    names.into_iter().any(|name| name.rsplit('.').next() == Some("CodeAct"))
}
