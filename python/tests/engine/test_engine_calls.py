"""Calls of DSPy's modules through the engine, with a model that the test plays."""

from __future__ import annotations

import json
from typing import Any

import dspy
import pytest

from dspex_worker.engine import Engine

from fake_host import FakeHost, call, chat, fields_signature, lm_spec, response, spec, text_signature
from schemas import CASES
from triage import LM, QA, TRIAGED, as_chat, as_xml, triage


@pytest.mark.parametrize(
    ("adapter", "write"), [("", as_chat), ("chat", as_chat), ("json", json.dumps), ("xml", as_xml)]
)
async def test_typed_outputs_arrive_through_every_adapter(engine: Engine, adapter: str, write: Any) -> None:
    host = FakeHost(write(TRIAGED))

    result = await call(engine, triage(), {"ticket": "It burns."}, host=host, lm=LM, adapter=adapter)

    assert result["outputs"] == TRIAGED
    assert result["usage"]["test/model"]["total_tokens"] == 15
    assert len(host.requests) == 1
    assert host.names == [LM.hash]


async def test_the_reasoning_of_chain_of_thought_is_among_the_outputs(engine: Engine) -> None:
    host = FakeHost(chat(reasoning="Because.", answer="Paris"))

    result = await call(engine, spec("dspy.ChainOfThought", QA), {"question": "?"}, host=host, lm=LM)

    assert result["outputs"] == {"reasoning": "Because.", "answer": "Paris"}
    assert "Answer shortly." in json.dumps(host.requests[0])


async def test_without_instructions_dspy_writes_its_own(engine: Engine) -> None:
    host = FakeHost(chat(answer="x"))
    await call(
        engine,
        spec("dspy.Predict", text_signature("question -> answer")),
        {"question": "?"},
        host=host,
        lm=LM,
    )

    assert dspy.Signature("question -> answer").instructions in host.requests[0]["system"]


async def test_descriptions_and_notes_reach_the_prompt(engine: Engine) -> None:
    host = FakeHost(chat(**TRIAGED))
    await call(engine, triage(), {"ticket": "x"}, host=host, lm=LM)

    assert "High: Now." in host.requests[0]["system"]


async def test_react_runs_to_its_end_and_reports_its_trajectory(engine: Engine) -> None:
    def play(request: dict[str, Any]) -> str:
        if "next_thought" in json.dumps(request["messages"][-1]):
            return chat(next_thought="Done.", next_tool_name="finish", next_tool_args={})
        return chat(reasoning="So.", answer="42")

    agent = spec("dspy.ReAct", QA, args={"tools": [], "max_iters": 3})
    result = await call(engine, agent, {"question": "?", "max_iters": 2}, host=FakeHost(play), lm=LM)

    assert result["outputs"]["answer"] == "42"
    assert result["outputs"]["reasoning"] == "So."
    assert result["outputs"]["trajectory"]["tool_name_0"] == "finish"
    assert result["usage"]["test/model"]["total_tokens"] == 30


async def test_react_v2_uses_the_native_tools_that_the_model_declares(engine: Engine) -> None:
    def play(request: dict[str, Any]) -> dict[str, Any]:
        assert [t["name"] for t in request["tools"]] == ["submit"]
        call = {"type": "tool_call", "id": "1", "name": "submit", "input": {"answer": "42"}}
        return {
            **response(""),
            "message": {"role": "assistant", "parts": [call]},
            "finish_reason": "tool_call",
        }

    capable = {"function_calling": True, "params": ["tools", "tool_choice", "temperature", "max_tokens"]}
    agent = spec("dspy.ReActV2", QA, args={"tools": []})
    model = lm_spec(capabilities=capable)
    result = await call(engine, agent, {"question": "?"}, host=FakeHost(play), lm=model, adapter="json")

    assert result["outputs"]["answer"] == "42"
    assert result["outputs"]["termination_reason"] == "submit"
    assert isinstance(result["outputs"]["history"]["messages"], list)


async def test_structured_outputs_are_asked_for_where_the_model_declares_them(engine: Engine) -> None:
    capable = lm_spec(capabilities={"response_schema": True, "params": ["response_format"]})
    host = FakeHost(json.dumps(TRIAGED))

    await call(engine, triage(), {"ticket": "x"}, host=host, lm=capable, adapter="json")

    asked = host.requests[0]["config"]["response_format"]
    assert asked["type"] == "json_schema"
    assert list(asked["schema"]["properties"]) == list(TRIAGED)


@pytest.mark.parametrize(
    "schema",
    [
        CASES["map"].schema,
        CASES["map_of_integers"].schema,
        CASES["flattened_map"].schema,
        CASES["arbitrary"].schema,
        {"type": "array", "items": CASES["map"].schema},
        {"type": "object", "properties": {"counts": CASES["map"].schema}, "required": ["counts"]},
    ],
)
async def test_maps_are_not_asked_for_in_a_form_that_allows_only_empty_ones(
    engine: Engine, schema: Any
) -> None:
    capable = lm_spec(capabilities={"response_schema": True, "params": ["response_format"]})
    signature = fields_signature({"q": {"type": "string"}}, {"a": schema})
    host = FakeHost("{}")

    with pytest.raises(dspy.AdapterParseError):
        await call(engine, spec("dspy.Predict", signature), {"q": "?"}, host=host, lm=capable, adapter="json")

    assert {r["config"]["response_format"]["type"] for r in host.requests} == {"json_object"}


async def test_multi_chain_comparison_takes_its_attempts(engine: Engine) -> None:
    attempts = [{"reasoning": f"r{i}", "answer": f"a{i}"} for i in range(3)]
    host = FakeHost(chat(rationale="The second.", answer="a1"))

    result = await call(
        engine,
        spec("dspy.MultiChainComparison", QA),
        {"question": "?", "completions": attempts},
        host=host,
        lm=LM,
    )

    assert result["outputs"] == {"rationale": "The second.", "answer": "a1"}


async def test_several_completions_are_all_told(engine: Engine) -> None:
    answers = iter(["one", "two", "three"])
    host = FakeHost(lambda request: chat(answer=next(answers)))

    result = await call(
        engine, spec("dspy.Predict", QA, config={"n": 3}), {"question": "?"}, host=host, lm=LM
    )

    assert result["outputs"] == {"answer": "one"}
    assert [c["answer"] for c in result["completions"]] == ["one", "two", "three"]


async def test_outputs_named_like_methods_are_read_as_values(engine: Engine) -> None:
    odd = spec("dspy.Predict", text_signature("q -> items, copy, keys"))
    result = await call(engine, odd, {"q": "?"}, host=FakeHost(chat(items="1", copy="2", keys="3")), lm=LM)
    assert result["outputs"] == {"items": "1", "copy": "2", "keys": "3"}


async def test_per_call_configuration_reaches_the_model(engine: Engine) -> None:
    host = FakeHost(chat(answer="x"))
    predict = spec("dspy.Predict", QA, config={"temperature": 0.2})

    await call(engine, predict, {"question": "?", "config": {"max_tokens": 7}}, host=host, lm=LM)

    assert host.requests[0]["config"]["temperature"] == 0.2
    assert host.requests[0]["config"]["max_tokens"] == 7


@pytest.mark.parametrize("text", ["None", "null", ""])
async def test_a_model_that_writes_none_means_null(engine: Engine, text: str) -> None:
    host = FakeHost(chat(**{**TRIAGED, "due": text}))
    result = await call(engine, triage(), {"ticket": "x"}, host=host, lm=LM)
    assert result["outputs"]["due"] is None


async def test_numbers_in_a_text_stay_text(engine: Engine) -> None:
    result = await call(
        engine, spec("dspy.Predict", QA), {"question": "?"}, host=FakeHost(chat(answer="007")), lm=LM
    )
    assert result["outputs"]["answer"] == "007"
