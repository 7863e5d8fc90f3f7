"""What DSPy itself makes of signatures written as text, for comparing it with dspex's parser."""

from __future__ import annotations

import warnings
from typing import Any

import dspy
import pydantic

# In dspex they are named by the format of their JSON Schema.
_FORMATS = {
    "Image": "image",
    "Audio": "audio",
    "File": "file",
    "History": "history",
    "Code": "code",
    "Reasoning": "reasoning",
    "ToolCalls": "tool-calls",
}


def resolve(texts: list[str]) -> list[dict[str, Any]]:
    """For each text its inputs and outputs as pairs of name and JSON Schema, or the error."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return [_resolve(text) for text in texts]


def _resolve(text: str) -> dict[str, Any]:
    try:
        # Without types of its own, DSPy would look names up in the frames of its callers.
        signature = dspy.Signature(text, custom_types={})
        return {
            "inputs": _fields(signature.input_fields),
            "outputs": _fields(signature.output_fields),
        }
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"}


def _fields(fields: dict[str, Any]) -> list[list[Any]]:
    return [[name, _schema(field.rebuild_annotation())] for name, field in fields.items()]


def _schema(annotation: Any) -> Any:
    document = pydantic.TypeAdapter(annotation).json_schema()
    return _inline(document, document.get("$defs", {}))


def _inline(node: Any, definitions: dict[str, Any]) -> Any:
    if isinstance(node, list):
        return [_inline(item, definitions) for item in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        return _inline(definitions[node["$ref"].removeprefix("#/$defs/")], definitions)
    form = _FORMATS.get(node.get("title", ""))
    if form is not None and node.get("type") == "object":
        return {"type": "object", "format": form}
    return {key: _inline(value, definitions) for key, value in node.items() if key != "$defs"}
