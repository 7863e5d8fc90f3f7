"""Tools that stand in a module of the user, as functions of a schema document."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from dspex_worker import validate
from dspex_worker.callables import CallableReader
from dspex_worker.python_tools import PythonTool
from dspex_worker.type_ir import ANY, Type, is_known, union

_SCALARS: Mapping[str, Type] = {
    "string": {"k": "str"},
    "integer": {"k": "int"},
    "number": {"k": "float"},
    "boolean": {"k": "bool"},
    "null": {"k": "none"},
}


def describe_tool(reader: CallableReader, path: str, value: Any) -> dict[str, Any]:
    """What a tool takes and returns, as `CallableReader.callable` tells it of a function."""
    tool = PythonTool(path, value)
    module = path.rpartition(".")[0]
    hints = validate.type_hints(tool.target)
    types = {**hints, **((tool.given.arg_types or {}) if tool.given is not None else {})}
    defaults = {name: p.default for name, p in _parameters(tool).items() if p.default is not p.empty}
    params = []
    for name, schema in tool.args.items():
        kind = reader.read(types.get(name, Any), module)
        if not is_known(kind):
            kind = type_of(schema)
        param = {
            "name": name,
            "role": "value",
            "required": "default" not in schema and name not in defaults,
            "type": kind,
            "doc": schema.get("description", ""),
        }
        if not param["required"]:
            param["default"] = reader.default(schema.get("default", defaults.get(name)))
            if param["default"] == {"json": None}:
                param["type"] = union([kind, {"k": "none"}])
        params.append(param)
    returns = hints.get("return", Any)
    if tool.streams:
        items = getattr(returns, "__args__", ())
        returns = list[items[0]] if items else list  # type: ignore[valid-type]
    return {
        "async": tool.asynchronous,
        "params": params,
        "params_extra": tool.open_ended,
        "returns": reader.read(returns, module),
        "doc": inspect.cleandoc(tool.tool.desc or ""),
    }


def type_of(schema: Any) -> Type:
    """The type of a JSON Schema, as far as types tell it."""
    if not isinstance(schema, Mapping):
        return ANY
    values = schema.get("enum", [schema["const"]] if "const" in schema else None)
    if values is not None:
        plain = all(isinstance(v, (str, int, bool, type(None))) for v in values)
        return {"k": "literal", "values": list(values)} if plain and values else ANY
    branches = schema.get("anyOf") or schema.get("oneOf")
    if branches:
        return union([type_of(branch) for branch in branches])
    kinds = schema.get("type")
    if isinstance(kinds, list):
        return union([type_of({**schema, "type": kind}) for kind in kinds])
    if kinds == "array":
        return {"k": "list", "of": type_of(schema.get("items"))}
    if kinds == "object":
        return {"k": "map", "key": {"k": "str"}, "value": type_of(schema.get("additionalProperties"))}
    return _SCALARS.get(str(kinds), ANY)


def _parameters(tool: PythonTool) -> Mapping[str, inspect.Parameter]:
    try:
        return inspect.signature(tool.target).parameters
    except (TypeError, ValueError):
        return {}
