"""What only the framed carrier has to get right: frames in pieces, and one socket for all calls."""

from __future__ import annotations

import asyncio
import socket
import struct

import pytest

from dspex_worker.proto import worker_pb2 as pb

from carriers import LIMIT, MIB, Connect, ConnectionEnded, FramedClient, HostCall, call, function


def frame(up: pb.Up) -> bytes:
    body = up.SerializeToString()
    return struct.pack("<I", len(body)) + body


async def framed(connect: Connect, **config: object) -> FramedClient:
    client, _, _ = await connect("framed", **config)
    assert isinstance(client, FramedClient)
    await client.hello()
    return client


async def test_frames_may_arrive_byte_by_byte_and_many_at_once(connect: Connect) -> None:
    client = await framed(connect)
    calls = [await client.start() for _ in range(20)]
    data = b"".join(frame(pb.Up(call=c.call_id, open=function("echo", c.call_id))) for c in calls)
    client._writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    for byte in data[:200]:
        client._writer.write(bytes([byte]))
        await asyncio.sleep(0)
    client._writer.write(data[200:])
    assert [await c.done() for c in calls] == [c.call_id for c in calls]


async def open_at_once(client: FramedClient, *opens: pb.Open) -> list[HostCall]:
    """Opens calls by one write, so that the worker starts them in one turn of its loop."""
    calls = [await client.start() for _ in opens]
    frames = (frame(pb.Up(call=c.call_id, open=o)) for c, o in zip(calls, opens, strict=True))
    client._writer.write(b"".join(frames))
    return calls


async def one(client: FramedClient) -> None:
    assert await (await call(client, "echo", 1)).done() == 1


async def test_small_calls_overtake_a_large_result(connect: Connect) -> None:
    client = await framed(connect)
    large, *small = await open_at_once(
        client, function("attachment", 7 * MIB), *(function("echo", n) for n in range(20))
    )
    assert [await c.done() for c in small] == list(range(20))
    done = await large.expect("done")
    assert len(done.output.attachments[0].data) == 7 * MIB
    assert [kind for _, kind in client.arrived[1:]] == ["done"] * 20 + ["fragment"] * 29


async def test_large_results_of_several_calls_take_turns(connect: Connect) -> None:
    client = await framed(connect)
    calls = await open_at_once(client, *(function("attachment", 3 * MIB),) * 3)
    for c in calls:
        assert len((await c.expect("done")).output.attachments[0].data) == 3 * MIB
    order = [number for number, kind in client.arrived if kind == "fragment"]
    assert order == [c.call_id for c in calls] * 13


async def test_a_calls_later_messages_wait_for_its_large_one(connect: Connect) -> None:
    client = await framed(connect)
    started = await call(client, "large_event_then_small", 2 * MIB)
    assert [(await started.expect("event")).seq for _ in range(3)] == [1, 2, 3]
    await started.done()


async def test_large_opens_of_several_calls_may_alternate(connect: Connect) -> None:
    client = await framed(connect)
    calls = [await client.start() for _ in range(3)]
    encoded = [
        pb.Up(call=c.call_id, open=function("size", "x" * (MIB + c.call_id))).SerializeToString()
        for c in calls
    ]
    half = MIB // 5
    for start in range(0, len(encoded[-1]), half):
        for c, message in zip(calls, encoded, strict=True):
            data = message[start : start + half]
            if data:
                await c.fragment(data, start + half >= len(message), 0 if start else len(message))
    assert [await c.done() for c in calls] == [MIB + c.call_id for c in calls]


async def test_messages_in_transit_are_bounded_for_the_whole_connection(connect: Connect) -> None:
    client = await framed(connect)
    begun = [await client.start() for _ in range(5)]
    for number, c in enumerate(begun):
        await c.fragment(b"x", False, LIMIT)
        if number == 4:
            failed = await c.failed()
    assert failed.kind == pb.Error.KIND_TOO_LARGE
    assert "what the connection has left" in failed.message
    await one(client)


async def test_calls_that_are_cancelled_in_the_middle_of_a_message_leave_nothing(connect: Connect) -> None:
    client = await framed(connect)
    started = [await client.start() for _ in range(3000)]
    for one_of_many in started:
        await one_of_many.fragment(bytes(1000), False, MIB)
        await one_of_many.cancel()
        assert (await one_of_many.failed()).kind == pb.Error.KIND_CANCELLED
    held = await (await call(client, "in_transit")).done()
    assert (held["messages"], held["bytes"]) == (0, 0)
    assert held["refused"] <= 1024
    # What was on its way nevertheless is no new message.
    for late in started[-1000:]:
        await late.fragment(bytes(1000), False)
        await late.fragment(bytes(1000), True)
    left = await (await call(client, "in_transit")).done()
    assert left["refused"] == held["refused"] - 1000


async def test_replies_that_a_cancelled_call_got_in_part_leave_nothing(connect: Connect) -> None:
    client = await framed(connect)
    for _ in range(20):
        running = await call(client, "callback", ["tool"])
        await running.expect("callback")
        await running.fragment(bytes(1000), False, MIB)
        await running.cancel()
        assert (await running.failed()).kind == pb.Error.KIND_CANCELLED
    held = await (await call(client, "in_transit")).done()
    assert (held["messages"], held["bytes"]) == (0, 0)


async def test_a_cancel_that_crosses_the_calls_end_drops_what_the_host_had_begun_to_send(
    connect: Connect,
) -> None:
    client = await framed(connect)
    for number in range(20):
        ended = await call(client, "echo", number)
        assert await ended.done() == number
        await ended.fragment(bytes(1000), False, LIMIT)
        await ended.cancel()
    held = await (await call(client, "in_transit")).done()
    assert (held["messages"], held["bytes"]) == (0, 0)


async def test_open_with_an_id_that_was_used_ends_the_connection(connect: Connect) -> None:
    client = await framed(connect)
    started = await call(client, "echo", 1)
    await started.done()
    await started.send(open=function("echo", 2))
    with pytest.raises(ConnectionEnded):
        await started.next()


async def test_open_for_the_connection_itself_ends_it(connect: Connect) -> None:
    client = await framed(connect)
    with pytest.raises(ConnectionEnded):
        await client.control(call=0, open=function("echo", 2))


async def test_a_frame_that_is_too_long_ends_the_connection_before_it_is_read(connect: Connect) -> None:
    client, worker, zygote = await connect("framed")
    assert isinstance(client, FramedClient)
    await client.hello()
    client._writer.write(struct.pack("<I", 512 * 1024) + b"x")
    assert await asyncio.to_thread(zygote.exited, worker) == (4, None)
    assert "a frame of 524288 bytes" in await asyncio.to_thread(worker.stderr_until, "closing the connection")


async def test_events_for_a_host_that_does_not_read_are_dropped_and_the_gap_is_seen(connect: Connect) -> None:
    client = await framed(connect)
    # All of it is sent within one turn of the worker's loop, in which nothing can be read.
    started = await call(client, "flood", 40)
    numbers = []
    while (down := await started.next()).HasField("event"):
        numbers.append(down.event.seq)
    assert 0 < len(numbers) < 40
    assert numbers == list(range(1, len(numbers) + 1))
    answer = pb.CallbackReply(id=down.callback.id, ok=pb.Payload(json=b"null"))
    await started.send(callback_reply=answer)
    assert (await started.expect("event")).seq == 41
    await started.done()


async def test_a_thousand_calls_come_through_at_full_speed(connect: Connect) -> None:
    client = await framed(connect)

    async def echo(number: int) -> object:
        return await (await call(client, "echo", number)).done()

    assert await asyncio.gather(*map(echo, range(1000))) == list(range(1000))
