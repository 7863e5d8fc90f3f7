"""What a spec gives predictors in place of their own, seen in what the language model is asked."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dspex_worker import engine as engine_module
from dspex_worker.config import WorkerConfig
from dspex_worker.engine import Engine
from dspex_worker.errors import InvalidInput
from dspex_worker.proto import worker_pb2 as pb

import steered_programs
from fake_host import FakeHost, call, chat, fields_signature, lm_spec, spec, text_signature

QA = text_signature("question -> answer", "Answer shortly.")
CAPABLE = lm_spec(capabilities={"params": ["temperature", "max_tokens", "n"]})
DEMO = {"question": "What is 1 + 1?", "answer": "It is 2, me hearty."}


@pytest.fixture(scope="module")
def engine() -> Engine:
    config = WorkerConfig(modules=("steered_programs",))
    engine_module.warm(config)
    return Engine(config)


def steered(cls: str, overrides: Any, signature: Any = QA, **rest: Any) -> pb.Spec:
    return spec(cls, signature, overrides=overrides, **rest)


def texts(request: dict[str, Any]) -> list[tuple[str, str]]:
    """The messages of a request before the last: role and text."""
    return [
        (message["role"], "".join(part.get("text", "") for part in message["parts"]))
        for message in request["messages"][:-1]
    ]


async def asked(
    engine: Engine, target: pb.Spec, answer: Any, lm: pb.LmSpec = CAPABLE
) -> list[dict[str, Any]]:
    """What the model is asked in one call."""
    host = FakeHost(answer)
    await call(engine, target, {"question": "Really?"}, host=host, lm=lm)
    return host.requests


@pytest.mark.parametrize(
    ("cls", "name", "answer"),
    [
        ("dspy.Predict", "self", chat(answer="x")),
        ("dspy.Predict", "*", chat(answer="x")),
        ("dspy.ChainOfThought", "predict", chat(reasoning="r", answer="x")),
        ("dspy.ChainOfThought", "*", chat(reasoning="r", answer="x")),
    ],
)
async def test_instructions_demos_and_config_reach_the_model(
    engine: Engine, cls: str, name: str, answer: str
) -> None:
    parts = {
        "instructions": "Answer like a pirate.",
        "demos": [DEMO],
        "config": {"temperature": 0.25, "max_tokens": 77},
    }

    (request,) = await asked(engine, steered(cls, {name: parts}), answer)

    assert "Answer like a pirate." in request["system"]
    assert "Answer shortly." not in request["system"]
    (question, reply) = texts(request)
    assert question[0] == "user"
    assert DEMO["question"] in question[1]
    assert reply[0] == "assistant"
    assert DEMO["answer"] in reply[1]
    assert (request["config"]["temperature"], request["config"]["max_tokens"]) == (0.25, 77)


async def test_config_overrides_that_of_the_constructor_key_by_key(engine: Engine) -> None:
    target = steered(
        "dspy.Predict",
        {"self": {"config": {"temperature": 0.25}}},
        config={"temperature": 1.0, "max_tokens": 5},
    )
    (request,) = await asked(engine, target, chat(answer="x"))
    assert (request["config"]["temperature"], request["config"]["max_tokens"]) == (0.25, 5)


async def test_several_completions_can_be_asked_for(engine: Engine) -> None:
    target = steered("dspy.Predict", {"self": {"config": {"n": 3, "temperature": 0.9}}})
    host = FakeHost(chat(answer="x"))
    result = await call(engine, target, {"question": "?"}, host=host, lm=CAPABLE)
    assert len(result["completions"]) == 3
    assert {request["config"]["temperature"] for request in host.requests} == {0.9}


async def test_the_predictors_within_an_agent_are_steered_by_their_names(engine: Engine) -> None:
    def play(request: dict[str, Any]) -> str:
        if "next_thought" in json.dumps(request["messages"][-1]):
            return chat(next_thought="t", next_tool_name="finish", next_tool_args={})
        return chat(reasoning="r", answer="x")

    thought = {
        "question": "2?",
        "trajectory": "none yet",
        "next_thought": "Easy.",
        "next_tool_name": "finish",
        "next_tool_args": {},
    }
    target = steered(
        "dspy.ReAct",
        {
            "react": {"config": {"temperature": 0.1}, "demos": [thought]},
            "extract.predict": {"instructions": "Extract like a pirate.", "config": {"temperature": 0.9}},
        },
        args={"tools": []},
    )

    first, last = await asked(engine, target, play)

    assert "Easy." in texts(first)[1][1]
    assert "Answer shortly." in first["system"]
    assert "Extract like a pirate." in last["system"]
    assert (first["config"]["temperature"], last["config"]["temperature"]) == (0.1, 0.9)


async def test_a_name_counts_more_than_all_and_only_where_it_says_something(engine: Engine) -> None:
    answers = iter([chat(verdict="yes", score=0.5), chat(answer="x")])
    demo = {
        "passages": [{"text": "Water is wet.", "page": 12}],
        "question": "Is water wet?",
        "verdict": "yes",
        "score": 0.75,
    }
    target = steered(
        "steered_programs.Two",
        {
            "*": {"config": {"temperature": 0.5}, "instructions": "Be brief."},
            "judge": {"demos": [demo], "instructions": "Be just."},
        },
        None,
    )

    judge, respond = await asked(engine, target, lambda request: next(answers))

    assert "Be just." in judge["system"]
    assert "Water is wet." in texts(judge)[0][1]
    assert "0.75" in texts(judge)[1][1]
    assert "Be brief." in respond["system"]
    assert texts(respond) == []
    assert judge["config"]["temperature"] == respond["config"]["temperature"] == 0.5


async def test_other_specs_of_the_class_are_not_touched(engine: Engine) -> None:
    two = [chat(verdict="yes", score=0.5), chat(answer="x")]
    answers = iter(two * 2)
    loud = steered("steered_programs.Two", {"*": {"instructions": "SHOUT."}}, None)
    plain = spec("steered_programs.Two")

    steered_requests = await asked(engine, loud, lambda request: next(answers))
    plain_requests = await asked(engine, plain, lambda request: next(answers))

    assert all("SHOUT." in request["system"] for request in steered_requests)
    assert not any("SHOUT." in request["system"] for request in plain_requests)


async def test_overrides_come_after_the_state(engine: Engine) -> None:
    state = (await call(engine, spec("dspy.Predict", QA), {}, method="dump_state"))["value"]
    state["demos"] = [{"question": "old", "answer": "stays"}]
    state["signature"]["instructions"] = "From the state."
    target = steered("dspy.Predict", {"self": {"instructions": "From a variable."}}, state=state)

    (request,) = await asked(engine, target, chat(answer="x"))

    assert "From a variable." in request["system"]
    assert "stays" in texts(request)[1][1]


async def test_demos_that_an_optimizer_marked_are_taken(engine: Engine) -> None:
    target = steered("dspy.Predict", {"self": {"demos": [{"augmented": True, **DEMO}]}})
    (request,) = await asked(engine, target, chat(answer="x"))
    assert "me hearty" in texts(request)[1][1]


async def test_an_empty_list_removes_demos(engine: Engine) -> None:
    state = (await call(engine, spec("dspy.Predict", QA), {}, method="dump_state"))["value"]
    state["demos"] = [DEMO]
    target = steered("dspy.Predict", {"self": {"demos": []}}, state=state)
    assert texts((await asked(engine, target, chat(answer="x")))[0]) == []


async def test_a_structured_field_takes_demos_in_the_shape_of_its_schema(engine: Engine) -> None:
    owner = {
        "type": "object",
        "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
        "required": ["name", "age"],
        "additionalProperties": False,
    }
    signature = fields_signature({"question": {"type": "string"}}, {"owner": owner})
    demo = {"question": "Whose?", "owner": {"name": "Sara", "age": 30}}
    target = steered("dspy.Predict", {"*": {"demos": [demo]}}, signature)
    (request,) = await asked(engine, target, chat(owner={"name": "Li", "age": 1}))
    assert "Sara" in texts(request)[1][1]

    demo["owner"] = {"name": "Sara"}
    with pytest.raises(InvalidInput, match=r"overrides\.\*\.demos\[0\]\.owner"):
        await asked(engine, steered("dspy.Predict", {"*": {"demos": [demo]}}, signature), chat())


def problems(engine: Engine, target: pb.Spec) -> list[tuple[str, str]]:
    engine.learn(pb.State(specs=[target]))
    with pytest.raises(InvalidInput) as raised:
        engine._instances.get(target.hash)
    return [(problem["field"], problem["problem"]) for problem in raised.value.attributes["problems"]]


@pytest.mark.parametrize(
    ("overrides", "field", "says"),
    [
        ([], "spec.overrides", "got an array"),
        ({"slef": {}}, "spec.overrides.slef", "did you mean `self`?"),
        ({"self": "Be brief."}, "spec.overrides.self", "got a string"),
        ({"self": {"demo": []}}, "spec.overrides.self.demo", "known are config, demos, instructions"),
        ({"self": {"instructions": 1}}, "spec.overrides.self.instructions", "got an integer"),
        ({"self": {"config": []}}, "spec.overrides.self.config", "got an array"),
        ({"self": {"config": {"api_key": "x"}}}, "spec.overrides.self.config.api_key", "not settable"),
        ({"*": {"demos": DEMO}}, "spec.overrides.*.demos", "got an object"),
        ({"*": {"demos": [1]}}, "spec.overrides.*.demos[0]", "got an integer"),
        ({"*": {"demos": [{"question": "?"}]}}, "spec.overrides.*.demos[0]", "has no output"),
        ({"*": {"demos": [{"answer": "!"}]}}, "spec.overrides.*.demos[0]", "has no input"),
        (
            {"*": {"demos": [DEMO, {"question": "?", "anwser": "!", "answer": "!"}]}},
            "spec.overrides.*.demos[1].anwser",
            "did you mean `answer`?",
        ),
        ({"*": {"demos": [{**DEMO, "answer": 5}]}}, "spec.overrides.*.demos[0].answer", "got an integer"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(engine: Engine, overrides: Any, field: str, says: str) -> None:
    ((told, problem),) = problems(engine, steered("dspy.Predict", overrides))
    assert told == field
    assert says in problem


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("passages", [{"text": "t", "page": "one"}]),
        ("passages", [{"text": "t", "page": "1"}]),
        ("passages", "t"),
        ("verdict", "perhaps"),
        ("score", "0.5"),
        ("score", True),
    ],
)
def test_values_of_demos_have_the_types_of_a_teams_own_fields(engine: Engine, part: str, value: Any) -> None:
    demo = {
        "passages": [{"text": "t", "page": 1}],
        "question": "?",
        "verdict": "yes",
        "score": 1,
        part: value,
    }
    target = steered("steered_programs.Two", {"judge": {"demos": [demo]}}, None)
    ((told, _),) = problems(engine, target)
    assert told == f"spec.overrides.judge.demos[0].{part}"


def test_all_problems_are_told_at_once(engine: Engine) -> None:
    target = steered("dspy.Predict", {"self": {"instructions": 1, "config": 2, "demos": [{"question": 3}]}})
    assert [told for told, _ in problems(engine, target)] == [
        "spec.overrides.self.config",
        "spec.overrides.self.demos[0].question",
        "spec.overrides.self.demos[0]",
        "spec.overrides.self.instructions",
    ]


def test_an_instance_without_predictors_is_not_steered(engine: Engine) -> None:
    ((told, problem),) = problems(engine, steered("dspy.Image", {"*": {}}, None, args={"url": "data:,"}))
    assert (told, problem) == ("spec.overrides.*", "the instance has no predictors")


async def test_modules_within_modules_are_steered_from_outside(engine: Engine) -> None:
    inner = {"class": "dspy.ChainOfThought", "signature": QA}
    target = steered(
        "steered_programs.Wrapper",
        {"module.predict": {"instructions": "From outside."}},
        None,
        args={"module": inner},
    )
    (request,) = await asked(engine, target, chat(reasoning="r", answer="x"))
    assert "From outside." in request["system"]


def test_a_predictor_that_all_instances_share_is_not_steered_for_one(engine: Engine) -> None:
    before = steered_programs.OF_ALL.signature
    for name in ("common", "*"):
        target = steered("steered_programs.Sharing", {name: {"instructions": "For me alone."}}, None)
        ((told, problem),) = problems(engine, target)
        assert told == "spec.overrides.common"
        assert "share this predictor" in problem
    assert steered_programs.OF_ALL.signature is before


async def test_the_other_predictors_of_such_a_class_are(engine: Engine) -> None:
    target = steered("steered_programs.Sharing", {"own": {"instructions": "For me alone."}}, None)
    common, own = await asked(engine, target, chat(answer="x"))
    assert "For me alone." not in common["system"]
    assert "For me alone." in own["system"]
