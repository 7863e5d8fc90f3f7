"""Calls that go on after their cancellation, in a worker that has to end itself for them."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import pytest_asyncio

from dspex_worker.call import Call
from dspex_worker.config import WorkerConfig
from dspex_worker.host import Host
from dspex_worker.proto import worker_pb2 as pb
from dspex_worker.servicer import Connection, Servicer

from carriers import function
from fake_engine import Engine
from zygote_host import PATIENCE_S


class StubbornEngine(Engine):
    """Its calls end when the test says so: `stubborn` ones ignore that they are cancelled until then."""

    def __init__(self) -> None:
        super().__init__(WorkerConfig())
        self.release = asyncio.Event()

    async def do_stubborn(self, argument: Any, host: Host) -> Any:
        while not self.release.is_set():
            try:
                await self.release.wait()
            except asyncio.CancelledError:
                pass

    async def do_obedient(self, argument: Any, host: Host) -> Any:
        await self.release.wait()


class Sent:
    """What the worker sent (`servicer.Link`)."""

    def __init__(self) -> None:
        # How each call ended.
        self.ends: dict[int, str] = {}
        self.ended = asyncio.Event()

    def send(self, call: int, message: bytes, last: bool) -> None:
        if last:
            down = pb.Down.FromString(message)
            self.ends[down.call] = down.WhichOneof("kind") or ""
            self.ended.set()

    def asked(self) -> None: ...

    def backlog(self) -> int:
        return 0


class Worker:
    def __init__(self, cancel_grace_s: float | None) -> None:
        self.engine = StubbornEngine()
        self.servicer = Servicer(WorkerConfig(), self.engine, {})
        self.found = asyncio.Event()
        if cancel_grace_s is not None:
            self.servicer.end_if_stuck(cancel_grace_s, self._end)
        self.sent = Sent()
        self.connection: Connection = self.servicer.connect(self.sent, single_call=False, host="web")

    def _end(self) -> None:
        self.found.set()
        self.servicer.drain()

    async def start(self, *paths: str) -> None:
        """Calls 1, 2 and so on, which run when this returns."""
        for number, path in enumerate(paths, 1):
            self.connection.receive(pb.Up(call=number, open=function(path)).SerializeToString())
        await asyncio.sleep(0)

    def cancel(self, call: int) -> None:
        self.connection.receive(pb.Up(call=call, cancel=pb.Cancel()).SerializeToString())

    async def until_found(self) -> None:
        await asyncio.wait_for(self.found.wait(), PATIENCE_S)

    async def until_drained(self) -> None:
        await asyncio.wait_for(asyncio.shield(self.servicer.drained), PATIENCE_S)


StartWorker = Callable[[float | None], Worker]


@pytest_asyncio.fixture
async def start_worker() -> AsyncIterator[StartWorker]:
    started: list[Worker] = []

    def start(cancel_grace_s: float | None) -> Worker:
        started.append(Worker(cancel_grace_s))
        return started[-1]

    yield start
    for worker in started:
        worker.engine.release.set()
        worker.connection.abort_calls(pb.Error(kind=pb.Error.KIND_CANCELLED))
    while any(worker.servicer.in_flight for worker in started):  # noqa: ASYNC110
        await asyncio.sleep(0)


async def test_a_stuck_call_drains_the_worker_which_does_not_wait_for_it(
    start_worker: StartWorker, caplog: pytest.LogCaptureFixture
) -> None:
    worker = start_worker(0.01)
    await worker.start("stubborn")
    worker.cancel(1)
    with caplog.at_level(logging.ERROR):
        await worker.until_drained()
    assert worker.servicer.draining
    assert len(worker.servicer.stuck or ()) == 1
    assert "call 1 of the host web goes on 0.01 s after it was cancelled" in caplog.text


async def test_other_calls_finish_first(start_worker: StartWorker) -> None:
    worker = start_worker(0.01)
    await worker.start("stubborn", "obedient")
    worker.cancel(1)
    await worker.until_found()
    assert not worker.servicer.drained.done()
    worker.connection.abort_calls(pb.Error(kind=pb.Error.KIND_CANCELLED))
    await worker.until_drained()
    assert worker.sent.ends == {2: "failed"}


async def test_a_drain_is_over_when_every_call_that_is_left_is_stuck(start_worker: StartWorker) -> None:
    worker = start_worker(0.01)
    await worker.start("stubborn", "stubborn")
    worker.servicer.drain()
    worker.cancel(1)
    await worker.until_found()
    assert not worker.servicer.drained.done()
    worker.cancel(2)
    await worker.until_drained()


@pytest.mark.parametrize("how", ["the host hangs up", "its deadline passes"])
async def test_a_call_is_stuck_for_whatever_reason_it_was_cancelled(
    start_worker: StartWorker, how: str
) -> None:
    worker = start_worker(0.01)
    deadline_ms = 1 if how.startswith("its") else 0
    opened = function("stubborn", deadline_ms=deadline_ms)
    worker.connection.receive(pb.Up(call=1, open=opened).SerializeToString())
    await asyncio.sleep(0)
    if not deadline_ms:
        worker.connection.lost()
    await worker.until_drained()


async def test_a_call_that_ends_within_the_grace_is_not_stuck_and_not_kept(start_worker: StartWorker) -> None:
    worker = start_worker(600)
    await worker.start("obedient")
    worker.cancel(1)
    await asyncio.wait_for(worker.sent.ended.wait(), PATIENCE_S)
    assert not worker.servicer.draining
    await asyncio.sleep(0)  # the end of its task
    gc.collect()
    kept = [c for c in gc.get_objects() if isinstance(c, Call) and c._connection is worker.connection]
    assert kept == [], "nothing holds a call that has ended until the grace is over"


async def test_a_worker_of_a_pool_waits_for_its_calls_because_its_host_decides(
    start_worker: StartWorker,
) -> None:
    worker = start_worker(None)
    await worker.start("stubborn")
    worker.cancel(1)
    worker.servicer.drain()
    await asyncio.sleep(0.05)
    assert not worker.servicer.drained.done()
    worker.engine.release.set()
    await worker.until_drained()
