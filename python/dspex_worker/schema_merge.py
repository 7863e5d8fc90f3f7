"""Two JSON Schemas of objects into the one of the values that satisfy both: what flattening needs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

Schema = Mapping[str, Any]


class UnsupportedSchema(ValueError):
    """A schema that has no type for DSPy."""

    def __init__(self, where: str, why: str) -> None:
        super().__init__(f"unsupported JSON Schema at {where}: {why}")
        self.where = where
        self.why = why


def merged(base: Schema, extra: Schema, where: str) -> Schema:
    """The schema of values that satisfy both, for objects."""
    merged: dict[str, Any] = dict(base)
    for key, value in extra.items():
        if key not in merged or merged[key] == value:
            merged[key] = value
        elif key in ("properties", "$defs"):
            merged[key] = {**merged[key], **value}
        elif key == "required":
            merged[key] = [*merged[key], *(v for v in value if v not in merged[key])]
        elif key in ("additionalProperties", "unevaluatedProperties"):
            # One part's refusal of other keys must not refuse the other part's properties.
            merged[key] = stricter(merged[key], value)
        elif key not in ("description", "title", "default", "$schema", "examples", "deprecated"):
            cannot_merge(key, where)
    return merged


def stricter(one: Any, other: Any) -> Any:
    if isinstance(one, Mapping):
        return one
    return other if isinstance(other, Mapping) else one is True and other is True


def cannot_merge(key: str, where: str) -> NoReturn:
    raise UnsupportedSchema(where, f"two different `{key}` in parts of one object cannot be merged")
