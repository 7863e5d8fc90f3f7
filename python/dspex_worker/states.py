"""States of modules: what `dump_state` returned, given to an instance of the same class."""

from __future__ import annotations

from typing import Any

import dspy

from dspex_worker.problems import InvalidInput, Problem


def load_state(target: Any, state: Any, where: str) -> None:
    """Loads what `dump_state` returned, if it fits: DSPy itself loads a stranger's state without a word."""
    field = f"{where}.state"
    if not isinstance(target, dspy.Module) or not isinstance(state, dict):
        problem = (
            "only modules of DSPy have a state: the JSON object that is what `dump_state` returns, no pickle"
        )
        raise InvalidInput([{"field": field, "problem": problem}], "spec")
    own = target.dump_state()
    single = isinstance(target, dspy.Predict)
    told = {"": state} if single else {k: v for k, v in state.items() if k != "metadata"}
    held = {"": own} if single else own
    problems: list[Problem] = []
    if told.keys() != held.keys():
        expected = ", ".join(sorted(held)) or "none"
        problems.append(
            {"field": field, "problem": f"is of other predictors: {', '.join(told)}", "expected": expected}
        )
    for name in told.keys() & held.keys():
        found = _state_problem(told[name], held[name])
        if found is not None:
            problems.append({"field": f"{field}.{name}".rstrip("."), "problem": found})
    if problems:
        raise InvalidInput(problems, "spec")
    # The session's language model would be overridden by one of the state.
    clean = {name: {**part, "lm": None} for name, part in told.items()}
    target.load_state(clean[""] if single else clean)


def _state_problem(part: Any, own: Any) -> str | None:
    if not isinstance(part, dict) or not isinstance(part.get("signature"), dict):
        return "not the state of a predictor"
    told, held = part["signature"].get("fields"), own["signature"]["fields"]
    if not isinstance(told, list) or len(told) != len(held):
        count = len(told) if isinstance(told, list) else 0
        return f"is of a signature with {count} fields, this one has {len(held)}"
    # The prefixes are made of the fields' names. Only the last one may differ: that is the one that COPRO
    # rewrites.
    prefixes = [f.get("prefix") for f in told if isinstance(f, dict)]
    if prefixes[:-1] != [f["prefix"] for f in held[:-1]]:
        return f"is of a signature with the fields {prefixes}"
    return None
