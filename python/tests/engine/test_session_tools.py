"""The tools of a session, as programs of Python find them, and calls that tools make."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import dspy
import pytest

import dspex_worker
from dspex_worker.config import WorkerConfig
from dspex_worker.engine import Engine
from dspex_worker.errors import InvalidInput, ProtocolError
from dspex_worker.proto import worker_pb2 as pb

from fake_host import call, run, spec
from tool_host import ToolHost, finish, script, step, tool, tool_set
from triage import LM

STRING = {"type": "string"}
ECHO = tool("echo", text=STRING)
TOOLS = tool_set(ECHO, {"python": "tool_programs.area"})


async def call_in_session(engine: Engine, tools: pb.ToolSet, path: str, host: ToolHost, **kwargs: Any) -> Any:
    open = pb.Open(
        function=pb.FunctionCall(path=f"tool_programs.{path}"),
        inputs=pb.Payload(json=json.dumps({"kwargs": kwargs}).encode()),
        session=pb.SessionView(id="s", tools=tools.hash),
    )
    return (await run(engine, open, host, [], [], [tools]))["value"]


async def test_a_program_finds_the_tools_of_its_session(tool_engine: Engine) -> None:
    host = ToolHost(echo=lambda given: given["text"] * 2)
    assert await call_in_session(tool_engine, TOOLS, "session_tools", host, name="echo") == {
        "names": ["echo", "area"],
        "all": [True, True],
        "same": True,
        "there": [True, False],
        "answer": "hihi",
    }


async def test_a_tool_that_the_session_lacks_is_told_with_those_that_it_has(tool_engine: Engine) -> None:
    with pytest.raises(KeyError) as raised:
        await call_in_session(tool_engine, TOOLS, "session_tools", ToolHost(), name="ecco")
    assert str(raised.value) == (
        "the session has no tool `ecco`; there are `echo`, `area`; did you mean `echo`?"
    )
    assert isinstance(raised.value, dspex_worker.ToolNotFound)
    with pytest.raises(dspex_worker.ToolNotFound, match="it has none"):
        await call_in_session(tool_engine, tool_set(), "session_tools", ToolHost(), name="echo")


async def test_an_agent_works_with_the_tools_of_whatever_session_calls_it(tool_engine: Engine) -> None:
    agent = spec("tool_programs.SessionAgent")
    for name in ("echo", "other"):
        host = ToolHost(
            script(step(name, text="hi"), *finish(answer="done")),
            echo=lambda given: "A",
            other=lambda given: "B",
        )
        tools = tool_set(tool(name, text=STRING))
        result = await call(tool_engine, agent, {"question": "?"}, host=host, lm=LM, tools=tools)
        assert result["outputs"]["answer"] == "done"
        assert host.arguments(name) == [{"text": "hi"}]


async def test_the_worker_asks_for_tools_once_and_keeps_a_bounded_number(tool_engine: Engine) -> None:
    engine = Engine(WorkerConfig(modules=("tool_programs",), settings={"max_tool_sets": 2}))
    sets = [tool_set(tool(name)) for name in ("a", "b", "c")]

    def missing(told: pb.ToolSet) -> list[str]:
        return engine.missing(pb.Open(session=pb.SessionView(tools=told.hash)))[2]

    assert [missing(told) for told in sets] == [[told.hash] for told in sets]
    engine.learn(pb.State(tools=sets))
    assert [missing(told) for told in sets] == [[sets[0].hash], [], []]


async def test_tools_that_are_not_what_their_hash_says_are_refused(engine: Engine) -> None:
    with pytest.raises(ProtocolError, match="does not have the content"):
        engine.learn(pb.State(tools=[pb.ToolSet(hash="0" * 64, json=b"[]")]))
    told = tool_set()
    told.json, told.hash = b"{}", tool_set().hash
    with pytest.raises(ProtocolError):
        engine.learn(pb.State(tools=[told]))


async def test_a_broken_tool_of_a_session_fails_those_who_use_the_tools(tool_engine: Engine) -> None:
    broken = tool_set(ECHO, ECHO)
    with pytest.raises(InvalidInput, match="`echo` is the name of another tool"):
        await call_in_session(tool_engine, broken, "session_tools", ToolHost(), name="echo")
    # Who does not use them is not concerned.
    value = await call_in_session(tool_engine, broken, "slow_echo", ToolHost(), text="hi")
    assert value == "hi"


# ------------------------------------------------------------------------------------------------ calls that
# tools make


def nesting(engine: Engine, loop: asyncio.AbstractEventLoop, depth: int, deepest: int) -> ToolHost:
    """A host whose tool calls the same program again, until it is deep enough."""
    program = spec("tool_programs.InTurn", args={"tools": [tool("nest")]})

    def nest(given: dict[str, Any]) -> Any:
        if depth == deepest:
            return depth
        host = nesting(engine, loop, depth + 1, deepest)
        inner = call(engine, program, {"arguments": {}}, host=host, depth=depth + 1)
        return asyncio.run_coroutine_threadsafe(inner, loop).result(20)["outputs"]["answers"]

    return ToolHost(nest=nest)


async def test_a_call_that_a_tool_makes_never_waits_for_the_thread_of_the_call_above_it() -> None:
    engine = Engine(WorkerConfig(modules=("tool_programs",), sync_threads=1))
    program = spec("tool_programs.InTurn", args={"tools": [tool("nest")]})
    host = nesting(engine, asyncio.get_running_loop(), 0, 5)
    result = await asyncio.wait_for(call(engine, program, {"arguments": {}}, host=host), timeout=30)
    assert result["outputs"]["answers"] == [[[[[[5]]]]]]


async def test_calls_of_one_depth_share_their_threads() -> None:
    engine = Engine(WorkerConfig(modules=("tool_programs",), sync_threads=1))
    program = spec("tool_programs.InTurn", args={"tools": [tool("a")]})
    at_once = most = 0

    def a(given: dict[str, Any]) -> int:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        at_once -= 1
        return 1

    host = ToolHost(a=a)
    calls = (call(engine, program, {"arguments": {}}, host=host, depth=1) for _ in range(5))
    await asyncio.gather(*calls)
    assert most == 1


def test_copies_of_a_program_call_the_same_function(engine: Engine) -> None:
    agent = dspy.ReAct("question -> answer", tools=[engine._maker.tool(ECHO, "")])
    copied = agent.deepcopy()
    assert copied.tools["echo"] is not agent.tools["echo"]
    assert copied.tools["echo"].func is agent.tools["echo"].func
