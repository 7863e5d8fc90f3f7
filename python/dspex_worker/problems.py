"""The errors that the worker itself raises, and what they say. Needs nothing of DSPy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypedDict

from dspex_worker.proto import worker_pb2 as pb

MAX_ATTRIBUTE = 64 * 1024


class Problem(TypedDict, total=False):
    """What is wrong with one field."""

    field: str
    problem: str
    expected: str


class WorkerError(Exception):
    """An error that the worker itself found. The message names the thing and the next step."""

    kind: pb.Error.Kind.ValueType = pb.Error.KIND_PYTHON

    def __init__(self, message: str, **attributes: Any) -> None:
        super().__init__(message)
        self.attributes: dict[str, Any] = {k: v for k, v in attributes.items() if v is not None}


class InvalidInput(WorkerError):
    """Inputs or a spec that are missing something, hold too much, or are of a wrong type."""

    kind = pb.Error.KIND_INVALID_INPUT

    def __init__(self, problems: Sequence[Problem], what: str = "inputs", **attributes: Any) -> None:
        super().__init__(_message(what, problems), problems=list(problems), **attributes)


class InvalidOutput(WorkerError):
    """Outputs that are missing or against their schema."""

    kind = pb.Error.KIND_INVALID_OUTPUT

    def __init__(self, problems: Sequence[Problem], lm_response: str | None = None) -> None:
        response = None if lm_response is None else clip(lm_response, MAX_ATTRIBUTE)
        super().__init__(_message("outputs", problems), problems=list(problems), lm_response=response)


class NotFound(WorkerError):
    """No such path, class or method."""

    kind = pb.Error.KIND_NOT_FOUND


class NotAllowed(WorkerError):
    """A path that exists, or may exist, outside the catalogue."""

    kind = pb.Error.KIND_NOT_ALLOWED


class ProtocolError(WorkerError):
    """The host sent something that no host may send."""

    kind = pb.Error.KIND_PROTOCOL


def _message(what: str, problems: Sequence[Problem]) -> str:
    told = "; ".join(
        f"`{p['field']}`: {p['problem']}" + (f" (expected {p['expected']})" if p.get("expected") else "")
        for p in problems
    )
    return f"{what}: {told}"


def clip(text: str, limit: int) -> str:
    # A protobuf string has to be valid Unicode.
    text = text.encode("utf-8", "backslashreplace").decode("utf-8")
    return text if len(text) <= limit else text[: limit - 1] + "…"
