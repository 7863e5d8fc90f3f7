"""Which field names DSPy cannot carry: every suspicious name is tried against DSPy itself."""

from __future__ import annotations

import asyncio
import inspect
import warnings
from collections.abc import Callable
from typing import Any

import dspy
import pytest
from dspy.utils.dummies import DummyLM

from dspex_worker import reserved, roles

# Half of the names that are tried shadow something.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


def lookup(query: str) -> str:
    """Looks something up."""
    return "nothing"


MODULES: dict[str, tuple[Callable[[Any], Any], dict[str, Any]]] = {
    "dspy.Predict": (dspy.Predict, {}),
    "dspy.ChainOfThought": (dspy.ChainOfThought, {"reasoning": "because"}),
    "dspy.ReAct": (
        lambda signature: dspy.ReAct(signature, [lookup]),
        {"next_thought": "t", "next_tool_name": "finish", "next_tool_args": "{}", "reasoning": "because"},
    ),
}


def suspicious() -> list[str]:
    """Attributes of everything that holds fields, parameters of everything that passes them on."""
    names = (
        set(dir(dspy.Signature))
        | set(dir(type(dspy.Signature)))
        | set(dir(dspy.Predict))
        | set(dir(dspy.Prediction()))
    )
    for function in (
        dspy.Predict._forward_preprocess,
        dspy.Predict._forward_postprocess,
        dspy.Predict.__init__,
        dspy.Module.__call__,
        dspy.ChatAdapter.__call__,
        dspy.ReAct._call_with_potential_trajectory_truncation,
        dspy.LM.__init__,
    ):
        names |= set(inspect.signature(function).parameters)
    names |= {
        "instance",
        "fn",
        "call_id",
        "inputs",
        "outputs",
        "trajectory",
        "reasoning",
        "max_iters",
        "tools",
        "hint_",
    }
    names |= {
        "next_thought",
        "next_tool_name",
        "next_tool_args",
        "history",
        "prediction",
        "new_signature",
        "exception",
    }
    return sorted(n for n in names if reserved.name_problem(n) is None)


def carries(make: Callable[[Any], Any], answers: dict[str, Any], input_name: str, output_name: str) -> bool:
    """Whether a module takes an input and returns an output under these names, called either way."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            fields = {input_name: (str, dspy.InputField()), output_name: (str, dspy.OutputField())}
            signature = dspy.signatures.make_signature(fields, "Do it.", custom_types={})
        if list(signature.input_fields) != [input_name] or list(signature.output_fields) != [output_name]:
            return False
        lm = DummyLM([{**answers, output_name: "the output"}] * 8)
        module = make(signature)
        with dspy.context(lm=lm, disable_history=False):
            results = [
                module(**{input_name: "the input"}),
                asyncio.run(module.acall(**{input_name: "the input"})),
            ]
        shown = all("the input" in str(entry["messages"]) for entry in lm.history)
        return shown and all(r._store.get(output_name) == "the output" for r in results)
    except Exception:
        return False


@pytest.mark.parametrize("path", MODULES)
def test_exactly_the_reserved_names_break(path: str) -> None:
    make, answers = MODULES[path]
    facts = roles.facts_of(path)
    own_answers = set(answers)
    inputs = {n for n in suspicious() if not carries(make, answers, n, "plain")}
    outputs = {n for n in suspicious() if n not in own_answers and not carries(make, answers, "plain", n)}

    # `prediction` breaks for values that look like OpenAI's predicted outputs alone; own answers are set by
    # hand.
    assert inputs - (reserved.INPUTS | facts.reserved_inputs) == set()
    assert outputs - (reserved.OUTPUTS | facts.reserved_outputs) == set()
    assert (reserved.INPUTS - {"prediction"}) - inputs == set()
    assert reserved.OUTPUTS - outputs == set()
    assert facts.reserved_inputs - inputs <= {"next_thought", "next_tool_args", "next_tool_name"}


def test_what_dspy_itself_declares_reserved_is_in_the_table() -> None:
    from dspy.predict import react_v2, rlm

    v2, recursive = roles.facts_of("dspy.ReActV2"), roles.facts_of("dspy.RLM")
    assert v2.reserved_inputs >= react_v2._RESERVED_INPUT_KEYS
    assert v2.reserved_outputs >= react_v2._RESERVED_PREDICTION_KEYS
    assert recursive.reserved_inputs >= rlm.RLM._RESERVED_SANDBOX_NAMES
    assert recursive.reserved_outputs >= rlm.RLM._RESERVED_RESULT_NAMES


def test_an_input_named_prediction_is_lost_when_it_looks_like_openais() -> None:
    fields = {"prediction": (dict, dspy.InputField()), "answer": (str, dspy.OutputField())}
    predict = dspy.Predict(dspy.signatures.make_signature(fields, "Do it.", custom_types={}))
    lm = DummyLM([{"answer": "x"}])
    with dspy.context(lm=lm, disable_history=False):
        predict(prediction={"type": "content", "content": "the input"})
    assert "the input" not in str(lm.history[-1]["messages"])


def test_outputs_may_be_named_like_methods_of_a_prediction() -> None:
    for name in (
        "items",
        "keys",
        "values",
        "copy",
        "get",
        "inputs",
        "labels",
        "toDict",
        "without",
        "completions",
    ):
        assert carries(dspy.Predict, {}, "plain", name)
