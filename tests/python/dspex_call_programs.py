"""Programs for the tests of pools, cancellation and retries."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path
from typing import Any

import dspy


def process_id() -> int:
    return os.getpid()


class Stubborn(dspy.Module):  # type: ignore[misc]
    """Has no async form, asks the model for ever, and takes every exception for one that it may ignore."""

    def __init__(self) -> None:
        super().__init__()
        self.ask = dspy.Predict("question -> answer")

    def forward(self, question: str) -> Any:
        while True:
            try:
                self.ask(question=question)
            except Exception:
                pass


class Inner(dspy.Module):  # type: ignore[misc]
    """Asks nobody."""

    def forward(self) -> None:
        time.sleep(0.001)


class Busy(dspy.Module):  # type: ignore[misc]
    """Has no async form, and calls nothing of the host: only modules of Python."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = Inner()

    def forward(self, question: str) -> Any:
        while True:
            try:
                self.inner()
            except Exception:
                pass


class Crowd(dspy.Module):  # type: ignore[misc]
    """Has no async form, and runs modules of Python in threads of DSPy's."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = Busy()

    def forward(self, question: str) -> Any:
        pairs = [(self.inner, {"question": question})] * 3
        return dspy.Parallel(num_threads=3, disable_progress_bar=True)(pairs)


def end_once(marker: str) -> str:
    """Ends its process the first time; later it answers."""
    path = Path(marker)
    if not path.exists():
        path.write_text(str(os.getpid()))
        os._exit(7)
    return "done"


def end_always(marker: str) -> None:
    """Ends its process each time, and counts."""
    path = Path(marker)
    count = int(path.read_text()) if path.exists() else 0
    path.write_text(str(count + 1))
    os._exit(7)


async def ask_twice() -> str:
    """Goes on after its model failed once."""
    predict = dspy.Predict("question -> answer")
    try:
        await predict.acall(question="?")
    except Exception:
        pass
    return str((await predict.acall(question="?")).answer)


class Counted(dspy.Module):  # type: ignore[misc]
    """Says where it was built, and how often it was built there."""

    built = 0

    def __init__(self) -> None:
        super().__init__()
        Counted.built += 1

    async def aforward(self, seconds: float) -> Any:
        await asyncio.sleep(seconds)
        return dspy.Prediction(process=os.getpid(), built=Counted.built)


def leave(marker: str) -> None:
    """Shows that it ran."""
    Path(marker).touch()
