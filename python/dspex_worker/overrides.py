"""What a spec gives predictors in place of their own: instructions, demonstrations, configuration.

Variables of a session steer instances by these. DSPy itself takes anything: a demonstration without an output
is left out of the prompt without a word, one of another type goes into it as text.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any
from weakref import WeakKeyDictionary

import dspy
import pydantic
import pydantic_core

from dspex_worker.codec import describe, nearest
from dspex_worker.problems import InvalidInput, Problem
from dspex_worker.validate import told

# Stands for all predictors. What is said of one by its name counts more.
EVERY = "*"

_KEYS = ("config", "demos", "instructions")

# DSPy's mark of a demonstration that an optimizer made, found in every state of a compiled program.
_AUGMENTED = "augmented"

# Of a predictor's configuration, what are objects of Python.
_REFUSED_CONFIG = frozenset({"api_key", "callbacks", "engine", "async_engine", "lm"})

# The predictors that instances of a class share, those that its constructor did not make: for the names of
# all predictors, which may depend on the constructor's arguments.
_shared: WeakKeyDictionary[type, dict[tuple[str, ...], frozenset[str]]] = WeakKeyDictionary()


def apply(target: Any, raw: Any, where: str, build: Callable[[], Any]) -> None:
    """Gives the predictors of a fresh instance what the spec says. `build` makes another such instance.

    Raises `InvalidInput` with all problems, and then has changed nothing.
    """
    if not isinstance(raw, Mapping):
        raise InvalidInput([_wrong(where, raw, "an object of predictors' names")], "spec")
    if not raw:
        return
    predictors = dict(target.named_predictors()) if isinstance(target, dspy.Module) else {}
    problems: list[Problem] = []
    for name, parts in raw.items():
        field = f"{where}.{name}"
        if name != EVERY and name not in predictors:
            near = nearest(name, predictors)
            problem = "there is no such predictor" + (f"; did you mean `{near}`?" if near else "")
            known = ", ".join(f"`{n}`" for n in predictors)
            problems.append({"field": field, "problem": problem, "expected": known or "a module with some"})
        elif not isinstance(parts, Mapping):
            problems.append(_wrong(field, parts, "an object"))
        else:
            problems += [
                {"field": f"{field}.{key}", "problem": f"unexpected; known are {', '.join(_KEYS)}"}
                for key in parts
                if key not in _KEYS
            ]
    changes: list[Callable[[], None]] = []
    if not problems:
        for name, predictor in predictors.items():
            for key in _KEYS:
                of = next((of for of in (name, EVERY) if key in raw.get(of, ())), None)
                if of is not None:
                    reader = _READERS[key]
                    changes.append(reader(predictor, raw[of][key], f"{where}.{of}.{key}", problems))
        if EVERY in raw and not predictors:
            problems.append(_wrong_target(where))
        problems += _shared_problems(target, predictors, raw, where, build)
    if problems:
        raise InvalidInput(_unique(problems), "spec")
    for change in changes:
        change()


def _instructions(predictor: Any, value: Any, field: str, problems: list[Problem]) -> Callable[[], None]:
    if not isinstance(value, str):
        problems.append(_wrong(field, value, "a string"))
        return _nothing

    def change() -> None:
        predictor.signature = predictor.signature.with_instructions(value)

    return change


def _config(predictor: Any, value: Any, field: str, problems: list[Problem]) -> Callable[[], None]:
    if not isinstance(value, Mapping):
        problems.append(_wrong(field, value, "an object"))
        return _nothing
    problems += [
        {"field": f"{field}.{name}", "problem": "not settable by a spec"}
        for name in sorted(_REFUSED_CONFIG & value.keys())
    ]

    def change() -> None:
        predictor.config = {**predictor.config, **value}

    return change


def _demos(predictor: Any, value: Any, field: str, problems: list[Problem]) -> Callable[[], None]:
    if not isinstance(value, list):
        problems.append(_wrong(field, value, "a list of objects"))
        return _nothing
    demos = [_demo(predictor.signature, demo, f"{field}[{i}]", problems) for i, demo in enumerate(value)]

    def change() -> None:
        predictor.demos = demos

    return change


def _demo(signature: Any, demo: Any, field: str, problems: list[Problem]) -> Any:
    if not isinstance(demo, Mapping):
        problems.append(_wrong(field, demo, "an object of fields"))
        return None
    held: dict[str, Any] = {}
    known = signature.fields
    for name, value in demo.items():
        if name in known:
            held[name] = _typed(known[name].annotation, value, f"{field}.{name}", problems)
        elif name == _AUGMENTED and isinstance(value, bool):
            held[name] = value
        else:
            near = nearest(name, known)
            hint = f"; did you mean `{near}`?" if near else ""
            names = ", ".join(f"`{n}`" for n in known)
            problem = f"the predictor's signature has no such field{hint}"
            problems.append({"field": f"{field}.{name}", "problem": problem, "expected": names})
    for side, fields in (("input", signature.input_fields), ("output", signature.output_fields)):
        if not fields.keys() & demo.keys():
            names = ", ".join(f"`{n}`" for n in fields)
            problem = f"has no {side}, so DSPy would leave it out of the prompt"
            problems.append({"field": field, "problem": problem, "expected": names})
    return dspy.Example(**held).with_inputs(*(n for n in signature.input_fields if n in held))


def _typed(annotation: Any, value: Any, field: str, problems: list[Problem]) -> Any:
    """A value as a field's annotation has it. As JSON, strictly: "5" is no integer, an object is a model."""
    try:
        adapter = pydantic.TypeAdapter(annotation)
    except Exception:
        # A class that pydantic does not know has no form in a spec to be held against.
        return value
    try:
        return adapter.validate_json(pydantic_core.to_json(value, inf_nan_mode="constants"), strict=True)
    except (pydantic.ValidationError, TypeError, ValueError) as error:
        expected = annotation.__name__ if inspect.isclass(annotation) else str(annotation)
        problems.append({"field": field, "problem": told(error, value), "expected": expected})
        return None


def _shared_problems(
    target: Any, predictors: Mapping[str, Any], raw: Mapping[str, Any], where: str, build: Callable[[], Any]
) -> list[Problem]:
    """A predictor that other instances use as well must not be changed for one of them."""
    cls = type(target)
    if not predictors or cls.__module__.partition(".")[0] == "dspy":
        return []
    known, names = _shared.setdefault(cls, {}), tuple(predictors)
    if names not in known:
        # A second instance has predictors of its own, unless they come from outside of its constructor.
        other = {id(predictor) for predictor in build().predictors()}
        known[names] = frozenset(name for name, predictor in predictors.items() if id(predictor) in other)
    problem = (
        "all instances of the class share this predictor, so it cannot be steered for one of them; make it "
        "in `__init__`"
    )
    return [
        {"field": f"{where}.{name}", "problem": problem}
        for name in sorted(known[names])
        if name in raw or EVERY in raw
    ]


def _unique(problems: list[Problem]) -> list[Problem]:
    """What is said of all predictors is wrong once."""
    kept: list[Problem] = []
    for problem in problems:
        if problem not in kept:
            kept.append(problem)
    return kept


def _wrong(field: str, value: Any, expected: str) -> Problem:
    return {"field": field, "problem": f"got {describe(value)}", "expected": expected}


def _wrong_target(where: str) -> Problem:
    return {
        "field": f"{where}.{EVERY}",
        "problem": "the instance has no predictors",
        "expected": "a module with some",
    }


def _nothing() -> None:
    """Instead of a change that cannot be."""


_READERS: Mapping[str, Callable[[Any, Any, str, list[Problem]], Callable[[], None]]] = {
    "config": _config,
    "demos": _demos,
    "instructions": _instructions,
}
