"""Tools through real processes: what callbacks look like on the wire, and streams of items."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from dspex_worker.proto import worker_pb2 as pb

from carriers import Client, FramedClient, GrpcClient, HostCall
from zygote_host import REAL, ZygoteHost

MIB = 1024 * 1024


@pytest.fixture(scope="module", params=["framed", "grpc"])
def zygote(request: pytest.FixtureRequest) -> Iterator[ZygoteHost]:
    config = {"modules": ["dspex_worker.testing"], "sync_threads": 1, "max_message_bytes": 4 * MIB}
    host = ZygoteHost(config, carrier=request.param, script=REAL)
    host.hello = host.ready()["hello"]
    yield host
    host.close()


@pytest.fixture
async def client(zygote: ZygoteHost, tmp_path: Path) -> AsyncIterator[Client]:
    name = f"w{os.urandom(4).hex()}"
    client: Client
    if zygote.carrier == "framed":
        worker = zygote.fork(name)
        client = await FramedClient.connect(worker)
    else:
        worker = zygote.fork(name, listen=f"unix:{tmp_path}/{name}")
        client = await GrpcClient.connect(worker)
    yield client
    await client.close()
    worker.release()


def addressed(document: Any) -> tuple[str, bytes]:
    data = json.dumps(document).encode()
    return hashlib.sha256(data).hexdigest(), data


ECHO = {"host": "key", "name": "echo", "desc": "Echoes.", "args": {"text": {"type": "string"}}}
CALLS_TOOLS, CALLS_TOOLS_JSON = addressed(
    {"class": "dspex_worker.testing.CallsTools", "args": {"tools": [ECHO]}}
)
TOOLS, TOOLS_JSON = addressed([ECHO])


async def open_call(client: Client, **open: Any) -> HostCall:
    started = await client.start()
    await started.send(open=pb.Open(**open))
    return started


async def stream(client: Client, name: str, **arguments: Any) -> HostCall:
    inputs = pb.Payload(json=json.dumps(arguments).encode())
    tool = pb.ToolCall(path=f"dspex_worker.testing.{name}")
    return await open_call(client, tool=tool, inputs=inputs)


async def test_a_tool_of_a_spec_asks_the_host_within_the_call(client: Client) -> None:
    for depth in (0, 1):
        started = await open_call(
            client,
            instance=pb.InstanceCall(spec=CALLS_TOOLS),
            inputs=pb.Payload(json=b'{"arguments": {"text": "hi"}}'),
            depth=depth,
        )
        if depth == 0:
            need = await started.expect("need_state")
            assert (list(need.specs), list(need.tools)) == ([CALLS_TOOLS], [])
            await started.send(state=pb.State(specs=[pb.Spec(hash=CALLS_TOOLS, json=CALLS_TOOLS_JSON)]))
        asked = await started.answer({"echo": "hi"})
        assert (asked.kind, asked.name) == (pb.Callback.KIND_TOOL, "key")
        assert json.loads(asked.payload.json) == {"text": "hi"}
        assert (await started.done())["outputs"]["answers"] == [{"echo": "hi"}]


async def test_a_failed_tool_is_a_value_in_python(client: Client) -> None:
    started = await open_call(
        client,
        instance=pb.InstanceCall(spec=CALLS_TOOLS),
        inputs=pb.Payload(json=b'{"arguments": {}}'),
    )
    await started.send(state=pb.State(specs=[pb.Spec(hash=CALLS_TOOLS, json=CALLS_TOOLS_JSON)]))
    down = await started.next()
    while not down.HasField("callback"):
        down = await started.next()
    failure = pb.Error(
        kind=pb.Error.KIND_CALLBACK, message="busy", retryable=True, attributes=b'{"code": "failed"}'
    )
    await started.send(callback_reply=pb.CallbackReply(id=down.callback.id, error=failure))
    assert (await started.done())["outputs"]["answers"] == [{"error": "busy", "retryable": True}]


async def test_a_call_below_runs_while_the_one_above_holds_the_only_thread(client: Client) -> None:
    above = await open_call(
        client,
        instance=pb.InstanceCall(spec=CALLS_TOOLS),
        inputs=pb.Payload(json=b'{"arguments": {"text": "above"}}'),
    )
    await above.send(state=pb.State(specs=[pb.Spec(hash=CALLS_TOOLS, json=CALLS_TOOLS_JSON)]))
    down = await above.next()
    while not down.HasField("callback"):
        down = await above.next()
    below = await open_call(
        client,
        instance=pb.InstanceCall(spec=CALLS_TOOLS),
        inputs=pb.Payload(json=b'{"arguments": {"text": "below"}}'),
        depth=1,
    )
    await below.answer("from below")
    answer = (await below.done())["outputs"]["answers"][0]
    reply = pb.CallbackReply(id=down.callback.id, ok=pb.Payload(json=json.dumps(answer).encode()))
    await above.send(callback_reply=reply)
    assert (await above.done())["outputs"]["answers"] == ["from below"]


@pytest.mark.parametrize("program", ["CallsTools", "CallsToolsAsync"])
async def test_a_call_is_cancelled_in_the_middle_of_a_tool(client: Client, program: str) -> None:
    args = {"tools": [ECHO, {**ECHO, "name": "other"}]}
    target, data = addressed({"class": f"dspex_worker.testing.{program}", "args": args})
    started = await open_call(
        client, instance=pb.InstanceCall(spec=target), inputs=pb.Payload(json=b'{"arguments": {}}')
    )
    await started.expect("need_state")
    await started.send(state=pb.State(specs=[pb.Spec(hash=target, json=data)]))
    await started.expect("callback")
    await started.cancel()
    down = await started.next()
    while down.HasField("callback"):
        down = await started.next()
    assert down.failed.error.kind == pb.Error.KIND_CANCELLED
    # Nothing of it is left: the only thread is free.
    described = await open_call(
        client,
        function=pb.FunctionCall(path="dspex_worker.testing.add"),
        inputs=pb.Payload(json=b'{"args": [1]}'),
    )
    assert (await described.done())["value"] == 2


async def test_arguments_over_the_limit_of_a_message_are_a_value(client: Client) -> None:
    started = await open_call(
        client,
        function=pb.FunctionCall(path="dspex_worker.testing.tool_with_much"),
        inputs=pb.Payload(json=json.dumps({"kwargs": {"size": 5 * MIB}}).encode()),
        session=pb.SessionView(id="s", tools=TOOLS),
    )
    await started.expect("need_state")
    await started.send(state=pb.State(tools=[pb.ToolSet(hash=TOOLS, json=TOOLS_JSON)]))
    (told,) = (await started.done())["value"]
    assert "over the limit" in told["error"]


async def test_the_tools_of_a_session_are_asked_for_once(client: Client) -> None:
    for asks in (True, False):
        started = await open_call(
            client,
            function=pb.FunctionCall(path="dspex_worker.testing.session_tools"),
            inputs=pb.Payload(json=b'{"kwargs": {"arguments": {"text": "hi"}}}'),
            session=pb.SessionView(id="s", tools=TOOLS),
        )
        if asks:
            need = await started.expect("need_state")
            assert (list(need.specs), list(need.lms), list(need.tools)) == ([], [], [TOOLS])
            await started.send(state=pb.State(tools=[pb.ToolSet(hash=TOOLS, json=TOOLS_JSON)]))
        await started.answer("answered")
        assert (await started.done())["value"] == {"echo": "answered"}


async def test_tools_that_the_host_does_not_send_fail_the_call(client: Client) -> None:
    started = await open_call(
        client,
        function=pb.FunctionCall(path="dspex_worker.testing.add"),
        inputs=pb.Payload(json=b'{"args": [1]}'),
        session=pb.SessionView(id="s", tools=TOOLS),
    )
    await started.expect("need_state")
    await started.send(state=pb.State())
    failed = await started.failed()
    assert failed.kind == pb.Error.KIND_PROTOCOL
    assert TOOLS in failed.message


@pytest.mark.parametrize("name", ["clock", "clock_async"])
async def test_items_come_in_order_and_then_their_number(client: Client, name: str) -> None:
    started = await stream(client, name, count=50)
    for i in range(50):
        assert (await started.item())["index"] == i
    assert await started.done() == {"items": 50}


@pytest.mark.parametrize("name", ["clock", "clock_async"])
@pytest.mark.parametrize(("size", "ahead"), [(0, 32), (100_000, 11)])
async def test_a_generator_waits_for_a_host_that_takes_no_items(
    client: Client, name: str, size: int, ahead: int
) -> None:
    started = await stream(client, name, count=100, size=size)
    for _ in range(ahead):
        await started.item(take=False)
    # The worker serves other calls meanwhile, and nothing more of this one comes.
    assert await (await stream(client, "clock_async", count=0)).done() == {"items": 0}
    await asyncio.sleep(0.3)
    taken = time.monotonic()
    await started.take_items()
    for _ in range(ahead, 100):
        assert (await started.item())["value"]["at"] > taken
    assert await started.done() == {"items": 100}


@pytest.mark.parametrize("name", ["clock", "clock_async"])
async def test_the_host_may_take_many_items_at_once(client: Client, name: str) -> None:
    started = await stream(client, name, count=320)
    for i in range(320):
        assert (await started.item(take=i % 32 == 31))["index"] == i
    assert await started.done() == {"items": 320}


@pytest.mark.parametrize("name", ["clock", "clock_async"])
async def test_a_stream_that_nobody_wants_any_more_ends(client: Client, name: str) -> None:
    started = await stream(client, name, count=10**9, size=1000)
    for _ in range(32):
        await started.item(take=False)
    # It waits for room, which there never is.
    await started.cancel()
    assert (await started.failed()).kind == pb.Error.KIND_CANCELLED
    # The only thread for generators without an async form is free again.
    again = await stream(client, "clock", count=1)
    await again.item()
    assert await again.done() == {"items": 1}


async def test_an_item_over_the_limit_of_a_message_fails_the_call(client: Client) -> None:
    started = await stream(client, "clock", count=2, size=5 * MIB)
    failed = await started.failed()
    assert "over the limit" in failed.message


async def test_a_tool_is_described_without_being_run(client: Client) -> None:
    tool = pb.ToolCall(path="dspex_worker.testing.clock", describe=True)
    described = await (await open_call(client, tool=tool)).done()
    assert (described["name"], described["streams"]) == ("clock", True)
    assert described["args"] == {
        "count": {"type": "integer"},
        "size": {"type": "integer", "default": 0},
    }


async def test_wrong_arguments_of_a_tool_are_invalid_input(client: Client) -> None:
    failed = await (await stream(client, "clock", count="many")).failed()
    assert failed.kind == pb.Error.KIND_INVALID_INPUT
    assert json.loads(failed.attributes)["problems"][0]["field"] == "count"
