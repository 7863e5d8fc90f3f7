//! Values for the structs, by what serde takes.

use dspex_runtime::__private::schemars::JsonSchema;
use dspex_runtime::tool::ToolSpec;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::Case;
use super::structs::*;

fn case<T>(name: &str, fitting: Vec<Value>, unfit: Vec<Value>) -> Case
where
    T: JsonSchema + DeserializeOwned,
{
    Case {
        spec: ToolSpec::builder(name, format!("Takes {name}.")).arguments::<T>().build(),
        fitting,
        unfit,
        reads: |arguments| arguments.read::<T>().is_ok(),
    }
}

/// A case for each struct.
pub fn cases() -> Vec<Case> {
    vec![
        case::<Nothing>("nothing", vec![json!({})], vec![json!({"a": 1}), json!({"a": null})]),
        case::<Plain>(
            "plain",
            vec![
                json!({"email": "a@b", "ratio": 1}),
                json!({"email": "", "ratio": -0.5, "invoices": 50, "urgent": true}),
                json!({"email": "a", "ratio": 1.0, "invoices": 7.0}),
            ],
            vec![
                json!({}),
                json!({"email": "a@b"}),
                json!({"email": 1, "ratio": 1}),
                json!({"email": "a@b", "ratio": "1"}),
                json!({"email": "a@b", "ratio": 1, "invoices": 51}),
                json!({"email": "a@b", "ratio": 1, "invoices": -1}),
                json!({"email": "a@b", "ratio": 1, "invoices": 1.5}),
                json!({"email": "a@b", "ratio": 1, "invoices": true}),
                json!({"email": "a@b", "ratio": 1, "urgent": 1}),
                json!({"email": "a@b", "ratio": 1, "invoice": 1}),
                json!({"email": null, "ratio": 1}),
            ],
        ),
        case::<Optionals>(
            "optionals",
            vec![
                json!({}),
                json!({"region": null, "age": null, "tags": null, "urgency": null, "address": null, "anything": null}),
                json!({"region": "EU", "age": 255, "share": 0.25, "tags": [], "urgency": "very_high"}),
                json!({"address": {"city": "Ulm"}, "anything": {"deep": [1, null]}}),
                json!({"address": {"city": "Ulm", "zip": null, "other": 1}}),
            ],
            vec![
                json!({"region": 1}),
                json!({"age": 256}),
                json!({"tags": [1]}),
                json!({"urgency": "VeryHigh"}),
                json!({"address": {"zip": "89073"}}),
                json!({"address": "Ulm"}),
                json!({"unknown": null}),
            ],
        ),
        case::<Enums>(
            "enums",
            vec![
                json!({"urgency": "low", "channel": "Post"}),
                json!({"urgency": "low", "channel": "Other", "fallback": "Phone"}),
            ],
            vec![
                json!({"urgency": "low", "channel": "post"}),
                json!({"urgency": 0, "channel": "Post"}),
                json!({"urgency": "low", "channel": "Post", "fallback": "Fax"}),
            ],
        ),
        case::<Nested>(
            "nested",
            vec![
                json!({"home": {"city": "Ulm"}, "others": [], "strict": {}}),
                json!({"home": {"city": "Ulm", "x": 1}, "others": [{"city": "a", "zip": "1"}], "strict": {"title": "t", "count": 3}}),
            ],
            vec![
                json!({"home": {"city": "Ulm"}, "others": [], "strict": {"titel": "t"}}),
                json!({"home": {"city": "Ulm"}, "others": [{"town": "a"}], "strict": {}}),
                json!({"home": [], "others": [], "strict": {}}),
                json!({"home": {"city": "Ulm"}, "others": [{"city": "a", "zip": 1}], "strict": {"count": "3"}}),
            ],
        ),
        case::<Tagged>(
            "tagged",
            vec![
                json!({"shape": {"type": "Circle", "radius": 1}, "more": []}),
                json!({"shape": {"type": "Nothing"}, "more": [{"type": "At", "city": "Ulm"}, {"type": "Square", "side": 0.5}]}),
            ],
            vec![
                json!({"shape": {"type": "Circle", "side": 1}, "more": []}),
                json!({"shape": {"type": "Triangle"}, "more": []}),
                json!({"shape": {"radius": 1}, "more": []}),
                json!({"shape": "Nothing", "more": []}),
                json!({"shape": {"type": "At"}, "more": []}),
            ],
        ),
        case::<Unions>(
            "unions",
            vec![
                json!({"adjacent": {"kind": "Number", "content": 1.5}, "untagged": 7, "action": "Stop"}),
                json!({"adjacent": {"kind": "Nothing"}, "untagged": {"name": "x"}, "action": {"Say": "a"}}),
                json!({"adjacent": {"kind": "Text", "content": ""}, "untagged": ["a"], "action": {"Move": {"x": 1, "y": -1}}}),
                json!({"adjacent": {"kind": "Nothing"}, "untagged": [], "action": {"Pair": [1, 255]}}),
            ],
            vec![
                json!({"adjacent": {"kind": "Number", "content": "x"}, "untagged": 7, "action": "Stop"}),
                json!({"adjacent": {"kind": "Nothing"}, "untagged": -1, "action": "Stop"}),
                json!({"adjacent": {"kind": "Nothing"}, "untagged": "7", "action": "Stop"}),
                json!({"adjacent": {"kind": "Nothing"}, "untagged": 7, "action": "Go"}),
                json!({"adjacent": {"kind": "Nothing"}, "untagged": 7, "action": {"Pair": [1, 256]}}),
                json!({"adjacent": {"kind": "Nothing"}, "untagged": 7, "action": {"Pair": [1]}}),
                json!({"adjacent": {"kind": "Nothing"}, "untagged": 7, "action": {"Say": "a", "Stop": null}}),
            ],
        ),
        case::<Maps>(
            "maps",
            vec![
                json!({"prices": {}, "by_number": {}, "json": {}}),
                json!({"prices": {"a": 1, "b": 0.5}, "by_number": {"7": "x"}, "json": {"a": null, "b": [1]}}),
            ],
            vec![
                json!({"prices": {"a": "1"}, "by_number": {}, "json": {}}),
                json!({"prices": [], "by_number": {}, "json": {}}),
                json!({"prices": {}, "by_number": {"seven": "x"}, "json": {}}),
                json!({"prices": {}, "by_number": {"7": 1}, "json": {}}),
            ],
        ),
        case::<Lists>(
            "lists",
            vec![
                json!({"point": [1, 2.5], "mixed": ["a", 1, true], "rgb": [0, 128, 255], "names": ["a", "b"],
                "few": [1], "matrix": [[1.5], []]}),
            ],
            vec![
                json!({"point": [1], "mixed": ["a", 1, true], "rgb": [0, 1, 2], "names": [], "few": [1], "matrix": []}),
                json!({"point": [1, 2, 3], "mixed": ["a", 1, true], "rgb": [0, 1, 2], "names": [], "few": [1], "matrix": []}),
                json!({"point": [1, 2], "mixed": [1, "a", true], "rgb": [0, 1, 2], "names": [], "few": [1], "matrix": []}),
                json!({"point": [1, 2], "mixed": ["a", 1, true], "rgb": [0, 1, 256], "names": [], "few": [1], "matrix": []}),
                json!({"point": [1, 2], "mixed": ["a", 1, true], "rgb": [0, 1, 2], "names": ["a", "a"], "few": [1], "matrix": []}),
                json!({"point": [1, 2], "mixed": ["a", 1, true], "rgb": [0, 1, 2], "names": [], "few": [], "matrix": []}),
                json!({"point": [1, 2], "mixed": ["a", 1, true], "rgb": [0, 1, 2], "names": [], "few": [1, 2, 3, 4], "matrix": []}),
                json!({"point": [1, 2], "mixed": ["a", 1, true], "rgb": [0, 1, 2], "names": [], "few": [1], "matrix": [["x"]]}),
            ],
        ),
        case::<Newtypes>(
            "newtypes",
            vec![
                json!({"length": 0.5, "email": "a", "boxed": {"city": "x"}, "unit": null, "count": 1, "letter": "ß"}),
            ],
            vec![
                json!({"length": 0.4, "email": "a", "boxed": {"city": "x"}, "unit": null, "count": 1, "letter": "a"}),
                json!({"length": 1, "email": {"address": "a"}, "boxed": {"city": "x"}, "unit": null, "count": 1, "letter": "a"}),
                json!({"length": 1, "email": "a", "boxed": {"city": "x"}, "unit": 0, "count": 1, "letter": "a"}),
                json!({"length": 1, "email": "a", "boxed": {"city": "x"}, "unit": null, "count": 0, "letter": "a"}),
                json!({"length": 1, "email": "a", "boxed": {"city": "x"}, "unit": null, "count": 1, "letter": "ab"}),
                json!({"length": 1, "email": "a", "boxed": {"city": "x"}, "unit": null, "count": 1, "letter": ""}),
            ],
        ),
        case::<Constrained>(
            "constrained",
            vec![
                json!({"word": "äb", "share": 1, "step": -5, "positive": [], "at": "2026-01-01T00:00:00Z"}),
                json!({"word": "übers", "share": 0.001, "step": 10.0, "positive": [1], "at": "no date"}),
            ],
            vec![
                json!({"word": "a", "share": 1, "step": 5, "positive": [], "at": ""}),
                json!({"word": "abcdef", "share": 1, "step": 5, "positive": [], "at": ""}),
                json!({"word": "ABC", "share": 1, "step": 5, "positive": [], "at": ""}),
                json!({"word": "abc", "share": 0, "step": 5, "positive": [], "at": ""}),
                json!({"word": "abc", "share": 1.1, "step": 5, "positive": [], "at": ""}),
                json!({"word": "abc", "share": 1, "step": 3, "positive": [], "at": ""}),
                json!({"word": "abc", "share": 1, "step": 15, "positive": [], "at": ""}),
                json!({"word": "abc", "share": 1, "step": 5, "positive": [1, 0], "at": ""}),
            ],
        ),
        case::<Integers>(
            "integers",
            vec![
                json!({"tiny": -128, "short": 65535, "int": 2147483647, "long": i64::MIN, "unsigned": u64::MAX, "size": 0}),
                json!({"tiny": 1.0, "short": 1, "int": 1, "long": 1, "unsigned": 1, "size": 1}),
            ],
            vec![
                json!({"tiny": -129, "short": 1, "int": 1, "long": 1, "unsigned": 1, "size": 1}),
                json!({"tiny": 1, "short": 65536, "int": 1, "long": 1, "unsigned": 1, "size": 1}),
                json!({"tiny": 1, "short": 1, "int": 1.5, "long": 1, "unsigned": 1, "size": 1}),
                json!({"tiny": 1, "short": 1, "int": 1, "long": "1", "unsigned": 1, "size": 1}),
                json!({"tiny": 1, "short": 1, "int": 1, "long": 1, "unsigned": -1, "size": 1}),
            ],
        ),
        case::<Flattened>(
            "flattened",
            vec![json!({"query": "x"}), json!({"query": "x", "offset": 3, "size": 10})],
            vec![
                json!({"offset": 1}),
                json!({"query": "x", "offset": "3"}),
                json!({"query": "x", "page": {}}),
            ],
        ),
        case::<FlattenedEnum>(
            "flattened_enum",
            vec![
                json!({"table": "t", "by": "id", "id": 1}),
                json!({"table": "t", "by": "name", "name": "x", "exact": true}),
            ],
            vec![
                json!({"table": "t"}),
                json!({"table": "t", "by": "id"}),
                json!({"table": "t", "by": "name", "id": 1}),
                json!({"table": "t", "by": "age", "id": 1}),
            ],
        ),
        case::<FlattenedMap>(
            "flattened_map",
            vec![json!({"id": 1}), json!({"id": 1, "a": 0.5, "b": 2})],
            vec![json!({"a": 0.5}), json!({"id": 1, "a": "x"}), json!({"id": 70000})],
        ),
        case::<Anything>(
            "anything",
            vec![
                json!({"value": null, "list": [], "title": {"title": "t", "type": "x"}}),
                json!({"value": {"a": [1, "x", null]}, "list": [1, {}, []], "title": {"title": "t", "type": "x", "format": "int32"}}),
            ],
            vec![
                json!({"list": [], "title": {"title": "t", "type": "x"}}),
                json!({"value": 1, "list": {}, "title": {"title": "t", "type": "x"}}),
                json!({"value": 1, "list": [], "title": {"title": 1, "type": "x"}}),
            ],
        ),
    ]
}
