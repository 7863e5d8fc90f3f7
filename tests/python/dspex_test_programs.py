"""Programs that the integration tests reach through the untyped door."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import signal
import sys
import time
from typing import Any

import dspy


def echo(value: Any) -> Any:
    return value


def type_of(value: Any) -> str:
    return type(value).__name__


def process_id() -> int:
    """The worker's."""
    return os.getpid()


async def sleep(seconds: float) -> str:
    """Ends early when it is cancelled, and leaves a trace of that."""
    global cancelled
    try:
        await asyncio.sleep(seconds)
    except asyncio.CancelledError:
        cancelled += 1
        raise
    return "slept"


cancelled = 0


def count_cancelled() -> int:
    return cancelled


def hold_the_gil() -> None:
    """A C function that no Python code can interrupt."""
    re.match(r"(a+)+$", "a" * 60 + "b")


def sleep_in_thread(seconds: float) -> str:
    time.sleep(seconds)
    return "slept"


def end_process(code: int) -> None:
    os._exit(code)


def end_by_signal(number: int) -> None:
    os.kill(os.getpid(), number)
    signal.pause()


def exit_from_sync_code() -> None:
    sys.exit("enough")


async def exit_from_async_code() -> None:
    sys.exit("enough")


def write_to_stdout(text: str) -> None:
    print(text, flush=True)


def log_warning(text: str) -> None:
    logging.getLogger("my_team").warning("%s", text)


class Sorry(ValueError):
    """An exception with something to say."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


def fail(message: str) -> None:
    try:
        raise KeyError("the first failure")
    except KeyError as error:
        raise Sorry(message, 42) from error


class Opaque:
    def __repr__(self) -> str:
        return "<opaque thing>"


def strange(kind: str) -> Any:
    """Values that JSON alone cannot hold."""
    return {
        "nan": float("nan"),
        "inf": float("inf"),
        "negative_inf": float("-inf"),
        "big": 2**100,
        "exact": 2**53 + 1,
        "bytes": b"\x00\xff",
        "surrogate": "a\ud800b",
        "opaque": Opaque(),
        "none": None,
        "unicode": {"ключ": ["😀", "é", "\u0000"]},
        "set": {3},
        "tuple": (1, "two"),
    }[kind]


def large(size: int) -> str:
    return "x" * size


def describe_word(word: str) -> dict[str, Any]:
    """How long a word is."""
    return {"word": word, "letters": len(word)}


def refuse_word(word: str) -> str:
    """Takes no word."""
    raise ValueError(f"no {word}")


def length(text: str) -> int:
    return len(text)


class Echo:
    """A trivial instance: no DSPy at all."""

    async def execute(self, **inputs: Any) -> dict[str, Any]:
        return inputs


class SyncProgram(dspy.Module):  # type: ignore[misc]
    """A program that has no async form; it asks the model twice."""

    def __init__(self) -> None:
        super().__init__()
        self.first = dspy.Predict("question -> answer")
        self.second = dspy.Predict("question -> answer")

    def forward(self, question: str) -> Any:
        first = self.first(question=question)
        return self.second(question=first.answer)


class AsyncProgram(dspy.Module):  # type: ignore[misc]
    """The same with an async form."""

    def __init__(self) -> None:
        super().__init__()
        self.ask = dspy.Predict("question -> answer")

    def forward(self, question: str) -> Any:
        return self.ask(question=question)

    async def aforward(self, question: str) -> Any:
        return await self.ask.acall(question=question)


class Team(dspy.Module):  # type: ignore[misc]
    """A team's own class that is made from a signature, with a method of its own that takes the inputs."""

    def __init__(self, signature: Any, greeting: str = "") -> None:
        super().__init__()
        self.greeting = greeting
        self.ask = dspy.Predict(signature)

    async def aforward(self, **inputs: Any) -> Any:
        return await self.ask.acall(**inputs)

    async def greet(self, question: str) -> Any:
        return dspy.Prediction(answer=f"{self.greeting}, {question}!")

    def shout(self, text: str) -> str:
        return text.upper()
