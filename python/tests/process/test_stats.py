"""What a worker tells of itself."""

from __future__ import annotations

import asyncio
import sys

import pytest

from dspex_worker.figures import Memory
from dspex_worker.proto import worker_pb2 as pb

from carriers import MIB, Connect, call


async def test_a_loop_that_was_blocked_says_for_how_long(connect: Connect) -> None:
    client, _, _ = await connect("framed")
    await client.hello()
    quiet = (await client.control(ping=pb.Ping(nonce=1))).pong.stats
    await (await call(client, "block_the_loop", 0.6)).done()
    blocked = (await client.control(ping=pb.Ping(nonce=2))).pong.stats
    # A timer that is looked at four times a second was due for at least this long.
    assert 300_000 < blocked.loop_lag_us < 10_000_000
    assert quiet.loop_lag_us < blocked.loop_lag_us
    assert blocked.sync_threads == 8


async def test_memory_is_told_at_once_and_the_expensive_part_is_measured_seldom(connect: Connect) -> None:
    client, _, _ = await connect("framed")
    await client.hello()
    first = (await client.control(ping=pb.Ping(nonce=1))).pong.stats
    assert 4 * MIB < first.pss_bytes <= first.rss_bytes < 500 * MIB
    again = [(await client.control(ping=pb.Ping(nonce=n))).pong.stats for n in range(2, 200)]
    assert {stats.pss_bytes for stats in again} == {first.pss_bytes}


async def test_the_proportional_memory_is_measured_again_after_a_while() -> None:
    memory = Memory()
    before = memory.pss()
    held = bytearray(64 * MIB)
    assert memory.pss() == before
    memory._next = 0.1  # as if the time had passed
    for _ in range(1000):
        if memory.pss() > before + 32 * MIB:
            break
        await asyncio.sleep(0.005)
    assert memory.pss() > before + 32 * MIB
    assert len(held) == 64 * MIB


@pytest.mark.skipif(sys.platform != "linux", reason="the limit counts threads' stacks on Linux alone")
async def test_a_ping_is_answered_where_no_thread_can_be_started(connect: Connect) -> None:
    client, _, _ = await connect("framed")
    await client.hello()
    running = await call(client, "callback", ["wait"])
    asked = await running.expect("callback")
    refused = await (await call(client, "leave_no_room_for_threads")).done()
    assert "can't start new thread" in refused
    # The first measurement needs no thread.
    first = (await client.control(ping=pb.Ping(nonce=1))).pong.stats
    assert first.pss_bytes
    for nonce in range(2, 5):
        pong = (await client.control(ping=pb.Ping(nonce=nonce))).pong
        assert pong.nonce == nonce
        assert pong.stats.pss_bytes == first.pss_bytes
    reply = pb.CallbackReply(id=asked.id, ok=pb.Payload(json=b"1"))
    await running.send(callback_reply=reply)
    assert await running.done() == [1]


async def test_a_ping_is_answered_where_figures_fail(connect: Connect, carrier: str) -> None:
    client, worker, _ = await connect(carrier)
    await client.hello()
    await (await call(client, "break_the_figures")).done()
    pong = (await client.control(ping=pb.Ping(nonce=7))).pong
    assert (pong.nonce, pong.stats.calls, pong.stats.sync_threads) == (7, 1, 8)
    assert "no figures today" in await asyncio.to_thread(worker.stderr_until, "no figures today")
    assert await (await call(client, "echo", 1)).done() == 1


@pytest.mark.parametrize("problem", [RuntimeError("can't start new thread"), MemoryError()])
async def test_a_measurement_that_cannot_start_is_tried_again_later(
    problem: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = Memory()
    before = memory.pss()
    memory._next = 0.1  # as if the time had passed
    tried = []

    def refuse(*args: object) -> None:
        tried.append(args)
        raise problem

    with monkeypatch.context() as patched:
        patched.setattr("_thread.start_new_thread", refuse)
        assert [memory.pss(), memory.pss()] == [before, before]
    assert len(tried) == 1
    memory._pss, memory._next = 0, 0.1
    for _ in range(1000):
        if memory.pss():
            break
        await asyncio.sleep(0.005)
    assert memory.pss()
