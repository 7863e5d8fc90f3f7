"""The life of calls, over both carriers and real processes."""

from __future__ import annotations

import asyncio
import json
import time

import grpc
import pytest

from dspex_worker.proto import worker_pb2 as pb

from carriers import (
    LIMIT,
    MIB,
    Client,
    Connect,
    ConnectionEnded,
    GrpcClient,
    HostCall,
    answers_still,
    call,
    function,
)


async def test_hello_says_who_the_worker_is(connect: Connect, carrier: str) -> None:
    client, worker, _ = await connect(carrier)
    hello = await client.hello()
    assert hello.protocol == 3
    assert (hello.worker, hello.generation, hello.pid) == (worker.name, 7, worker.pid)
    assert hello.dspy_version == "0.0-fake"
    assert dict(hello.fingerprints) == {"fake.Echo": "ab"}
    assert hello.max_message_bytes == LIMIT
    assert {"fake", "framed", "grpc"} <= set(hello.capabilities)


async def test_a_call_ends_with_its_result(client: Client) -> None:
    assert await (await call(client, "echo", {"a": [1, None, "ü"]})).done() == {"a": [1, None, "ü"]}


async def test_calls_run_concurrently(client: Client) -> None:
    slow = await call(client, "callback", ["wait"])
    await slow.expect("callback")
    await answers_still(client)
    await slow.send(callback_reply=pb.CallbackReply(id=1, ok=pb.Payload(json=b'"answer"')))
    assert await slow.done() == ["answer"]


async def test_binary_attachments_travel_beside_the_json(client: Client) -> None:
    done = await (await call(client, "attachment", 1000)).expect("done")
    assert done.output.attachments[0].data == bytes(1000)


async def test_an_exception_is_a_failed_call_and_the_next_call_is_served(client: Client) -> None:
    failed = await (await call(client, "raise", ["value", "a bad value"])).failed()
    assert (failed.kind, getattr(failed, "class")) == (pb.Error.KIND_PYTHON, "ValueError")
    assert failed.message == "a bad value"
    await answers_still(client)


async def test_a_module_that_exits_ends_its_call_only(client: Client) -> None:
    failed = await (await call(client, "raise", ["exit", "bye"])).failed()
    assert getattr(failed, "class") == "SystemExit"
    await answers_still(client)


async def test_an_error_that_cannot_be_described_still_ends_the_call(client: Client) -> None:
    failed = await (await call(client, "raise", ["value", "indescribable"])).failed()
    assert (failed.kind, getattr(failed, "class")) == (pb.Error.KIND_PYTHON, "builtins.ValueError")


async def test_a_worker_asks_for_the_spec_that_it_lacks_once(client: Client) -> None:
    first = await client.start()
    await first.send(open=pb.Open(instance=pb.InstanceCall(spec="abc")))
    assert list((await first.expect("need_state")).specs) == ["abc"]
    await first.send(state=pb.State(specs=[pb.Spec(hash="abc", json=b'{"spec": 1}')]))
    assert await first.done() == {"spec": 1}
    second = await client.start()
    await second.send(open=pb.Open(instance=pb.InstanceCall(spec="abc")))
    assert await second.done() == {"spec": 1}


async def test_state_may_come_without_being_asked_for(client: Client) -> None:
    started = await client.start()
    await started.send(open=pb.Open(instance=pb.InstanceCall(spec="abc")))
    await started.send(state=pb.State(specs=[pb.Spec(hash="abc", json=b"1")]))
    down = await started.next()
    if down.HasField("need_state"):  # it was asked for before it came: both are right
        down = await started.next()
    assert down.done.output.json == b"1"


async def test_state_that_lacks_what_was_asked_for_fails_the_call(client: Client) -> None:
    started = await client.start()
    await started.send(open=pb.Open(instance=pb.InstanceCall(spec="abc")))
    await started.expect("need_state")
    await started.send(state=pb.State(specs=[pb.Spec(hash="other", json=b"1")]))
    failed = await started.failed()
    assert failed.kind == pb.Error.KIND_PROTOCOL
    assert "abc" in failed.message


async def test_state_that_the_engine_refuses_fails_the_call(client: Client) -> None:
    started = await client.start()
    await started.send(open=pb.Open(instance=pb.InstanceCall(spec="abc")))
    await started.expect("need_state")
    await started.send(state=pb.State(specs=[pb.Spec(hash="abc")]))
    assert (await started.failed()).message == "an empty spec"


@pytest.mark.parametrize("path", ["callback", "callback_blocking"])
async def test_callbacks_travel_on_the_stream_of_their_call(client: Client, path: str) -> None:
    started = await call(client, path, ["one", "two"])
    first = await started.answer({"n": 1})
    assert (first.id, first.kind, first.name) == (1, pb.Callback.KIND_TOOL, "one")
    assert (await started.answer({"n": 2})).name == "two"
    assert await started.done() == [{"n": 1}, {"n": 2}]


async def test_callbacks_may_be_answered_in_any_order(client: Client) -> None:
    started = await call(client, "callbacks_at_once", ["a", "b", "c"])
    asked = [await started.expect("callback") for _ in range(3)]
    for callback in reversed(asked):
        payload = pb.Payload(json=json.dumps(callback.name.upper()).encode())
        await started.send(callback_reply=pb.CallbackReply(id=callback.id, ok=payload))
    assert await started.done() == ["A", "B", "C"]


@pytest.mark.parametrize("size", [256, 600 * 1024])
async def test_attachments_travel_with_callbacks_and_their_answers(client: Client, size: int) -> None:
    started = await call(client, "exchange", size)
    for _ in range(2):
        callback = await started.expect("callback")
        assert (callback.kind, callback.name) == (pb.Callback.KIND_VARIABLE, "v")
        (attachment,) = callback.payload.attachments
        assert len(attachment.data) == size
        payload = pb.Payload(json=b'{"n": 1}', attachments=[attachment])
        await started.send(callback_reply=pb.CallbackReply(id=callback.id, ok=payload))
    assert await started.done() == [[{"n": 1}, True]] * 2


async def test_an_attachment_over_the_limit_is_refused_to_the_module(client: Client) -> None:
    failed = await (await call(client, "exchange", LIMIT)).failed()
    assert failed.kind == pb.Error.KIND_TOO_LARGE
    await answers_still(client)


async def test_a_callback_may_come_from_an_event_loop_of_another_thread(client: Client) -> None:
    started = await call(client, "callback_from_another_loop", "tool")
    await started.answer("yes")
    assert await started.done() == "yes"


async def test_a_blocking_callback_on_the_event_loop_is_refused_instead_of_hanging(client: Client) -> None:
    failed = await (await call(client, "callback_blocking_on_the_loop")).failed()
    assert "would never get its answer" in failed.message
    await answers_still(client)


@pytest.mark.parametrize("path", ["callback", "callback_blocking"])
async def test_an_error_of_the_host_reaches_the_module(client: Client, path: str) -> None:
    started = await call(client, path, ["tool"])
    callback = await started.expect("callback")
    error = pb.Error(kind=pb.Error.KIND_CALLBACK, message="no such customer")
    await started.send(callback_reply=pb.CallbackReply(id=callback.id, error=error))
    failed = await started.failed()
    assert (failed.kind, failed.message) == (pb.Error.KIND_CALLBACK, "host: no such customer")


async def test_a_reply_without_a_result_is_an_error_of_that_callback(client: Client) -> None:
    started = await call(client, "callback", ["tool"])
    callback = await started.expect("callback")
    await started.send(callback_reply=pb.CallbackReply(id=callback.id))
    assert (await started.failed()).kind == pb.Error.KIND_PROTOCOL


async def test_replies_that_nobody_waits_for_are_ignored(client: Client) -> None:
    started = await call(client, "callback", ["tool"])
    callback = await started.expect("callback")
    await started.send(callback_reply=pb.CallbackReply(id=99, ok=pb.Payload(json=b"1")))
    reply = pb.CallbackReply(id=callback.id, ok=pb.Payload(json=b"2"))
    await started.send(callback_reply=reply)
    if client.carrier == "framed":
        # A stream for one call may have ended with it by then, and grpcio's client loses what is unread.
        await started.send(callback_reply=reply)
    assert await started.done() == [2]


async def test_events_are_numbered_in_order(client: Client) -> None:
    started = await call(client, "events", 100)
    for number in range(100):
        event = await started.expect("event")
        assert (event.seq, event.type, json.loads(event.json)) == (number + 1, "token", {"n": number})
    assert await started.done() == 100


async def test_events_of_threads_keep_their_order_among_callbacks_and_the_end(client: Client) -> None:
    started = await call(client, "events_from_threads", 100)
    for number in range(100):
        event = await started.expect("event")
        assert (event.seq, json.loads(event.json)) == (number + 1, number)
    await started.answer(None)
    assert json.loads((await started.expect("event")).json) == "last"
    await started.done()


async def test_an_event_that_json_cannot_hold_is_told_as_what_it_is(client: Client) -> None:
    started = await call(client, "strange_event")
    bodies = [json.loads((await started.expect("event")).json) for _ in range(4)]
    assert [body["$dspex"][1]["type"] for body in bodies[:3]] == ["dict", "str", "set"]
    assert bodies[3] == "ready"


async def test_cancelling_ends_an_async_call(client: Client) -> None:
    started = await call(client, "sleep", 60)
    await started.cancel()
    failed = await started.failed()
    assert failed.kind == pb.Error.KIND_CANCELLED
    assert "no longer waits" in failed.message
    # The call may have been cancelled before its task ran at all.
    assert await (await call(client, "log")).done() in ([], ["the task was cancelled"])


async def test_cancelling_a_call_that_waits_for_the_host_ends_it(client: Client) -> None:
    started = await call(client, "callback", ["tool"])
    await started.expect("callback")
    await started.cancel(pb.Cancel.REASON_REQUESTED)
    assert (await started.failed()).kind == pb.Error.KIND_CANCELLED


async def test_cancelling_wakes_a_thread_that_waits_for_the_host(client: Client) -> None:
    started = await call(client, "callback_blocking", ["tool"])
    await started.expect("callback")
    begun = time.monotonic()
    await started.cancel()
    assert (await started.failed()).kind == pb.Error.KIND_CANCELLED
    assert time.monotonic() - begun < 1
    assert await (await call(client, "log")).done() == ["the thread was told"]


async def test_cancelling_wakes_an_event_loop_of_another_thread(client: Client) -> None:
    started = await call(client, "callback_from_another_loop", "tool")
    await started.expect("callback")
    await started.cancel()
    assert (await started.failed()).kind == pb.Error.KIND_CANCELLED


async def test_a_cancelled_call_ends_only_when_its_thread_did(client: Client) -> None:
    started = await call(client, "spin")
    await started.expect("event")
    await started.cancel()
    assert (await started.failed()).kind == pb.Error.KIND_CANCELLED
    assert await (await call(client, "log")).done() == ["the thread ended"]


async def test_cancelling_a_call_that_waits_for_state_ends_it(client: Client) -> None:
    started = await client.start()
    await started.send(open=pb.Open(instance=pb.InstanceCall(spec="abc")))
    await started.expect("need_state")
    await started.cancel()
    assert (await started.failed()).kind == pb.Error.KIND_CANCELLED


async def test_a_result_that_is_faster_than_the_cancellation_is_kept(client: Client) -> None:
    started = await call(client, "finish_in_spite_of_cancel")
    await started.expect("event")
    await started.cancel()
    assert await started.done() == "finished"


async def test_a_failure_while_a_call_is_cancelled_is_told_as_the_cause(client: Client) -> None:
    started = await call(client, "fail_on_cancel")
    await started.expect("event")
    await started.cancel()
    failed = await started.failed()
    assert failed.kind == pb.Error.KIND_CANCELLED
    assert failed.cause.message == "while tidying up"


@pytest.mark.parametrize(
    ("path", "argument"), [("sleep", 60), ("spin", None), ("callback_blocking", ["tool"])]
)
async def test_a_call_ends_by_itself_at_its_deadline(client: Client, path: str, argument: object) -> None:
    started = await call(client, path, argument, deadline_ms=80)
    begun = time.monotonic()
    down = await started.next()
    while not down.HasField("failed"):
        down = await started.next()
    assert down.failed.error.kind == pb.Error.KIND_DEADLINE
    assert "80 ms" in down.failed.error.message
    assert time.monotonic() - begun < 5


async def test_a_call_within_its_deadline_is_not_disturbed(client: Client) -> None:
    assert await (await call(client, "echo", 1, deadline_ms=60_000)).done() == 1


@pytest.mark.parametrize("deadline_ms", [2**40, 2**64 - 1])
async def test_a_deadline_beyond_all_clocks_is_none(client: Client, deadline_ms: int) -> None:
    started = await call(client, "callback", ["tool"], deadline_ms=deadline_ms)
    await started.answer(1)
    assert await started.done() == [1]


async def test_a_cancellation_for_the_deadline_is_a_deadline_error(client: Client) -> None:
    started = await call(client, "sleep", 60)
    await started.cancel(pb.Cancel.REASON_DEADLINE)
    assert (await started.failed()).kind == pb.Error.KIND_DEADLINE


async def test_a_cancelled_call_whose_open_is_still_on_the_way_ends(client: Client) -> None:
    started = await client.start()
    await started.fragment(bytes(1000), False, MIB)
    await started.cancel()
    assert (await started.failed()).kind == pb.Error.KIND_CANCELLED
    await answers_still(client)


async def test_cancelling_what_was_never_opened_is_ignored(client: Client) -> None:
    started = await client.start()
    await started.cancel()
    await started.send(open=function("echo", 1))
    assert await started.done() == 1


async def test_ping_is_answered_with_statistics(connect: Connect, carrier: str) -> None:
    client, _, _ = await connect(carrier)
    await client.hello()
    waiting = await call(client, "callback", ["tool"])
    await waiting.expect("callback")
    pong = (await client.control(ping=pb.Ping(nonce=42))).pong
    assert pong.nonce == 42
    assert (pong.stats.in_flight, pong.stats.calls) == (1, 1)
    assert 4 * MIB < pong.stats.pss_bytes <= pong.stats.rss_bytes < 500 * MIB


async def test_a_draining_worker_ends_its_calls_takes_no_new_ones_and_exits(
    connect: Connect, carrier: str
) -> None:
    client, worker, zygote = await connect(carrier)
    await client.hello()
    running = await call(client, "callback", ["tool"])
    callback = await running.expect("callback")
    draining = asyncio.create_task(client.control(drain=pb.Drain()))
    while True:
        # Until the worker has read the Drain, which travels on a stream of its own over gRPC.
        refused = await call(client, "echo", 1)
        down = await refused.next()
        if down.HasField("failed"):
            break
    assert down.failed.error.kind == pb.Error.KIND_DRAINING
    await running.send(callback_reply=pb.CallbackReply(id=callback.id, ok=pb.Payload(json=b"1")))
    assert await running.done() == [1]
    assert (await draining).stats.in_flight == 0
    assert await asyncio.to_thread(zygote.exited, worker) == (0, None)


async def test_an_idle_worker_drains_at_once(connect: Connect, carrier: str) -> None:
    client, worker, zygote = await connect(carrier)
    await client.hello()
    assert (await client.control(drain=pb.Drain())).HasField("stats")
    assert await asyncio.to_thread(zygote.exited, worker) == (0, None)


async def test_a_large_result_gets_out_before_a_drained_worker_exits(connect: Connect, carrier: str) -> None:
    client, worker, zygote = await connect(carrier)
    await client.hello()
    running = await call(client, "callback", ["tool"])
    callback = await running.expect("callback")
    draining = asyncio.create_task(client.control(drain=pb.Drain()))
    large = json.dumps("x" * 6 * MIB).encode()
    await running.send(callback_reply=pb.CallbackReply(id=callback.id, ok=pb.Payload(json=large)))
    assert await running.done() == ["x" * 6 * MIB]
    await draining
    assert await asyncio.to_thread(zygote.exited, worker) == (0, None)


async def test_a_worker_on_a_socket_of_its_own_asks_for_the_token_of_its_host(connect: Connect) -> None:
    client, _, _ = await connect("grpc", token="s3cret")
    assert isinstance(client, GrpcClient)
    for wrong in ("", "wrong", "s3cre"):
        client.metadata = (("authorization", f"Bearer {wrong}"),) if wrong else ()
        # Nothing is written: the client would take its own failed write for the status of the stream.
        with pytest.raises(ConnectionEnded) as ended:
            await (await client.start()).next()
        assert ended.value.args[0] == grpc.StatusCode.UNAUTHENTICATED
        assert "s3cret" not in ended.value.args[1]
    client.metadata = (("authorization", "bearer s3cret"),)
    assert await (await call(client, "echo", 1)).done() == 1


async def test_an_inherited_socket_needs_no_token(connect: Connect) -> None:
    client, _, _ = await connect("framed", token="s3cret")
    assert await (await call(client, "echo", 1)).done() == 1


async def test_garbage_ends_the_connection(connect: Connect, carrier: str) -> None:
    client, worker, zygote = await connect(carrier)
    await client.hello()
    if carrier == "grpc":
        with pytest.raises(ConnectionEnded, match="not a message"):
            await client.send_garbage()
        # Other streams are other hosts.
        await answers_still(client)
    else:
        running = await call(client, "sleep", 60)
        await client.send_garbage()
        with pytest.raises(ConnectionEnded):
            await running.next()
        assert await asyncio.to_thread(zygote.exited, worker) == (4, None)
    log = await asyncio.to_thread(worker.stderr_until, "not a message of protocol 3")
    assert log.startswith("E dspex_worker.carrier.")


@pytest.mark.parametrize(
    "break_it",
    [
        pytest.param(lambda c: c.send(open=function("echo")), id="a second open"),
        pytest.param(lambda c: c.wire.send(pb.Up(call=c.call_id)), id="no kind"),
        pytest.param(lambda c: c.fragment(b"x", False), id="fragment without total"),
        pytest.param(lambda c: c.fragment(b"x" * 10, True, 5), id="more than total"),
        pytest.param(lambda c: c.fragment(b"x", True, 5), id="less than total"),
        pytest.param(lambda c: c.fragment(b"\xff\xff\xff\xff", True, 4), id="fragments of garbage"),
    ],
)
async def test_breaking_the_protocol_ends_the_connection(client: Client, break_it: object) -> None:
    started = await call(client, "callback", ["tool"])
    await started.expect("callback")
    assert callable(break_it)
    await break_it(started)
    with pytest.raises(ConnectionEnded):
        await started.next()


async def test_a_host_that_goes_away_stops_its_calls(connect: Connect, carrier: str) -> None:
    client, worker, zygote = await connect(carrier)
    await client.hello()
    started = await call(client, "spin")
    await started.expect("event")
    await client.drop(started)
    if carrier == "framed":
        assert await asyncio.to_thread(zygote.exited, worker) == (0, None)
        return
    while await (await call(client, "log")).done() != ["the thread ended"]:
        pass


async def test_what_a_module_prints_goes_to_stderr(connect: Connect, carrier: str) -> None:
    client, worker, _ = await connect(carrier)
    stdin, leads_its_session = await (await call(client, "print", "héllo")).done()
    assert (stdin, leads_its_session) == ("", True)
    output = await asyncio.to_thread(worker.stderr_until, "descriptor 1\n")
    assert output.encode("utf-8", "backslashreplace").decode().endswith("héllo\nwritten to descriptor 1\n")


async def test_two_hundred_calls_wait_at_once(client: Client) -> None:
    async def one(number: int) -> object:
        started: HostCall = await call(client, "callback", [f"t{number}"])
        await started.answer(number)
        return await started.done()

    assert await asyncio.gather(*map(one, range(200))) == [[number] for number in range(200)]
