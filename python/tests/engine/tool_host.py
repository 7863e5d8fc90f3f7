"""A host whose functions are functions of the test, and a model that says what the test wrote down."""

from __future__ import annotations

import asyncio
import inspect
import json
import threading
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from dspex_worker import codec
from dspex_worker.host import HostError
from dspex_worker.proto import worker_pb2 as pb

from fake_host import FakeHost, chat, sha256

Kind = pb.Callback.Kind.ValueType


def tool(name: str, key: str | None = None, desc: str | None = None, **args: Any) -> dict[str, Any]:
    """A tool of the host as it stands in a spec."""
    return {"host": key or f"key:{name}", "name": name, "desc": desc or f"Does {name}.", "args": args}


def tool_set(*tools: dict[str, Any]) -> pb.ToolSet:
    data = json.dumps(tools).encode()
    return pb.ToolSet(hash=sha256(data), json=data)


def refused(message: str, code: str = "failed", *, retryable: bool = False) -> HostError:
    """What the host sends when a tool fails."""
    attributes = json.dumps({"code": code}).encode()
    return HostError(
        pb.Error(kind=pb.Error.KIND_CALLBACK, message=message, attributes=attributes, retryable=retryable)
    )


def script(*answers: str | dict[str, Any]) -> Callable[[dict[str, Any]], Any]:
    """A model that gives these answers in turn."""
    left = list(answers)

    def answer(request: dict[str, Any]) -> Any:
        assert left, f"the model was asked once more: {json.dumps(request)[-2000:]}"
        return left.pop(0)

    return answer


def step(tool: str, /, thought: str = "Let me see.", **arguments: Any) -> str:
    """One step of ReAct."""
    return chat(next_thought=thought, next_tool_name=tool, next_tool_args=json.dumps(arguments))


def finish(**outputs: Any) -> tuple[str, str]:
    """The last two answers of ReAct."""
    return step("finish"), chat(reasoning="I looked it up.", **outputs)


def native(*calls: tuple[str, dict[str, Any]], model: str = "test/model") -> dict[str, Any]:
    """An answer that calls tools natively."""
    parts = [
        {"type": "tool_call", "id": f"c{i}", "name": name, "input": arguments}
        for i, (name, arguments) in enumerate(calls)
    ]
    usage = {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2}
    message = {"role": "assistant", "parts": parts}
    return {"model": model, "message": message, "finish_reason": "tool_call", "usage": usage}


class ToolHost(FakeHost):
    """`functions`: by key, what answers a callback of any kind but those of models.

    A function gets the document of the question, and returns a value, raises, or returns bytes that are the
    answer as they are. Asynchronous ones are awaited on the loop; from threads they are run to their end.
    """

    def __init__(self, answer: Any = None, **functions: Callable[[Any], Any]) -> None:
        super().__init__(answer)
        self.functions = functions
        # What was asked, as (kind, key, document).
        self.asked: list[tuple[int, str, Any]] = []
        self.asked_from: list[int] = []
        self.in_flight = 0
        self.most_in_flight = 0

    def arguments(self, name: str) -> list[Any]:
        """What the tool of a name was called with, in order."""
        return [document for _, key, document in self.asked if key in (name, f"key:{name}")]

    def prompts(self) -> str:
        """Everything that the model was ever sent."""
        return json.dumps(self.requests, ensure_ascii=False)

    async def callback(self, kind: int, name: str, payload: bytes) -> bytes:
        if kind == pb.Callback.KIND_LM:
            return await super().callback(kind, name, payload)
        return (await self.exchange(kind, name, pb.Payload(json=payload))).json

    def callback_blocking(self, kind: int, name: str, payload: bytes) -> bytes:
        if kind == pb.Callback.KIND_LM:
            return super().callback_blocking(kind, name, payload)
        return self.exchange_blocking(kind, name, pb.Payload(json=payload)).json

    async def exchange(self, kind: int, name: str, payload: pb.Payload) -> pb.Payload:
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            await asyncio.sleep(0)
            result = self._function(kind, name, payload)
            return _payload(await result if inspect.isawaitable(result) else result)
        finally:
            self.in_flight -= 1

    def exchange_blocking(self, kind: int, name: str, payload: pb.Payload) -> pb.Payload:
        self.entered.set()
        if self.hold is not None:
            while not self.hold.wait(0.005):
                self.check_cancelled()
        self.check_cancelled()
        result = self._function(kind, name, payload)
        return _payload(asyncio.run(_await(result)) if inspect.isawaitable(result) else result)

    def _function(self, kind: int, name: str, payload: pb.Payload) -> Any:
        document = codec.loads(payload.json)
        self.asked.append((kind, name, document))
        self.asked_from.append(threading.get_ident())
        function = self.functions.get(name.removeprefix("key:"))
        if function is None:
            raise refused(f"no tool is registered as `{name}`", "not_registered")
        return function(document)


async def _await(result: Any) -> Any:
    return await result


def _payload(result: Any) -> pb.Payload:
    if isinstance(result, np.ndarray):
        attached = pb.Attachment(
            name="embeddings", dtype=result.dtype.name, shape=result.shape, data=result.tobytes()
        )
        return pb.Payload(json=b"{}", attachments=[attached])
    return pb.Payload(json=result if isinstance(result, bytes) else codec.dumps(result))


def bag_of_letters(document: dict[str, Any]) -> Any:
    """An embedder: how often each letter stands in the text."""
    texts: Iterable[str] = document["texts"]
    return np.array([[t.lower().count(chr(97 + i)) for i in range(26)] for t in texts], np.float32)
