"""What DSPy's own annotations do not tell about its parameters and classes.

Measured with DSPy 3.4.1. The tests of instances and of reserved names compare the tables with the real
package, so that a new version of DSPy cannot make them wrong unnoticed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import dspy

# What a parameter is for, by its name; names not listed here are plain values.
ROLES: Mapping[str, str] = {
    "signature": "signature",
    "tools": "tools",
    "metric": "callback",
    "reward_fn": "callback",
    "reduce_fn": "callback",
    "normalize": "callback",
    "instruction_proposer": "callback",
    "code_proposer": "callback",
    "module": "handle:module",
    "student": "handle:module",
    "teacher": "handle:module",
    "program": "handle:module",
    "programs": "handle:module",
    "exec_pairs": "pairs",
    "trainset": "examples",
    "valset": "examples",
    "devset": "examples",
    "lm": "handle:lm",
    "prompt_model": "handle:lm",
    "task_model": "handle:lm",
    "reflection_lm": "handle:lm",
    "sub_lm": "handle:lm",
    "extraction_model": "handle:lm",
    "vectorizer": "handle:embedder",
    "embedder": "handle:embedder",
    "adapter": "handle:adapter",
    "interpreter_factory": "factory",
    "callbacks": "host_only",
    "provider": "host_only",
    "engine": "host_only",
    "async_engine": "host_only",
    "trace": "host_only",
    "teacher_settings": "host_only",
    "rationale_field": "host_only",
    "rationale_field_type": "host_only",
    "prompt_cache": "host_only",
    "type_": "host_only",
    "predict": "handle:module",
    "dataset": "examples",
    "interpreter": "host_only",
    # Of `dspy.Image`: the worker would fetch an address that a caller names.
    "download": "host_only",
    "verify": "host_only",
}

# Types of parameters that DSPy leaves without an annotation.
PARAMETER_TYPES: Mapping[str, Any] = {
    "max_errors": int | None,
    "num_threads": int | None,
    "log_dir": str | None,
    "metric_threshold": float | None,
    "max_demos": int,
    "size": int | None,
    "restrict": list[int] | None,
    "stop_at_score": float | None,
    "model": str,
    "temperature": float | None,
    "max_tokens": int | None,
}

# Roles whose values a spec can hold, because they are data.
DATA_ROLES = frozenset({"value", "signature", "tools", "handle:module", "examples", "pairs"})

# Roles whose values can be functions of the host.
HOST_ROLES = frozenset({"callback", "handle:embedder"})


def role_of(parameter: str) -> str:
    return ROLES.get(parameter, "value")


@dataclass(frozen=True)
class Argument:
    """A keyword argument of a module's call, beside the input fields of its signature."""

    name: str
    annotation: Any
    required: bool = False
    doc: str = ""


@dataclass(frozen=True)
class Output:
    """What a prediction carries beside the output fields of the signature."""

    name: str
    annotation: Any
    doc: str = ""


@dataclass(frozen=True)
class ModuleFacts:
    """What is known of one class of modules."""

    # Whether the call takes the input fields of a signature, and returns its output fields.
    from_signature: bool = True
    call_extra: tuple[Argument, ...] = ()
    extra_outputs: tuple[Output, ...] = ()
    # Beside the names in `reserved`.
    reserved_inputs: frozenset[str] = frozenset()
    reserved_outputs: frozenset[str] = frozenset()
    reserved_tools: frozenset[str] = frozenset()
    # The argument that is the module which it calls several times, with its inputs and for its outputs.
    attempts: str = ""
    # Calls change the instance, so each call gets a copy of its own.
    exclusive: bool = False
    flags: tuple[str, ...] = ()
    # Programs or extras that must be installed.
    requires: tuple[str, ...] = ()


_MAX_ITERS = Argument("max_iters", int, doc="The maximum number of iterations of this call.")
_CONFIG = Argument(
    "config", dict[str, Any], doc="Keyword arguments for the language model, for this call alone."
)
_SCORE = Output("score", float, "How good the prediction is, from 0 to 1.")
_PASSAGES = Output("passages", list[str], "The nearest passages, the nearest first.")
_INDICES = Output("indices", list[int], "Where the passages stand in the corpus.")
_REASONING = Output("reasoning", str, "The model's reasoning, which it wrote before the other outputs.")

FACTS: Mapping[str, ModuleFacts] = {
    "dspy.Predict": ModuleFacts(call_extra=(_CONFIG,)),
    "dspy.ChainOfThought": ModuleFacts(
        call_extra=(_CONFIG,),
        extra_outputs=(_REASONING,),
        reserved_inputs=frozenset({"reasoning"}),
        reserved_outputs=frozenset({"reasoning"}),
    ),
    "dspy.ReAct": ModuleFacts(
        call_extra=(_MAX_ITERS,),
        extra_outputs=(
            Output("trajectory", dict[str, Any], "Thoughts, tool calls and observations, numbered from 0."),
            _REASONING,
        ),
        reserved_inputs=frozenset(
            {
                "max_iters",
                "module",
                "next_thought",
                "next_tool_args",
                "next_tool_name",
                "reasoning",
                "trajectory",
            }
        ),
        reserved_outputs=frozenset({"reasoning", "self", "trajectory"}),
        reserved_tools=frozenset({"finish"}),
    ),
    "dspy.ReActV2": ModuleFacts(
        call_extra=(
            Argument("history", dspy.History, doc="The conversation so far."),
            _MAX_ITERS,
        ),
        extra_outputs=(
            Output("history", dspy.History, "The whole conversation, with tool calls and their results."),
            Output("termination_reason", str, 'Why the run ended: "submit" or "forced_submit".'),
        ),
        reserved_inputs=frozenset({"history", "max_iters", "tools"}),
        reserved_outputs=frozenset({"history", "self", "termination_reason"}),
        reserved_tools=frozenset({"submit"}),
        flags=("experimental",),
    ),
    "dspy.RLM": ModuleFacts(
        extra_outputs=(
            Output("trajectory", list[dict[str, Any]], "The steps: reasoning, code and output of each."),
            Output("final_reasoning", str, "The reasoning of the last step."),
        ),
        reserved_inputs=frozenset(
            {"SUBMIT", "interpreter_factory", "llm_query", "llm_query_batched", "print"}
        ),
        reserved_outputs=frozenset({"final_reasoning", "self", "trajectory"}),
        flags=("experimental",),
        requires=("deno",),
    ),
    "dspy.Flex": ModuleFacts(flags=("experimental",), requires=("deno",)),
    "dspy.BestOfN": ModuleFacts(from_signature=False, attempts="module", exclusive=True),
    "dspy.Refine": ModuleFacts(from_signature=False, attempts="module", exclusive=True),
    "dspy.MultiChainComparison": ModuleFacts(
        call_extra=(
            Argument(
                "completions", list[dict[str, Any]], required=True, doc="The attempts to compare, M of them."
            ),
        ),
        extra_outputs=(Output("rationale", str, "The corrected reasoning."),),
        reserved_inputs=frozenset({"rationale"}),
        reserved_outputs=frozenset({"rationale"}),
    ),
    "dspy.ProgramOfThought": ModuleFacts(flags=("deprecated",), requires=("deno",)),
    "dspy.CodeAct": ModuleFacts(flags=("deprecated",), requires=("deno",)),
}

# What the calls of other classes answer, beside modules that take the inputs of a signature.
OUTPUTS: Mapping[str, tuple[Output, ...]] = {
    "dspy.Evaluate": (
        Output("score", float, "The average of the metric, as a percentage."),
        Output(
            "results",
            list[tuple[dspy.Example, dspy.Prediction, Any]],
            "The example, the prediction and the metric's score, for each example.",
        ),
    ),
    "dspy.Embeddings": (_PASSAGES, _INDICES),
    "dspy.EmbeddingsWithScores": (
        _PASSAGES,
        _INDICES,
        Output("scores", list[float], "How near each passage is to the query."),
    ),
    "dspy.evaluate.CompleteAndGrounded": (_SCORE,),
    "dspy.evaluate.SemanticF1": (_SCORE,),
}

_NO_FACTS = ModuleFacts(from_signature=False)


def facts_of(path: str) -> ModuleFacts:
    return FACTS.get(path, _NO_FACTS)
