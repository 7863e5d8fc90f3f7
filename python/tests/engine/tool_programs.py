"""Programs of a user that use tools, and tools in Python."""

from __future__ import annotations

import asyncio
import contextvars
import enum
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import dspy
import pydantic

import dspex_worker


def _signature(outputs: str = "answer") -> Any:
    fields = {"question": (str, dspy.InputField()), outputs: (str, dspy.OutputField())}
    return dspy.signatures.make_signature(fields, "Answer.", custom_types={})


class Together(dspy.Module):  # type: ignore[misc]
    """Calls all its tools at once, with the same arguments."""

    def __init__(self, tools: list[Any]) -> None:
        super().__init__()
        self.tools = tools

    async def aforward(self, arguments: dict[str, Any]) -> dspy.Prediction:
        answers = await asyncio.gather(*(tool.acall(**arguments) for tool in self.tools))
        return dspy.Prediction(answers=answers)


class InTurn(dspy.Module):  # type: ignore[misc]
    """Calls all its tools one after the other, on a thread."""

    def __init__(self, tools: list[Any]) -> None:
        super().__init__()
        self.tools = tools

    def forward(self, arguments: dict[str, Any]) -> dspy.Prediction:
        return dspy.Prediction(answers=[tool(**arguments) for tool in self.tools])


class OnTheLoop(dspy.Module):  # type: ignore[misc]
    """A mistake that is easy to make: a synchronous call of a tool within an asynchronous module."""

    def __init__(self, tools: list[Any]) -> None:
        super().__init__()
        self.tools = tools

    async def aforward(self, arguments: dict[str, Any]) -> dspy.Prediction:
        return dspy.Prediction(answers=[tool(**arguments) for tool in self.tools])


class Executes(dspy.Module):  # type: ignore[misc]
    """Executes tool calls as DSPy's documentation shows it."""

    def __init__(self, tools: list[Any]) -> None:
        super().__init__()
        self.tools = tools

    def forward(self, calls: dspy.ToolCalls) -> dspy.Prediction:
        return dspy.Prediction(answers=[call.execute(functions=self.tools) for call in calls.tool_calls])


class LostContext(dspy.Module):  # type: ignore[misc]
    """Calls its tool from a thread that knows nothing of the call, and from one that does."""

    def __init__(self, tools: list[Any]) -> None:
        super().__init__()
        self.tools = tools

    def forward(self, arguments: dict[str, Any]) -> dspy.Prediction:
        answers: list[Any] = []

        def ask() -> None:
            answers.append(self.tools[0](**arguments))

        for target, args in ((ask, ()), (contextvars.copy_context().run, (ask,))):
            thread = threading.Thread(target=target, args=args)
            thread.start()
            thread.join()
        return dspy.Prediction(answers=answers)


class Watched(dspy.Module):  # type: ignore[misc]
    """Calls its tool where callbacks of DSPy listen."""

    def __init__(self, tools: list[Any]) -> None:
        super().__init__()
        self.tools = tools

    async def aforward(self, arguments: dict[str, Any]) -> dspy.Prediction:
        listener = _Listener()
        with dspy.context(callbacks=[listener]):
            awaited = await self.tools[0].acall(**arguments)
        return dspy.Prediction(heard=listener.heard, answer=awaited)


class WatchedInThread(Watched):
    """The same on a thread."""

    def forward(self, arguments: dict[str, Any]) -> dspy.Prediction:
        listener = _Listener()
        with dspy.context(callbacks=[listener]):
            answer = self.tools[0](**arguments)
        return dspy.Prediction(heard=listener.heard, answer=answer)


class _Listener(dspy.utils.BaseCallback):  # type: ignore[misc]
    def __init__(self) -> None:
        self.heard: list[Any] = []

    def on_tool_start(self, call_id: str, instance: Any, inputs: dict[str, Any]) -> None:
        self.heard.append(["start", instance.name, inputs])

    def on_tool_end(self, call_id: str, outputs: Any, exception: Any = None) -> None:
        self.heard.append(["end", outputs])


class SessionAgent(dspy.Module):  # type: ignore[misc]
    """An agent with whatever tools its session has."""

    def __init__(self) -> None:
        super().__init__()

    async def aforward(self, question: str) -> dspy.Prediction:
        tools = dspex_worker.session().tools
        return await dspy.ReAct(_signature(), tools=list(tools.values())).acall(question=question)


async def session_tools(name: str) -> Any:
    """What the session's tools are, and what one of them answers."""
    tools = dspex_worker.session().tools
    return {
        "names": tools.list(),
        "all": [isinstance(tool, dspy.Tool) for tool in tools.values()],
        "same": tools[name] is dspex_worker.session().tools[name],
        "there": [name in tools, "nothing" in tools],
        "answer": await tools[name].acall(text="hi"),
    }


# ------------------------------------------------------------------------------------------------ tools in
# Python


class Size(enum.Enum):
    SMALL = "small"
    LARGE = "large"


class Box(pydantic.BaseModel):
    width: int
    labels: list[str] = []


def area(box: Box, times: int = 1, size: Size = Size.SMALL) -> int:
    """The area of boxes."""
    assert isinstance(box, Box)
    assert isinstance(size, Size)
    return box.width * box.width * times


async def slow_echo(text: str) -> str:
    """Says it again, later."""
    await asyncio.sleep(0.001)
    return text


def on_which_thread() -> bool:
    """Whether the tool runs on the thread of the event loop."""
    return threading.current_thread() is threading.main_thread()


def count_to(n: int) -> Iterator[int]:
    """Counts."""
    try:
        yield from range(1, n + 1)
    finally:
        closed.append(f"count_to {n}")


async def acount_to(n: int) -> AsyncIterator[int]:
    """Counts, asynchronously."""
    try:
        for i in range(1, n + 1):
            await asyncio.sleep(0)
            yield i
    finally:
        closed.append(f"acount_to {n}")


# What was closed.
closed: list[str] = []


def breaks(how: str) -> str:
    """Fails."""
    if how == "exit":
        raise SystemExit(3)
    if how == "file":
        return Path(dspy.__file__ + ".missing").read_text()
    if how == "nested":
        try:
            raise KeyError("inner")
        except KeyError as error:
            raise RuntimeError("outer") from error
    raise ValueError(how)


def shout(text: str) -> str:
    return text.upper()


loud = dspy.Tool(
    shout,
    name="loud",
    desc="Says it loudly.",
    args={"text": {"type": "string", "maxLength": 5, "description": "What to say."}},
    arg_types={"text": str},
)
echo_later = dspy.Tool(slow_echo)


class Adder:
    """Adds to what it was made with."""

    def __init__(self, base: int) -> None:
        self._base = base

    def __call__(self, a: int) -> int:
        """Adds."""
        return self._base + a


add_ten = Adder(10)
_hidden = dspy.Tool(shout)


class Embeds(dspy.Module):  # type: ignore[misc]
    """Embeds texts."""

    def __init__(self, embedder: Any) -> None:
        super().__init__()
        self.embedder = embedder

    async def aforward(self, texts: list[str]) -> dspy.Prediction:
        many, one = await self.embedder.acall(texts), await self.embedder.acall(texts[0])
        return dspy.Prediction(shape=list(many.shape), first=float(many[0][0]), one=list(one.shape))


class EmbedsInThread(Embeds):
    """The same on a thread, and through DSPy's own class."""

    def forward(self, texts: list[str]) -> dspy.Prediction:
        embedder = dspy.Embedder(self.embedder, caching=False)
        many, one = embedder(texts), self.embedder(texts[0])
        return dspy.Prediction(shape=list(many.shape), first=float(many[0][0]), one=list(one.shape))
