"""Methods and calls of DSPy's classes that the host may not use, each with the reason.

They reach files or networks, or need objects of Python that have no form on the wire.
"""

from __future__ import annotations

from collections.abc import Mapping

import dspy

# The name under which the call of an instance stands among its methods.
CALL = "__call__"

_FILES = "it reads files of the machine; send the content"
_FETCHES = "the worker would fetch what a caller names; send the content"
_OBJECTS = "it takes objects of Python, which have no form on the wire"
_CLIENT = "language models belong to sessions and calls; no instance of one is built"
_PYDANTIC = "pydantic calls it; make an instance instead"
_STREAMS = "it takes chunks of LiteLLM's streams, which have no form on the wire"
_STATUS = "DSPy calls it while it streams; a provider of your own is a class of Python"
_KEYS = "it takes its keys by position; pick the fields before they are sent"

# By `method`, whatever the class, or by `Class.method`, for the class and those derived from it.
_REFUSED: Mapping[str, str] = {
    "from_path": _FILES,
    "from_file": _FILES,
    "from_saved": _FILES,
    "from_url": _FETCHES,
    "from_PIL": _OBJECTS,
    "from_array": _OBJECTS,
    "from_langchain": _OBJECTS,
    "from_mcp_tool": _OBJECTS,
    "inspect_history": "a worker keeps no history; the host sees every request of its own models",
    "load": "it reads files of the machine; send the state in the spec",
    "save": "it writes files of the machine; `dump_state` returns the state",
    "set_lm": "the language model belongs to the session",
    "map_named_predictors": "it takes a Python function",
    "batch": "send the calls one by one; they run at the same time",
    "load_state": "send the state in the spec",
    "Example.with_inputs": _KEYS,
    "Example.without": _KEYS,
    "Type.adapt_to_native_lm_feature": _OBJECTS,
    "Type.extract_custom_type_from_annotation": _OBJECTS,
    "Type.parse_stream_chunk": _STREAMS,
    "Type.serialize_model": _PYDANTIC,
    "Type.validate_input": _PYDANTIC,
    "ToolCallResults.validate_input": _PYDANTIC,
    "StreamListener.receive": _STREAMS,
    "StatusMessageProvider.tool_start_status_message": _STATUS,
    "StatusMessageProvider.tool_end_status_message": _STATUS,
    "StatusMessageProvider.module_start_status_message": _STATUS,
    "StatusMessageProvider.module_end_status_message": _STATUS,
    "StatusMessageProvider.lm_start_status_message": _STATUS,
    "StatusMessageProvider.lm_end_status_message": _STATUS,
    "SandboxSerializable.to_repl_variable": _OBJECTS,
    "BootstrapFewShotWithOptuna.objective": "it takes a trial of Optuna, which has no form on the wire",
    "BootstrapFinetune.convert_to_lm_dict": _OBJECTS,
    "BootstrapFinetune.finetune_lms": _OBJECTS,
    "InferRules.get_predictor_demos": _OBJECTS,
    "InferRules.induce_natural_language_rules": _OBJECTS,
    "InferRules.update_program_instructions": _OBJECTS,
    "Adapter.__call__": "it takes a language model, which belongs to the session; name the session's adapter",
    "Adapter.acall": "it takes a language model, which belongs to the session; name the session's adapter",
    "Retrieve.__call__": "it asks the retrieval model in DSPy's settings, and a worker has none",
    "Retrieve.forward": "it asks the retrieval model in DSPy's settings, and a worker has none",
}


def refusal_of(cls: type, name: str) -> str | None:
    """Why the host may not use a public method of the class, or its call; None if it may.

    What a class of the user defines itself is the user's to allow.
    """
    owner = next((base for base in cls.__mro__ if name in vars(base)), cls)
    if not owner.__module__.startswith("dspy."):
        return None
    if is_client(cls):
        return _CLIENT
    found = (_REFUSED.get(f"{base.__name__}.{name}") for base in cls.__mro__)
    return next((reason for reason in found if reason is not None), _REFUSED.get(name))


def is_client(cls: type) -> bool:
    """Whether instances are clients of language models."""
    return issubclass(cls, dspy.BaseLM) or cls.__module__ == "dspy.clients.typesafe"
