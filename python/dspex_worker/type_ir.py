"""Python annotations -> the small language of types in which schemas of classes are written.

The same annotation gives the same type on every supported Python: versions differ in what they resolve, and
in whether `x: int = None` means an option.
"""

from __future__ import annotations

import collections.abc
import enum
import re
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any, ForwardRef

Type = dict[str, Any]

ANY: Type = {"k": "any"}
_SCALARS: Mapping[Any, Type] = {
    str: {"k": "str"},
    int: {"k": "int"},
    float: {"k": "float"},
    bool: {"k": "bool"},
    bytes: {"k": "bytes"},
    object: ANY,
    None: {"k": "none"},
    type(None): {"k": "none"},
    Any: ANY,
    list: {"k": "list", "of": ANY},
    set: {"k": "set", "of": ANY},
    frozenset: {"k": "set", "of": ANY},
    tuple: {"k": "list", "of": ANY},
    dict: {"k": "map", "key": {"k": "str"}, "value": ANY},
    type: {"k": "class"},
    collections.abc.Callable: {"k": "callable"},
    types.FunctionType: {"k": "callable"},
}
_LISTS = (list, collections.abc.Sequence, collections.abc.Iterable, collections.abc.MutableSequence)
_SETS = (set, frozenset, collections.abc.Set)
_MAPS = (dict, collections.abc.Mapping, collections.abc.MutableMapping)
_AWAITABLE = (collections.abc.Awaitable, collections.abc.Coroutine)
ADDRESS = re.compile(r" at 0x[0-9a-f]+")

MAX_DEPTH = 16

_UNKNOWN = frozenset({"any", "opaque", "typevar", "unresolved"})


class TypeReader:
    """Reads annotations.

    `name_of` tells the public path of a class; `names` are for what only type checkers import.
    """

    def __init__(self, name_of: Callable[[Any], str | None], names: Mapping[str, Any]) -> None:
        self._name_of = name_of
        self._names = names

    def read(self, annotation: Any, module: str, depth: int = 0) -> Type:
        """The type of an annotation that stands in `module`."""
        if depth > MAX_DEPTH:
            return ANY
        if isinstance(annotation, ForwardRef):
            annotation = annotation.__forward_arg__
        if isinstance(annotation, str):
            return self._read_text(annotation, module, depth)
        try:
            if annotation in _SCALARS:
                return _SCALARS[annotation]
        except TypeError:
            pass
        origin = typing.get_origin(annotation)
        if origin is not None:
            return self._read_generic(annotation, origin, module, depth + 1)
        if isinstance(annotation, typing.TypeVar):
            return {"k": "typevar"}
        if isinstance(annotation, type):
            return self._read_class(annotation)
        return {"k": "opaque", "repr": ADDRESS.sub("", repr(annotation))}

    def _read_text(self, text: str, module: str, depth: int) -> Type:
        import sys

        namespace = {**vars(typing), **self._names, **vars(sys.modules.get(module, types))}
        try:
            # The text is an annotation in the source of an installed package, never one of a caller.
            value = typing.get_type_hints(_annotated(text), namespace)["value"]
        except Exception:
            return {"k": "unresolved", "expr": re.sub(r"[\"'\s]", "", text)}
        return self.read(value, module, depth + 1)

    def _read_generic(self, annotation: Any, origin: Any, module: str, depth: int) -> Type:
        arguments = typing.get_args(annotation)

        def inner(index: int) -> Type:
            return self.read(arguments[index], module, depth) if index < len(arguments) else ANY

        if origin is typing.Annotated:
            return inner(0)
        if origin is typing.Literal:
            return {"k": "literal", "values": [a.value if isinstance(a, enum.Enum) else a for a in arguments]}
        if origin is typing.Union or origin is types.UnionType:
            return union([self.read(a, module, depth) for a in arguments])
        if origin is type:
            return {"k": "class"}
        if origin is collections.abc.Callable:
            return {"k": "callable"}
        if origin is tuple:
            if len(arguments) == 2 and arguments[1] is Ellipsis:
                return {"k": "list", "of": inner(0)}
            return {"k": "tuple", "of": [inner(i) for i in range(len(arguments))]}
        if origin in _LISTS:
            return {"k": "list", "of": inner(0)}
        if origin in _SETS:
            return {"k": "set", "of": inner(0)}
        if origin in _MAPS:
            return {"k": "map", "key": inner(0), "value": inner(1)}
        if origin in _AWAITABLE:
            return {"k": "awaitable"}
        if isinstance(origin, type):
            return self._read_class(origin)
        return {"k": "opaque", "repr": ADDRESS.sub("", repr(annotation))}

    def _read_class(self, cls: type) -> Type:
        if issubclass(cls, enum.Enum):
            return {"k": "enum", "values": [member.value for member in cls]}
        name = self._name_of(cls)
        if name is not None:
            return {"k": "ref", "name": name}
        if cls.__module__ in ("typing", "collections.abc") and cls.__name__ == "Callable":
            return {"k": "callable"}
        return {"k": "opaque", "repr": f"{cls.__module__}.{cls.__qualname__}"}


def _annotated(text: str) -> type:
    return type("_Annotated", (), {"__annotations__": {"value": text}, "__module__": "typing"})


def is_known(kind: Type) -> bool:
    """Whether a type says anything. A dictionary or list of anything does: it is JSON's own."""
    if kind["k"] == "union":
        return all(is_known(branch) for branch in kind["of"])
    return is_known(kind["of"]) if kind["k"] == "option" else kind["k"] not in _UNKNOWN


def union(branches: list[Type]) -> Type:
    """One type out of several: flat, without repetitions, null as an option. Anything or null is anything."""
    flat: list[Type] = []
    optional = False
    for branch in branches:
        if branch["k"] == "option":
            optional = True
            branch = branch["of"]
        for part in branch["of"] if branch["k"] == "union" else [branch]:
            if part["k"] == "none":
                optional = True
            elif part not in flat:
                flat.append(part)
    if not flat:
        return {"k": "none"}
    if ANY in flat:
        return ANY
    whole = flat[0] if len(flat) == 1 else {"k": "union", "of": flat}
    return {"k": "option", "of": whole} if optional else whole
