"""JSON Schema 2020-12, as schemars 1.x writes it -> pydantic core schemas.

Objects become typed dictionaries and never model classes: values stay plain dictionaries with exactly the
keys that were given, every property name is possible, and recursion needs no forward references.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from pydantic_core import CoreSchema, core_schema

from dspex_worker.schema_checks import NullDropper, WithinFormat, without_duplicates, without_titles
from dspex_worker.schema_merge import Schema, UnsupportedSchema, merged

# Keywords that restrict values in ways that are not expressed here. Ignoring one would let wrong values
# through.
_UNSUPPORTED = frozenset(
    {
        "not",
        "if",
        "then",
        "else",
        "contains",
        "minContains",
        "maxContains",
        "dependentRequired",
        "dependentSchemas",
        "dependencies",
        "unevaluatedItems",
        "additionalItems",
        "$dynamicRef",
        "$recursiveRef",
    }
)

# Formats of integers that schemars writes; it states their limits for the small ones only.
_INTEGER_LIMITS: Mapping[str, tuple[int, int]] = {
    **{f"int{bits}": (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) for bits in (8, 16, 32, 64, 128)},
    **{f"uint{bits}": (0, 2**bits - 1) for bits in (8, 16, 32, 64, 128)},
}

_NUMBER_LIMITS = {
    "minimum": "ge",
    "maximum": "le",
    "exclusiveMinimum": "gt",
    "exclusiveMaximum": "lt",
    "multipleOf": "multiple_of",
}

_OBJECT_KEYWORDS = frozenset(
    {
        "properties",
        "required",
        "additionalProperties",
        "unevaluatedProperties",
        "patternProperties",
        "propertyNames",
        "minProperties",
        "maxProperties",
    }
)

MAX_SCHEMA_DEPTH = 64


def identifier(text: str) -> str:
    """A name that prompts can show as a type's."""
    return re.sub(r"\W+", "_", text).strip("_") or "Value"


def type_names(node: Schema) -> list[str]:
    """`type`, which may be one name or a list of them, as a list."""
    names = node.get("type", [])
    return [names] if isinstance(names, str) else list(names)


def one_literal(node: Schema) -> tuple[tuple[Any, ...], str] | None:
    """The values of an enumeration, and what its documented variants say.

    schemars writes an enum without payloads as `enum`, or as a `oneOf` of constants where variants have docs.
    """
    values = _literal_values(node)
    if values is not None:
        return tuple(values), ""
    for key in ("oneOf", "anyOf"):
        if key not in node or node.keys() & ({"properties", "oneOf", "anyOf"} - {key}):
            continue
        branches = [(b, _literal_values(b)) for b in node[key] if isinstance(b, Mapping)]
        if len(branches) != len(node[key]) or not branches or any(v is None for _, v in branches):
            return None
        every = tuple(v for _, held in branches for v in held or ())
        notes = "; ".join(
            f"{', '.join(str(v) for v in held or ())}: {b['description']}"
            for b, held in branches
            if "description" in b
        )
        return every, notes
    return None


def _literal_values(node: Schema) -> list[Any] | None:
    """The scalars of `const` or `enum`."""
    values = [node["const"]] if "const" in node else node.get("enum")
    if not isinstance(values, list) or not values:
        return None
    return values if all(isinstance(v, (str, int, bool, type(None))) for v in values) else None


# Formats that stand for a type of DSPy; `json_types` says for which.
FORMATS_OF_DSPY = frozenset(
    {"image", "audio", "file", "history", "code", "reasoning", "tool", "tool-calls", "document", "citations"}
)


class SchemaReader:
    """Reads one self-contained schema document.

    `name` tells its definitions from those of other documents.
    """

    def __init__(self, root: Schema, name: str) -> None:
        self._root = root
        self._scope = f"{name}.{hashlib.sha256(json.dumps(root).encode()).hexdigest()[:16]}"
        # Definitions by JSON pointer; None while one is being read, which is how recursion is seen.
        self._definitions: dict[str, CoreSchema | None] = {}
        self._recursive: set[str] = set()
        self._depth = 0

    def complete(self, before: Callable[[Any], Any] | None = None) -> CoreSchema:
        """The core schema of the whole document. Raises `UnsupportedSchema`.

        `before` sees every value before it is validated.
        """
        self._definitions, self._recursive, self._depth = {}, set(), 0
        whole = self._reference("#") if _refers_to_root(self._root) else self._read(self._root, "#")
        if before is not None:
            # Within the definitions: pydantic looks for those at the top alone.
            whole = core_schema.no_info_before_validator_function(before, whole)
        held = [d for d in self._definitions.values() if d is not None and "ref" in d]
        return core_schema.definitions_schema(whole, held) if held else whole

    def resolve(self, ref: str) -> Schema:
        """What a `$ref` within the document points at."""
        if not ref.startswith("#"):
            raise UnsupportedSchema(
                ref, "only references within the schema itself (`#/$defs/..`) can be followed"
            )
        node: Any = self._root
        for part in ref[1:].split("/")[1:]:
            key = part.replace("~1", "/").replace("~0", "~")
            if not isinstance(node, Mapping) or key not in node:
                raise UnsupportedSchema(ref, "the reference points at nothing")
            node = node[key]
        if node is True:
            return {}
        if not isinstance(node, Mapping):
            raise UnsupportedSchema(ref, "the reference does not point at a schema")
        return node

    def is_nullable(self, node: Any, depth: int = 0) -> bool:
        """Whether null is valid."""
        if not isinstance(node, Mapping):
            return node is True
        if depth > MAX_SCHEMA_DEPTH:
            return False
        if "$ref" in node:
            return self.is_nullable(self.resolve(node["$ref"]), depth + 1)
        if "const" in node or "enum" in node:
            return None in (node.get("enum") or [node.get("const")])
        for key in ("oneOf", "anyOf"):
            if key in node:
                return any(self.is_nullable(b, depth + 1) for b in node[key])
        names = type_names(node)
        return "null" in names or (not names and not node.keys() & _OBJECT_KEYWORDS and "allOf" not in node)

    # -------------------------------------------------------------------------------------------- reading

    def _read(self, node: Any, where: str) -> CoreSchema:
        self._depth += 1
        try:
            if self._depth > MAX_SCHEMA_DEPTH:
                raise UnsupportedSchema(where, f"the schema is nested deeper than {MAX_SCHEMA_DEPTH} levels")
            return self._node(node, where)
        finally:
            self._depth -= 1

    def _node(self, node: Any, where: str) -> CoreSchema:
        if node is True:
            return core_schema.any_schema()
        if not isinstance(node, Mapping):
            raise UnsupportedSchema(where, "no value is valid" if node is False else "not a schema")
        wrong = sorted(_UNSUPPORTED & node.keys())
        if wrong:
            raise UnsupportedSchema(where, f"the keyword `{wrong[0]}` has no counterpart in a type")
        if node.get("format") in FORMATS_OF_DSPY:
            raise UnsupportedSchema(
                where,
                f"the format {node['format']} is for whole fields, options and lists, not within objects",
            )
        node = self._flat(node, where)
        if "$ref" in node:
            return self._described(self._reference(node["$ref"]), node)
        literal = one_literal(node)
        if literal is not None:
            return self._literal(*literal, node)
        if "const" in node or "enum" in node:
            raise UnsupportedSchema(where, "constants of arrays, objects or fractions have no literal type")
        for key in ("oneOf", "anyOf"):
            if key in node:
                return self._described(self._union(node, key, where), node)
        return self._described(self._typed(node, where), node)

    def _flat(self, node: Schema, where: str) -> Schema:
        """`allOf` and `$ref` beside other keywords (what flattening writes), merged into one schema."""
        parts = [self._part(p, where) for p in node.get("allOf", ())]
        if "$ref" in node and node.keys() & (_OBJECT_KEYWORDS | {"oneOf", "anyOf", "allOf"}):
            parts.append(self.resolve(node["$ref"]))
            node = {k: v for k, v in node.items() if k != "$ref"}
        if not parts:
            return node
        rest = {k: v for k, v in node.items() if k != "allOf"}
        if len(parts) == 1 and not rest.keys() & (_OBJECT_KEYWORDS | {"type", "oneOf", "anyOf", "$ref"}):
            return {**node["allOf"][0], **rest} if "allOf" in node else {**parts[0], **rest}
        whole: Schema = rest
        for part in parts:
            whole = merged(whole, self._flat(part, where), where)
        return whole

    def _part(self, node: Any, where: str) -> Schema:
        if not isinstance(node, Mapping):
            raise UnsupportedSchema(where, "`allOf` has to hold schemas")
        return self.resolve(node["$ref"]) if "$ref" in node else node

    def _reference(self, ref: str) -> CoreSchema:
        if ref in self._definitions:
            held = self._definitions[ref]
            if held is None:
                self._recursive.add(ref)
                return core_schema.definition_reference_schema(self._ref_name(ref))
            return core_schema.definition_reference_schema(self._ref_name(ref)) if "ref" in held else held
        self._definitions[ref] = None
        target = self._read(self.resolve(ref), ref)
        if target["type"] == "definition-ref":
            # A name for another name: nothing of its own to define.
            if ref in self._recursive:
                raise UnsupportedSchema(ref, "the definition refers to itself alone")
            self._definitions[ref] = target
            return target
        if ref in self._recursive or target["type"] in ("typed-dict", "union", "function-before"):
            named: Any = {**target, "ref": self._ref_name(ref)}
            self._definitions[ref] = named
            return core_schema.definition_reference_schema(self._ref_name(ref))
        self._definitions[ref] = target
        return target

    def _ref_name(self, ref: str) -> str:
        own = (
            identifier(ref.split("/")[-1]) if ref != "#" else identifier(str(self._root.get("title", "Root")))
        )
        return f"{own}:{self._scope}"

    def _described(self, schema: CoreSchema, node: Schema) -> CoreSchema:
        """Keeps what the schema says to people: DSPy shows it to the model."""
        told = {k: node[k] for k in ("description", "default") if k in node}
        if not told or schema["type"] == "definition-ref":
            return schema
        described: Any = {
            **schema,
            "metadata": {**(schema.get("metadata") or {}), "pydantic_js_updates": told},
        }
        return described  # type: ignore[no-any-return]

    def _literal(self, values: tuple[Any, ...], notes: str, node: Schema) -> CoreSchema:
        text = " ".join(t for t in (node.get("description", ""), notes) if t)
        if values == (None,):
            return core_schema.none_schema()
        schema = core_schema.literal_schema(list(values))
        return self._described(schema, {"description": text} if text else {})

    # -------------------------------------------------------------------------------------------- unions

    def _union(self, node: Schema, key: str, where: str) -> CoreSchema:
        rest = {
            k: v
            for k, v in node.items()
            if k not in (key, "description", "title", "default", "$schema", "$defs")
        }
        branches: list[CoreSchema] = []
        nullable = False
        for index, branch in enumerate(node[key]):
            at = f"{where}/{key}/{index}"
            if branch == {"type": "null"} and not rest:
                nullable = True
                continue
            if rest.keys() - {"type"}:
                # An enum flattened into a struct: every variant has the struct's own properties too.
                branch = merged(rest, self._part(branch, at), at)
            branches.append(self._read(branch, at))
        if not branches:
            return core_schema.none_schema()
        whole = branches[0] if len(branches) == 1 else core_schema.union_schema(list(branches))
        return core_schema.nullable_schema(whole) if nullable else whole

    # -------------------------------------------------------------------------------------------- by type

    def _typed(self, node: Schema, where: str) -> CoreSchema:
        names = type_names(node)
        if not names:
            names = (
                ["object"] if node.keys() & _OBJECT_KEYWORDS else ["array"] if "prefixItems" in node else []
            )
        if not names:
            return core_schema.any_schema()
        readers: Mapping[str, Callable[[Schema, str], CoreSchema]] = {
            "null": lambda n, w: core_schema.none_schema(),
            "boolean": lambda n, w: core_schema.bool_schema(),
            "integer": self._integer,
            "number": self._number,
            "string": self._string,
            "array": self._array,
            "object": self._object,
        }
        unknown = [n for n in names if n not in readers]
        if unknown:
            raise UnsupportedSchema(where, f"the type {unknown[0]!r} does not exist")
        branches = [readers[n](node, where) for n in names if n != "null"]
        if not branches:
            return core_schema.none_schema()
        whole = branches[0] if len(branches) == 1 else core_schema.union_schema(list(branches))
        return core_schema.nullable_schema(whole) if "null" in names else whole

    def _integer(self, node: Schema, where: str) -> CoreSchema:
        schema: Any = {**core_schema.int_schema(), **_limits(node, where)}
        limits = _INTEGER_LIMITS.get(node.get("format", ""))
        if limits is None:
            return schema  # type: ignore[no-any-return]
        # Not as `ge` and `le`: the model would be shown twenty digits that tell it nothing.
        return core_schema.no_info_after_validator_function(WithinFormat(*limits, node["format"]), schema)

    def _number(self, node: Schema, where: str) -> CoreSchema:
        schema: Any = {**core_schema.float_schema(), **_limits(node, where)}
        return schema  # type: ignore[no-any-return]

    def _string(self, node: Schema, where: str) -> CoreSchema:
        return core_schema.str_schema(
            min_length=node.get("minLength"), max_length=node.get("maxLength"), pattern=node.get("pattern")
        )

    def _array(self, node: Schema, where: str) -> CoreSchema:
        least, most = node.get("minItems"), node.get("maxItems")
        if "prefixItems" in node:
            items = [self._read(x, f"{where}/prefixItems/{i}") for i, x in enumerate(node["prefixItems"])]
            rest = node.get("items", False)
            if (
                least not in (None, len(items))
                or (most not in (None, len(items)))
                or rest not in (False, True)
            ):
                raise UnsupportedSchema(where, "tuples of a varying length have no type")
            # JSON has no tuples, and neither has what the model is shown next time.
            return core_schema.no_info_after_validator_function(list, core_schema.tuple_schema(items))
        inner = self._read(node.get("items", True), f"{where}/items")
        whole = core_schema.list_schema(inner, min_length=least, max_length=most)
        if node.get("uniqueItems"):
            return core_schema.no_info_after_validator_function(without_duplicates, whole)
        return whole

    def _object(self, node: Schema, where: str) -> CoreSchema:
        properties: Mapping[str, Any] = node.get("properties", {})
        if not properties:
            return self._map(node, where)
        if "patternProperties" in node or "propertyNames" in node:
            raise UnsupportedSchema(where, "named properties beside `patternProperties` have no type")
        required = frozenset(node.get("required", ()))
        missing = sorted(required - properties.keys())
        if missing:
            raise UnsupportedSchema(where, f"`{missing[0]}` is required, but not among the properties")
        fields, droppable = {}, []
        for name, schema in properties.items():
            if schema is False:
                raise UnsupportedSchema(f"{where}/properties/{name}", "no value is valid")
            inner = self._read(schema, f"{where}/properties/{name}")
            fields[name] = core_schema.typed_dict_field(inner, required=name in required)
            if name not in required and not self.is_nullable(schema):
                droppable.append(name)
        extra, extras = self._extra(node, where)
        whole: CoreSchema = core_schema.typed_dict_schema(
            fields,
            cls_name=node.get("title"),
            extra_behavior=extra,
            extras_schema=extras,
            metadata={"pydantic_js_functions": [without_titles]},
        )
        if droppable:
            # Models write null for what they leave out; serde's default applies to a key that is not there.
            whole = core_schema.no_info_before_validator_function(NullDropper(droppable), whole)
        return whole

    def _extra(self, node: Schema, where: str) -> tuple[Any, CoreSchema | None]:
        """What to do with further keys: serde ignores them unless it collects or denies them."""
        extra = node.get("additionalProperties", node.get("unevaluatedProperties"))
        if extra is None:
            return "ignore", None
        if extra is False:
            return "forbid", None
        return "allow", None if extra is True else self._read(extra, f"{where}/additionalProperties")

    def _map(self, node: Schema, where: str) -> CoreSchema:
        if node.get("required"):
            raise UnsupportedSchema(
                where, f"`{node['required'][0]}` is required, but not among the properties"
            )
        keys: CoreSchema = core_schema.str_schema()
        values: Any = node.get("additionalProperties", node.get("unevaluatedProperties", True))
        patterns = node.get("patternProperties", {})
        if patterns:
            if len(patterns) > 1 or values not in (False, True):
                raise UnsupportedSchema(where, "several patterns of properties have no type")
            ((pattern, values),) = patterns.items()
            keys = core_schema.str_schema(pattern=pattern)
        elif isinstance(node.get("propertyNames"), Mapping):
            keys = self._read({"type": "string", **node["propertyNames"]}, f"{where}/propertyNames")
        if values is False:
            # An object without properties: a unit-like struct.
            return core_schema.typed_dict_schema({}, extra_behavior="forbid")
        return core_schema.dict_schema(
            keys,
            self._read(values, f"{where}/additionalProperties"),
            min_length=node.get("minProperties"),
            max_length=node.get("maxProperties"),
        )


def _limits(node: Schema, where: str) -> dict[str, Any]:
    limits = {python: node[key] for key, python in _NUMBER_LIMITS.items() if key in node}
    for name, value in limits.items():
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise UnsupportedSchema(where, f"the limit `{name}` is not a number")
    if "integer" in type_names(node):
        # schemars writes the limits of integers as fractions where they come from `f64` attributes.
        limits = {k: int(v) if isinstance(v, float) and v.is_integer() else v for k, v in limits.items()}
    return limits


def _refers_to_root(node: Any) -> bool:
    if isinstance(node, Mapping):
        return node.get("$ref") == "#" or any(_refers_to_root(v) for v in node.values())
    return isinstance(node, list) and any(_refers_to_root(v) for v in node)
