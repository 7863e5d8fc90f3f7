"""Operations on variables as callbacks: `worker.proto` describes them at `Callback`."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Mapping
from typing import Any, NoReturn

import numpy as np

from dspex_worker import codec, variable_errors
from dspex_worker.host import HostError
from dspex_worker.lm import Call
from dspex_worker.proto import worker_pb2 as pb
from dspex_worker.variable_errors import InvalidValue, NoSession, VariableError, WouldBlock

# The only part of a document that travels beside it.
_ATTACHMENT = "value"

# Lists of so many numbers travel as arrays, which is faster and means the same.
_LONG_LIST = 64

_ERRORS: Mapping[str, type[VariableError]] = {
    "not_found": variable_errors.VariableNotFound,
    "exists": variable_errors.VariableExists,
    "conflict": variable_errors.VersionConflict,
    "invalid": variable_errors.InvalidValue,
    "spec": variable_errors.InvalidSpec,
    "quota": variable_errors.QuotaExceeded,
    "closed": variable_errors.SessionClosed,
    "unavailable": variable_errors.VariablesUnavailable,
}


class Reply:
    """What the host answered."""

    def __init__(self, payload: pb.Payload) -> None:
        self._payload = payload
        self.document: dict[str, Any] = codec.loads_object(payload.json, "the answer about a variable")

    def value(self) -> Any:
        """The value in it: JSON's, or an array over the bytes that came, which cannot be written into."""
        name = self.document.get("attachment")
        if name is None:
            return self.document["value"]
        for attachment in self._payload.attachments:
            if attachment.name == name:
                dtype = np.dtype(attachment.dtype).newbyteorder("<")
                return np.ndarray(tuple(attachment.shape), dtype, buffer=attachment.data)
        raise VariableError(f"the host's answer names the attachment {name!r} and does not have it")


class Exchange:
    """Asks the host about variables, within one call."""

    def __init__(self, call: Call) -> None:
        self._call = call

    def ask(self, twin: str, name: str, request: dict[str, Any], value: tuple[Any, ...] = ()) -> Reply:
        """Asks and waits, on a thread that may. `twin` is the form to await; `value`: at most one."""
        self._check()
        call = self._call
        if threading.get_ident() == call.loop_thread:
            raise WouldBlock(
                "this code runs on the worker's event loop, which it must not block: "
                f"use `await variables.{twin}(..)`, or give the module no `aforward`"
            )
        try:
            return Reply(
                call.host.exchange_blocking(pb.Callback.KIND_VARIABLE, name, _payload(request, value))
            )
        except HostError as error:
            _raise_for(error)

    async def aask(self, name: str, request: dict[str, Any], value: tuple[Any, ...] = ()) -> Reply:
        """The same for code on an event loop."""
        self._check()
        try:
            payload = _payload(request, value)
            return Reply(await self._call.host.exchange(pb.Callback.KIND_VARIABLE, name, payload))
        except HostError as error:
            _raise_for(error)

    def _check(self) -> None:
        if self._call.ended:
            raise NoSession(
                "the call that this session was asked for in has ended; ask for `dspex_worker.session()` in "
                "each call"
            )


def _payload(request: dict[str, Any], value: tuple[Any, ...]) -> pb.Payload:
    if not value:
        return pb.Payload(json=codec.dumps(request))
    (given,) = value
    array = given if isinstance(given, np.ndarray) else _numbers(given)
    if array is None:
        return pb.Payload(json=codec.dumps({**request, "value": given}))
    document = {**request, "attachment": _ATTACHMENT}
    if array is not given:
        document["list"] = True
    return pb.Payload(json=codec.dumps(document), attachments=[_attachment(array)])


def _numbers(value: Any) -> np.ndarray[Any, Any] | None:
    """A long list of numbers, or of such lists, as an array with exactly the same numbers; else None."""
    if type(value) is not list:
        return None
    shape: list[int] = [len(value)]
    level: list[Any] = value
    kinds = {type(item) for item in level}
    while kinds == {list}:
        sizes = {len(item) for item in level}
        if len(sizes) > 1:
            return None
        shape += sizes
        level = list(itertools.chain.from_iterable(level))
        kinds = {type(item) for item in level}
    # `True` is no number, and of integers and floats together the array would have floats alone.
    if len(level) < _LONG_LIST or kinds not in ({int}, {float}):
        return None
    try:
        return np.array(level, np.int64 if kinds == {int} else np.float64).reshape(shape)
    except OverflowError:
        return None


def _attachment(array: np.ndarray[Any, Any]) -> pb.Attachment:
    """An array as its bytes. The host knows which types of numbers variables have."""
    if array.dtype.kind not in "iufb":
        raise InvalidValue(
            f"an array of {array.dtype} has no form that variables have: its numbers can be float32, "
            "float64, int32 or int64"
        )
    little = array.astype(array.dtype.newbyteorder("<"), copy=False)
    return pb.Attachment(
        name=_ATTACHMENT, dtype=array.dtype.name, shape=array.shape, data=little.tobytes(order="C")
    )


def _raise_for(error: HostError) -> NoReturn:
    """Raises what the host's error means."""
    told = error.error
    attributes = codec.loads_object(told.attributes, "attributes") if told.attributes else {}
    if told.kind == pb.Error.KIND_TOO_LARGE:
        raise variable_errors.ValueTooLarge(told.message, **attributes) from None
    make = _ERRORS.get(str(attributes.get("code")), VariableError)
    raise make(told.message, **attributes) from None
