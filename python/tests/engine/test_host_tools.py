"""Tools of the host in DSPy's agents: what they are called with, and what the model sees of them."""

from __future__ import annotations

import asyncio
import json
import math
import sys
import threading
from typing import Any

import dspy
import pytest
from dspy.utils.exceptions import AdapterParseError

from dspex_worker import codec
from dspex_worker.engine import Engine
from dspex_worker.errors import InvalidInput
from dspex_worker.host import CallCancelled
from dspex_worker.proto import worker_pb2 as pb
from dspex_worker.tool_sets import ToolMaker

from fake_host import call, chat, spec
from tool_host import ToolHost, finish, refused, script, step, tool
from triage import LM, QA

STRING = {"type": "string"}
PLAN = tool("plan", email=STRING, years={"type": "integer", "default": 1})


def react(*tools: dict[str, Any], cls: str = "dspy.ReAct") -> pb.Spec:
    return spec(cls, QA, args={"tools": list(tools)})


def with_tools(program: str, *tools: dict[str, Any]) -> pb.Spec:
    return spec(f"tool_programs.{program}", args={"tools": list(tools)})


async def ask(engine: Engine, host: ToolHost, target: pb.Spec, **inputs: Any) -> Any:
    return await call(engine, target, inputs or {"question": "Which plan?"}, host=host, lm=LM)


def host_of(*answers: Any, **functions: Any) -> ToolHost:
    return ToolHost(script(*answers), **functions)


async def test_react_calls_the_host_and_the_model_sees_the_answer(engine: Engine) -> None:
    host = host_of(
        step("plan", email="sara@acme.io"), *finish(answer="Gold."), plan=lambda a: {"plan": "gold"}
    )
    result = await ask(engine, host, react(PLAN))
    assert result["outputs"]["answer"] == "Gold."
    assert host.asked == [(pb.Callback.KIND_TOOL, "key:plan", {"email": "sara@acme.io"})]
    assert result["outputs"]["trajectory"]["observation_0"] == {"plan": "gold"}
    assert "[[ ## observation_0 ## ]]" in host.prompts()
    first = json.dumps(host.requests[0])
    assert "plan, whose description is <desc>Does plan.</desc>" in first
    assert "'default': 1" in first


async def test_an_error_of_a_tool_is_a_value_that_the_model_recovers_from(engine: Engine) -> None:
    def plan(arguments: dict[str, Any]) -> str:
        if arguments["email"] == "sara":
            raise refused("`email`: no address; expected one such as a@b.c", "invalid_arguments")
        if arguments["email"] == "busy@acme.io":
            raise refused("the CRM is busy", retryable=True)
        return "gold"

    host = host_of(
        step("plan", email="sara"),
        step("plan", email="busy@acme.io"),
        step("plan", email="sara@acme.io"),
        *finish(answer="Gold."),
        plan=plan,
    )
    trajectory = (await ask(engine, host, react(PLAN)))["outputs"]["trajectory"]
    assert trajectory["observation_0"] == {
        "error": "`email`: no address; expected one such as a@b.c",
        "retryable": False,
    }
    assert trajectory["observation_1"] == {"error": "the CRM is busy", "retryable": True}
    assert trajectory["observation_2"] == "gold"


ODD: list[dict[str, Any]] = [
    {},
    {"email": None},
    {"email": 7, "years": "many"},
    {"unknown": {"a": [1]}},
    {"self": 1, "instance": 2, "kwargs": 3, "args": 4, "arguments": 5, "fn": 6, "name": "x"},
    {"": 1, "not an identifier": 2, "class": 3},
]


@pytest.mark.parametrize("arguments", ODD)
@pytest.mark.parametrize("program", ["Together", "InTurn"])
async def test_whatever_a_model_gives_reaches_the_host(
    tool_engine: Engine, arguments: dict[str, Any], program: str
) -> None:
    host = host_of(plan=lambda given: given)
    result = await ask(tool_engine, host, with_tools(program, PLAN), arguments=arguments)
    assert result["outputs"]["answers"] == [arguments]


@pytest.mark.parametrize("arguments", ODD)
async def test_no_traceback_and_no_path_ever_comes_into_a_prompt(
    engine: Engine, arguments: dict[str, Any]
) -> None:
    def plan(given: dict[str, Any]) -> Any:
        raise refused("not so", "invalid_arguments")

    odd = chat(next_thought="?", next_tool_name="plan", next_tool_args=json.dumps(arguments))
    host = host_of(odd, *finish(answer="?"), plan=plan)
    await ask(engine, host, react(PLAN))
    assert host.arguments("plan") == [arguments]
    for forbidden in ("Traceback", ".py", "site-packages", "Execution error", "/dspy", sys.prefix):
        assert forbidden not in host.prompts()


@pytest.mark.parametrize("cls", ["dspy.ReAct", "dspy.ReActV2"])
async def test_what_dspys_own_tools_refuse_is_told_without_a_traceback(engine: Engine, cls: str) -> None:
    if cls == "dspy.ReAct":
        host = host_of(step("finish", answer="Gold."), chat(reasoning="?", answer="Gold."))
        says = "Execution error in finish: ValueError: Arg answer is not in the tool's args."
    else:
        wrong, right = ({"name": "submit", "args": args} for args in ({}, {"answer": "Gold."}))
        host = host_of(
            *(chat(next_thought="?", tool_calls={"tool_calls": [submit]}) for submit in (wrong, right))
        )
        says = "Execution error in submit: ValueError: Missing required final output field(s): answer"
    result = await ask(engine, host, react(PLAN, cls=cls))
    assert result["outputs"]["answer"] == "Gold."
    assert says in host.prompts()
    assert "Traceback" not in host.prompts()
    assert sys.prefix not in host.prompts()


async def test_a_users_own_agent_shows_no_traceback_either(tool_engine: Engine) -> None:
    host = host_of(step("breaks", how="file"), *finish(answer="?"))
    await ask(tool_engine, host, spec("tool_programs.OwnAgent"))
    assert "Execution error in breaks: FileNotFoundError" in host.prompts()
    assert "Traceback" not in host.prompts()
    assert sys.prefix not in host.prompts()


async def test_a_tool_that_is_not_registered_any_more_is_told(engine: Engine) -> None:
    host = host_of(step("plan", email="a"), *finish(answer="?"))
    trajectory = (await ask(engine, host, react(PLAN)))["outputs"]["trajectory"]
    assert trajectory["observation_0"]["error"] == "no tool is registered as `key:plan`"


async def test_a_tool_that_does_not_exist_is_never_asked_for(engine: Engine) -> None:
    # ReAct ends with what DSPy makes of an answer that does not fit; ReActV2 tells the model.
    host = host_of(step("paln", email="a"), step("paln", email="a"), plan=lambda given: 1)
    with pytest.raises(AdapterParseError):
        await ask(engine, host, react(PLAN))
    assert host.asked == []
    calls = {"tool_calls": [{"name": "paln", "args": {"email": "a"}}]}
    submit = {"tool_calls": [{"name": "submit", "args": {"answer": "?"}}]}
    host = host_of(chat(next_thought="?", tool_calls=calls), chat(next_thought="?", tool_calls=submit))
    await ask(engine, host, react(PLAN, cls="dspy.ReActV2"))
    assert "Unknown tool: paln" in host.prompts()


async def test_two_tools_of_an_asynchronous_program_run_at_the_same_time(tool_engine: Engine) -> None:
    arrived = asyncio.Event()
    count = 0

    async def meet(given: dict[str, Any]) -> str:
        nonlocal count
        count += 1
        if count == 2:
            arrived.set()
        await arrived.wait()
        return "met"

    host = host_of(a=meet, b=meet)
    target = with_tools("Together", tool("a"), tool("b"))
    result = await asyncio.wait_for(ask(tool_engine, host, target, arguments={}), 10)
    assert result["outputs"]["answers"] == ["met", "met"]
    assert host.most_in_flight == 2


async def test_a_hundred_agents_work_at_the_same_time(engine: Engine) -> None:
    def host_of_agent(i: int) -> ToolHost:
        steps = [step("plan", email=f"{i}-{n}") for n in range(4)]
        return host_of(*steps, *finish(answer=str(i)), plan=lambda given: {"of": given["email"], "agent": i})

    hosts = [host_of_agent(i) for i in range(100)]
    target = react(PLAN)
    results = await asyncio.gather(*(ask(engine, host, target) for host in hosts))
    assert [result["outputs"]["answer"] for result in results] == [str(i) for i in range(100)]
    for i, host in enumerate(hosts):
        assert host.arguments("plan") == [{"email": f"{i}-{n}"} for n in range(4)]
        assert results[i]["outputs"]["trajectory"]["observation_3"] == {"of": f"{i}-3", "agent": i}


async def test_a_synchronous_program_calls_from_its_thread(tool_engine: Engine) -> None:
    host = host_of(plan=lambda given: "gold")
    result = await ask(tool_engine, host, with_tools("InTurn", PLAN), arguments={"email": "a"})
    assert result["outputs"]["answers"] == ["gold"]
    assert host.asked_from != [threading.get_ident()]


async def test_a_synchronous_call_on_the_loop_says_what_to_do(tool_engine: Engine) -> None:
    host = host_of(plan=lambda given: "gold")
    result = await ask(tool_engine, host, with_tools("OnTheLoop", PLAN), arguments={"email": "a"})
    (answer,) = result["outputs"]["answers"]
    assert "await tool.acall(..)" in answer["error"]
    assert host.asked == []


async def test_tool_calls_execute_tools_of_the_host(tool_engine: Engine) -> None:
    host = host_of(plan=lambda given: given["email"].upper())
    calls = {"tool_calls": [{"name": "plan", "args": {"email": "a"}}]}
    result = await ask(tool_engine, host, with_tools("Executes", PLAN), calls=calls)
    assert result["outputs"]["answers"] == ["A"]


async def test_a_thread_without_the_call_is_told_how_to_keep_it(tool_engine: Engine) -> None:
    host = host_of(plan=lambda given: "gold")
    result = await ask(tool_engine, host, with_tools("LostContext", PLAN), arguments={"email": "a"})
    lost, kept = result["outputs"]["answers"]
    assert "copy_context" in lost["error"]
    assert kept == "gold"


@pytest.mark.parametrize("program", ["Watched", "WatchedInThread"])
async def test_callbacks_of_dspy_hear_of_tools_as_of_its_own(tool_engine: Engine, program: str) -> None:
    host = host_of(plan=lambda given: "gold")
    arguments = {"email": "a", "instance": 1, "self": 2}
    result = await ask(tool_engine, host, with_tools(program, PLAN), arguments=arguments)
    assert result["outputs"]["heard"] == [["start", "plan", {"kwargs": arguments}], ["end", "gold"]]


async def test_every_type_of_json_comes_through_unchanged(tool_engine: Engine) -> None:
    arguments = {
        "text": "ünï\u0000 😀 </tool>",
        "integers": [0, -1, 2**63 - 1, 2**64 - 1, -(2**63)],
        "large": 10**40,
        "floats": [0.1, 1e308, -0.0],
        "infinite": float("-inf"),
        "booleans": [True, False],
        "null": None,
        "nested": {"a": [{"b": []}], "": {}},
        "bytes": b"\x00\xff",
    }
    host = host_of(plan=lambda given: given)
    target = with_tools("Together", PLAN)
    open = codec.dumps({"arguments": arguments})
    result = await call(tool_engine, target, open, host=host, lm=LM)
    assert codec.loads(json.dumps(result).encode())["outputs"]["answers"] == [arguments]
    assert host.arguments("plan") == [arguments]


async def test_not_a_number_comes_through(tool_engine: Engine) -> None:
    host = host_of(plan=lambda given: given["x"])
    open = codec.dumps({"arguments": {"x": math.nan}})
    result = await call(tool_engine, with_tools("InTurn", PLAN), open, host=host, lm=LM)
    assert result["outputs"]["answers"] == [{"$dspex": ["float", "nan"]}]
    assert math.isnan(host.arguments("plan")[0]["x"])


async def test_an_answer_of_five_megabytes_comes_through(tool_engine: Engine) -> None:
    large = {"rows": ["x" * 1024] * 5 * 1024}
    for program in ("Together", "InTurn"):
        host = host_of(plan=lambda given: large)
        result = await ask(tool_engine, host, with_tools(program, PLAN), arguments={})
        assert result["outputs"]["answers"] == [large]


@pytest.mark.parametrize("program", ["Together", "InTurn"])
async def test_what_cannot_be_told_is_an_error_value(tool_engine: Engine, program: str) -> None:
    host = host_of(plan=lambda given: "gold")
    open = codec.dumps({"arguments": {"email": "half \ud800", "n": 1}})
    result = await call(tool_engine, with_tools(program, PLAN), open, host=host, lm=LM)
    (answer,) = result["outputs"]["answers"]
    assert answer["error"] == (
        "the argument `email` of the tool `plan` holds half of a surrogate pair; give it as plain JSON"
    )
    assert host.asked == []


@pytest.mark.parametrize("program", ["Together", "InTurn"])
async def test_an_answer_that_cannot_be_read_is_an_error_value(tool_engine: Engine, program: str) -> None:
    host = host_of(plan=lambda given: b'{"$dspex": ["what", 1]}')
    result = await ask(tool_engine, host, with_tools(program, PLAN), arguments={})
    (answer,) = result["outputs"]["answers"]
    assert answer["error"].startswith("the tool `plan` answered with what cannot be read")
    assert not answer["retryable"]


async def test_a_cancelled_call_ends_in_the_middle_of_a_tool(engine: Engine) -> None:
    reached = asyncio.Event()

    async def hang(given: dict[str, Any]) -> str:
        reached.set()
        await asyncio.sleep(3600)
        return "never"

    host = host_of(step("plan", email="a"), plan=hang)
    running = asyncio.create_task(ask(engine, host, react(PLAN)))
    await asyncio.wait_for(reached.wait(), 10)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert len(host.requests) == 1


async def test_a_cancelled_call_ends_in_the_middle_of_a_tool_on_a_thread(tool_engine: Engine) -> None:
    host = host_of(plan=lambda given: "gold")
    host.hold = threading.Event()
    target = with_tools("InTurn", PLAN, tool("next"))
    running = asyncio.create_task(ask(tool_engine, host, target, arguments={}))
    await asyncio.to_thread(host.entered.wait, 10)
    host.cancelled.set()
    with pytest.raises(CallCancelled):
        await running
    assert host.asked == []


# ------------------------------------------------------------------------------------------------ ReActV2 and
# native calls


def react_v2(*tools: dict[str, Any]) -> pb.Spec:
    return react(*tools, cls="dspy.ReActV2")


async def test_react_v2_calls_the_host_in_text(engine: Engine) -> None:
    host = host_of(
        chat(next_thought="?", tool_calls={"tool_calls": [{"name": "plan", "args": {"email": "a", "z": 1}}]}),
        chat(next_thought="?", tool_calls={"tool_calls": [{"name": "submit", "args": {"answer": "Gold."}}]}),
        plan=lambda given: {"plan": "gold"},
    )
    result = await ask(engine, host, react_v2(PLAN))
    assert result["outputs"]["answer"] == "Gold."
    assert host.arguments("plan") == [{"email": "a", "z": 1}]


async def test_a_forced_submit_ends_an_agent_whose_tool_keeps_failing(engine: Engine) -> None:
    def fails(given: dict[str, Any]) -> Any:
        raise refused("the CRM is down")

    calls = {"tool_calls": [{"name": "plan", "args": {"email": "a"}}]}
    submit = {"tool_calls": [{"name": "submit", "args": {"answer": "?"}}]}
    host = host_of(
        chat(next_thought="?", tool_calls=calls), chat(next_thought="?", tool_calls=submit), plan=fails
    )
    target = spec("dspy.ReActV2", QA, args={"tools": [PLAN], "max_iters": 1})
    result = await ask(engine, host, target)
    assert result["outputs"]["termination_reason"] == "forced_submit"
    assert "the CRM is down" in host.prompts()
    assert "Traceback" not in host.prompts()


async def test_the_tools_of_a_spec_have_names_of_their_own(engine: Engine) -> None:
    for tools, says in (
        ([PLAN, PLAN], "`plan` is the name of another tool"),
        ([tool("finish")], "`finish` is a tool that ReAct has itself"),
        ([{"host": "k", "name": "x"}], "`args` has to be an object"),
        ([{"host": "k", "name": "", "args": {}}], "`name` has to be a text"),
        ([{"host": "k", "name": "x", "args": {"a": True}}], "the parameter `a` has no JSON Schema"),
        ([{"host": "k", "name": "x", "args": {}, "more": 1}], "`more` is unexpected"),
        ({"plan": PLAN}, "got an object"),
    ):
        with pytest.raises(InvalidInput, match=says):
            await ask(engine, host_of(), spec("dspy.ReAct", QA, args={"tools": tools}))
    with pytest.raises(InvalidInput, match="`submit` is a tool that ReActV2 has itself"):
        await ask(engine, host_of(), react_v2(tool("submit")))


def test_agents_that_ship_source_refuse_tools_of_the_host(engine: Engine) -> None:
    maker: ToolMaker = engine._maker
    with pytest.raises(InvalidInput, match="ships its tools to the interpreter as source"):
        maker.tools([PLAN], "tools", dspy.predict.CodeAct)
    with pytest.raises(InvalidInput, match="DSPy gives it no tools"):
        maker.tools([PLAN], "tools", dspy.predict.ProgramOfThought)


def test_native_schemas_require_what_has_no_default(engine: Engine) -> None:
    made = engine._maker.tool(PLAN, "tool")
    assert made.format_as_litellm_function_call() == {
        "type": "function",
        "function": {
            "name": "plan",
            "description": "Does plan.",
            "parameters": {
                "type": "object",
                "properties": {"email": STRING, "years": {"type": "integer", "default": 1}},
                "required": ["email"],
            },
        },
    }
