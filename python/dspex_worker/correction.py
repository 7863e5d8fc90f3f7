"""A correction of DSPy: maps within structured outputs.

A structured output has to name every property. For a field whose annotation is a `dict`, DSPy 3.4.1 therefore
asks for plain JSON; for a map anywhere below, it declares an object without properties, and the model can
only answer `{}`. Here the first rule holds for every map.
"""

from __future__ import annotations

import typing
from collections.abc import Mapping
from typing import Any

import dspy
from dspy.adapters import json_adapter

from dspex_worker.json_types import JsonType

CHECKED_VERSION = "3.4.1"

_original = json_adapter._has_open_ended_mapping


def install() -> bool:
    """Installs it. False where DSPy has another version than the one that was checked."""
    if dspy.__version__ != CHECKED_VERSION:
        return False
    json_adapter._has_open_ended_mapping = _has_open_ended_mapping
    return True


def _has_open_ended_mapping(signature: Any) -> bool:
    fields = signature.output_fields.values()
    return bool(_original(signature)) or any(_annotation_is_open(f.annotation) for f in fields)


def _annotation_is_open(annotation: Any) -> bool:
    if isinstance(annotation, JsonType):
        return schema_is_open(annotation.schema())
    if annotation is Any or annotation is dict or typing.get_origin(annotation) is dict:
        return True
    return any(_annotation_is_open(argument) for argument in typing.get_args(annotation))


def schema_is_open(node: Any) -> bool:
    """Whether a JSON Schema allows objects whose properties it does not name, or any value at all."""
    if not isinstance(node, Mapping):
        return node is True
    if not node.keys() - {"title", "description", "default"}:
        return True
    if node.get("additionalProperties", False) is not False or "patternProperties" in node:
        return True
    if node.get("type") == "object" and not node.keys() & {"properties", "oneOf", "anyOf", "allOf", "$ref"}:
        return "additionalProperties" not in node
    inner: list[Any] = [*node.get("properties", {}).values(), *node.get("$defs", {}).values()]
    for key in ("anyOf", "oneOf", "allOf", "prefixItems"):
        inner.extend(node.get(key, ()))
    if "items" in node:
        inner.append(node["items"])
    return any(schema_is_open(part) for part in inner)
