"""Programs that use the tools of their session, and tools in Python."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any, Literal

import dspy
import pydantic
from dspex_test_programs import strange

from dspex_worker import session

# ------------------------------------------------------------------------------------------------ programs


async def use(name: str, arguments: dict[str, Any]) -> Any:
    """One tool of the session, on the event loop."""
    return await session().tools[name].acall(**arguments)


def use_in_thread(name: str, arguments: dict[str, Any]) -> Any:
    """The same from a thread."""
    return session().tools[name](**arguments)


async def use_all(name: str, arguments: list[dict[str, Any]]) -> list[Any]:
    """Several runs of a tool at once."""
    tool = session().tools[name]
    return list(await asyncio.gather(*(tool.acall(**each) for each in arguments)))


async def use_with(name: str, kind: str) -> list[Any]:
    """A tool with a value that JSON alone cannot hold: what it answers, and what Python makes of that."""
    given = strange(kind)
    answer = await session().tools[name].acall(value=given)
    return [
        answer,
        type(answer).__name__,
        answer == given or str(answer) == str(given) == "nan",
    ]


async def use_many_letters(name: str, count: int) -> Any:
    """A tool with a long text that Python made."""
    return await session().tools[name].acall(value="x" * count)


def names() -> list[str]:
    """The tools of the session."""
    return list(session().tools)


class Delegate(dspy.Module):  # type: ignore[misc]
    """A program without an async form that lets a tool of its session do the work."""

    def forward(self, question: str) -> Any:
        return dspy.Prediction(answer=session().tools["look_up"](question=question))


class Choose(dspy.Module):  # type: ignore[misc]
    """Gives its tools to a predictor that chooses among them, and runs what it chose."""

    def __init__(self, tools: list[dspy.Tool]) -> None:
        super().__init__()
        self.tools = tools
        self.choose = dspy.Predict(_Choice)

    async def aforward(self, question: str) -> Any:
        chosen = await self.choose.acall(question=question, tools=self.tools)
        by_name = {tool.name: tool for tool in self.tools}
        answers = [await by_name[call.name].acall(**call.args) for call in chosen.outputs.tool_calls]
        return dspy.Prediction(answers=answers)


class _Choice(dspy.Signature):  # type: ignore[misc]
    """Choose tools."""

    question: str = dspy.InputField()
    tools: list[dspy.Tool] = dspy.InputField()
    outputs: dspy.ToolCalls = dspy.OutputField()


class Nearest(dspy.Module):  # type: ignore[misc]
    """Searches a small corpus with whatever embeds."""

    def __init__(self, embedder: Any, corpus: list[str]) -> None:
        super().__init__()
        self.search = dspy.Embeddings(corpus=corpus, embedder=embedder, k=1)

    def forward(self, query: str) -> Any:
        return dspy.Prediction(found=self.search(query).passages)


def nearest(embedder: Any, questions: list[str], asked: str) -> list[str]:
    """The example that `dspy.KNN` finds closest."""
    examples = [dspy.Example(question=question).with_inputs("question") for question in questions]
    found = dspy.KNN(k=1, trainset=examples, vectorizer=dspy.Embedder(embedder))(question=asked)
    return [example.question for example in found]


# ------------------------------------------------------------------------------------------------ tools


class Parcel(pydantic.BaseModel):
    """What is sent."""

    grams: int
    express: bool = False


def postage(
    parcel: Parcel,
    zone: Literal["near", "far"] = "near",
    stamps: list[int] | None = None,
) -> dict[str, int]:
    """The price of sending a parcel, in cents."""
    price = parcel.grams // 10 + (500 if zone == "far" else 0) + (900 if parcel.express else 0)
    return {"due": price - sum(stamps or [])}


def refuse(reason: str) -> None:
    """Refuses."""
    raise ValueError(reason)


def count_down(start: int) -> Iterator[int]:
    """Counts down to one."""
    yield from range(start, 0, -1)


ended = threading.Event()
counted = [0]


async def endless(size: int = 0) -> AsyncIterator[int | str]:
    """Counts until nobody listens; with a size, gives so long texts."""
    ended.clear()
    number = counted[0] = 0
    try:
        while True:
            counted[0] += 1
            yield "x" * size if size else number
            number += 1
            await asyncio.sleep(0)
    finally:
        ended.set()


def endless_in_thread(size: int = 0) -> Iterator[int | str]:
    """The same without an event loop."""
    ended.clear()
    number = counted[0] = 0
    try:
        while True:
            counted[0] += 1
            yield "x" * size if size else number
            number += 1
    finally:
        ended.set()


async def made() -> int:
    """How many items the endless one has made that began last."""
    return counted[0]


def has_ended() -> bool:
    """Whether the endless one that began last was closed."""
    return ended.is_set()


weigh = dspy.Tool(
    lambda text: len(text),
    name="weigh",
    desc="How long a text is.",
    args={"text": {"type": "string"}},
)
