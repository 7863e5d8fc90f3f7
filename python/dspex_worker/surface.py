"""What a class shows in public: its constructor, methods and properties.

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


def by_position(target: Callable[..., Any], arguments: Mapping[str, Any]) -> tuple[list[Any], dict[str, Any]]:
    """Named arguments as a callable takes them: by position where Python knows no name."""
    named = dict(arguments)
    positional = []
    for name, parameter in inspect.signature(target).parameters.items():
        if parameter.kind is not parameter.POSITIONAL_ONLY or name not in named:
            break
        positional.append(named.pop(name))
    return positional, named


def call_of(cls: type) -> Any:
    """The function that the call of an instance ends in: the one with the parameters."""
    entry: Any = inspect.unwrap(inspect.getattr_static(cls, "__call__"))
    kinds = {parameter.kind for parameter in list(inspect.signature(entry).parameters.values())[1:]}
    passes_on = kinds == {inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD}
    forward = inspect.getattr_static(cls, "forward", None)
    return inspect.unwrap(forward) if passes_on and inspect.isfunction(forward) else entry


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
