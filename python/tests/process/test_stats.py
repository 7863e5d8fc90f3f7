"""What a worker tells of itself."""

from __future__ import annotations

import asyncio

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
