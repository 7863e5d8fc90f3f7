//! Where the macros look classes up.

use dspex_schema::{Catalog, Class, FieldNameProblem, closest};
use syn::LitStr;

use crate::prelude::*;

/// The class with this name, or an error that proposes another.
pub(crate) fn class(name: &LitStr) -> Result<Class> {
    let path = name.value();
    let catalog = Catalog::builtin();
    match catalog.get(&path) {
        Ok(Some(class)) => Ok(class),
        Ok(None) => Err(unknown(name, &path, catalog)),
        Err(error) => Err(err!(name, "the schema of `{path}` cannot be used: {error}")),
    }
}

/// Whether this can be the path of a class that nothing is known about.
pub(crate) fn path(name: &LitStr) -> Result {
    let path = name.value();
    let part = |part: &str| {
        dspex_schema::check_field_name(part.trim_start_matches('_'), dspex_schema::Side::Output, None)
    };
    let is_name =
        |text: &str| !text.is_empty() && !matches!(part(text), Err(FieldNameProblem::NotAnIdentifier { .. }));
    match path.contains('.') && path.split('.').all(is_name) {
        true => Ok(()),
        false => {
            Err(err!(name, "`{path}` is no dotted path of a class; write one, such as `my_team.rag.Answer`"))
        }
    }
}

fn unknown(name: &LitStr, path: &str, catalog: &Catalog) -> Error {
    let dspy = &catalog.index().dspy;
    let functions = catalog.index().functions.iter().map(String::as_str);
    if functions.clone().any(|function| function == path) {
        return err!(
            name,
            "`{path}` is a function of DSPy {dspy}, not a class; call it through `session.dspy()`"
        );
    }
    match suggestion(path) {
        Some(other) => err!(name, "DSPy {dspy} has no class `{path}`; did you mean `{other}`?"),
        None => match closest(path, functions) {
            Some(function) => err!(
                name,
                "DSPy {dspy} has no class `{path}`; the function `{function}` can be called through `session.dspy()`"
            ),
            None => err!(
                name,
                "DSPy {dspy} has no class `{path}`; give the public path of a class, such as `dspy.Predict`"
            ),
        },
    }
}

/// The name of the class that was probably meant.
pub(crate) fn suggestion(path: &str) -> Option<String> {
    Catalog::builtin().suggest(path).map(str::to_owned)
}
