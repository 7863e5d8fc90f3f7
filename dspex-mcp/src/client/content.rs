//! What a server answers, as a value.

use dspex_runtime::tool::ToolError;
use rmcp::model::{CallToolResult, ContentBlock, ResourceContents};
use serde_json::Value;

use crate::server::RETRYABLE;

/// The answer of a tool: its structured content, or else its texts.
pub(super) fn answer(tool: &str, result: CallToolResult) -> Result<Value, ToolError> {
    let retryable =
        result.meta.as_ref().is_some_and(|meta| meta.0.get(RETRYABLE) == Some(&Value::Bool(true)));
    let mut texts: Vec<String> = result.content.into_iter().map(text).collect();
    if result.is_error == Some(true) {
        let message = match (texts.is_empty(), result.structured_content) {
            (false, _) => texts.join("\n"),
            (true, Some(told)) => told.to_string(),
            (true, None) => format!("the tool `{tool}` failed, and did not say why"),
        };
        let error = ToolError::new(message);
        return Err(if retryable { error.retryable() } else { error });
    }
    if let Some(value) = result.structured_content {
        return Ok(value);
    }
    Ok(match texts.len() {
        0 => Value::Null,
        1 => texts.swap_remove(0).into(),
        _ => texts.into(),
    })
}

/// A block as a text; what is none is described.
fn text(block: ContentBlock) -> String {
    match block {
        ContentBlock::Text(text) => text.text,
        ContentBlock::Image(image) => blob("image", Some(&image.mime_type), &image.data),
        ContentBlock::Audio(audio) => blob("sound", Some(&audio.mime_type), &audio.data),
        ContentBlock::Resource(embedded) => match embedded.resource {
            ResourceContents::TextResourceContents { text, .. } => text,
            ResourceContents::BlobResourceContents { uri, mime_type, blob: data, .. } => {
                blob(&format!("resource `{uri}`"), mime_type.as_deref(), &data)
            }
            _ => "[a resource of an unknown kind]".to_owned(),
        },
        ContentBlock::ResourceLink(link) => {
            let told = link.description.or(link.title).map(|told| format!(": {told}")).unwrap_or_default();
            format!("[resource `{}` at {}{told}]", link.name, link.uri)
        }
        _ => "[content of an unknown kind]".to_owned(),
    }
}

fn blob(what: &str, kind: Option<&str>, base64: &str) -> String {
    let padding = base64.bytes().rev().take_while(|byte| *byte == b'=').count();
    let bytes = (base64.len() / 4 * 3).saturating_sub(padding);
    format!("[{what} of the type {}, {bytes} bytes, not shown]", kind.unwrap_or("application/octet-stream"))
}

#[cfg(test)]
mod tests {
    use rmcp::model::Resource;
    use serde_json::json;

    use super::*;

    fn of(content: Vec<ContentBlock>) -> Value {
        answer("t", CallToolResult::success(content)).unwrap()
    }

    #[test]
    fn structured_content_comes_first_then_texts() {
        assert_eq!(answer("t", CallToolResult::structured(json!({"a": 1}))).unwrap(), json!({"a": 1}));
        assert_eq!(of(vec![]), Value::Null);
        assert_eq!(of(vec![ContentBlock::text("one")]), json!("one"));
        assert_eq!(of(vec![ContentBlock::text("one"), ContentBlock::text("two")]), json!(["one", "two"]));
    }

    #[test]
    fn what_is_no_text_is_described() {
        assert_eq!(
            of(vec![ContentBlock::image("AAAA", "image/png")]),
            json!("[image of the type image/png, 3 bytes, not shown]")
        );
        assert_eq!(of(vec![ContentBlock::embedded_text("file:///a", "its text")]), json!("its text"));
        let blob = ContentBlock::resource(ResourceContents::blob("AA==", "file:///b"));
        assert_eq!(
            of(vec![blob]),
            json!("[resource `file:///b` of the type application/octet-stream, 1 bytes, not shown]")
        );
        let link = ContentBlock::resource_link(Resource::new("file:///c", "c").with_description("Notes."));
        assert_eq!(of(vec![link]), json!("[resource `c` at file:///c: Notes.]"));
    }

    #[test]
    fn an_error_says_what_the_server_says() {
        let error =
            answer("t", CallToolResult::error(vec![ContentBlock::text("no"), ContentBlock::text("way")]));
        assert_eq!(error.unwrap_err().message(), "no\nway");
        let silent = answer("t", CallToolResult::error(vec![])).unwrap_err();
        assert_eq!(silent.message(), "the tool `t` failed, and did not say why");
    }
}
