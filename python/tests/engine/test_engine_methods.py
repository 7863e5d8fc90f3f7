"""Methods, checks, calls without a model, and state by hash."""

from __future__ import annotations

import json
from typing import Any

import dspy
import pytest

from dspex_worker.engine import Engine
from dspex_worker.errors import InvalidInput, NotAllowed, NotFound, ProtocolError
from dspex_worker.proto import worker_pb2 as pb

from fake_host import FakeHost, call, chat, lm_spec, run, spec
from triage import LM, QA


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


async def test_the_engine_says_what_it_lacks_and_keeps_what_it_learns(engine: Engine) -> None:
    predict = spec("dspy.Predict", QA)
    open = pb.Open(instance=pb.InstanceCall(spec=predict.hash), session=pb.SessionView(lm=LM.hash))

    assert engine.missing(open) == ([predict.hash], [LM.hash], [])
    engine.learn(pb.State(specs=[predict], lms=[LM]))
    assert engine.missing(open) == ([], [], [])


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
