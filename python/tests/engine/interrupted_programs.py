"""Synchronous programs that nothing but an interruption ends, and that take every exception for their own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import dspy

from dspex_worker.python_tools import PythonTool, python_tool

# Told by the programs: they are in the middle of their work.
working = threading.Event()
# How often they swallowed something.
swallowed: list[str] = []


def stubborn(step: Callable[[], object]) -> None:
    while True:
        try:
            step()
        except Exception as error:
            swallowed.append(type(error).__name__)
        working.set()
        time.sleep(0.0005)


class Nothing(dspy.Module):  # type: ignore[misc]
    def forward(self) -> None:
        return None


class CallsModules(dspy.Module):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()
        self.inner = Nothing()

    def forward(self, question: str) -> Any:
        stubborn(self.inner)


class CallsModel(dspy.Module):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()
        self.ask = dspy.Predict("question -> answer")

    def forward(self, question: str) -> Any:
        stubborn(lambda: self.ask(question=question))


class LocalLM(dspy.BaseLM):  # type: ignore[misc]
    """A model of Python's that asks nobody, and always fails."""

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("no answer")


class CallsLocalModel(dspy.Module):  # type: ignore[misc]
    def forward(self, question: str) -> Any:
        model = LocalLM("local")
        stubborn(lambda: model("?"))


def add(a: int, b: int) -> int:
    return a + b


class CallsTools(dspy.Module):  # type: ignore[misc]
    def forward(self, question: str) -> Any:
        tool = dspy.Tool(add)
        stubborn(lambda: tool(a=1, b=2))


class CallsWorkerTool(dspy.Module):  # type: ignore[misc]
    def forward(self, question: str) -> Any:
        tool = python_tool(PythonTool("interrupted_programs.add", add))
        stubborn(lambda: tool(a=1, b=2))


class CallsAdapter(dspy.Module):  # type: ignore[misc]
    def forward(self, question: str) -> Any:
        adapter, signature = dspy.ChatAdapter(), dspy.Signature("question -> answer")
        stubborn(lambda: adapter.format(signature, [], {"question": "?"}))


class Evaluates(dspy.Module):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()
        self.inner = Nothing()

    def forward(self, question: str) -> Any:
        examples = [dspy.Example().with_inputs()] * 3
        evaluate = dspy.Evaluate(
            devset=examples, metric=lambda *_: 1.0, num_threads=1, display_progress=False
        )
        stubborn(lambda: evaluate(self.inner))


class RunsInParallel(dspy.Module):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()
        self.inner = CallsModules()

    def forward(self, question: str) -> Any:
        parallel = dspy.Parallel(num_threads=3, disable_progress_bar=True)
        return parallel([(self.inner, {"question": question})] * 5)


class SetsItsOwnContext(dspy.Module):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()
        self.inner = Nothing()

    def forward(self, question: str) -> Any:
        with dspy.context(adapter=dspy.JSONAdapter()):
            stubborn(self.inner)


class Compiles(dspy.Module):  # type: ignore[misc]
    def forward(self, question: str) -> Any:
        student, trainset = dspy.Predict("question -> answer"), [dspy.Example(question="?", answer="!")]
        optimizer = dspy.LabeledFewShot(k=1)
        stubborn(lambda: optimizer.compile(student, trainset=trainset))
