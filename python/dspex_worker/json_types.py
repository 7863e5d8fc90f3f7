"""JSON Schema -> the types of a DSPy signature.

DSPy's prompts and parsers know Python types. A field's schema becomes

* a native annotation where DSPy has one that means the same (`str`, `int`, `list[str]`, `Literal`, ..):
  better prompts, more lenient parsing;
* a type of DSPy for the formats of `DSPY_FORMATS`, such as `image`;
* else a `JsonType`: an empty class that validates with a pydantic core schema made from the JSON Schema. Its
  values are plain JSON in exactly the shape that the schema describes, so that demonstrations and states stay
  JSON, and DSPy derives its prompts and structured outputs from the same core schema.

DSPy ignores constraints at the top level of a field, so every `FieldType` also has a validator for the whole.
"""

from __future__ import annotations

import copyreg
import functools
import json
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import dspy
import dspy.experimental
import pydantic
from pydantic_core import CoreSchema, SchemaError, SchemaValidator, core_schema

from dspex_worker.core_schema import SchemaReader, identifier, one_literal, type_names
from dspex_worker.schema_merge import UnsupportedSchema

__all__ = ["FieldType", "JsonType", "UnsupportedSchema", "field_type"]

JsonSchema = Mapping[str, Any] | bool

# Formats of ours, beside those of JSON Schema: the value is that type of DSPy, as its raw fields.
DSPY_FORMATS: Mapping[str, Any] = {
    "image": dspy.Image,
    "audio": dspy.Audio,
    "file": dspy.File,
    "history": dspy.History,
    "code": dspy.Code,
    "reasoning": dspy.Reasoning,
    "tool": dspy.Tool,
    "tool-calls": dspy.ToolCalls,
    "document": dspy.experimental.Document,
    "citations": dspy.experimental.Citations,
}

# What a model writes for "nothing" when it answers in text.
_NULL_TEXTS = frozenset({"", "None", "null"})

_NATIVE: Mapping[str, Any] = {"string": str, "integer": int, "number": float, "boolean": bool}

# Says nothing about which values are valid, or nothing that the validator does not check again.
_ANNOTATIONS = frozenset(
    {"title", "description", "default", "examples", "deprecated", "$schema", "$defs", "$comment"}
)


@dataclass(frozen=True)
class FieldType:
    """What a field's schema means for DSPy."""

    # For the signature.
    annotation: Any
    # Knows the constraints that DSPy ignores. Shared by all fields of the same schema.
    validator: SchemaValidator
    # The type in a few words, for messages.
    expected: str
    # What the schema tells about its parts (documented variants, constraints), for the field's description.
    notes: str
    # Whether null is a value.
    nullable: bool
    # Whether the values are objects of DSPy rather than plain JSON.
    rich: bool = False
    # `Optional[str]`: DSPy hands the text "None" over as it is.
    null_text: bool = False

    def accept(self, value: Any) -> Any:
        """A value from the host, as the field's type has it. Raises `pydantic.ValidationError`."""
        return self.validator.validate_python(value)

    def accept_parsed(self, value: Any) -> Any:
        """A value that DSPy parsed from a model's answer. Raises `pydantic.ValidationError`."""
        if self.null_text and isinstance(value, str) and value.strip() in _NULL_TEXTS:
            return None
        return self.validator.validate_python(value)


class JsonType(type):
    """The metaclass of types that stand for a JSON Schema."""

    # What `json_class` made the type of.
    source: tuple[str, str]

    def schema(cls) -> Any:
        """The JSON Schema."""
        return json.loads(cls.source[0])


def field_type(schema: JsonSchema, name: str) -> FieldType:
    """The type of a field. `name` names the type where the schema has no title.

    Raises `UnsupportedSchema` for what cannot be expressed; the message says where in the schema.
    """
    return _field_type(json.dumps(schema), identifier(name))


@functools.lru_cache(maxsize=4096)
def _field_type(schema_text: str, name: str) -> FieldType:
    schema = json.loads(schema_text)
    root: Mapping[str, Any] = {} if schema is True else schema
    if not isinstance(root, dict):
        raise UnsupportedSchema("#", "a schema has to be an object or `true`")
    node = _follow(root)
    try:
        return _dspy_type(node) or _native_type(node, root) or _json_type(schema_text, name, root)
    except SchemaError as error:
        # A pattern of a dialect that the validator's engine does not read, most of all.
        raise UnsupportedSchema("#", " ".join(str(error).split())) from None


def _follow(root: Mapping[str, Any]) -> Mapping[str, Any]:
    """The root, or what it refers to, with the definitions at hand."""
    node: Mapping[str, Any] = root
    for _ in range(16):
        ref = node.get("$ref")
        if ref is None or ref == "#":
            break
        beside = {k: v for k, v in node.items() if k != "$ref"}
        node = {**SchemaReader(root, "").resolve(ref), **beside}
    return node


# ------------------------------------------------------------------------------------------------ types of
# DSPy


def _dspy_type(node: Mapping[str, Any]) -> FieldType | None:
    annotation, expected = _dspy_annotation(node)
    if annotation is None:
        return None
    validator = pydantic.TypeAdapter(annotation).validator
    assert isinstance(validator, SchemaValidator)
    nullable = expected.endswith("or null")
    return FieldType(annotation, validator, expected, "", nullable, rich=True)


def takes_tools(annotation: Any) -> bool:
    """Whether the values are tools of DSPy, or lists of them."""
    return annotation is dspy.Tool or any(takes_tools(part) for part in typing.get_args(annotation))


def _dspy_annotation(node: Any) -> tuple[Any, str]:
    """One of DSPy's own types, or a list or an option of one."""
    if not isinstance(node, Mapping):
        return None, ""
    kind = DSPY_FORMATS.get(node.get("format", ""))
    if kind is not None:
        expected = f"dspy.{kind.__name__}"
        return (kind | None, f"{expected} or null") if "null" in type_names(node) else (kind, expected)
    branches = [b for b in node.get("anyOf", ()) if b != {"type": "null"}]
    if len(branches) == 1 and len(node["anyOf"]) == 2:
        inner, expected = _dspy_annotation(branches[0])
        return (inner | None, f"{expected} or null") if inner is not None else (None, "")
    if node.get("type") == "array":
        inner, expected = _dspy_annotation(node.get("items"))
        return (list[inner], f"list of {expected}") if inner is not None else (None, "")  # type: ignore[valid-type]
    return None, ""


# ------------------------------------------------------------------------------------------------ native
# types


def _native_type(node: Mapping[str, Any], root: Mapping[str, Any]) -> FieldType | None:
    literal = one_literal(node)
    if literal is not None:
        values, notes = literal
        validator = SchemaValidator(core_schema.literal_schema(list(values)))
        expected = "one of " + ", ".join(json.dumps(v, ensure_ascii=False) for v in values)
        return FieldType(Literal[values], validator, expected, notes, None in values)
    text, nullable = _text(node, root)
    if text is not None:
        # Texts stay `str` for DSPy whatever their constraints: every other type is read as JSON, and "007" as
        # 7.
        annotation = str | None if nullable else str
        expected = _expected({**text, "type": ["string", "null"] if nullable else "string"})
        return FieldType(
            annotation, _validator(root), expected, _string_notes(text), nullable, null_text=nullable
        )
    annotation = _native_annotation(node)
    if annotation is None:
        return None
    return FieldType(annotation, _validator(root), _expected(node), "", "null" in type_names(node))


def _text(node: Mapping[str, Any], root: Mapping[str, Any]) -> tuple[Mapping[str, Any] | None, bool]:
    """The schema of a string or of an option of one, and whether it is an option."""
    if one_literal(node) is not None:
        return None, False
    branches = node.get("anyOf", ())
    if len(branches) == 2 and {"type": "null"} in branches:
        other = next(b for b in branches if b != {"type": "null"})
        inner, _ = _text(_follow({"$defs": root.get("$defs", {}), **other}), root)
        return inner, True
    if (
        set(type_names(node)) in ({"string"}, {"string", "null"})
        and "enum" not in node
        and "const" not in node
    ):
        return node, "null" in type_names(node)
    return None, False


def _native_annotation(node: Any) -> Any:
    """The annotation of a schema without constraints, or None."""
    if not isinstance(node, Mapping) or node.keys() - _ANNOTATIONS - {
        "type",
        "format",
        "items",
        "additionalProperties",
    }:
        return None
    names = type_names(node)
    # Options are `JsonType`s, which take the texts "" and "None" for null.
    return _native_base(names[0], node) if len(names) == 1 else None


def _native_base(name: str, node: Mapping[str, Any]) -> Any:
    if name in _NATIVE:
        return _NATIVE[name]
    if name == "array" and "items" in node:
        inner = _native_annotation(node["items"])
        return None if inner is None else list[inner]  # type: ignore[valid-type]
    if name == "object" and isinstance(node.get("additionalProperties"), Mapping):
        inner = _native_annotation(node["additionalProperties"])
        return None if inner is None else dict[str, inner]  # type: ignore[valid-type]
    return None


def _validator(root: Mapping[str, Any]) -> SchemaValidator:
    return SchemaValidator(SchemaReader(root, "").complete())


def _string_notes(node: Mapping[str, Any]) -> str:
    """DSPy shows no schema for a `str`, so the description has to tell the constraints."""
    words = {
        "minLength": "at least {} characters",
        "maxLength": "at most {} characters",
        "pattern": "matching the regular expression {}",
        "format": "in the format {}",
    }
    told = [text.format(node[key]) for key, text in words.items() if key in node]
    return f"({', '.join(told)})" if told else ""


# --------------------------------------------------------------------------------------------------
# everything else


def _json_type(schema_text: str, name: str, root: Mapping[str, Any]) -> FieldType:
    cls = json_class(schema_text, name)
    nullable = SchemaReader(root, name).is_nullable(root)
    return FieldType(cls, _validator(root), _expected(_follow(root)), "", nullable)


@functools.lru_cache(maxsize=4096)
def json_class(schema_text: str, name: str) -> type:
    """The class of a schema: always the same one, so that copies and pickles of programs keep it."""
    schema = json.loads(schema_text)
    root = schema if isinstance(schema, dict) else {}
    SchemaValidator(_complete(schema_text, name))  # Unsupported schemas fail here, not inside of DSPy.

    def core(cls: type, source: Any, handler: Callable[[Any], CoreSchema]) -> CoreSchema:
        return _complete(schema_text, name)

    body = {
        "__get_pydantic_core_schema__": classmethod(core),
        "__module__": __name__,
        "source": (schema_text, name),
    }
    return JsonType(python_name(root, SchemaReader(root, name), name), (), body)


def _rebuild(cls: JsonType) -> tuple[Callable[..., type], tuple[str, str]]:
    return json_class, cls.source


copyreg.pickle(JsonType, _rebuild)  # type: ignore[arg-type]


def _complete(schema_text: str, name: str) -> CoreSchema:
    schema = json.loads(schema_text)
    root = {} if schema is True else schema
    reader = SchemaReader(root, name)
    if reader.is_nullable(root) and not _takes_text(reader):
        return reader.complete(before=_text_to_null)
    return reader.complete()


def _text_to_null(value: Any) -> Any:
    return None if isinstance(value, str) and value.strip() in _NULL_TEXTS else value


def _takes_text(reader: SchemaReader) -> bool:
    """Whether the texts for null could be values of their own."""
    try:
        SchemaValidator(reader.complete()).validate_python("None", strict=True)
    except pydantic.ValidationError:
        return False
    return True


def python_name(node: Any, reader: SchemaReader, name: str, depth: int = 0) -> str:
    """What the type would be called in Python; DSPy puts it in the prompt."""
    if not isinstance(node, Mapping) or depth > 8:
        return "Any"
    if "$ref" in node:
        return identifier(node["$ref"].split("/")[-1]) if node["$ref"] != "#" else name
    inner = functools.partial(python_name, reader=reader, name=name, depth=depth + 1)
    literal = one_literal(node)
    if literal is not None:
        return f"Literal[{', '.join(repr(v) for v in literal[0])}]"
    branches = node.get("anyOf") or node.get("oneOf") or [{**node, "type": t} for t in _several(node)]
    # Titles such as "Nullable_uint8" are of schemars' making; those of structs and enums are names.
    named = "properties" in node or (branches and not any(_is_null(b) for b in branches))
    if named and ("title" in node or depth == 0):
        return identifier(node.get("title", name))
    if branches:
        names = list(dict.fromkeys(inner(b) for b in branches if not _is_null(b)))
        told = names[0] if len(names) == 1 else f"Union[{', '.join(names)}]" if names else "None"
        return f"Optional[{told}]" if any(_is_null(b) for b in branches) else told
    kind = next(iter(type_names(node)), None)
    if kind == "array":
        if "prefixItems" in node:
            return f"tuple[{', '.join(inner(i) for i in node['prefixItems'])}]"
        return f"list[{inner(node.get('items', True))}]"
    if kind == "object":
        return "dict" if "properties" in node else f"dict[str, {inner(_values_of(node))}]"
    native = _NATIVE.get(kind or "")
    return native.__name__ if native is not None else "None" if kind == "null" else "Any"


def _values_of(node: Mapping[str, Any]) -> Any:
    """The schema of the values of a map."""
    return next(iter(node.get("patternProperties", {}).values()), node.get("additionalProperties", True))


def _several(node: Mapping[str, Any]) -> list[str]:
    names = type_names(node)
    return names if len(names) > 1 else []


def _is_null(node: Any) -> bool:
    return isinstance(node, Mapping) and node.get("type") == "null"


def _expected(node: Mapping[str, Any]) -> str:
    """The type in a few words."""
    names = type_names(node)
    if not names:
        return str(node.get("title") or "a value of its JSON Schema")
    limits = [
        f"{word} {node[key]}"
        for key, word in (
            ("minimum", ">="),
            ("maximum", "<="),
            ("minLength", "length >="),
            ("maxLength", "length <="),
        )
        if key in node
    ]
    if "pattern" in node:
        limits.append(f"matching {node['pattern']}")
    title = f" {node['title']}" if "title" in node and "object" in names else ""
    return " or ".join(names) + title + (f" ({', '.join(limits)})" if limits else "")
