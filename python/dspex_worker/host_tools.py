"""Tools of the host: functions of the host's program, as tools of DSPy."""

from __future__ import annotations

import logging
import threading
from typing import Any

from dspex_worker import codec
from dspex_worker.host import HostError
from dspex_worker.lm import Call, running_call
from dspex_worker.proto import worker_pb2 as pb
from dspex_worker.tools import Function, WorkerTool, failure, signature_of

log = logging.getLogger(__name__)

# What stands in a document for a value that no JSON has.
_UNTELLABLE = {"opaque": "an object of Python that has no form in JSON", "str": "half of a surrogate pair"}
_TAG = codec.TAG.encode()


class HostFunction(Function):
    """Asks the host to run one of its functions, within the call that runs now.

    The host holds the arguments against the function's schema; here, nothing is looked at.
    """

    def __init__(self, key: str, name: str, desc: str, args: dict[str, Any]) -> None:
        super().__init__(name, desc, signature_of(args))
        self._key = key

    def run(self, arguments: dict[str, Any]) -> Any:
        call = running_call()
        if call is None:
            return self._outside()
        if threading.get_ident() == call.loop_thread:
            problem = f"the tool `{self.__name__}` was called where it would block the worker's event loop"
            log.warning("%s", problem)
            return failure(f"{problem}; use `await tool.acall(..)` in asynchronous code")
        asked = self._ask(arguments)
        if not isinstance(asked, bytes):
            return asked
        try:
            answer = call.host.callback_blocking(pb.Callback.KIND_TOOL, self._key, asked)
        except HostError as error:
            return _told(error)
        return self._answer(answer)

    async def arun(self, arguments: dict[str, Any]) -> Any:
        call = running_call()
        if call is None:
            return self._outside()
        asked = self._ask(arguments)
        if not isinstance(asked, bytes):
            return asked
        try:
            answer = await call.host.callback(pb.Callback.KIND_TOOL, self._key, asked)
        except HostError as error:
            return _told(error)
        return self._answer(answer)

    def _outside(self) -> dict[str, Any]:
        problem = (
            f"the tool `{self.__name__}` was called outside of a call: a thread that DSPy did not start has "
            "lost the context; start it with `contextvars.copy_context().run`"
        )
        log.warning("%s", problem)
        return failure(problem)

    def _ask(self, arguments: dict[str, Any]) -> bytes | dict[str, Any]:
        """The document of the arguments, or why there is none."""
        document = codec.dumps(arguments)
        if _TAG in document:
            for name, value in arguments.items():
                found = _untellable(codec.to_wire(value))
                if found is not None:
                    return failure(
                        f"the argument `{name}` of the tool `{self.__name__}` holds {found}; give it as "
                        "plain JSON"
                    )
        return document

    def _answer(self, answer: bytes) -> Any:
        try:
            return codec.loads(answer)
        except codec.CodecError as error:
            log.warning("the host's answer for the tool `%s` cannot be read: %s", self.__name__, error)
            return failure(f"the tool `{self.__name__}` answered with what cannot be read: {error}")


def host_tool(key: str, name: str, desc: str, args: dict[str, Any]) -> WorkerTool:
    """The tool of a declaration in a spec."""
    return WorkerTool(HostFunction(key, name, desc, args), name, desc, args)


def _told(error: HostError) -> dict[str, Any]:
    return failure(error.error.message or "the tool failed", error.error.retryable)


def _untellable(wire: Any) -> str | None:
    """What of a value in terms of JSON stands for something that JSON cannot tell."""
    if isinstance(wire, list):
        return next((found for item in wire if (found := _untellable(item)) is not None), None)
    if not isinstance(wire, dict):
        return None
    pair = wire.get(codec.TAG)
    if pair is not None and len(wire) == 1:
        return _untellable(list(pair[1].values())) if pair[0] == "object" else _UNTELLABLE.get(pair[0])
    return _untellable(list(wire.values()))


def in_call(call: Call | None) -> Call:
    """The call that a function of the host is asked in."""
    if call is None:
        raise RuntimeError(
            "a function of the host was called outside of a call: a thread that DSPy did not start has lost "
            "the context; start it with `contextvars.copy_context().run`"
        )
    if threading.get_ident() == call.loop_thread:
        raise RuntimeError(
            "a function of the host was called where it would block the worker's event loop: call it from a "
            "module without `aforward`, which runs on a thread"
        )
    return call
