//! The tools of a session: Rust functions and Python ones under one roof.

mod handle;
mod info;
mod registry;

pub use handle::{ToolRegistration, Tools};
pub use info::{ToolInfo, ToolLanguage};
pub(crate) use registry::SessionTools;
