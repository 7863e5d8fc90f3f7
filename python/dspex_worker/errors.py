"""Errors of the worker, and what every exception becomes on the wire."""

from __future__ import annotations

import asyncio
import os
import re
import sys
import traceback
from collections.abc import Mapping
from types import TracebackType
from typing import Any

from dspy.utils.exceptions import AdapterParseError, DSPyError, LMError, is_retryable_lm_error

from dspex_worker import codec
from dspex_worker.host import CallCancelled, HostError
from dspex_worker.problems import MAX_ATTRIBUTE, clip
from dspex_worker.problems import InvalidInput as InvalidInput
from dspex_worker.problems import InvalidOutput as InvalidOutput
from dspex_worker.problems import NotAllowed as NotAllowed
from dspex_worker.problems import NotFound as NotFound
from dspex_worker.problems import Problem as Problem
from dspex_worker.problems import ProtocolError as ProtocolError
from dspex_worker.problems import WorkerError as WorkerError
from dspex_worker.proto import worker_pb2 as pb
from dspex_worker.secrets import HIDDEN, without_secrets
from dspex_worker.variable_errors import VariableError

MAX_MESSAGE = 16 * 1024
MAX_CAUSES = 8
MAX_FRAMES = 32

# What DSPy's errors carry, in DSPy's own words.
_DSPY_ATTRIBUTES = ("code", "model", "provider", "provider_code", "status", "request_id")


def to_error(error: BaseException) -> pb.Error:
    """An exception as the wire's structured error: class, bases, message, causes, frames, attributes."""
    return _convert(error, MAX_CAUSES)


def _convert(error: BaseException, causes: int) -> pb.Error:
    kind, attributes = _kind_and_attributes(error)
    result = pb.Error(
        kind=kind,
        message=clip(scrub(_message_of(error)), MAX_MESSAGE),
        mro=[codec.qualified_name(base) for base in type(error).__mro__[1:] if base is not object],
        frames=_frames(error.__traceback__),
        retryable=_is_retryable(error),
        retry_after=_retry_after(error),
    )
    setattr(result, "class", codec.qualified_name(type(error)))
    if attributes:
        told = without_secrets(codec.dumps(attributes).decode("utf-8"))
        result.attributes = told.encode("utf-8") if told != HIDDEN else b""
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if cause is not None and cause is not error and causes > 0:
        result.cause.CopyFrom(_convert(cause, causes - 1))
    return result


def _kind_and_attributes(error: BaseException) -> tuple[pb.Error.Kind.ValueType, dict[str, Any]]:
    if isinstance(error, WorkerError):
        return error.kind, error.attributes
    if isinstance(error, codec.CodecError):
        return pb.Error.KIND_INVALID_INPUT, {"problems": [{"field": "", "problem": scrub(str(error))}]}
    if isinstance(error, AdapterParseError):
        return pb.Error.KIND_INVALID_OUTPUT, _parse_attributes(error)
    if isinstance(error, DSPyError):
        kind = pb.Error.KIND_LM if isinstance(error, LMError) else pb.Error.KIND_PYTHON
        return kind, _dspy_attributes(error)
    if isinstance(error, (asyncio.CancelledError, CallCancelled)):
        return pb.Error.KIND_CANCELLED, {}
    if isinstance(error, HostError):
        # What the host said of its own function goes back to it.
        return pb.Error.KIND_CALLBACK, _told_attributes(error.error)
    if isinstance(error, VariableError):
        return pb.Error.KIND_PYTHON, error.attributes
    return pb.Error.KIND_PYTHON, {}


def _told_attributes(told: pb.Error) -> dict[str, Any]:
    try:
        return codec.loads_object(told.attributes, "attributes")
    except codec.CodecError:
        return {}


def _is_retryable(error: BaseException) -> bool:
    if isinstance(error, HostError):
        return error.error.retryable
    return isinstance(error, Exception) and is_retryable_lm_error(error)


def _dspy_attributes(error: DSPyError) -> dict[str, Any]:
    held = {name: getattr(error, name, None) for name in _DSPY_ATTRIBUTES}
    return {name: scrub(v) if isinstance(v, str) else v for name, v in held.items() if v is not None}


def _parse_attributes(error: AdapterParseError) -> dict[str, Any]:
    """A model's answer that no adapter could read: the answer itself, and what of it is missing or wrong."""
    parsed: Mapping[str, Any] = error.parsed_result if isinstance(error.parsed_result, Mapping) else {}
    problems: list[Problem] = [
        {"field": name, "problem": "missing in the model's answer"}
        for name in error.signature.output_fields
        if name not in parsed
    ]
    if not problems:
        # The cause says which field it was and why; DSPy puts it in the first line.
        problems = [{"field": "", "problem": clip(str(error).split("\n", 1)[0], 500)}]
    response = error.lm_response if isinstance(error.lm_response, str) else codec.safe_repr(error.lm_response)
    return {
        **_dspy_attributes(error),
        "adapter_name": error.adapter_name,
        "lm_response": clip(response, MAX_ATTRIBUTE),
        "problems": problems,
    }


def _message_of(error: BaseException) -> str:
    if isinstance(error, DSPyError) and not isinstance(error, AdapterParseError):
        return error.message or str(error)
    try:
        return str(error)
    except Exception:
        return f"<{type(error).__name__} without a readable message>"


def _retry_after(error: BaseException) -> float:
    value = getattr(error, "retry_after", None)
    return float(value) if isinstance(value, (int, float)) and value > 0 else 0.0


def _frames(tb: TracebackType | None) -> list[pb.Frame]:
    frames = []
    for frame, line in traceback.walk_tb(tb):
        code = frame.f_code
        frames.append(
            pb.Frame(
                module=str(frame.f_globals.get("__name__", "?")),
                function=getattr(code, "co_qualname", code.co_name),
                line=line or 0,
            )
        )
    return frames[-MAX_FRAMES:]


# ----------------------------------------------------------------------------------------------------
# scrubbing

_host_paths: re.Pattern[str] | None = None


def scrub(text: str) -> str:
    """Removes secrets, and where this installation lives on the machine."""
    text = without_secrets(text)
    if os.sep not in text:
        return text
    return _paths().sub("<python>", text)


def _paths() -> re.Pattern[str]:
    global _host_paths
    if _host_paths is None:
        roots = {
            sys.prefix,
            sys.base_prefix,
            sys.exec_prefix,
            os.getcwd(),
            os.path.expanduser("~"),
            *sys.path,
        }
        roots.add(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
        # Longest first, so that `site-packages` goes as a whole. Roots as short as "/" would match every
        # path.
        useful = sorted(
            (r.rstrip(os.sep) for r in roots if os.path.isabs(r) and len(r) > 4), key=len, reverse=True
        )
        _host_paths = re.compile("|".join(re.escape(r) for r in useful) or "(?!)")
    return _host_paths
