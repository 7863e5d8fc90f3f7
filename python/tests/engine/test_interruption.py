"""A cancelled call stops in synchronous code too: at its next module, model, tool, adapter or evaluation."""

from __future__ import annotations

import asyncio
import threading
import time

import interrupted_programs
import pytest

from dspex_worker.config import WorkerConfig
from dspex_worker.engine import Engine
from dspex_worker.host import CallCancelled

from fake_host import FakeHost, call, chat, lm_spec, spec

PROGRAMS = [
    "CallsModules",
    "CallsModel",
    "CallsLocalModel",
    "CallsTools",
    "CallsWorkerTool",
    "CallsAdapter",
    "Evaluates",
    "RunsInParallel",
    "SetsItsOwnContext",
    "Compiles",
]


@pytest.fixture(scope="module")
def own_engine() -> Engine:
    return Engine(WorkerConfig(modules=("interrupted_programs",)))


def threads() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name.startswith("ThreadPoolExecutor")}


@pytest.mark.parametrize("program", PROGRAMS)
async def test_a_program_that_swallows_every_exception_is_interrupted(
    own_engine: Engine, program: str
) -> None:
    interrupted_programs.working.clear()
    before = threads()
    host = FakeHost(chat(answer="x"))
    running = asyncio.ensure_future(
        call(
            own_engine,
            spec(f"interrupted_programs.{program}"),
            {"question": "?"},
            host=host,
            lm=lm_spec(),
        )
    )
    await asyncio.to_thread(interrupted_programs.working.wait, 20)
    assert interrupted_programs.working.is_set()
    assert not running.done()

    host.cancelled.set()
    started = time.monotonic()
    with pytest.raises(CallCancelled):
        await asyncio.wait_for(running, 10)

    assert time.monotonic() - started < 2
    assert "CallCancelled" not in interrupted_programs.swallowed
    # Threads that DSPy started for it end as well.
    for thread in threads() - before:
        await asyncio.to_thread(thread.join, 10)
        assert not thread.is_alive()


async def test_calls_that_are_not_cancelled_have_no_callbacks_and_go_on(own_engine: Engine) -> None:
    result = await call(
        own_engine,
        spec("dspy.ChainOfThought", {"text": "question -> answer", "instructions": None}),
        {"question": "?"},
        host=FakeHost(chat(reasoning="r", answer="42")),
        lm=lm_spec(),
    )
    assert result["outputs"]["answer"] == "42"


async def test_async_code_sees_the_end_that_asyncio_knows(engine: Engine) -> None:
    host = FakeHost(chat(answer="x"))
    host.cancelled.set()
    target = spec("dspy.Predict", {"text": "question -> answer", "instructions": None})
    with pytest.raises(asyncio.CancelledError):
        await call(engine, target, {"question": "?"}, host=host, lm=lm_spec())
