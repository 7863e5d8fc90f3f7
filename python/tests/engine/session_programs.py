"""Programs of a team that use the session of their call."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import dspy

from dspex_worker import Session, VersionConflict, session

# What the programs below run; the test sets it.
body: Callable[[], Any] = lambda: None  # noqa: E731
async_body: Callable[[], Awaitable[Any]] | None = None

kept: list[Session] = []


class Sync(dspy.Module):  # type: ignore[misc]
    """Runs on a thread."""

    def forward(self) -> dspy.Prediction:
        return dspy.Prediction(answer=body())


class Async(dspy.Module):  # type: ignore[misc]
    """Runs on the event loop."""

    async def aforward(self) -> dspy.Prediction:
        assert async_body is not None
        return dspy.Prediction(answer=await async_body())


class Agent(dspy.Module):  # type: ignore[misc]
    """Has a tool that keeps count."""

    def __init__(self) -> None:
        super().__init__()

        def count(what: str) -> str:
            """Counts."""
            variables = session().variables
            while True:
                value, version = variables.read("count")
                try:
                    variables.update("count", value + 1, if_version=version)
                except VersionConflict:
                    continue
                return f"{what}: {value + 1}"

        self.react = dspy.ReAct("question -> answer", tools=[count])

    def forward(self, question: str) -> Any:
        return self.react(question=question)


class Keeper(dspy.Module):  # type: ignore[misc]
    """A mistake that is easy to make: the session of an earlier call."""

    def forward(self) -> dspy.Prediction:
        if not kept:
            kept.append(session())
        return dspy.Prediction(answer=kept[0].variables["x"])


class Parallel(dspy.Module):  # type: ignore[misc]
    """Reads from the threads that DSPy starts."""

    def forward(self) -> dspy.Prediction:
        reader = Sync()
        results = dspy.Parallel(num_threads=2, disable_progress_bar=True)([(reader, {})] * 4)
        return dspy.Prediction(answer=[r.answer for r in results])


class OwnThread(dspy.Module):  # type: ignore[misc]
    """A thread that DSPy knows nothing of."""

    def forward(self) -> dspy.Prediction:
        raised: list[BaseException] = []

        def run() -> None:
            try:
                session()
            except Exception as error:
                raised.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
        raise raised[0]


class LoopInThread(dspy.Module):  # type: ignore[misc]
    """An event loop of its own, within a synchronous module."""

    def forward(self) -> dspy.Prediction:
        async def run() -> tuple[Any, Any]:
            variables = session().variables
            return (await variables.aread("x")).value, variables["x"]

        return dspy.Prediction(answer=asyncio.run(run()))


def score() -> Any:
    """A metric, as a plain function."""
    return session().variables["x"]
