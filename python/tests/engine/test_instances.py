"""Instances from specs: what a spec can say, and what it cannot."""

from __future__ import annotations

import json
from typing import Any

import dspy
import pytest

from dspex_worker import roles
from dspex_worker.engine import Engine
from dspex_worker.errors import InvalidInput, NotAllowed, NotFound
from dspex_worker.proto import worker_pb2 as pb
from dspex_worker.surface import is_async_module, public_methods

from fake_host import FakeHost, call, chat, fields_signature, lm_spec, spec, text_signature

QA = text_signature("question -> answer")
LM = lm_spec()


def build(engine: Engine, target: pb.Spec) -> Any:
    engine.learn(pb.State(specs=[target]))
    return engine._instances.get(target.hash)


def problem_of(engine: Engine, target: pb.Spec) -> str:
    with pytest.raises(InvalidInput) as caught:
        build(engine, target)
    assert engine.failed(caught.value).kind == pb.Error.KIND_INVALID_INPUT
    return str(caught.value)


def test_arguments_and_configuration_reach_the_constructor(engine: Engine) -> None:
    agent = build(engine, spec("dspy.ReAct", QA, args={"tools": [], "max_iters": 5}))
    predict = build(engine, spec("dspy.Predict", QA, config={"temperature": 0.2, "n": 2}))
    assert agent.target.max_iters == 5
    assert predict.target.config == {"temperature": 0.2, "n": 2}


def test_arguments_are_coerced_and_checked(engine: Engine) -> None:
    assert build(engine, spec("dspy.ReAct", QA, args={"tools": [], "max_iters": "5"})).target.max_iters == 5
    assert "`max_iters`" in problem_of(
        engine, spec("dspy.ReAct", QA, args={"tools": [], "max_iters": "many"})
    )
    assert "did you mean `max_iters`" in problem_of(
        engine, spec("dspy.ReAct", QA, args={"tools": [], "max_iter": 5})
    )
    assert "`tools`: missing" in problem_of(engine, spec("dspy.ReAct", QA))
    assert "`signature`: missing" in problem_of(engine, spec("dspy.Predict"))


@pytest.mark.parametrize(
    ("target", "says"),
    [
        (spec(5), "a dotted path"),  # type: ignore[arg-type]
        (spec("dspy.majority"), "a function, not a class"),
        (spec("dspy.Predict", QA, quux=1), "known are args, class, config"),
        (spec("dspy.Predict", QA, args=[]), "spec.args"),
        (spec("dspy.Predict", QA, config=5), "spec.config"),
        (spec("dspy.ReAct", QA, args={"tools": []}, config={"a": 1}), "no configuration keywords"),
        (spec("dspy.Predict", "q -> a"), "expected an object"),
        (spec("dspy.Predict", text_signature("q -> ")), "at character"),
        (spec("dspy.Predict", {"text": 5}), "expected a string"),
        (spec("dspy.Predict", {"inputs": [], "outputs": []}), "at least one field"),
        (spec("dspy.Predict", QA, args={"callbacks": ["x"]}), "host_only"),
        (spec("dspy.ReAct", QA, args={"tools": ["search"]}), "got a string"),
        (spec("dspy.RLM", QA, args={"interpreter_factory": "os.system"}), "factory"),
        (spec("dspy.Retrieve", QA), "takes no signature"),
        (
            spec("dspy.ChainOfThought", text_signature("q -> reasoning")),
            "`reasoning` is a name that this class uses",
        ),
        (spec("dspy.ReAct", text_signature("trajectory -> a"), args={"tools": []}), "`trajectory` is a name"),
    ],
)
def test_a_broken_spec_says_what_is_wrong(engine: Engine, target: pb.Spec, says: str) -> None:
    assert says in problem_of(engine, target)


def test_all_broken_fields_of_a_signature_are_told_at_once(engine: Engine) -> None:
    signature = fields_signature(
        {"lm": True, "class": True, "fine": True},
        {"fine": True, "odd": {"not": {}}, "signature": {"type": "string"}},
    )
    told = problem_of(engine, spec("dspy.Predict", signature))
    for part in ("`lm` cannot", "keyword", "`fine` is already", "`not`", "`signature` cannot"):
        assert part in told


@pytest.mark.parametrize(
    ("path", "error"),
    [
        ("os.system", NotAllowed),
        ("builtins.eval", NotAllowed),
        ("subprocess.Popen", NotAllowed),
        ("dspy.clients.lm.os.system", NotFound),
        ("dspy.Predict.__init__.__globals__", NotAllowed),
        ("dspy.LocalInterpreter", NotAllowed),
        ("dspy.CodeAct", NotAllowed),
        ("dspy.Signature", NotAllowed),
        ("dspy.Predikt", NotFound),
        ("dspex_worker.engine.Engine", NotAllowed),
        ("dspex_worker.testing.Quux", NotFound),
        ("", NotAllowed),
        (".", NotAllowed),
    ],
)
def test_only_public_classes_are_built(engine: Engine, path: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        build(engine, spec(path))


@pytest.mark.parametrize("path", ["dspy.LM", "dspy.BaseLM"])
def test_language_models_are_no_instances(engine: Engine, path: str) -> None:
    with pytest.raises(NotAllowed, match="language models"):
        build(engine, spec(path, args={"model": "openai/x"}))


@pytest.mark.parametrize("method", ["from_path", "from_url", "from_file"])
async def test_no_method_reads_files_or_fetches_addresses(engine: Engine, method: str) -> None:
    image = spec("dspy.Image", args={"url": "data:image/png;base64,AAAA"})
    with pytest.raises(NotAllowed, match="send the content"):
        await call(engine, image, {"file_path": "/etc/hostname"}, method=method)


async def test_modules_within_modules_are_specs_too(engine: Engine) -> None:
    inner = {"class": "dspy.ChainOfThought", "signature": QA}
    with pytest.raises(InvalidInput, match="reward_fn"):
        build(engine, spec("dspy.BestOfN", args={"module": inner, "N": 3, "threshold": 1.0}))
    assert "a spec" in problem_of(
        engine, spec("dspy.BestOfN", args={"module": "dspy.Predict", "N": 3, "threshold": 1.0})
    )


# ------------------------------------------------------------------------------------------------ states


async def state_of(engine: Engine, target: pb.Spec) -> Any:
    return (await call(engine, target, {}, method="dump_state"))["value"]


@pytest.mark.parametrize("cls", ["dspy.Predict", "dspy.ChainOfThought", "dspy.MultiChainComparison"])
async def test_a_state_makes_the_same_program_anywhere(engine: Engine, cls: str) -> None:
    source = build(engine, spec(cls, QA))
    predictor = source.target.predictors()[0]
    predictor.demos = [dspy.Example(question="1 + 1?", answer="2")]
    predictor.signature = predictor.signature.with_instructions("Answer like a pirate.")
    state = json.loads(json.dumps(source.target.dump_state()))

    copy = build(engine, spec(cls, QA, state=state))

    assert copy.target.predictors()[0].signature.instructions == "Answer like a pirate."
    assert copy.target.predictors()[0].demos[0]["answer"] == "2"


async def test_a_state_reaches_the_prompt(engine: Engine) -> None:
    state = await state_of(engine, spec("dspy.Predict", QA))
    state["demos"] = [{"question": "1 + 1?", "answer": "two"}]
    host = FakeHost(chat(answer="x"))
    await call(engine, spec("dspy.Predict", QA, state=state), {"question": "?"}, host=host, lm=LM)
    assert "two" in json.dumps(host.requests[0])


@pytest.mark.parametrize(
    ("other", "says"),
    [
        ("q -> answer", "fields"),
        ("question, more -> answer", "fields"),
        ("question -> answer, more", "fields"),
    ],
)
async def test_the_state_of_another_signature_is_refused(engine: Engine, other: str, says: str) -> None:
    state = await state_of(engine, spec("dspy.Predict", text_signature(other)))
    assert says in problem_of(engine, spec("dspy.Predict", QA, state=state))


async def test_the_state_of_another_class_is_refused(engine: Engine) -> None:
    state = await state_of(engine, spec("dspy.ReAct", QA, args={"tools": []}))
    assert "other predictors" in problem_of(engine, spec("dspy.ChainOfThought", QA, state=state))
    assert "state" in problem_of(engine, spec("dspy.Predict", QA, state=[]))
    assert "have a state" in problem_of(engine, spec("dspex_worker.testing.Echo", state={}))


async def test_a_model_within_a_state_does_not_override_the_sessions(engine: Engine) -> None:
    state = await state_of(engine, spec("dspy.Predict", QA))
    state["lm"] = {"model": "openai/evil", "api_base": "http://203.0.113.1", "model_type": "chat"}
    host = FakeHost(chat(answer="x"))
    await call(engine, spec("dspy.Predict", QA, state=state), {"question": "?"}, host=host, lm=LM)
    assert host.requests[0]["model"] == "test/model"


# ------------------------------------------------------------------------------------------------ facts about
# DSPy


@pytest.mark.parametrize(
    ("name", "asynchronous"),
    [
        ("Predict", True),
        ("ChainOfThought", True),
        ("ReAct", True),
        ("ReActV2", True),
        ("RLM", True),
        ("BestOfN", False),
        ("Refine", False),
        ("MultiChainComparison", False),
        ("ProgramOfThought", False),
        ("CodeAct", False),
        ("Flex", False),
        ("Module", False),
    ],
)
def test_which_modules_have_a_working_async_form(name: str, asynchronous: bool) -> None:
    assert is_async_module(getattr(dspy, name)) is asynchronous


def test_a_forward_of_ones_own_hides_an_inherited_async_form() -> None:
    class Own(dspy.ChainOfThought):  # type: ignore[misc]
        def forward(self, **inputs: Any) -> Any:
            return super().forward(**inputs)

    assert not is_async_module(Own)


def test_public_methods_are_found_without_evaluating_properties() -> None:
    class Trap:
        @property
        def explosive(self) -> int:
            raise AssertionError

        def method(self) -> None: ...

        @classmethod
        def made(cls) -> None: ...

        def _private(self) -> None: ...

    assert public_methods(Trap) == ["made", "method"]


@pytest.mark.parametrize("path", sorted(roles.FACTS))
def test_the_table_names_classes_that_exist(path: str) -> None:
    assert issubclass(getattr(dspy, path.removeprefix("dspy.")), dspy.Module)


@pytest.mark.parametrize(
    "path", ["dspy.Predict", "dspy.ChainOfThought", "dspy.ReAct", "dspy.MultiChainComparison"]
)
async def test_the_extra_outputs_of_the_table_are_those_of_the_class(engine: Engine, path: str) -> None:
    def play(request: dict[str, Any]) -> str:
        if "next_thought" in json.dumps(request["messages"][-1]):
            return chat(next_thought="t", next_tool_name="finish", next_tool_args={})
        return chat(reasoning="r", rationale="r", answer="x")

    args = {"tools": []} if path == "dspy.ReAct" else {}
    inputs: dict[str, Any] = {"question": "?"}
    if path == "dspy.MultiChainComparison":
        inputs["completions"] = [{"reasoning": "r", "answer": "a"}] * 3

    result = await call(engine, spec(path, QA, args=args), inputs, host=FakeHost(play), lm=LM)

    extra = {o.name for o in roles.facts_of(path).extra_outputs}
    assert set(result["outputs"]) == {"answer"} | extra


def test_the_tools_that_a_class_adds_are_reserved() -> None:
    signature = dspy.signatures.make_signature(
        {"question": (str, dspy.InputField()), "answer": (str, dspy.OutputField())}, "x", custom_types={}
    )
    assert set(dspy.ReAct(signature, []).tools) == roles.facts_of("dspy.ReAct").reserved_tools
