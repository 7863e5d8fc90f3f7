"""A host without a process: answers the callbacks of one call from Python functions."""

from __future__ import annotations

import asyncio
import hashlib
import json
import threading
from collections.abc import Callable, Sequence
from typing import Any

from dspex_worker.engine import Engine
from dspex_worker.host import CallCancelled, HostError
from dspex_worker.proto import worker_pb2 as pb

Answer = Callable[[dict[str, Any]], Any]


def response(text: str, model: str = "test/model", **usage: int) -> dict[str, Any]:
    """A model's answer in the JSON of the wire."""
    counts = {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15, **usage}
    message = {"role": "assistant", "parts": [{"type": "text", "text": text}]}
    return {"model": model, "message": message, "finish_reason": "stop", "usage": counts}


def chat(**fields: Any) -> str:
    """An answer as the chat adapter asks for it."""
    parts = [
        f"[[ ## {name} ## ]]\n{value if isinstance(value, str) else json.dumps(value)}"
        for name, value in fields.items()
    ]
    return "\n\n".join([*parts, "[[ ## completed ## ]]"])


def lm_error(code: str | None, message: str = "no", **fields: Any) -> HostError:
    """What the host sends when its model fails."""
    attributes = {"code": code, **fields.pop("attributes", {})} if code else {}
    error = pb.Error(
        kind=pb.Error.KIND_LM, message=message, attributes=json.dumps(attributes).encode(), **fields
    )
    return HostError(error)


class FakeHost:
    """`answer` gets the request of a model and returns a response, a text, or an exception to raise."""

    def __init__(self, answer: Answer | str | None = None, call_id: int = 1) -> None:
        self.call_id = call_id
        self.requests: list[dict[str, Any]] = []
        self.names: list[str] = []
        self.threads: set[int] = set()
        self.events: list[tuple[str, Any]] = []
        self.cancelled = threading.Event()
        # Where it is set, blocking callbacks wait for it; `entered` tells that one does.
        self.hold: threading.Event | None = None
        self.entered = threading.Event()
        self._answer = answer

    def _reply(self, kind: int, name: str, payload: bytes) -> bytes:
        assert kind == pb.Callback.KIND_LM
        request = json.loads(payload)
        self.requests.append(request)
        self.names.append(name)
        self.threads.add(threading.get_ident())
        answer = self._answer(request) if callable(self._answer) else self._answer
        if isinstance(answer, BaseException):
            raise answer
        if isinstance(answer, bytes):
            return answer
        assert answer is not None, "the test expected no call of the model"
        return json.dumps(response(answer, request["model"]) if isinstance(answer, str) else answer).encode()

    async def callback(self, kind: int, name: str, payload: bytes) -> bytes:
        await asyncio.sleep(0)
        return self._reply(kind, name, payload)

    def callback_blocking(self, kind: int, name: str, payload: bytes) -> bytes:
        self.entered.set()
        if self.hold is not None:
            while not self.hold.wait(0.005):
                self.check_cancelled()
        self.check_cancelled()
        return self._reply(kind, name, payload)

    async def exchange(self, kind: int, name: str, payload: pb.Payload) -> pb.Payload:
        return pb.Payload(json=await self.callback(kind, name, payload.json))

    def exchange_blocking(self, kind: int, name: str, payload: pb.Payload) -> pb.Payload:
        return pb.Payload(json=self.callback_blocking(kind, name, payload.json))

    async def item(self, body: bytes) -> None:
        await asyncio.sleep(0)
        self.item_blocking(body)

    def item_blocking(self, body: bytes) -> None:
        self.check_cancelled()
        self.events.append(("item", json.loads(body)))

    def event(self, type: str, body: object) -> None:
        self.events.append((type, body))

    def check_cancelled(self) -> None:
        if self.cancelled.is_set():
            raise CallCancelled


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def spec(cls: str, signature: Any = None, **rest: Any) -> pb.Spec:
    data = json.dumps({"class": cls, "signature": signature, **rest}).encode()
    return pb.Spec(hash=sha256(data), json=data)


def lm_spec(model: str = "test/model", kind: str = "host", api_key: str = "", **rest: Any) -> pb.LmSpec:
    identity = {"identity": sha256(api_key.encode())[:32]} if api_key else {}
    data = json.dumps({"kind": kind, "model": model, **identity, **rest}).encode()
    return pb.LmSpec(hash=sha256(data), json=data, api_key=api_key)


def text_signature(text: str, instructions: str | None = None) -> dict[str, Any]:
    return {"text": text, "instructions": instructions}


def fields_signature(
    inputs: dict[str, Any], outputs: dict[str, Any], instructions: str | None = "Do it."
) -> dict[str, Any]:
    """A structured signature out of names and schemas."""

    def side(fields: dict[str, Any]) -> list[dict[str, Any]]:
        return [{"name": name, "desc": None, "schema": schema} for name, schema in fields.items()]

    return {"name": "Test", "instructions": instructions, "inputs": side(inputs), "outputs": side(outputs)}


async def call(
    engine: Engine,
    spec: pb.Spec,
    inputs: Any = None,
    *,
    host: FakeHost | None = None,
    lm: pb.LmSpec | None = None,
    method: str = "",
    adapter: str = "",
    tools: pb.ToolSet | None = None,
    depth: int = 0,
) -> Any:
    """One call of an instance, as the servicer makes it."""
    session = pb.SessionView(
        id="s", lm=lm.hash if lm else "", adapter=adapter, tools=tools.hash if tools else ""
    )
    data = inputs if isinstance(inputs, bytes) else json.dumps(inputs or {}).encode()
    open = pb.Open(
        instance=pb.InstanceCall(spec=spec.hash, method=method),
        inputs=pb.Payload(json=data),
        session=session,
        depth=depth,
    )
    sets = [tools] if tools else []
    return await run(engine, open, host or FakeHost(), [spec], [lm] if lm else [], sets)


async def call_function(
    engine: Engine,
    path: str,
    *args: Any,
    host: FakeHost | None = None,
    lm: pb.LmSpec | None = None,
    **kwargs: Any,
) -> Any:
    data = json.dumps({"args": list(args), "kwargs": kwargs}).encode()
    session = pb.SessionView(lm=lm.hash if lm else "")
    open = pb.Open(function=pb.FunctionCall(path=path), inputs=pb.Payload(json=data), session=session)
    return await run(engine, open, host or FakeHost(), [], [lm] if lm else [])


async def run(
    engine: Engine,
    open: pb.Open,
    host: FakeHost,
    specs: list[pb.Spec],
    lms: list[pb.LmSpec],
    tools: Sequence[pb.ToolSet] = (),
) -> Any:
    wanted, wanted_lms, wanted_tools = engine.missing(open)
    engine.learn(
        pb.State(
            specs=[s for s in specs if s.hash in wanted],
            lms=[m for m in lms if m.hash in wanted_lms],
            tools=[t for t in tools if t.hash in wanted_tools],
        )
    )
    return json.loads((await engine.run(open, host)).json)
