"""The real engine in the real processes: DSPy behind the zygote, over both carriers."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dspex_worker.proto import worker_pb2 as pb

from carriers import Client, FramedClient, GrpcClient, HostCall
from zygote_host import REAL, WorkerProcess, ZygoteHost


def addressed(document: dict[str, Any]) -> tuple[str, bytes]:
    data = json.dumps(document, separators=(",", ":")).encode()
    return hashlib.sha256(data).hexdigest(), data


def spec(cls: str) -> tuple[str, bytes]:
    signature = {
        "name": "Capital",
        "instructions": "Name the capital.",
        "inputs": [{"name": "country", "desc": None, "schema": {"type": "string"}}],
        "outputs": [{"name": "capital", "desc": None, "schema": {"type": "string"}}],
    }
    return addressed({"class": cls, "signature": signature, "args": {}, "config": {}, "state": None})


LM = addressed(
    {
        "kind": "host",
        "model": "host/scripted",
        "kwargs": {},
        "capabilities": {
            "function_calling": False,
            "response_schema": False,
            "reasoning": False,
            "params": [],
        },
    }
)


@pytest.fixture(scope="module", params=["framed", "grpc"])
def zygote(request: pytest.FixtureRequest) -> Iterator[ZygoteHost]:
    host = ZygoteHost(carrier=request.param, script=REAL)
    host.hello = host.ready()["hello"]
    yield host
    host.close()


async def connect(zygote: ZygoteHost, tmp_path: Path) -> tuple[Client, WorkerProcess]:
    name = f"w{os.urandom(4).hex()}"
    if zygote.carrier == "framed":
        worker = zygote.fork(name)
        client: Client = await FramedClient.connect(worker)
    else:
        worker = zygote.fork(name, listen=f"unix:{tmp_path}/{name}")
        client = await GrpcClient.connect(worker)
    return client, worker


async def predict(client: Client, cls: str, fields: str) -> Any:
    """A whole call: the worker asks for spec and model, then for the model's answer, and is done."""
    target, data = spec(cls)
    started: HostCall = await client.start()
    inputs = pb.Payload(json=b'{"country":"France"}')
    session = pb.SessionView(id="s", lm=LM[0])
    await started.send(open=pb.Open(instance=pb.InstanceCall(spec=target), inputs=inputs, session=session))
    down = await started.next()
    if down.HasField("need_state"):
        assert (list(down.need_state.specs), list(down.need_state.lms)) == ([target], [LM[0]])
        state = pb.State(specs=[pb.Spec(hash=target, json=data)], lms=[pb.LmSpec(hash=LM[0], json=LM[1])])
        await started.send(state=state)
        down = await started.next()
    while not down.HasField("done"):
        if down.HasField("callback"):
            assert (down.callback.kind, down.callback.name) == (pb.Callback.KIND_LM, LM[0])
            assert "France" in down.callback.payload.json.decode()
            answer = {
                "model": "scripted",
                "message": {"role": "assistant", "parts": [{"type": "text", "text": fields}]},
                "finish_reason": "stop",
                "usage": {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15},
            }
            reply = pb.CallbackReply(id=down.callback.id, ok=pb.Payload(json=json.dumps(answer).encode()))
            await started.send(callback_reply=reply)
        else:
            assert down.HasField("event"), down
        down = await started.next()
    return json.loads(down.done.output.json)


ANSWER = "[[ ## capital ## ]]\nParis\n\n[[ ## completed ## ]]"


def test_the_zygote_describes_its_dspy(zygote: ZygoteHost) -> None:
    assert zygote.hello["dspy_version"] == "3.4.1"
    assert len(zygote.hello["fingerprints"]["dspy.ChainOfThought"]) == 64


async def test_predict_answers_with_the_hosts_model(zygote: ZygoteHost, tmp_path: Path) -> None:
    client, worker = await connect(zygote, tmp_path)
    for _ in range(2):
        done = await predict(client, "dspy.Predict", ANSWER)
        assert done["outputs"] == {"capital": "Paris"}
    pong = (await one_answer(client)).pong
    assert (pong.stats.calls, pong.stats.in_flight) == (2, 0)
    await client.close()
    worker.release()


async def one_answer(client: Client) -> pb.Down:
    await client.hello()
    return await client.control(ping=pb.Ping(nonce=1))


async def test_chain_of_thought_reasons_in_a_worker_forked_later(zygote: ZygoteHost, tmp_path: Path) -> None:
    client, worker = await connect(zygote, tmp_path)
    done = await predict(client, "dspy.ChainOfThought", "[[ ## reasoning ## ]]\nKnown.\n\n" + ANSWER)
    assert done["outputs"] == {"reasoning": "Known.", "capital": "Paris"}
    await client.close()
    worker.release()


async def test_a_call_that_waits_for_its_model_is_cancelled(zygote: ZygoteHost, tmp_path: Path) -> None:
    client, worker = await connect(zygote, tmp_path)
    target, data = spec("dspy.Predict")
    started = await client.start()
    await started.send(
        open=pb.Open(
            instance=pb.InstanceCall(spec=target),
            inputs=pb.Payload(json=b'{"country":"France"}'),
            session=pb.SessionView(lm=LM[0]),
        )
    )
    await started.send(
        state=pb.State(specs=[pb.Spec(hash=target, json=data)], lms=[pb.LmSpec(hash=LM[0], json=LM[1])])
    )
    down = await started.next()
    while not down.HasField("callback"):
        down = await started.next()
    await started.cancel()
    assert (await started.failed()).kind == pb.Error.KIND_CANCELLED
    await client.close()
    worker.release()


async def test_eight_workers_share_the_memory_of_the_zygote(zygote: ZygoteHost, tmp_path: Path) -> None:
    connected = [await connect(zygote, tmp_path) for _ in range(8)]
    await asyncio.gather(*(predict(client, "dspy.Predict", ANSWER) for client, _ in connected))
    shares = [(await one_answer(client)).pong.stats.pss_bytes / 2**20 for client, _ in connected]
    print(f"{zygote.carrier}: PSS of 8 workers after a call each: {sum(shares):.0f} MB")
    # A worker that was started by itself has 60 and more.
    assert max(shares) < 40
    for client, worker in connected:
        await client.close()
        worker.release()


def test_a_worker_in_which_dspy_does_not_import_after_the_fork_exits_with_3(tmp_path: Path) -> None:
    (tmp_path / "fickle.py").write_text(
        "import os, sys\n"
        "def lose():\n"
        "    del sys.modules['dspex_worker.engine']\n"
        "    for name in [name for name in sys.modules if name.split('.')[0] == 'dspy']:\n"
        "        sys.modules[name] = None\n"
        "os.register_at_fork(after_in_child=lose)\n"
    )
    host = ZygoteHost({"modules": ["fickle"], "python_path": [str(tmp_path)]}, script=REAL)
    try:
        host.ready()
        worker = host.fork("w0")
        assert host.exited(worker) == (3, None)
        last = worker.stderr_to_the_end().splitlines()[-1]
    finally:
        host.close()
    assert last.startswith("C dspex_worker.zygote: cannot start: ModuleNotFoundError: import of dspy")
