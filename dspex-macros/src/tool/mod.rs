//! `#[dspex_tool]`, `#[dspex_tools]` and `tools![]`: functions and methods that DSPy programs can call.
//!
//! A function stays as it was written. Beside it stands a struct of the same name, which only types can see, and which is
//! the tool; so the tool travels with the function through `use` and paths.

mod bounds;
mod check;
mod examples;
mod expand;
mod function;
mod model;
mod options;
mod service;
mod set;

pub(crate) use service::expand as expand_service;
pub(crate) use set::{expand as expand_set, of_paths as set_of, shown};

use crate::fallback;
use crate::prelude::*;

/// The attributes of parameters that the macros consume.
const HELPERS: &[&str] = &["ctx", "tool"];

/// Expands `#[dspex_tool]`. Errors become `compile_error!`s beside the function.
pub(crate) fn expand(args: TokenStream, item: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let function = match function::Function::parse(item.clone()) {
        Ok(function) => function,
        Err(error) => {
            let error = error.into_compile_error();
            let item = fallback::without_helpers(item, HELPERS);
            return quote!(#item #error);
        }
    };
    let options = options::Options::of_arguments(args, &mut errors);
    let model = model::Model::new(&function, options, &mut errors);
    check::check(&model, &mut errors);
    let item = function.without_helpers();
    let stands_alone = check::stands_alone(&model);
    match errors.finish(()) {
        Ok(()) => {
            let tool = expand::of_function(&model);
            quote!(#item #tool)
        }
        Err(errors) => {
            let errors = errors.into_compile_error();
            let stand_in = stands_alone.then(|| expand::stand_in(&model));
            quote!(#item #stand_in #errors)
        }
    }
}
