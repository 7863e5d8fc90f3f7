"""Types of parameters and results that DSPy's annotations do not tell.

What a program in another language needs of them: an example is an object of its fields, an array is a list.
`tests/engine/test_untold.py` calls the real methods and compares. An annotation that says something wins.
"""

from __future__ import annotations

import inspect
import typing
from collections.abc import Mapping
from typing import Any

import dspy

# The key under which a result stands.
RETURN = "return"

# The result is of the class that the method was called on.
SELF = "Self"

_FIELDS = "list[dict[str, Any]] | dict[str, list[Any]]"
_CRITERIA = "dict[str, Any] | list[Any] | None"
_EMBEDDINGS = "list[float] | list[list[float]]"
_METRIC = {"example": "dspy.Example", "pred": "dspy.Prediction"}

# By `Class.method`, for the class and those derived from it, or by the name of a function.
_TOLD: Mapping[str, Mapping[str, str]] = {
    "Example.__init__": {"base": "dict[str, Any] | None"},
    "Example.copy": {RETURN: SELF},
    "Example.get": {"key": "str"},
    "Example.inputs": {RETURN: SELF},
    "Example.items": {RETURN: "list[tuple[str, Any]]"},
    "Example.keys": {RETURN: "list[str]"},
    "Example.labels": {RETURN: SELF},
    "Example.toDict": {RETURN: "dict[str, Any]"},
    "Example.values": {RETURN: "list[Any]"},
    "Prediction.completions": {RETURN: "dspy.Completions | None"},
    "Prediction.from_completions": {"list_or_dict": _FIELDS, RETURN: SELF},
    "Prediction.get_lm_usage": {RETURN: "dict[str, Any] | None"},
    "Prediction.set_lm_usage": {"value": "dict[str, Any] | None", RETURN: "None"},
    "Completions.__init__": {"list_or_dict": _FIELDS},
    "Completions.items": {RETURN: "list[tuple[str, list[Any]]]"},
    "BaseModule.deepcopy": {RETURN: SELF},
    "BaseModule.dump_state": {RETURN: "dict[str, Any]"},
    "BaseModule.named_parameters": {RETURN: "list[tuple[str, Any]]"},
    "BaseModule.named_sub_modules": {RETURN: "list[tuple[str, Any]]"},
    "BaseModule.parameters": {RETURN: "list[Any]"},
    "BaseModule.reset_copy": {RETURN: SELF},
    "Module.acall": {RETURN: "dspy.Prediction"},
    "Module.aforward": {RETURN: "dspy.Prediction"},
    "Module.forward": {RETURN: "dspy.Prediction"},
    "Module.get_lm": {RETURN: "dspy.BaseLM | None"},
    "Module.named_predictors": {RETURN: "list[tuple[str, dspy.Predict]]"},
    "Module.predictors": {RETURN: "list[dspy.Predict]"},
    "Predict.get_config": {RETURN: "dict[str, Any]"},
    "Predict.get_criteria": {"field": "str", RETURN: _CRITERIA},
    "Predict.reset": {RETURN: "None"},
    "Predict.set_criteria": {"field": "str", "criteria": _CRITERIA, RETURN: "None"},
    "Predict.update_config": {RETURN: "None"},
    "MultiChainComparison.forward": {"completions": "list[dict[str, Any]]"},
    "ReAct.truncate_trajectory": {"trajectory": "dict[str, Any]", RETURN: "dict[str, Any]"},
    "SemanticF1.forward": _METRIC,
    "CompleteAndGrounded.forward": _METRIC,
    "Retrieve.dump_state": {RETURN: "dict[str, Any]"},
    "Retrieve.reset": {RETURN: "None"},
    "Embedder.__call__": {RETURN: _EMBEDDINGS},
    "Embedder.acall": {
        "inputs": "str | list[str]",
        "batch_size": "int | None",
        "caching": "bool | None",
        RETURN: _EMBEDDINGS,
    },
    "Embeddings.__call__": {RETURN: "dspy.Prediction"},
    "Embeddings.forward": {RETURN: "dspy.Prediction"},
    "Type.format": {RETURN: "list[dict[str, Any]] | str"},
    "Code.format": {RETURN: "str"},
    "Reasoning.format": {RETURN: "str"},
    "Tool.format": {RETURN: "str"},
    "Tool.format_as_litellm_function_call": {RETURN: "dict[str, Any]"},
    "Type.description": {RETURN: "str"},
    "ToolCalls.__init__": {"tool_call_results": "dspy.ToolCallResults | None"},
    "_Decision.criteria": {RETURN: _CRITERIA},
    # Not PIL's images, which have no form on the wire.
    "Image.__init__": {"source": "str | bytes | dict[str, Any] | None"},
    "Teleprompter.compile": {"eval_kwargs": "dict[str, Any] | None", RETURN: "dspy.Module"},
    "GEPA.__init__": {"component_selector": "str"},
    "GEPA.auto_budget": {"num_preds": "int", "num_candidates": "int"},
    "InferRules.evaluate_program": {RETURN: "float"},
    "InferRules.format_examples": {"demos": "list[dict[str, Any]]", RETURN: "str"},
    "ChatAdapter.format_assistant_message_content": {"missing_field_message": "str | None"},
    "EM": {"prediction": "str", "answers_list": "list[str]", RETURN: "bool"},
    "answer_exact_match": {**_METRIC, RETURN: "bool"},
    "answer_passage_match": {**_METRIC, RETURN: "bool"},
    "majority": {
        "prediction_or_completions": "list[dict[str, Any]]",
        "field": "str | None",
        RETURN: "dspy.Prediction",
    },
    "normalize_text": {"s": "str", RETURN: "str"},
}


def of_method(cls: type, name: str) -> Mapping[str, str]:
    """What is known of a method: the texts of types, by parameter. Nothing of a method of the user's."""
    owner = next((base for base in cls.__mro__ if name in vars(base)), cls)
    # The constructors of DSPy's types are pydantic's.
    if not _is_dspys(cls if name == "__init__" and not inspect.isfunction(vars(cls).get(name)) else owner):
        return {}
    known: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        known.update(_TOLD.get(f"{base.__name__}.{name}", {}))
    return known


def of_function(function: Any) -> Mapping[str, str]:
    """The same of a function."""
    return _TOLD.get(function.__name__, {}) if _is_dspys(function) else {}


def hints_of(target: Any) -> dict[str, Any]:
    """What is known of the parameters of a function, bound method, class or instance, as annotations."""
    bound = getattr(target, "__self__", None)
    named = getattr(target, "__name__", None)
    if isinstance(target, type):
        texts = of_method(target, "__init__")
    elif bound is not None and named is not None:
        texts = of_method(bound if isinstance(bound, type) else type(bound), named)
    elif named is not None:
        texts = of_function(target)
    else:
        texts = of_method(type(target), "__call__")
    held = {name: text for name, text in texts.items() if name != RETURN}
    holder = type("Holder", (), {"__annotations__": held})
    return typing.get_type_hints(holder, {**vars(typing), "dspy": dspy}) if held else {}


def _is_dspys(value: Any) -> bool:
    return str(getattr(value, "__module__", "")).split(".")[0] == "dspy"
