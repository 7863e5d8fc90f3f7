"""Tools in Python: for models, whom nothing but values reach, and for hosts, who call them by path."""

from __future__ import annotations

import asyncio
import json
import sys
import threading
from typing import Any

import dspy
import pytest

from dspex_worker import introspect
from dspex_worker.engine import Engine
from dspex_worker.errors import InvalidInput, NotAllowed, NotFound
from dspex_worker.host import CallCancelled
from dspex_worker.proto import worker_pb2 as pb

import tool_programs
from fake_host import FakeHost, call, call_function, run, spec
from tool_host import ToolHost, finish, script, step, tool
from triage import LM, QA


def python(name: str) -> dict[str, str]:
    return {"python": f"tool_programs.{name}"}


async def answers(engine: Engine, program: str, *tools: Any, **arguments: Any) -> Any:
    """What tools answer to a program."""
    target = spec(f"tool_programs.{program}", args={"tools": list(tools)})
    result = await call(engine, target, {"arguments": arguments}, host=ToolHost(a=lambda given: given))
    return result["outputs"]["answers"]


BOTH = pytest.mark.parametrize("program", ["Together", "InTurn"])


@BOTH
async def test_a_function_gets_arguments_of_its_own_types(tool_engine: Engine, program: str) -> None:
    given = {"box": {"width": "3"}, "times": 2, "size": "large"}
    assert await answers(tool_engine, program, python("area"), **given) == [18]


@BOTH
async def test_asynchronous_functions_and_generators_answer_everywhere(
    tool_engine: Engine, program: str
) -> None:
    assert await answers(tool_engine, program, python("slow_echo"), text="hi") == ["hi"]
    assert await answers(tool_engine, program, python("echo_later"), text="hi") == ["hi"]
    assert await answers(tool_engine, program, python("count_to"), n=3) == [[1, 2, 3]]
    assert await answers(tool_engine, program, python("acount_to"), n=3) == [[1, 2, 3]]
    assert await answers(tool_engine, program, python("add_ten"), a=3) == [13]


async def test_a_synchronous_function_does_not_block_the_loop(tool_engine: Engine) -> None:
    assert await answers(tool_engine, "Together", python("on_which_thread")) == [False]


@BOTH
async def test_wrong_arguments_are_told_in_a_value(tool_engine: Engine, program: str) -> None:
    (wrong,) = await answers(tool_engine, program, python("area"), boxx={}, times="x")
    assert not wrong["retryable"]
    for part in ("`boxx`: unexpected; did you mean `box`?", "`times`:", "`box`: missing"):
        assert part in wrong["error"]
    (wrong,) = await answers(tool_engine, program, python("loud"), text="too long")
    assert wrong["error"].startswith("`text`: 'too long' is too long")
    assert await answers(tool_engine, program, python("loud"), text="hi") == ["HI"]


@BOTH
async def test_null_is_the_absence_of_an_optional_argument(tool_engine: Engine, program: str) -> None:
    given = {"box": {"width": 3}, "times": None, "size": None}
    assert await answers(tool_engine, program, python("area"), **given) == [9]


@BOTH
@pytest.mark.parametrize(
    ("how", "says"),
    [
        ("simply", "ValueError: simply"),
        ("nested", "RuntimeError: outer"),
        ("exit", "SystemExit: 3"),
        ("file", "FileNotFoundError: "),
    ],
)
async def test_an_exception_is_a_value_without_its_origin(
    tool_engine: Engine, program: str, how: str, says: str
) -> None:
    (told,) = await answers(tool_engine, program, python("breaks"), how=how)
    assert told["error"].startswith(says)
    for forbidden in ("Traceback", sys.prefix, "line "):
        assert forbidden not in json.dumps(told)


async def test_an_asynchronous_tool_on_the_loop_says_what_to_do(tool_engine: Engine) -> None:
    (told,) = await answers(tool_engine, "OnTheLoop", python("slow_echo"), text="hi")
    assert "await tool.acall(..)" in told["error"]
    assert await answers(tool_engine, "OnTheLoop", python("shout"), text="hi") == ["HI"]


async def test_react_mixes_tools_of_python_and_of_the_host(tool_engine: Engine) -> None:
    host = ToolHost(
        script(
            step("area", box={"width": 3}),
            step("plan", email="a"),
            step("breaks", how="file"),
            *finish(answer="9"),
        ),
        plan=lambda given: "gold",
    )
    tools = [python("area"), tool("plan"), python("breaks")]
    target = spec("dspy.ReAct", QA, args={"tools": tools})
    result = await call(tool_engine, target, {"question": "?"}, host=host, lm=LM)
    trajectory = result["outputs"]["trajectory"]
    assert [trajectory[f"observation_{i}"] for i in range(2)] == [9, "gold"]
    assert "Traceback" not in host.prompts()
    assert sys.prefix not in host.prompts()


async def test_only_what_the_host_allowed_can_be_a_tool(tool_engine: Engine) -> None:
    for name, error in (
        ("os.system", NotAllowed),
        ("tool_programs._hidden", NotAllowed),
        ("tool_programs.nothing", NotFound),
        ("tool_programs.closed", NotFound),
        ("tool_programs.Box", InvalidInput),
        (5, InvalidInput),
    ):
        target = spec("dspy.ReAct", QA, args={"tools": [{"python": name}]})
        with pytest.raises(error):
            await call(tool_engine, target, {"question": "?"}, host=ToolHost(), lm=LM)


# ------------------------------------------------------------------------------------------------ called by
# the host


async def call_tool(engine: Engine, name: str, host: FakeHost | None = None, **arguments: Any) -> Any:
    open = pb.Open(
        tool=pb.ToolCall(path=f"tool_programs.{name}"),
        inputs=pb.Payload(json=json.dumps(arguments).encode()),
    )
    return await run(engine, open, host or FakeHost(), [], [])


class Listening(FakeHost):
    """Says when several items have come."""

    def __init__(self) -> None:
        super().__init__()
        self.several = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    def item_blocking(self, body: bytes) -> None:
        super().item_blocking(body)
        if len(self.events) == 5:
            self._loop.call_soon_threadsafe(self.several.set)


async def describe(engine: Engine, path: str) -> Any:
    open = pb.Open(tool=pb.ToolCall(path=path, describe=True))
    return await run(engine, open, FakeHost(), [], [])


async def test_the_host_calls_every_kind_of_tool(tool_engine: Engine) -> None:
    for name, arguments, answer in (
        ("area", {"box": {"width": 3}}, 9),
        ("slow_echo", {"text": "hi"}, "hi"),
        ("loud", {"text": "hi"}, "HI"),
        ("echo_later", {"text": "hi"}, "hi"),
        ("add_ten", {"a": 1}, 11),
        ("on_which_thread", {}, False),
    ):
        assert await call_tool(tool_engine, name, **arguments) == {"value": answer}


@pytest.mark.parametrize("name", ["count_to", "acount_to"])
async def test_items_of_a_generator_are_events_in_order(tool_engine: Engine, name: str) -> None:
    host = FakeHost()
    assert await call_tool(tool_engine, name, host, n=3) == {"items": 3}
    assert host.events == [("item", {"index": i, "value": i + 1}) for i in range(3)]


async def test_wrong_arguments_of_the_host_are_invalid_input(tool_engine: Engine) -> None:
    with pytest.raises(InvalidInput) as raised:
        await call_tool(tool_engine, "area", boks=1, times="x")
    problems = {p["field"]: p["problem"] for p in raised.value.attributes["problems"]}
    assert problems.keys() == {"boks", "times", "box"}
    assert problems["box"] == "missing"
    with pytest.raises(InvalidInput, match="too long"):
        await call_tool(tool_engine, "loud", text="much too long")


async def test_an_error_of_the_tool_is_raised_to_the_host(tool_engine: Engine) -> None:
    with pytest.raises(RuntimeError, match="outer"):
        await call_tool(tool_engine, "breaks", how="nested")
    with pytest.raises(NotFound, match=r"did you mean `tool_programs\.shout`"):
        await call_tool(tool_engine, "shoot", text="x")


async def test_a_cancelled_stream_closes_its_asynchronous_generator(tool_engine: Engine) -> None:
    tool_programs.closed.clear()
    host = Listening()
    running = asyncio.create_task(call_tool(tool_engine, "acount_to", host, n=10**9))
    await asyncio.wait_for(host.several.wait(), 10)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert tool_programs.closed == ["acount_to 1000000000"]


async def test_a_cancelled_stream_closes_its_generator_on_a_thread(tool_engine: Engine) -> None:
    tool_programs.closed.clear()
    host = Listening()
    running = asyncio.create_task(call_tool(tool_engine, "count_to", host, n=10**9))
    await asyncio.wait_for(host.several.wait(), 10)
    host.cancelled.set()
    with pytest.raises(CallCancelled):
        await running
    assert tool_programs.closed == ["count_to 1000000000"]


async def test_a_tool_is_described_as_it_stands_in_a_spec(tool_engine: Engine) -> None:
    area = await describe(tool_engine, "tool_programs.area")
    assert area["path"] == "tool_programs.area"
    assert (area["name"], area["desc"], area["streams"]) == ("area", "The area of boxes.", False)
    assert area["args"]["box"]["properties"]["width"] == {"title": "Width", "type": "integer"}
    assert area["args"]["times"] == {"type": "integer", "default": 1}
    assert area["args"]["size"]["default"] == "small"
    assert area["returns"] == {"type": "integer"}
    loud = await describe(tool_engine, "tool_programs.loud")
    assert loud["args"] == tool_programs.loud.args
    assert (loud["name"], loud["desc"]) == ("loud", "Says it loudly.")
    stream = await describe(tool_engine, "tool_programs.acount_to")
    assert (stream["streams"], stream["returns"]) == (True, {"type": "integer"})
    odd = await describe(tool_engine, "tool_programs.on_which_thread")
    assert odd["args"] == {}


# ------------------------------------------------------------------------------------------------ in schema
# documents


def test_tools_of_a_module_stand_among_the_functions_of_its_schema(tool_engine: Engine) -> None:
    document = introspect.document(tool_engine._catalogue, ["tool_programs"])
    functions = {f["name"]: f for f in document["functions"]}
    loud = functions["tool_programs.loud"]
    assert loud["params"] == [
        {
            "name": "text",
            "role": "value",
            "required": True,
            "type": {"k": "str"},
            "doc": "What to say.",
        }
    ]
    assert (loud["async"], loud["params_extra"], loud["returns"]) == (False, False, {"k": "str"})
    assert (loud["doc"], loud["canonical"]) == ("Says it loudly.", "tool_programs.loud")
    assert functions["tool_programs.echo_later"]["async"]
    assert functions["tool_programs.add_ten"]["params"][0]["type"] == {"k": "int"}
    assert functions["tool_programs.add_ten"]["returns"] == {"k": "int"}
    assert "tool_programs._hidden" not in functions
    assert "tool_programs.closed" not in functions


async def test_tools_of_a_module_are_called_like_its_functions(tool_engine: Engine) -> None:
    assert await call_function(tool_engine, "tool_programs.loud", text="hi") == {"value": "HI"}
    assert await call_function(tool_engine, "tool_programs.loud", "hi") == {"value": "HI"}
    assert await call_function(tool_engine, "tool_programs.echo_later", text="hi") == {"value": "hi"}
    assert await call_function(tool_engine, "tool_programs.add_ten", 5) == {"value": 15}
    for args, says in ((("a", "b"), "2 arguments by position"), ((), "`text`: missing")):
        with pytest.raises(InvalidInput, match=says):
            await call_function(tool_engine, "tool_programs.loud", *args)
    with pytest.raises(InvalidInput, match="given twice"):
        await call_function(tool_engine, "tool_programs.loud", "a", text="b")


def test_tools_of_python_are_tools_of_dspy(tool_engine: Engine) -> None:
    made = tool_engine._maker.tool(python("area"), "")
    assert isinstance(made, dspy.Tool)
    assert made.format_as_litellm_function_call()["function"]["parameters"]["required"] == ["box"]
    assert threading.active_count() > 0
