"""What the core schemas of JSON Schemas check beyond what pydantic offers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pydantic_core import CoreSchema


class WithinFormat:
    """Refuses integers that the Rust type of the field cannot hold."""

    def __init__(self, low: int, high: int, name: str) -> None:
        self._low, self._high, self._name = low, high, name
        # What pydantic calls the check in its messages.
        self.__name__ = self.__qualname__ = name

    def __call__(self, value: int) -> int:
        if self._low <= value <= self._high:
            return value
        raise ValueError(f"{value} does not fit into {self._name}")


def without_titles(schema: CoreSchema, handler: Any) -> dict[str, Any]:
    """Drops the titles that pydantic makes of property names: the model pays for them and learns nothing."""
    shown: dict[str, Any] = handler(schema)
    for described in handler.resolve_ref_schema(shown).get("properties", {}).values():
        described.pop("title", None)
    return shown


class NullDropper:
    """Leaves out the named keys whose value is null."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names = frozenset(names)
        self.__name__ = self.__qualname__ = "without_nulls"

    def __call__(self, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return {k: v for k, v in value.items() if v is not None or k not in self._names}


def without_duplicates(items: list[Any]) -> list[Any]:
    """Sets travel as arrays. A model that repeats a member meant the set all the same."""
    kept: list[Any] = []
    for item in items:
        if not any(item == k and type(item) is type(k) for k in kept):
            kept.append(item)
    return kept
