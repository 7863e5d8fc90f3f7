//! DSPy's own types of fields, as Rust values: [`Image`], [`Audio`], [`File`], [`History`], [`Code`], [`Reasoning`],
//! [`Tool`], [`ToolCalls`], [`Document`], [`Citations`].
//!
//! As the type of a field each becomes the type of the same name in DSPy, so that a model that can see gets an image
//! and not a text about one. They also stand in `Option`, `Vec` and maps, and in signatures written as text
//! (`dspy.Image`). Nothing here reads a file or the network.
//!
//! ```
//! use dspex_runtime::types::Image;
//!
//! let remote = Image::from_url("https://example.com/cat.png");
//! let inline = Image::from_bytes("image/png", [0x89, b'P', b'N', b'G']);
//! assert_eq!(inline.url(), "data:image/png;base64,iVBORw==");
//! # assert_ne!(remote, inline);
//! ```

mod audio;
mod citations;
mod code;
mod file;
mod history;
mod image;
mod reasoning;
mod tool;
mod tool_calls;

pub use audio::Audio;
pub use citations::{Citation, Citations, Document};
pub use code::Code;
pub use file::File;
pub use history::History;
pub use image::Image;
pub use reasoning::Reasoning;
pub use tool::Tool;
pub use tool_calls::{ToolCall, ToolCalls};

/// The JSON Schema by which the worker knows the type.
macro_rules! json_schema {
    ($name:ident, $format:literal) => {
        json_schema!($name, "object", $format, "");
    };
    ($name:ident, $type:literal, $format:literal) => {
        json_schema!($name, $type, $format, "");
    };
    ($name:ident, $type:literal, $format:literal, $module:literal) => {
        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                concat!("dspy.", $module, stringify!($name)).into()
            }

            fn inline_schema() -> bool {
                true
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({"type": $type, "format": $format})
            }
        }
    };
}
use json_schema;

fn data_uri(media_type: &str, bytes: &[u8]) -> String {
    use base64::Engine as _;
    format!("data:{media_type};base64,{}", base64::engine::general_purpose::STANDARD.encode(bytes))
}
