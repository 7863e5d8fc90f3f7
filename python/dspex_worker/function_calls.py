"""The arguments of functions, by position and by name."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from dspex_worker import codec
from dspex_worker.instances import Builder
from dspex_worker.problems import InvalidInput
from dspex_worker.surface import by_position, constructor
from dspex_worker.validate import inputs_of_callable


def arguments_of(json: bytes) -> tuple[list[Any], dict[str, Any]]:
    """The arguments of a function. Raises `InvalidInput`."""
    given = codec.loads_object(json, "inputs")
    args, kwargs = given.get("args", []), given.get("kwargs", {})
    unknown = sorted(given.keys() - {"args", "kwargs"})
    if unknown or not isinstance(args, list) or not isinstance(kwargs, dict):
        problem = 'a function takes {"args": [..], "kwargs": {..}}' + (
            f", not `{unknown[0]}`" if unknown else ""
        )
        raise InvalidInput([{"field": unknown[0] if unknown else "", "problem": problem}])
    return args, kwargs


def checked_arguments(builder: Builder, function: Any, json: bytes) -> tuple[list[Any], dict[str, Any]]:
    """The same as the function wants them. Raises `InvalidInput` with every problem."""
    args, kwargs = arguments_of(json)
    target = constructor(function) if inspect.isclass(function) else function
    names = list(_positional(target))
    # By their names, positional arguments get the same checks; what is left over goes as it is.
    named = dict(zip(names, args, strict=False))
    twice = sorted(named.keys() & kwargs.keys())
    if twice:
        raise InvalidInput([{"field": twice[0], "problem": "given twice, by position and by name"}])
    converted = {n: builder.argument(n, v, "inputs") for n, v in {**named, **kwargs}.items()}
    positional, by_name = by_position(target, inputs_of_callable(target).check(converted))
    return [*positional, *args[len(names) :]], by_name


def _positional(target: Callable[..., Any]) -> list[str]:
    """The names of the parameters that positional arguments go to."""
    try:
        parameters = inspect.signature(target).parameters.values()
    except (TypeError, ValueError):
        return []
    return [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
