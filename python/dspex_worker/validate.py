"""Inputs before DSPy sees them, outputs before the host does.

DSPy validates neither: a missing or misspelt input is a log line, a wrong type goes into the prompt as text,
and constraints at the top level of an output are not looked at.
"""

from __future__ import annotations

import difflib
import functools
import inspect
import re
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import dspy
import pydantic
from pydantic_core import SchemaValidator

from dspex_worker import untold
from dspex_worker.codec import describe
from dspex_worker.json_types import takes_tools
from dspex_worker.problems import InvalidInput, InvalidOutput, Problem
from dspex_worker.roles import role_of
from dspex_worker.signature import Field, Signature

# What pydantic puts into the place of an error to tell the branches of a union apart.
_BRANCH = re.compile(r"\[|^typed-dict$|^constrained-|^function-")

# What a validation error tells about one value; more is noise.
MAX_DETAILS = 3


@dataclass(frozen=True, slots=True)
class Parameter:
    """A keyword argument that a call takes."""

    name: str
    # None: anything goes.
    check: Callable[[Any], Any] | None
    expected: str
    required: bool
    # What stands in where it is missing, if it is not required. None: it is left out.
    default: Callable[[], Any] | None = None
    # Whether it is a `dspy.Tool`, or several.
    tools: bool = False


class Inputs:
    """Checks and coerces the keyword arguments of one callable."""

    __slots__ = ("_open", "_parameters", "_required", "tools")

    def __init__(self, parameters: Mapping[str, Parameter], *, open_ended: bool) -> None:
        self._parameters = parameters
        self._open = open_ended
        # Those that are tools, which stand as declarations in what the host sends.
        self.tools = frozenset(p.name for p in parameters.values() if p.tools)
        self._required = tuple(p for p in parameters.values() if p.required or p.default is not None)

    def check(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments as the callable wants them. Raises `InvalidInput` with every problem there is."""
        if self._open and not self._parameters:
            return dict(given)
        checked: dict[str, Any] = {}
        problems: list[Problem] = []
        for name, value in given.items():
            parameter = self._parameters.get(name)
            if parameter is None:
                if self._open:
                    checked[name] = value
                else:
                    problems.append(self._unexpected(name))
                continue
            try:
                checked[name] = value if parameter.check is None else parameter.check(value)
            except (pydantic.ValidationError, TypeError, ValueError) as error:
                problems.append(
                    {"field": name, "problem": told(error, value), "expected": parameter.expected}
                )
        for parameter in self._required:
            if parameter.name in given:
                continue
            if parameter.required:
                problems.append(
                    {"field": parameter.name, "problem": "missing", "expected": parameter.expected}
                )
            elif parameter.default is not None:
                checked[parameter.name] = parameter.default()
        if problems:
            raise InvalidInput(problems)
        return checked

    def never_null(self) -> frozenset[str]:
        """The optional arguments that cannot be null."""
        return frozenset(
            name for name, p in self._parameters.items() if not p.required and not _takes(p, None)
        )

    def _unexpected(self, name: str) -> Problem:
        near = difflib.get_close_matches(name, list(self._parameters), 1)
        hint = f"did you mean `{near[0]}`? " if near else ""
        known = ", ".join(f"`{n}`" for n in self._parameters) or "none"
        return {"field": name, "problem": f"unexpected; {hint}known are {known}"}


def _takes(parameter: Parameter, value: Any) -> bool:
    try:
        if parameter.check is not None:
            parameter.check(value)
    except (pydantic.ValidationError, TypeError, ValueError):
        return False
    return True


def inputs_of_signature(signature: Signature, extra: Mapping[str, Parameter]) -> Inputs:
    """The inputs of a module that is called with the input fields of a signature, and with `extra` ones."""
    parameters = {field.name: _input(field) for field in signature.inputs}
    return Inputs({**extra, **parameters}, open_ended=False)


def _input(field: Field) -> Parameter:
    default: Callable[[], Any] | None = None
    if field.has_default:
        held = field.default
        default = lambda: field.type.accept(held)  # noqa: E731
    elif field.type.nullable:
        default = _none
    tools = takes_tools(field.type.annotation)
    return Parameter(field.name, field.type.accept, field.type.expected, default is None, default, tools)


def _none() -> None:
    return None


def inputs_of_callable(target: Callable[..., Any], *, roles: bool = True) -> Inputs:
    """The inputs of any other callable: by its parameters, coerced where pydantic knows the annotation.

    Without `roles`, the names of parameters mean nothing.
    """
    try:
        signature = inspect.signature(target)
    except (TypeError, ValueError):
        return Inputs({}, open_ended=True)
    hints = type_hints(target)
    parameters: dict[str, Parameter] = {}
    open_ended = False
    for name, parameter in signature.parameters.items():
        if parameter.kind is parameter.VAR_KEYWORD:
            open_ended = True
        elif parameter.kind is not parameter.VAR_POSITIONAL:
            required = parameter.default is parameter.empty
            # Signatures, modules and the like were built from their specs, and are no data any more.
            data = not roles or role_of(name) == "value"
            annotation = hints.get(name, Any) if data else Any
            check, expected = checker(annotation)
            parameters[name] = Parameter(
                name, check, expected, required, tools=roles and takes_tools(annotation)
            )
    return Inputs(parameters, open_ended=open_ended)


def type_hints(target: Any) -> dict[str, Any]:
    """The annotations of a callable, as far as they can be resolved.

    One by one: a name that only type checkers import must not hide the types of the other parameters.
    """
    named = vars(target).get("__init__", target) if isinstance(target, type) else target
    function = inspect.unwrap(getattr(named, "__func__", named))
    namespace = getattr(function, "__globals__", {})
    hints: dict[str, Any] = {}
    for name, annotation in getattr(function, "__annotations__", {}).items():
        holder = type("Holder", (), {"__annotations__": {name: annotation}})
        try:
            hints[name] = typing.get_type_hints(holder, namespace, include_extras=True)[name]
        except Exception:
            # Nothing is known, so nothing is checked.
            continue
    for name, annotation in untold.hints_of(target).items():
        if hints.get(name, Any) is Any:
            hints[name] = annotation
    return hints


def checker(annotation: Any) -> tuple[Callable[[Any], Any] | None, str]:
    """A function that coerces to an annotation, or None where there is nothing to check."""
    expected = annotation.__name__ if isinstance(annotation, type) else str(annotation).replace("typing.", "")
    if annotation is Any:
        return None, expected
    if isinstance(annotation, type) and issubclass(annotation, dspy.Example):
        return functools.partial(example_of, cls=annotation), "an object of the fields"
    try:
        validator = pydantic.TypeAdapter(annotation).validator
    except Exception:
        # Classes that pydantic does not know: what arrives is for the callable to judge.
        return None, expected
    return (validator.validate_python if isinstance(validator, SchemaValidator) else None), expected


def example_of(value: Any, cls: type[dspy.Example] = dspy.Example) -> dspy.Example:
    """An example of an object of its fields, or of `{"fields": {..}, "inputs": [names]}`.

    Raises `TypeError` for anything else.
    """
    if isinstance(value, dspy.Example):
        return value
    if not isinstance(value, dict):
        raise TypeError("it has to be an object")
    if value.keys() == {"fields", "inputs"} and isinstance(value["fields"], dict):
        return cls(**value["fields"]).with_inputs(*value["inputs"])
    return cls(**value)


class Outputs:
    """Checks the outputs of a module against the fields of its signature."""

    __slots__ = ("_fields",)

    def __init__(self, signature: Signature) -> None:
        self._fields = signature.outputs

    def check(self, held: Mapping[str, Any], response: Callable[[], str | None]) -> dict[str, Any]:
        """All that the prediction holds, the signature's fields checked. Raises `InvalidOutput`."""
        checked = dict(held)
        problems: list[Problem] = []
        for field in self._fields:
            if field.name not in held:
                problems.append({"field": field.name, "problem": "missing", "expected": field.type.expected})
                continue
            value = held[field.name]
            try:
                checked[field.name] = field.type.accept_parsed(value)
            except (pydantic.ValidationError, TypeError, ValueError) as error:
                problems.append(
                    {"field": field.name, "problem": told(error, value), "expected": field.type.expected}
                )
        if problems:
            raise InvalidOutput(problems, lm_response=response())
        return checked


def told(error: Exception, value: Any) -> str:
    """What is wrong, in one line, without the value itself, which may be large or private."""
    if not isinstance(error, pydantic.ValidationError):
        return f"{error}; got {describe(value)}"
    details = error.errors(include_url=False, include_context=False, include_input=False)
    lines = []
    for detail in details[:MAX_DETAILS]:
        at = ".".join(str(part) for part in detail["loc"] if not _BRANCH.search(str(part)))
        lines.append(f"at {at}: {detail['msg']}" if at else detail["msg"])
    if len(details) > MAX_DETAILS:
        lines.append(f"and {len(details) - MAX_DETAILS} more")
    return f"{'; '.join(lines)}; got {describe(value)}"
