//! `#[dspy_module]`: arguments and struct are parsed, checked against the class, and expanded.

pub(crate) mod args;
pub(crate) mod check;
pub(crate) mod expand;
mod literal;
pub(crate) mod model;
pub(crate) mod options;
mod setting;
pub(crate) mod text;
mod tools;

use crate::fallback;
use crate::prelude::*;

/// The attributes of fields that this macro consumes.
const HELPERS: &[&str] = &["input", "output"];

/// Expands the attribute. Errors become `compile_error!`s beside the item.
pub(crate) fn expand(args: TokenStream, item: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let args = args::Args::parse(args, &mut errors);
    let mut model = match model::Model::parse(item.clone(), &args.options, &mut errors) {
        Ok(model) => model,
        Err(stand_ins) => {
            let errors = report(errors);
            let item = fallback::without_helpers(item, HELPERS);
            return quote!(#item #stand_ins #errors);
        }
    };
    let unchecked = args.options.unchecked.is_some();
    let lookup = |name| {
        if unchecked { crate::index::path(name).map(|()| None) } else { crate::index::class(name).map(Some) }
    };
    let class = args.class.as_ref().and_then(|name| errors.handle(lookup(name))).flatten();
    if let Some(options::Signature::Text(text)) = &args.options.signature {
        model.text = Some(text::Text::parse(text, class.as_deref(), &mut errors));
    }
    check::check(&model, &args, class.as_deref(), &mut errors);
    let errors = report(errors);
    if errors.is_empty() {
        expand::items(&model, &args, class.as_deref())
    } else {
        let item = expand::stand_ins(&model, &args, class);
        quote!(#item #errors)
    }
}

/// All errors as `compile_error!`s; nothing if there are none.
fn report(errors: Errors) -> TokenStream {
    errors.finish(()).err().map(Error::into_compile_error).unwrap_or_default()
}
