"""JSON Schemas as schemars 1.x writes them, with values that serde reads and values that it does not."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass
class Case:
    """A Rust type: its schema, good values, bad ones, and values that are coerced to good ones."""

    rust: str
    schema: Any
    good: list[Any]
    bad: list[Any]
    coerced: list[tuple[Any, Any]] = field(default_factory=list)


_ADDRESS = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "zip": {"type": ["string", "null"]}},
    "required": ["city"],
}
_PERSON = {
    "title": "Person",
    "description": "Somebody.",
    "type": "object",
    "properties": {
        "name": {"description": "Full name.", "type": "string"},
        "age": {"type": "integer", "format": "uint8", "minimum": 0, "maximum": 255},
        "address": {"anyOf": [{"$ref": "#/$defs/Address"}, {"type": "null"}]},
        "tags": {"type": "array", "items": {"type": "string"}, "default": []},
    },
    "required": ["name", "age"],
    "$defs": {"Address": _ADDRESS},
}

CASES: dict[str, Case] = {
    "plain_enum": Case(
        "enum Urgency { Low, High }",
        {"title": "Urgency", "type": "string", "enum": ["Low", "High"]},
        ["Low", "High"],
        ["low", "Medium", 1],
    ),
    "enum_by_reference": Case(
        "field: Urgency",
        {"$ref": "#/$defs/Urgency", "$defs": {"Urgency": {"type": "string", "enum": ["Low", "High"]}}},
        ["Low"],
        ["Medium"],
    ),
    "documented_enum": Case(
        "enum Urgency { /// Can wait. Low, /// Now. High }",
        {
            "oneOf": [
                {"description": "Can wait.", "type": "string", "const": "Low"},
                {"description": "Now.", "type": "string", "const": "High"},
            ]
        },
        ["Low", "High"],
        ["Medium"],
    ),
    "optional_enum": Case(
        "Option<Urgency>",
        {
            "anyOf": [{"$ref": "#/$defs/Urgency"}, {"type": "null"}],
            "$defs": {"Urgency": {"type": "string", "enum": ["Low", "High"]}},
        },
        ["Low", None],
        ["Medium", 3],
    ),
    "internally_tagged": Case(
        '#[serde(tag = "type")] enum Shape { Circle { radius: f64 }, Square { side: f64 } }',
        {
            "title": "Shape",
            "oneOf": [
                {
                    "type": "object",
                    "properties": {
                        "type": {"type": "string", "const": kind},
                        size: {"type": "number", "format": "double"},
                    },
                    "required": ["type", size],
                }
                for kind, size in (("Circle", "radius"), ("Square", "side"))
            ],
        },
        [{"type": "Circle", "radius": 1.5}, {"type": "Square", "side": 2.0}],
        [{"type": "Circle", "side": 1.5}, {"type": "Triangle"}, {"radius": 1.0}],
        [({"type": "Circle", "radius": "1.5"}, {"type": "Circle", "radius": 1.5})],
    ),
    "externally_tagged": Case(
        "enum Action { Stop, Say(String), Move { x: i32, y: i32 } }",
        {
            "title": "Action",
            "oneOf": [
                {"type": "string", "enum": ["Stop"]},
                {
                    "type": "object",
                    "properties": {"Say": {"type": "string"}},
                    "required": ["Say"],
                    "additionalProperties": False,
                },
                {
                    "type": "object",
                    "properties": {
                        "Move": {
                            "type": "object",
                            "properties": {
                                "x": {"type": "integer", "format": "int32"},
                                "y": {"type": "integer", "format": "int32"},
                            },
                            "required": ["x", "y"],
                        }
                    },
                    "required": ["Move"],
                    "additionalProperties": False,
                },
            ],
        },
        ["Stop", {"Say": "hi"}, {"Move": {"x": 1, "y": -2}}],
        [
            "Go",
            {"Say": 5},
            {"Move": {"x": 1}},
            {"Say": "a", "Move": {"x": 1, "y": 2}},
            {"Move": {"x": 2**31, "y": 0}},
        ],
    ),
    "adjacently_tagged": Case(
        '#[serde(tag = "t", content = "c")] enum Value { Number(f64), Text(String), Nothing }',
        {
            "title": "Value",
            "oneOf": [
                {
                    "type": "object",
                    "properties": {"t": {"type": "string", "const": "Number"}, "c": {"type": "number"}},
                    "required": ["t", "c"],
                },
                {
                    "type": "object",
                    "properties": {"t": {"type": "string", "const": "Text"}, "c": {"type": "string"}},
                    "required": ["t", "c"],
                },
                {
                    "type": "object",
                    "properties": {"t": {"type": "string", "const": "Nothing"}},
                    "required": ["t"],
                },
            ],
        },
        [{"t": "Number", "c": 1.0}, {"t": "Text", "c": "a"}, {"t": "Nothing"}],
        [{"t": "Number", "c": "many"}, {"t": "Text"}, {}],
    ),
    "untagged": Case(
        "#[serde(untagged)] enum Id { Number(u32), Name { name: String } }",
        {
            "title": "Id",
            "anyOf": [
                {"type": "integer", "format": "uint32", "minimum": 0},
                {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]},
            ],
        },
        [7, {"name": "x"}],
        [-1, {"nam": "x"}, [1], 2**32],
    ),
    "recursive_struct": Case(
        "struct Tree { value: i64, children: Vec<Tree> }",
        {
            "title": "Tree",
            "type": "object",
            "properties": {
                "value": {"type": "integer", "format": "int64"},
                "children": {"type": "array", "items": {"$ref": "#"}},
            },
            "required": ["value", "children"],
        },
        [{"value": 1, "children": [{"value": 2, "children": []}]}],
        [{"value": 1, "children": [{"value": "x", "children": []}]}, {"value": 1}],
        [({"value": "1", "children": []}, {"value": 1, "children": []})],
    ),
    "recursive_enum": Case(
        "#[serde(untagged)] enum Json { Leaf(String), Branch(Vec<Json>) }",
        {
            "$ref": "#/$defs/Json",
            "$defs": {
                "Json": {"anyOf": [{"type": "string"}, {"type": "array", "items": {"$ref": "#/$defs/Json"}}]}
            },
        },
        [["a", ["b", []]], ["c"]],
        [[1], {"a": 1}],
    ),
    "flattened_map": Case(
        "struct Row { id: u16, #[serde(flatten)] rest: HashMap<String, f64> }",
        {
            "title": "Row",
            "type": "object",
            "properties": {"id": {"type": "integer", "format": "uint16", "minimum": 0, "maximum": 65535}},
            "required": ["id"],
            "additionalProperties": {"type": "number", "format": "double"},
        },
        [{"id": 1, "a": 1.5, "b": 2.0}, {"id": 2}],
        [{"id": 70000}, {"id": 1, "a": "text"}],
    ),
    "flattened_enum": Case(
        "struct Event { at: u64, #[serde(flatten)] kind: Kind }",
        {
            "title": "Event",
            "type": "object",
            "properties": {"at": {"type": "integer", "format": "uint64", "minimum": 0}},
            "required": ["at"],
            "oneOf": [
                {
                    "type": "object",
                    "properties": {"kind": {"type": "string", "const": "start"}},
                    "required": ["kind"],
                },
                {
                    "type": "object",
                    "properties": {"kind": {"type": "string", "const": "stop"}, "code": {"type": "integer"}},
                    "required": ["kind", "code"],
                },
            ],
        },
        [{"at": 1, "kind": "start"}, {"at": 2, "kind": "stop", "code": 3}],
        [{"at": 1, "kind": "stop"}, {"kind": "start"}],
    ),
    "newtype": Case(
        "struct Port(u16)",
        {"title": "Port", "type": "integer", "format": "uint16", "minimum": 0, "maximum": 65535},
        [0, 65535],
        [-1, 65536, "many", None],
        [("30", 30)],
    ),
    "u64": Case(
        "u64",
        {"type": "integer", "format": "uint64", "minimum": 0},
        [0, 2**53 + 1, 2**64 - 1],
        [-1, 2**64],
    ),
    "i64": Case("i64", {"type": "integer", "format": "int64"}, [-(2**63), 5], [2**63]),
    "f32": Case("f32", {"type": "number", "format": "float"}, [0.5, -3.0], ["50%", [1]], [("0.25", 0.25)]),
    "boolean": Case("bool", {"type": "boolean"}, [True, False], ["perhaps", 7]),
    "tuple": Case(
        "(String, f64)",
        {
            "type": "array",
            "prefixItems": [{"type": "string"}, {"type": "number"}],
            "minItems": 2,
            "maxItems": 2,
        },
        [["a", 1.5]],
        [["a"], ["a", 1.0, 2.0], [1, "a"]],
    ),
    "fixed_array": Case(
        "[u8; 3]",
        {
            "type": "array",
            "items": {"type": "integer", "format": "uint8", "minimum": 0, "maximum": 255},
            "minItems": 3,
            "maxItems": 3,
        },
        [[1, 2, 3]],
        [[1, 2], [1, 2, 300]],
    ),
    "set": Case(
        "BTreeSet<String>",
        {"type": "array", "items": {"type": "string"}, "uniqueItems": True},
        [["a", "b"]],
        [[1], "a"],
        [(["a", "b", "a"], ["a", "b"])],
    ),
    "map": Case(
        "HashMap<String, Vec<u32>>",
        {
            "type": "object",
            "additionalProperties": {
                "type": "array",
                "items": {"type": "integer", "format": "uint32", "minimum": 0},
            },
        },
        [{"a": [1, 2], "b": []}, {}],
        [{"a": [-1]}, {"a": 1}],
    ),
    "map_of_integers": Case(
        "BTreeMap<u32, bool>",
        {
            "type": "object",
            "patternProperties": {"^\\d+$": {"type": "boolean"}},
            "additionalProperties": False,
        },
        [{"1": True}, {}],
        [{"one": True}, {"1": "perhaps"}],
    ),
    "optional_number": Case("Option<f64>", {"type": ["number", "null"]}, [1.5, None], ["many"]),
    "optional_struct": Case(
        "Option<Address>",
        {"anyOf": [{"$ref": "#/$defs/Address"}, {"type": "null"}], "$defs": {"Address": _ADDRESS}},
        [None, {"city": "Bern"}, {"city": "Bern", "zip": None}, {"city": "Bern", "zip": "3000"}],
        [{"zip": "3000"}, 5],
    ),
    "structs": Case(
        "Vec<Person>",
        {
            "type": "array",
            "items": {"$ref": "#/$defs/Person"},
            "$defs": {"Address": _ADDRESS, "Person": _PERSON},
        },
        [[{"name": "Sara", "age": 30}], []],
        [[{"name": "Sara"}], [{"name": "Sara", "age": 300}]],
        [([{"name": "Sara", "age": "30"}], [{"name": "Sara", "age": 30}])],
    ),
    "nested_struct": Case(
        "Person",
        _PERSON,
        [
            {"name": "Sara", "age": 30},
            {"name": "Sara", "age": 30, "address": None, "tags": ["a"]},
            {"name": "Sara", "age": 30, "address": {"city": "Bern", "zip": "3000"}},
        ],
        [{"name": "Sara", "age": -1}, {"name": "Sara", "age": 30, "address": {"zip": "3000"}}, "Sara"],
        [
            # Unknown keys are ignored as serde ignores them, a null for a default is left out.
            ({"name": "Sara", "age": 3, "shoe": 4}, {"name": "Sara", "age": 3}),
            ({"name": "Sara", "age": 3, "tags": None}, {"name": "Sara", "age": 3}),
        ],
    ),
    "denied_unknown_fields": Case(
        "#[serde(deny_unknown_fields)] struct P { x: i32 }",
        {
            "type": "object",
            "properties": {"x": {"type": "integer", "format": "int32"}},
            "required": ["x"],
            "additionalProperties": False,
        },
        [{"x": 1}],
        [{"x": 1, "y": 2}],
    ),
    "odd_property_names": Case(
        '#[serde(rename = "model_config")] and the like',
        {
            "type": "object",
            "properties": {
                name: {"type": "integer"}
                for name in ("model_config", "_private", "type", "$ref", "with space", "copy")
            },
            "required": ["model_config", "_private"],
        },
        [{"model_config": 1, "_private": 2, "type": 3, "$ref": 4, "with space": 5, "copy": 6}],
        [{"model_config": 1}],
    ),
    "constrained_text": Case(
        "#[schemars(length(min = 2, max = 4), regex(pattern = ..))] String",
        {"type": "string", "minLength": 2, "maxLength": 4, "pattern": "^[0-9]+$"},
        ["007", "1234"],
        ["1", "12345", "abc"],
    ),
    "ranged": Case(
        "#[schemars(range(min = 1, max = 5))] u8",
        {"type": "integer", "format": "uint8", "minimum": 1, "maximum": 5},
        [1, 5],
        [0, 6],
    ),
    "arbitrary": Case(
        "struct Holder { value: serde_json::Value }",
        {"type": "object", "properties": {"value": True}, "required": ["value"]},
        [{"value": None}, {"value": [1, {"a": "b"}]}],
        [{}, 3],
    ),
}
