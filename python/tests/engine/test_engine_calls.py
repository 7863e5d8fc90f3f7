"""Calls of DSPy's modules through the engine, with a model that the test plays."""

from __future__ import annotations

import json
from typing import Any

import dspy
import pytest

from dspex_worker.engine import Engine
from dspex_worker.errors import InvalidInput, InvalidOutput, NotAllowed, NotFound, ProtocolError
from dspex_worker.proto import worker_pb2 as pb

from fake_host import FakeHost, call, chat, fields_signature, lm_spec, response, run, spec, text_signature
from schemas import CASES

QA = text_signature("question -> answer", "Answer shortly.")
LM = lm_spec()


def triage(cls: str = "dspy.Predict") -> pb.Spec:
    outputs = {
        "urgency": CASES["documented_enum"].schema,
        "tags": {"type": "array", "items": {"type": "string"}},
        "owner": CASES["nested_struct"].schema,
        "score": {"type": "number", "format": "double"},
        "due": {"type": ["string", "null"]},
    }
    return spec(cls, fields_signature({"ticket": {"type": "string"}}, outputs, "Triage a ticket."))


TRIAGED: dict[str, Any] = {
    "urgency": "High",
    "tags": ["billing", "angry"],
    "owner": {"name": "Sara", "age": 30},
    "score": 0.5,
    "due": None,
}


def as_chat(fields: dict[str, Any]) -> str:
    return chat(**fields)


def as_xml(fields: dict[str, Any]) -> str:
    return "\n".join(
        f"<{name}>\n{value if isinstance(value, str) else json.dumps(value)}\n</{name}>"
        for name, value in fields.items()
    )


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


# ------------------------------------------------------------------------------------------------ types of
# DSPy

PIXEL = "data:image/png;base64,iVBORw0KGgo="


@pytest.mark.parametrize(
    ("form", "value", "part"),
    [
        ("image", {"url": PIXEL}, "image"),
        ("audio", {"data": "AAAA", "audio_format": "wav"}, "audio"),
        ("file", {"file_data": "data:application/pdf;base64,AAAA"}, "document"),
    ],
)
async def test_media_reach_the_model_as_parts_and_not_as_text(
    engine: Engine, form: str, value: dict[str, Any], part: str
) -> None:
    host = FakeHost(chat(answer="seen"))
    signature = fields_signature(
        {"media": {"type": "object", "format": form}}, {"answer": {"type": "string"}}
    )

    await call(engine, spec("dspy.Predict", signature), {"media": value}, host=host, lm=LM)

    kinds = [p["type"] for message in host.requests[0]["messages"] for p in message["parts"]]
    assert part in kinds
    assert "CUSTOM-TYPE" not in json.dumps(host.requests[0])


async def test_a_history_becomes_messages(engine: Engine) -> None:
    host = FakeHost(chat(answer="Bern"))
    signature = text_signature("history: dspy.History, question -> answer")
    history = {"messages": [{"question": "Capital of France?", "answer": "Paris"}]}

    await call(
        engine, spec("dspy.Predict", signature), {"history": history, "question": "And?"}, host=host, lm=LM
    )

    assert [m["role"] for m in host.requests[0]["messages"]] == ["user", "assistant", "user"]


@pytest.mark.parametrize("value", [{"uri": PIXEL}, {"url": PIXEL, "download": True}, 5, [], {"url": 5}])
async def test_what_is_no_image_is_refused_where_an_image_belongs(engine: Engine, value: Any) -> None:
    signature = fields_signature(
        {"image": {"type": "object", "format": "image"}}, {"answer": {"type": "string"}}
    )
    host = FakeHost()

    with pytest.raises(InvalidInput) as caught:
        await call(engine, spec("dspy.Predict", signature), {"image": value}, host=host, lm=LM)

    assert caught.value.attributes["problems"][0]["field"] == "image"
    assert caught.value.attributes["problems"][0]["expected"] == "dspy.Image"
    assert host.requests == []


async def test_a_path_is_no_image_and_no_file_is_read(engine: Engine, tmp_path: Any) -> None:
    secret = tmp_path / "secret.png"
    secret.write_bytes(b"top secret")
    signature = fields_signature(
        {"image": {"type": "object", "format": "image"}}, {"answer": {"type": "string"}}
    )

    with pytest.raises(InvalidInput):
        await call(engine, spec("dspy.Predict", signature), {"image": {"url": str(secret)}}, lm=LM)


# ------------------------------------------------------------------------------------------------ bad inputs


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


# ------------------------------------------------------------------------------------------------ bad outputs


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


# ------------------------------------------------------------------------------------------------ without a
# model


@pytest.mark.parametrize("cls", ["dspy.Predict", "dspy.ChainOfThought", "dspy.MultiChainComparison"])
async def test_a_call_without_a_language_model_says_what_to_do(engine: Engine, cls: str) -> None:
    inputs: dict[str, Any] = {"question": "?"}
    if cls == "dspy.MultiChainComparison":
        inputs["completions"] = [{"reasoning": "r", "answer": "a"}] * 3

    with pytest.raises(dspy.LMNotConfiguredError, match=r"Dspex::builder\(\)\.lm") as caught:
        await call(engine, spec(cls, QA), inputs)

    error = engine.failed(caught.value)
    assert error.kind == pb.Error.KIND_LM
    assert json.loads(error.attributes)["code"] == "not_configured"
    assert not error.retryable


async def test_an_unknown_adapter_is_named(engine: Engine) -> None:
    with pytest.raises(InvalidInput, match="'yaml' is unknown"):
        await call(engine, spec("dspy.Predict", QA), {"question": "?"}, lm=LM, adapter="yaml")


# ------------------------------------------------------------------------------------------------ methods and
# checks


async def test_a_check_builds_and_describes_without_a_call(engine: Engine) -> None:
    agent = spec("dspy.ReAct", QA, args={"tools": []})
    result = await run(engine, pb.Open(check=pb.Check(spec=agent.hash)), FakeHost(), [agent], [])
    assert result == {"class": "dspy.ReAct", "predictors": ["react", "extract.predict"], "async": True}


async def test_public_methods_can_be_called_with_checked_arguments(engine: Engine) -> None:
    echo = spec("dspex_worker.testing.Echo", args={"prefix": "hi "})

    assert await call(engine, echo, {"name": "Sara", "times": "2"}, method="greet") == {
        "value": "hi Sara hi Sara"
    }
    with pytest.raises(InvalidInput, match="`times`"):
        await call(engine, echo, {"name": "Sara", "times": "often"}, method="greet")
    with pytest.raises(InvalidInput, match="`name`: missing"):
        await call(engine, echo, {}, method="greet")


@pytest.mark.parametrize(
    ("method", "error"), [("_private", NotAllowed), ("__init__", NotAllowed), ("gret", NotFound)]
)
async def test_other_methods_are_refused(engine: Engine, method: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        await call(engine, spec("dspex_worker.testing.Echo"), {}, method=method)


@pytest.mark.parametrize("method", ["save", "load", "set_lm", "load_state", "batch"])
async def test_methods_that_reach_beyond_the_call_say_what_to_do_instead(engine: Engine, method: str) -> None:
    with pytest.raises(NotAllowed, match=method):
        await call(engine, spec("dspy.Predict", QA), {}, method=method)


async def test_a_module_lists_its_predictors_and_dumps_its_state(engine: Engine) -> None:
    cot = spec("dspy.ChainOfThought", QA)
    names = [name for name, _ in (await call(engine, cot, {}, method="named_predictors"))["value"]]
    state = (await call(engine, cot, {}, method="dump_state"))["value"]
    assert names == ["predict"]
    assert [f["prefix"] for f in state["predict"]["signature"]["fields"]] == [
        "Question:",
        "Reasoning:",
        "Answer:",
    ]


async def test_an_optimizer_takes_specs_and_examples_and_returns_a_state(engine: Engine) -> None:
    student = json.loads(spec("dspy.Predict", QA).json)
    example = {"fields": {"question": "2 + 2", "answer": "4"}, "inputs": ["question"]}
    optimizer = spec("dspy.LabeledFewShot", args={"k": 1})
    given = {"student": student, "trainset": [example]}
    state = (await call(engine, optimizer, given, method="compile"))["value"]
    assert [demo["answer"] for demo in state["demos"]] == ["4"]

    learned = spec("dspy.Predict", QA, state=state)
    assert (await call(engine, learned, {}, method="dump_state"))["value"]["demos"] == state["demos"]


async def test_what_is_no_spec_is_refused_as_an_argument_of_a_method(engine: Engine) -> None:
    optimizer = spec("dspy.LabeledFewShot")
    with pytest.raises(InvalidInput, match=r"student`?: .*a spec"):
        await call(engine, optimizer, {"student": "dspy.Predict", "trainset": []}, method="compile")
    with pytest.raises(NotAllowed, match=r"os\.system"):
        await call(engine, optimizer, {"student": {"class": "os.system"}, "trainset": []}, method="compile")


async def test_a_method_that_changes_the_module_changes_a_copy(engine: Engine) -> None:
    predict = spec("dspy.Predict", QA, config={"temperature": 0.5})
    await call(engine, predict, {"temperature": 0.9}, method="update_config")
    assert await call(engine, predict, {}, method="get_config") == {"value": {"temperature": 0.5}}


@pytest.mark.parametrize("method", ["", "forward", "acall", "__call__"])
async def test_every_name_of_the_call_is_the_call(engine: Engine, method: str) -> None:
    predict = spec("dspy.Predict", QA)
    result = await call(
        engine, predict, {"question": "?"}, host=FakeHost(chat(answer="x")), lm=LM, method=method
    )
    assert result["outputs"] == {"answer": "x"}


# ------------------------------------------------------------------------------------------------ state by
# hash


async def test_the_engine_says_what_it_lacks_and_keeps_what_it_learns(engine: Engine) -> None:
    predict = spec("dspy.Predict", QA)
    open = pb.Open(instance=pb.InstanceCall(spec=predict.hash), session=pb.SessionView(lm=LM.hash))

    assert engine.missing(open) == ([predict.hash], [LM.hash])
    engine.learn(pb.State(specs=[predict], lms=[LM]))
    assert engine.missing(open) == ([], [])


async def test_content_that_does_not_have_its_hash_is_refused(engine: Engine) -> None:
    forged = spec("dspy.Predict", QA)
    forged.json = b"{}"
    with pytest.raises(ProtocolError, match="hash"):
        engine.learn(pb.State(specs=[forged]))
    model = lm_spec()
    model.json = b"{}"
    with pytest.raises(ProtocolError, match="hash"):
        engine.learn(pb.State(lms=[model]))


async def test_a_call_of_what_was_never_sent_is_a_broken_protocol(engine: Engine) -> None:
    with pytest.raises(ProtocolError, match="State"):
        await engine.run(pb.Open(instance=pb.InstanceCall(spec="0" * 64)), FakeHost())
    with pytest.raises(ProtocolError, match="no target"):
        await engine.run(pb.Open(), FakeHost())
