//! The `crate = ::path` argument: where generated code finds the facade.

use dspex_codegen::Root;
use syn::parse::ParseStream;
use syn::{LitStr, Path};

use crate::prelude::*;

/// The facade at a path that a user gave. The path has to mean the same wherever the generated code stands.
pub(crate) fn root(path: &Path) -> Result<Root> {
    let first = path.segments.first().map(|segment| segment.ident.to_string()).unwrap_or_default();
    if first == "$crate" {
        bail!(
            path,
            "`$crate` cannot be passed on to serde; write the absolute path of dspex, as in `crate = ::dspex`"
        );
    }
    if path.leading_colon.is_none() && first != "crate" {
        bail!(
            path,
            "`crate` needs an absolute path; write `crate = ::{}` or begin it with `crate::`",
            path.to_token_stream().to_string().replace(' ', "")
        );
    }
    Ok(Root::new(path))
}

/// Parses the path, which may also stand in quotes, as serde wants it.
pub(crate) fn path(input: ParseStream<'_>) -> Result<Path> {
    if input.peek(LitStr) { input.parse::<LitStr>()?.parse() } else { Path::parse_mod_style(input) }
}
