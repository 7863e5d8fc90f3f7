"""A cancelled call ends when no thread works for it any more, those included that DSPy abandons."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Any

import abandoning_programs
import pytest

from dspex_worker import left_behind
from dspex_worker.config import WorkerConfig
from dspex_worker.engine import Engine
from dspex_worker.host import CallCancelled

from fake_host import FakeHost, call, spec

watched = abandoning_programs.watched


@pytest.fixture(scope="module")
def own_engine() -> Engine:
    return Engine(WorkerConfig(modules=("abandoning_programs",)))


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    watched.clear()
    yield
    watched.release.set()


def begin(engine: Engine, program: str, host: FakeHost) -> asyncio.Task[Any]:
    return asyncio.ensure_future(call(engine, spec(f"abandoning_programs.{program}"), {}, host=host))


@pytest.mark.parametrize("times", [1, 3], ids=["cancelled once", "cancelled three times"])
@pytest.mark.parametrize(
    "program", ["ParallelThreads", "EvaluatesInThreads", "ParallelInParallel", "Asyncified"]
)
async def test_the_end_of_a_cancelled_call_comes_after_that_of_its_last_thread(
    own_engine: Engine, program: str, times: int
) -> None:
    host = FakeHost()
    running = begin(own_engine, program, host)
    assert await asyncio.to_thread(watched.deaf.wait, 20)
    # As a connection does it: a deadline may follow upon a cancel.
    host.cancelled.set()
    for _ in range(times):
        running.cancel()
        await asyncio.sleep(0)
    assert await asyncio.to_thread(watched.told.wait, 20)
    await asyncio.sleep(0.3)
    assert not running.done()
    assert not watched.done.is_set()

    watched.release.set()
    with pytest.raises((CallCancelled, asyncio.CancelledError)):
        await asyncio.wait_for(asyncio.shield(running), 10)
    assert watched.done.is_set()
    assert not left_behind._working
    assert not left_behind._waiting


async def test_a_thread_that_sleeps_for_a_second_holds_the_end_of_its_call_so_long(
    own_engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watched.release, "wait", lambda _: time.sleep(1))
    host = FakeHost()
    running = begin(own_engine, "ParallelThreads", host)
    assert await asyncio.to_thread(watched.deaf.wait, 20)
    host.cancelled.set()
    with pytest.raises(CallCancelled):
        await running
    assert watched.done.is_set()


async def test_what_waits_for_a_thread_does_not_begin_once_the_call_is_cancelled(own_engine: Engine) -> None:
    host = FakeHost()
    running = begin(own_engine, "ManyJobs", host)
    assert await asyncio.to_thread(watched.deaf.wait, 20)
    host.cancelled.set()
    watched.release.set()
    with pytest.raises(CallCancelled):
        await asyncio.wait_for(running, 10)
    assert len(watched.began) <= 2
    assert not left_behind._working


async def test_a_call_that_is_not_cancelled_leaves_its_stragglers(own_engine: Engine) -> None:
    result = await asyncio.wait_for(begin(own_engine, "Straggles", FakeHost()), 10)
    assert result["value"]["answers"] == ["second"]
    assert not watched.done.is_set()
    watched.release.set()
    for _ in range(1000):
        if not left_behind._working:
            break
        await asyncio.sleep(0.005)
    assert not left_behind._working
