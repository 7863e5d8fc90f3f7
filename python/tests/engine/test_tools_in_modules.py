"""Tools of the host in all modules of DSPy that take tools."""

from __future__ import annotations

import contextlib
import inspect
import io
import json
import threading
from collections.abc import Callable
from typing import Any

import dspy
import pytest
from dspy.adapters.types.tool import ToolCalls
from dspy.primitives.code_interpreter import FinalOutput

from dspex_worker.engine import Engine
from dspex_worker.errors import InvalidInput

from fake_host import call, chat, fields_signature, lm_spec, spec, text_signature
from tool_host import ToolHost, finish, native, refused, script, step, tool
from triage import LM, QA

STRING = {"type": "string"}
PLAN = tool("plan", email=STRING, years={"type": "integer", "default": 1})
TOOL = {"type": "object", "format": "tool"}
CALLS = {"type": "object", "format": "tool-calls"}
NATIVE = lm_spec(capabilities={"function_calling": True, "params": ["tools", "tool_choice"]})


class InProcess:
    """An interpreter of the test's own: `exec`, with what RLM injects as globals."""

    def __init__(self) -> None:
        self.tools: dict[str, Callable[..., Any]] = {}
        self._globals: dict[str, Any] = {}

    def start(self) -> None:
        pass

    def execute(self, code: str, variables: dict[str, Any] | None = None) -> Any:
        def submit(**outputs: Any) -> None:
            raise _Submitted(outputs)

        scope = {**self.tools, **(variables or {}), "SUBMIT": submit}
        self._globals.update(scope)
        printed = io.StringIO()
        try:
            with contextlib.redirect_stdout(printed):
                exec(code, self._globals)
        except _Submitted as submitted:
            return FinalOutput(submitted.outputs)
        return printed.getvalue()

    def shutdown(self) -> None:
        pass


class _Submitted(Exception):
    def __init__(self, outputs: dict[str, Any]) -> None:
        super().__init__()
        self.outputs = outputs


@pytest.fixture
def interpreter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dspy.predict.rlm.resolve_interpreter_factory", lambda given: InProcess)


@pytest.mark.usefixtures("interpreter")
async def test_code_of_rlm_calls_the_host_from_a_thread_and_asks_models_there(engine: Engine) -> None:
    code = (
        "found = plan(email='sara@acme.io')\n"
        "wrong = plan(email=None, extra=1)\n"
        "print(found, wrong, llm_query('Say hi.'))"
    )

    def plan(given: dict[str, Any]) -> Any:
        if "extra" in given:
            raise refused("`extra` is unexpected", "invalid_arguments")
        return {"plan": "gold"}

    host = ToolHost(
        script(
            chat(reasoning="?", code=code),
            "hi",
            chat(reasoning="?", code="SUBMIT(answer=found['plan'])"),
        ),
        plan=plan,
    )
    target = spec("dspy.RLM", QA, args={"tools": [PLAN]})
    result = await call(engine, target, {"question": "Which plan?"}, host=host, lm=LM)
    assert result["outputs"]["answer"] == "gold"
    assert host.arguments("plan") == [{"email": "sara@acme.io"}, {"email": None, "extra": 1}]
    assert threading.get_ident() not in host.asked_from
    output = result["outputs"]["trajectory"][0]["output"]
    assert "{'error': '`extra` is unexpected', 'retryable': False} hi" in output
    assert "plan(email: string, years: integer)" in json.dumps(host.requests[0])


def test_interpreters_see_the_parameters_of_a_tool(engine: Engine) -> None:
    declared = tool("t", b=STRING, a={"type": "integer", "default": 3}, c=STRING)
    module = dspy.RLM("q -> a", tools=[engine._maker.tool(declared, "")])
    invoke = module._make_interpreter_tool(module.tools["t"])
    assert str(invoke.__signature__) == "(b, a=3, *, c)"
    assert (invoke.__name__, invoke.__doc__) == ("t", "Does t.")
    odd = engine._maker.tool(tool("t", **{"class": STRING}), "")
    assert str(odd.func.__signature__) == "(**arguments)"


def test_flex_builds_its_program_with_tools_of_the_host(engine: Engine) -> None:
    flex = dspy.Flex("question -> answer", tools=[engine._maker.tool(PLAN, "")])
    assert "tools=[plan]" in flex._module_src
    entry = flex._bridge._tool_callables()["plan"]
    assert list(inspect.signature(entry).parameters) == ["email", "years"]


async def test_a_tool_whose_name_rlm_has_itself_is_refused_with_the_reason(engine: Engine) -> None:
    for name in ("llm_query", "print"):
        target = spec("dspy.RLM", QA, args={"tools": [tool(name)]})
        with pytest.raises(InvalidInput, match=name):
            await call(engine, target, {"question": "?"}, host=ToolHost(), lm=LM)


# ------------------------------------------------------------------------------------------------ Predict


def predict(tools: Any = None) -> Any:
    return spec(
        "dspy.Predict",
        fields_signature(
            {"question": STRING, "tools": tools or {"type": "array", "items": TOOL}}, {"calls": CALLS}
        ),
    )


async def test_a_predictor_takes_tools_as_inputs_and_answers_with_calls(engine: Engine) -> None:
    answer = chat(calls={"tool_calls": [{"name": "plan", "args": {"email": "a"}}]})
    host = ToolHost(script(answer))
    inputs = {"question": "?", "tools": [PLAN, tool("other")]}
    result = await call(engine, predict(), inputs, host=host, lm=LM)
    calls = ToolCalls.model_validate(result["outputs"]["calls"])
    assert [(c.name, c.args) for c in calls.tool_calls] == [("plan", {"email": "a"})]
    said = json.dumps(host.requests[0])
    assert "plan, whose description is <desc>Does plan.</desc>. It takes arguments" in said
    assert "key:plan" not in said


async def test_a_single_tool_is_an_input_too(engine: Engine) -> None:
    host = ToolHost(script(chat(calls={"tool_calls": []})))
    await call(engine, predict(TOOL), {"question": "?", "tools": PLAN}, host=host, lm=LM)
    assert "Does plan." in host.prompts()


async def test_a_program_of_a_user_takes_tools_as_inputs(tool_engine: Engine) -> None:
    host = ToolHost(echo=lambda given: given["text"], other=lambda given: 2)
    inputs = {"tools": [tool("echo"), {"python": "tool_programs.loud"}], "one": tool("other")}
    result = await call(tool_engine, spec("tool_programs.TakesTools"), inputs, host=host)
    assert result["outputs"]["answers"] == ["hi", "HI", 2]
    result = await call(tool_engine, spec("tool_programs.TakesTools"), {"tools": [], "one": None}, host=host)
    assert result["outputs"]["answers"] == []


async def test_what_is_no_tool_is_refused_as_an_input(engine: Engine) -> None:
    for given, says in (
        (["plan"], r"tools\[0\].*got a string.*expected"),
        ([PLAN, PLAN], "`plan` is the name of another tool"),
        ([{"func": "os.system"}], "got an object"),
    ):
        with pytest.raises(InvalidInput, match=says):
            await call(engine, predict(), {"question": "?", "tools": given}, host=ToolHost(), lm=LM)


async def test_no_model_can_answer_with_a_tool(engine: Engine) -> None:
    target = spec("dspy.Predict", fields_signature({"q": STRING}, {"t": TOOL}))
    with pytest.raises(InvalidInput, match="no model can make a tool"):
        await call(engine, target, {"q": "?"}, host=ToolHost(), lm=LM)


async def test_the_text_of_a_signature_names_tools(engine: Engine) -> None:
    host = ToolHost(script(chat(calls={"tool_calls": []})))
    text = text_signature("question, tools: list[dspy.Tool] -> calls: dspy.ToolCalls")
    inputs = {"question": "?", "tools": [PLAN]}
    await call(engine, spec("dspy.Predict", text), inputs, host=host, lm=LM)
    assert "Does plan." in host.prompts()


# ------------------------------------------------------------------------------------------------ native
# calls


async def test_native_calls_get_the_schemas_of_the_host(engine: Engine) -> None:
    host = ToolHost(script(native(("plan", {"email": "a", "years": None}))))
    inputs = {"question": "?", "tools": [PLAN]}
    result = await call(engine, predict(), inputs, host=host, lm=NATIVE, adapter="json")
    (request,) = host.requests
    (declared,) = request["tools"]
    assert (declared["name"], declared["description"]) == ("plan", "Does plan.")
    assert declared["parameters"]["required"] == ["email"]
    assert declared["parameters"]["properties"]["years"] == {"type": "integer", "default": 1}
    (made,) = result["outputs"]["calls"]["tool_calls"]
    assert made["args"] == {"email": "a", "years": None}


@pytest.mark.parametrize("adapter", ["json"])
async def test_react_v2_calls_the_host_natively(engine: Engine, adapter: str) -> None:
    host = ToolHost(
        script(
            native(("plan", {"email": "a"}), ("plan", {"nope": 1})), native(("submit", {"answer": "Gold."}))
        ),
        plan=lambda given: {"plan": "gold", **given},
    )
    target = spec("dspy.ReActV2", QA, args={"tools": [PLAN]})
    result = await call(engine, target, {"question": "?"}, host=host, lm=NATIVE, adapter=adapter)
    assert result["outputs"]["answer"] == "Gold."
    assert result["outputs"]["termination_reason"] == "submit"
    assert host.arguments("plan") == [{"email": "a"}, {"nope": 1}]
    assert {t["name"] for t in host.requests[0]["tools"]} == {"plan", "submit"}
    assert "gold" in json.dumps(host.requests[1]["messages"])


async def test_an_agent_reads_lists_of_numbers_and_of_objects(engine: Engine) -> None:
    host = ToolHost(
        script(step("plan", email="a"), step("plan", email="b"), *finish(answer="Gold.")),
        plan=lambda given: [3, 0.5, None] if given["email"] == "a" else [{"é": [True]}, "«gold»"],
    )
    target = spec("dspy.ReAct", QA, args={"tools": [PLAN]})
    result = await call(engine, target, {"question": "?"}, host=host, lm=LM)
    assert result["outputs"]["trajectory"]["observation_0"] == [3, 0.5, None]
    shown = json.dumps(host.requests[2]["messages"], ensure_ascii=False)
    assert "[1] «3»\\n[2] «0.5»\\n[3] «null»" in shown
    assert '[1] «{\\"é\\": [true]}»' in shown


# ------------------------------------------------------------------------------------------------ within
# other modules


async def test_the_same_agent_is_asynchronous_alone_and_synchronous_within_best_of_n(engine: Engine) -> None:
    agent = {"class": "dspy.ReAct", "signature": QA, "args": {"tools": [PLAN]}}
    answers = (step("plan", email="a"), *finish(answer="Gold."))
    host = ToolHost(
        script(*answers, *answers, step("plan", email="b"), *finish(answer="Silver.")),
        plan=lambda given: "gold",
        reward=lambda given: 1.0 if given["prediction"]["answer"] == "Silver." else 0.25,
    )
    inputs = {"question": "?"}
    alone = await call(engine, spec("dspy.ReAct", QA, args=agent["args"]), inputs, host=host, lm=LM)
    assert alone["outputs"]["answer"] == "Gold."
    args = {"module": agent, "N": 3, "threshold": 1.0, "reward_fn": {"host": "reward"}}
    best = await call(engine, spec("dspy.BestOfN", args=args), inputs, host=host, lm=LM)
    assert best["outputs"]["answer"] == "Silver."
    assert host.arguments("plan") == [{"email": "a"}, {"email": "a"}, {"email": "b"}]
    assert (host.asked_from[0] == threading.get_ident(), threading.get_ident() in host.asked_from[1:]) == (
        True,
        False,
    )
