//! A function of a module.

use dspex_schema::Function;
use heck::ToUpperCamelCase;

use super::method::{Begin, Callable, obstacle};
use super::tree::Tree;
use super::{Scope, tree};

/// Writes a function, if everything that it requires can be given.
pub(super) fn write(scope: &Scope<'_>, function: &Function, tree: &mut Tree) {
    if obstacle(&function.params).is_some() {
        return;
    }
    let last = tree::last(&function.name);
    let callable = Callable {
        python: function.name.clone(),
        ident: tree.ident(&function.name),
        receiver: "caller: &impl __b::Caller",
        begin: Begin::Function(&function.name),
        call_type: format!("{}Call", last.to_upper_camel_case()),
        params: &function.params,
        params_extra: function.params_extra,
        returns: &function.returns,
        outputs: None,
        doc: function.doc.as_deref(),
    };
    let (mut text, call_type) = callable.write(scope);
    if let Some(call_type) = call_type {
        text.line("");
        text.lines(&call_type.into_text());
    }
    tree.add(&function.name, text.into_text());
    tree.export(&function.name, &function.canonical, &function.exports, &[""]);
}
