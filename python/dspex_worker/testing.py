"""Small targets without a language model, for tests and benchmarks of everything around DSPy.

Reachable where the configuration names this module.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import dspy

from dspex_worker.sessions import session


class Echo:
    """Gives its inputs back."""

    def __init__(self, prefix: str = "") -> None:
        self.prefix = prefix

    async def execute(self, **inputs: Any) -> dict[str, Any]:
        """The inputs, on the event loop."""
        return inputs

    def execute_sync(self, **inputs: Any) -> dict[str, Any]:
        """The inputs, from a thread."""
        return inputs

    def greet(self, name: str, times: int = 1) -> str:
        """A text made of typed parameters."""
        return " ".join([f"{self.prefix}{name}"] * times)

    async def where(self) -> dict[str, Any]:
        """What the call sees of its surroundings."""
        lm = dspy.settings.lm
        return {
            "lm": None if lm is None else lm.model,
            "adapter": type(dspy.settings.adapter).__name__,
            "trace": dspy.settings.trace,
            "thread": threading.current_thread() is threading.main_thread(),
        }

    async def fail(self, message: str) -> None:
        """Raises, with a cause."""
        try:
            raise KeyError("inner")
        except KeyError as error:
            raise RuntimeError(message) from error

    async def wait(self, seconds: float) -> float:
        """Waits on the event loop."""
        await asyncio.sleep(seconds)
        return seconds

    def wait_sync(self, seconds: float) -> float:
        """Waits in a thread."""
        time.sleep(seconds)
        return seconds


class AsyncEchoModule(dspy.Module):  # type: ignore[misc]
    """A module of DSPy that answers with its inputs, asynchronously."""

    async def aforward(self, **inputs: Any) -> dspy.Prediction:
        return dspy.Prediction(**inputs)

    def forward(self, **inputs: Any) -> dspy.Prediction:
        return dspy.Prediction(**inputs)


class SyncEchoModule(dspy.Module):  # type: ignore[misc]
    """The same without an asynchronous form."""

    def forward(self, **inputs: Any) -> dspy.Prediction:
        return dspy.Prediction(**inputs)


class SyncAnswer(dspy.Module):  # type: ignore[misc]
    """A predictor within a module that has no asynchronous form."""

    def __init__(self) -> None:
        super().__init__()
        fields = {"question": (str, dspy.InputField()), "answer": (str, dspy.OutputField())}
        self.predict = dspy.Predict(dspy.signatures.make_signature(fields, "Answer.", custom_types={}))

    def forward(self, question: str) -> dspy.Prediction:
        return self.predict(question=question)


class BlockingAnswer(SyncAnswer):
    """A mistake that is easy to make: a synchronous call within an asynchronous module."""

    async def aforward(self, question: str) -> dspy.Prediction:
        return self.predict(question=question)


def add(a: int, b: int = 1) -> int:
    """A plain function."""
    return a + b


async def add_async(a: int, b: int = 1) -> int:
    """A function to await."""
    return a + b


def clock(count: int, size: int = 0) -> Iterator[dict[str, Any]]:
    """A generator: when each item was made, and so many bytes beside it."""
    for _ in range(count):
        yield {"at": time.monotonic(), "padding": "x" * size}


async def clock_async(count: int, size: int = 0) -> AsyncIterator[dict[str, Any]]:
    """The same, asynchronously."""
    for item in clock(count, size):
        yield item


def returns_odd_values() -> dict[str, Any]:
    """Values that JSON does not hold."""
    return {"object": object(), "set": {3, 1, 2}, "bytes": b"\x00\xff", "nan": float("nan"), "tuple": (1, 2)}


class CallsTools(dspy.Module):  # type: ignore[misc]
    """Calls its tools on a thread, one after the other."""

    def __init__(self, tools: list[dspy.Tool]) -> None:
        super().__init__()
        self.tools = tools

    def forward(self, arguments: dict[str, Any]) -> dspy.Prediction:
        return dspy.Prediction(answers=[tool(**arguments) for tool in self.tools])


class CallsToolsAsync(CallsTools):
    """The same on the event loop, all at once."""

    async def aforward(self, arguments: dict[str, Any]) -> dspy.Prediction:
        return dspy.Prediction(answers=await asyncio.gather(*(t.acall(**arguments) for t in self.tools)))


async def session_tools(arguments: dict[str, Any]) -> dict[str, Any]:
    """What every tool of the session answers, by name."""
    return {name: await tool.acall(**arguments) for name, tool in session().tools.items()}
