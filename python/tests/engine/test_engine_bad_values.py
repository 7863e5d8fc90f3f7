"""Inputs and outputs that are not what the signature says, and those that only look so."""

from __future__ import annotations

import json

import dspy
import pytest

from dspex_worker.engine import Engine
from dspex_worker.errors import InvalidInput, InvalidOutput
from dspex_worker.proto import worker_pb2 as pb

from fake_host import FakeHost, call, chat, fields_signature, spec, text_signature
from triage import LM, QA, TRIAGED, triage


async def test_all_problems_of_the_inputs_are_told_at_once(engine: Engine) -> None:
    typed = spec("dspy.Predict", text_signature("question, k: int, mood: Literal['good', 'bad'] -> answer"))

    with pytest.raises(InvalidInput) as caught:
        await call(engine, typed, {"k": "many", "mood": "ugly", "qestion": "x"}, lm=LM)

    problems = {p["field"]: p for p in caught.value.attributes["problems"]}
    assert problems["question"]["problem"] == "missing"
    assert "valid integer" in problems["k"]["problem"]
    assert problems["mood"]["expected"] == 'one of "good", "bad"'
    assert "did you mean `question`" in problems["qestion"]["problem"]
    error = engine.failed(caught.value)
    assert error.kind == pb.Error.KIND_INVALID_INPUT
    assert {p["field"] for p in json.loads(error.attributes)["problems"]} == set(problems)


async def test_inputs_are_coerced_as_their_types_say(engine: Engine) -> None:
    host = FakeHost(chat(answer="x"))
    await call(engine, spec("dspy.Predict", text_signature("k: int -> answer")), {"k": "3"}, host=host, lm=LM)
    assert "[[ ## k ## ]]\n3\n" in host.requests[0]["messages"][0]["parts"][0]["text"]


async def test_optional_inputs_may_be_missing_and_defaults_stand_in(engine: Engine) -> None:
    signature = fields_signature(
        {"a": {"type": ["string", "null"]}, "b": {"type": "integer"}}, {"c": {"type": "string"}}
    )
    signature["inputs"][1]["default"] = 5
    host = FakeHost(chat(c="x"))

    await call(engine, spec("dspy.Predict", signature), {}, host=host, lm=LM)

    text = host.requests[0]["messages"][0]["parts"][0]["text"]
    assert "[[ ## a ## ]]\nNone" in text
    assert "[[ ## b ## ]]\n5" in text


@pytest.mark.parametrize("name", ["signature", "demos", "lm", "new_signature", "_trace"])
async def test_dspys_own_keywords_are_no_inputs(engine: Engine, name: str) -> None:
    with pytest.raises(InvalidInput, match="unexpected"):
        await call(engine, spec("dspy.Predict", QA), {"question": "?", name: "q -> a: antigravity.x"}, lm=LM)


@pytest.mark.parametrize(
    "data",
    [b"[1]", b'"text"', b"{", b"NaN", b'{"question": NaN}', b'{"question":' + b"[" * 100 + b"]" * 100 + b"}"],
)
async def test_inputs_that_are_no_object_are_refused(engine: Engine, data: bytes) -> None:
    with pytest.raises(Exception, match=r"JSON|nested") as caught:
        await call(engine, spec("dspy.Predict", QA), data, lm=LM)
    assert engine.failed(caught.value).kind == pb.Error.KIND_INVALID_INPUT


async def test_a_lone_surrogate_in_a_prompt_is_a_problem_of_the_input(engine: Engine) -> None:
    with pytest.raises(InvalidInput, match="question"):
        await call(engine, spec("dspy.Predict", QA), b'{"question": "\\ud800"}', host=FakeHost(), lm=LM)


async def test_odd_values_survive_a_call_that_has_no_types(engine: Engine) -> None:
    odd = {
        "none": None,
        "exact": 2**53 + 1,
        "unicode": "e\u0301 🦀 \u202e",
        "surrogate": {"$dspex": ["str", "7aCA"]},
        "nan": {"$dspex": ["float", "nan"]},
        "huge": {"$dspex": ["int", "99999999999999999999999"]},
        "bytes": {"$dspex": ["bytes", "AP8="]},
        "deep": {"a": [{"b": {"$dspex": ["object", {"$dspex": 1}]}}]},
    }
    result = await call(engine, spec("dspex_worker.testing.Echo"), odd, method="execute")
    assert result == {"value": odd}


async def test_thirty_megabytes_pass_through(engine: Engine) -> None:
    large = "x" * 30_000_000
    result = await call(engine, spec("dspex_worker.testing.Echo"), {"text": large}, method="execute")
    assert result["value"]["text"] == large


async def test_an_output_against_its_constraints_is_an_error_with_the_models_words(engine: Engine) -> None:
    signature = fields_signature(
        {"q": {"type": "string"}}, {"code": {"type": "string", "pattern": "^[0-9]{4}$"}}
    )

    with pytest.raises(InvalidOutput) as caught:
        await call(
            engine, spec("dspy.Predict", signature), {"q": "?"}, host=FakeHost(chat(code="abc")), lm=LM
        )

    assert caught.value.attributes["problems"][0]["field"] == "code"
    assert "abc" in caught.value.attributes["lm_response"]
    assert engine.failed(caught.value).kind == pb.Error.KIND_INVALID_OUTPUT


@pytest.mark.parametrize("value", [9, 0, -1])
async def test_a_number_out_of_its_range_never_arrives(engine: Engine, value: int) -> None:
    ranged = {"type": "integer", "minimum": 1, "maximum": 5}
    signature = fields_signature({"q": {"type": "string"}}, {"stars": ranged})
    with pytest.raises((InvalidOutput, dspy.AdapterParseError)) as caught:
        await call(
            engine, spec("dspy.Predict", signature), {"q": "?"}, host=FakeHost(chat(stars=value)), lm=LM
        )
    assert engine.failed(caught.value).kind == pb.Error.KIND_INVALID_OUTPUT


async def test_garbage_of_a_model_is_an_invalid_output_that_keeps_dspys_class(engine: Engine) -> None:
    with pytest.raises(dspy.AdapterParseError) as caught:
        await call(engine, triage(), {"ticket": "x"}, host=FakeHost("I would rather not."), lm=LM)

    error = engine.failed(caught.value)
    attributes = json.loads(error.attributes)
    assert error.kind == pb.Error.KIND_INVALID_OUTPUT
    assert getattr(error, "class") == "dspy.utils.exceptions.AdapterParseError"
    assert "dspy.utils.exceptions.DSPyError" in error.mro
    assert "I would rather not." in attributes["lm_response"]
    assert attributes["problems"]


async def test_the_next_call_works_after_any_failure(engine: Engine) -> None:
    with pytest.raises(dspy.AdapterParseError):
        await call(engine, triage(), {"ticket": "x"}, host=FakeHost("garbage"), lm=LM)
    result = await call(engine, triage(), {"ticket": "x"}, host=FakeHost(chat(**TRIAGED)), lm=LM)
    assert result["outputs"] == TRIAGED
