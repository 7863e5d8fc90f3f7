"""What a class shows in public: its constructor, methods and properties, and which of them the host may use.

Runs on every release of DSPy that has a snapshot, not on the locked one alone.
"""

from __future__ import annotations

import functools
import inspect
import types
from collections.abc import Callable, Mapping
from typing import Any

import dspy
import pydantic

_FILES = "it reads files of the machine; send the content"
_FETCHES = "the worker would fetch what a caller names; send the content"
_OBJECTS = "it takes objects of Python, which have no form on the wire"

# Methods of DSPy's classes that reach files or networks, run code, or need objects of Python.
_REFUSED_METHODS: Mapping[str, str] = {
    "from_path": _FILES,
    "from_file": _FILES,
    "from_url": _FETCHES,
    "from_PIL": _OBJECTS,
    "from_langchain": _OBJECTS,
    "from_mcp_tool": _OBJECTS,
    "inspect_history": "a worker keeps no history; the host sees every request of its own models",
    "load": "it reads files of the machine; send the state in the spec",
    "save": "it writes files of the machine; `dump_state` returns the state",
    "set_lm": "the language model belongs to the session",
    "map_named_predictors": "it takes a Python function",
    "batch": "send the calls one by one; they run at the same time",
    "load_state": "send the state in the spec",
}


def constructor(cls: type) -> Callable[..., Any]:
    """What takes the arguments of a class.

    The metaclass of DSPy's modules hides it from `inspect`, and so does pydantic where a model has its own.
    """
    init = inspect.getattr_static(cls, "__init__", None)
    hidden = type(cls).__call__ is not type.__call__ or issubclass(cls, pydantic.BaseModel)
    if not hidden or not inspect.isfunction(init) or init is pydantic.BaseModel.__init__:
        return cls
    # Bound to nothing in particular, so that `self` is gone from its parameters.
    return types.MethodType(init, cls)


def public_methods(cls: type) -> list[str]:
    """The names of the methods that a class has in public, sorted.

    Found on the class: no property is evaluated.
    """
    names = set()
    for base in cls.__mro__:
        if base is object:
            continue
        for name, value in vars(base).items():
            if (
                not name.startswith("_")
                and callable(getattr(value, "__func__", value))
                and not isinstance(value, type)
            ):
                names.add(name)
    return sorted(names)


def refusal_of(cls: type, name: str) -> str | None:
    """Why the host may not call a public method of the class; None if it may."""
    if not any(base.__module__.startswith("dspy.") for base in cls.__mro__):
        return None
    return _REFUSED_METHODS.get(name)


def is_async_module(cls: type) -> bool:
    """Whether `acall` works: `aforward` is defined where `forward` is, or in a class derived from there."""
    if not issubclass(cls, dspy.Module):
        return inspect.iscoroutinefunction(inspect.unwrap(cls.__call__)) if callable(cls) else False
    for base in cls.__mro__:
        if "aforward" in vars(base):
            return True
        if "forward" in vars(base):
            return False
    return False


def public_properties(cls: type) -> dict[str, Callable[..., Any]]:
    """The getters of the properties that a class has in public, by name. None is evaluated."""
    found: dict[str, Callable[..., Any]] = {}
    for base in reversed(cls.__mro__):
        for name, value in vars(base).items():
            if name.startswith("_"):
                continue
            getter = value.fget if isinstance(value, property) else getattr(value, "func", None)
            if getter is not None and isinstance(value, (property, functools.cached_property)):
                found[name] = getter
            else:
                found.pop(name, None)
    return dict(sorted(found.items()))
