"""Documentation of classes and functions, the same on every supported Python, and values without it."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import Any

from dspex_worker import source_facts

_SECTION = re.compile(r"^(Args|Arguments|Parameters|Attributes):?\s*$")
_ENTRY = re.compile(r"^(\s*)[`*]{0,2}(\w+)[`*]{0,2}(?:\s*\([^)]*\))?\s*:\s*(.*)$")

# Keys of JSON Schemas under which names of any kind stand, none of which is a keyword.
_NAMES = frozenset({"$defs", "properties", "patternProperties"})


def doc_of(value: Any) -> str:
    """The docstring of a class or function itself, without indentation."""
    doc = vars(value).get("__doc__") if inspect.isclass(value) else getattr(value, "__doc__", None)
    if not isinstance(doc, str):
        return ""
    # DSPy's decorator puts its notice before a text that is still indented, unless Python is 3.13 or later,
    # which removes indentation and trailing spaces itself.
    notice, found, rest = doc.partition("\n\n") if source_facts.is_experimental(doc) else ("", "", doc)
    text = f"{notice.strip()}{found}{inspect.cleandoc(rest)}"
    return "\n".join(line.rstrip() for line in text.strip().splitlines())


def argument_docs(doc: str) -> dict[str, str]:
    """The texts of an `Args:` section, by parameter, and of an `Attributes:` section, by attribute."""
    found: dict[str, str] = {}
    indent: int | None = None
    inside, current = False, ""
    for line in doc.splitlines():
        if _SECTION.match(line.strip()) and not line.startswith((" ", "\t")):
            inside, indent, current = True, None, ""
        elif inside and line and not line.startswith((" ", "\t")):
            inside = False
        elif inside and line.strip():
            entry = _ENTRY.match(line)
            if entry is not None and (indent is None or len(entry[1]) <= indent):
                indent, current = len(entry[1]), entry[2]
                found[current] = entry[3].strip()
            elif current:
                found[current] = f"{found[current]} {line.strip()}".strip()
    return found


def without_docs(value: Any) -> Any:
    """A part of a class's document without what only people read."""
    if isinstance(value, dict):
        return {key: without_docs(item) for key, item in value.items() if key not in ("doc", "deprecated")}
    return [without_docs(item) for item in value] if isinstance(value, list) else value


def schema_without_docs(schema: Any) -> Any:
    """A JSON Schema without what only people read."""
    if isinstance(schema, list):
        return [schema_without_docs(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: {name: schema_without_docs(item) for name, item in value.items()}
        if key in _NAMES and isinstance(value, dict)
        else value
        if key in ("const", "default", "enum")
        else schema_without_docs(value)
        for key, value in schema.items()
        if key not in ("description", "examples")
    }


def docs_in(value: Any) -> Iterator[str]:
    """The texts that `without_docs` leaves out."""
    if isinstance(value, dict):
        for key in sorted(value):
            if key == "doc" and isinstance(value[key], str):
                yield value[key]
            else:
                yield from docs_in(value[key])
    elif isinstance(value, list):
        for item in value:
            yield from docs_in(item)
