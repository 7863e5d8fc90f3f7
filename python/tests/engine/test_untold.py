"""The types that DSPy does not tell: the real methods are called, and what they answer is compared."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import dspy
import numpy
import pydantic
import pytest
from dspy.teleprompt.infer_rules import InferRules
from dspy.utils.dummies import DummyLM

from dspex_worker import codec, untold
from dspex_worker.catalogue import Catalogue
from dspex_worker.roles import OUTPUTS
from dspex_worker.type_ir import Type, TypeReader, is_known

SIGNATURE = dspy.signatures.make_signature(
    {"question": (str, dspy.InputField()), "answer": (str, dspy.OutputField())}, "Answer.", custom_types={}
)
EXAMPLE = dspy.Example(question="why", answer="so").with_inputs("question")
CATALOGUE = Catalogue()
READER = TypeReader(CATALOGUE.name_of, {"dspy": dspy})
CHOICE = dspy.experimental.Choice.__class_getitem__((("a", "first"), ("b", "second")))
SCORE = dspy.experimental.Score.__class_getitem__(("bad", "good"))


def prediction() -> dspy.Prediction:
    return dspy.Prediction.from_completions([{"answer": "so"}, {"answer": "no"}], signature=SIGNATURE)


def program() -> dspy.Module:
    return dspy.ChainOfThought(SIGNATURE)


def optimizer() -> InferRules:
    return InferRules(metric=lambda example, pred, trace=None: 1.0, num_threads=1)


def embedder() -> dspy.Embedder:
    return dspy.Embedder(lambda texts: [[float(len(text)), 1.0] for text in texts], caching=False)


def retriever() -> dspy.Embeddings:
    return dspy.Embeddings(corpus=["one", "three", "fourteen"], embedder=embedder(), k=2)


def tool() -> dspy.Tool:
    def add(a: int, b: int = 1) -> int:
        """Adds."""
        return a + b

    return dspy.Tool(add)


def decision() -> dspy.Predict:
    return dspy.Predict(SIGNATURE.append("verdict", dspy.OutputField(), CHOICE))


class Answers(dspy.Module):  # type: ignore[misc]
    """Needs no language model."""

    def __init__(self) -> None:
        super().__init__()
        self.predict = dspy.Predict(SIGNATURE)

    def forward(self, question: str) -> dspy.Prediction:
        return dspy.Prediction(answer="so")


def react() -> dspy.ReAct:
    return dspy.ReAct(SIGNATURE, tools=[tool()])


def best_of_two() -> dspy.BestOfN:
    return dspy.BestOfN(dspy.Predict(SIGNATURE), N=2, reward_fn=lambda args, pred: 1.0, threshold=0.5)


REACT = [
    {"next_thought": "Done.", "next_tool_name": "finish", "next_tool_args": {}},
    {"reasoning": "-", "answer": "so"},
]


def with_model(call: Callable[..., Any], answers: list[dict[str, Any]] | None = None) -> Any:
    """A call of DSPy's with a language model of DSPy's that knows its answers."""
    with dspy.context(lm=DummyLM(answers or [{"reasoning": "-", "answer": "so"}])):
        return call(question="why")


TRAJECTORY = {
    f"{part}_{step}": "x" for step in range(2) for part in ("thought", "tool_name", "tool_args", "o")
}

# A method, and a call of it on a real object.
CASES: list[tuple[str, Callable[[], Any]]] = [
    ("Example.copy", lambda: EXAMPLE.copy(answer="no")),
    ("Example.inputs", EXAMPLE.inputs),
    ("Example.items", EXAMPLE.items),
    ("Example.keys", EXAMPLE.keys),
    ("Example.labels", EXAMPLE.labels),
    ("Example.toDict", EXAMPLE.toDict),
    ("Example.values", EXAMPLE.values),
    ("Prediction.completions", lambda: prediction().completions),
    ("Prediction.completions", lambda: dspy.Prediction(answer="so").completions),
    ("Prediction.from_completions", prediction),
    ("Prediction.from_completions", lambda: dspy.Prediction.from_completions({"answer": ["so", "no"]})),
    ("Prediction.get_lm_usage", lambda: prediction().get_lm_usage()),
    ("Prediction.set_lm_usage", lambda: prediction().set_lm_usage({"test/model": {"total_tokens": 1}})),
    ("Completions.items", lambda: prediction().completions.items()),
    ("BaseModule.deepcopy", lambda: program().deepcopy()),
    ("BaseModule.dump_state", lambda: program().dump_state()),
    ("BaseModule.dump_state", lambda: dspy.Predict(SIGNATURE).dump_state()),
    ("BaseModule.named_parameters", lambda: program().named_parameters()),
    ("BaseModule.named_sub_modules", lambda: list(program().named_sub_modules())),
    ("BaseModule.parameters", lambda: program().parameters()),
    ("BaseModule.reset_copy", lambda: program().reset_copy()),
    ("Module.forward", lambda: with_model(program().forward)),
    ("Module.forward", lambda: with_model(best_of_two().forward)),
    ("Module.forward", lambda: with_model(react().forward, REACT)),
    ("Module.get_lm", lambda: program().get_lm()),
    ("Module.named_predictors", lambda: program().named_predictors()),
    ("Module.predictors", lambda: program().predictors()),
    ("Predict.get_config", lambda: dspy.Predict(SIGNATURE, temperature=0.5).get_config()),
    ("Predict.get_criteria", lambda: decision().get_criteria("verdict")),
    ("Predict.reset", lambda: dspy.Predict(SIGNATURE).reset()),
    ("Predict.set_criteria", lambda: decision().set_criteria("verdict", {"a": "1st", "b": "2nd"})),
    ("Predict.update_config", lambda: dspy.Predict(SIGNATURE).update_config(temperature=0.5)),
    ("ReAct.truncate_trajectory", lambda: react().truncate_trajectory(dict(TRAJECTORY))),
    ("Retrieve.dump_state", lambda: dspy.Retrieve(k=2).dump_state()),
    ("Retrieve.reset", lambda: dspy.Retrieve().reset()),
    ("Embedder.__call__", lambda: embedder()("one")),
    ("Embedder.__call__", lambda: embedder()(["one", "two"])),
    ("Embeddings.__call__", lambda: retriever()("two")),
    ("Embeddings.forward", lambda: retriever().forward("two")),
    ("Type.format", lambda: dspy.Image("https://example.com/a.png").format()),
    ("Code.format", lambda: dspy.Code(code="1").format()),
    ("Reasoning.format", lambda: dspy.Reasoning(content="so").format()),
    ("Tool.format", lambda: tool().format()),
    ("Tool.format_as_litellm_function_call", lambda: tool().format_as_litellm_function_call()),
    ("Type.description", dspy.Image.description),
    ("Type.description", CHOICE.description),
    ("_Decision.criteria", CHOICE.criteria),
    ("_Decision.criteria", SCORE.criteria),
    ("_Decision.criteria", dspy.experimental.Noul.criteria),
    ("Teleprompter.compile", lambda: dspy.LabeledFewShot(k=1).compile(Answers(), trainset=[EXAMPLE])),
    ("Teleprompter.compile", lambda: dspy.Ensemble().compile([Answers()])),
    ("InferRules.evaluate_program", lambda: optimizer().evaluate_program(Answers(), [EXAMPLE])),
    ("InferRules.format_examples", lambda: optimizer().format_examples([dict(EXAMPLE.items())], SIGNATURE)),
    ("EM", lambda: dspy.evaluate.EM("So", ["so"])),
    ("answer_exact_match", lambda: dspy.evaluate.answer_exact_match(EXAMPLE, dspy.Prediction(answer="so"))),
    (
        "answer_passage_match",
        lambda: dspy.evaluate.answer_passage_match(EXAMPLE, dspy.Prediction(context=["it is so"])),
    ),
    ("majority", lambda: dspy.majority([{"answer": "so"}, {"answer": "no"}, {"answer": "so"}])),
    ("normalize_text", lambda: dspy.evaluate.normalize_text("The  Cat!")),
]

# Of these there is a test of their own.
ASYNCHRONOUS = {"Module.acall", "Module.aforward", "Embedder.acall"}


def result_of(name: str) -> str:
    return untold._TOLD[name][untold.RETURN]


@pytest.mark.parametrize(("name", "call"), CASES, ids=[name for name, _ in CASES])
def test_a_result_is_of_the_type_that_the_table_tells(name: str, call: Callable[[], Any]) -> None:
    value = call()
    text = result_of(name)
    if text == untold.SELF:
        assert type(value).__name__ in (name.split(".")[0], "ChainOfThought")
        return
    wanted = READER.read(text, "dspy")
    assert is_known(wanted)
    check(value, wanted)


def test_every_result_of_the_table_is_called() -> None:
    told = {name for name, types in untold._TOLD.items() if untold.RETURN in types}
    assert told - ASYNCHRONOUS == {name for name, _ in CASES}


def test_every_name_of_the_table_is_one_of_dspys() -> None:
    known = {base.__name__: base for _, v in CATALOGUE.items() if isinstance(v, type) for base in v.__mro__}
    functions = {value.__name__ for _, value in CATALOGUE.items() if not isinstance(value, type)}
    for name in untold._TOLD:
        owner, _, method = name.partition(".")
        derived = [cls for cls in known.values() if known.get(owner) in cls.__mro__]
        assert any(hasattr(cls, method) for cls in derived) if method else owner in functions, name


async def test_asynchronous_calls_answer_what_the_others_do() -> None:
    check(await embedder().acall("one"), READER.read("list[float]", "dspy"))
    predict = dspy.Predict(SIGNATURE)
    with dspy.context(lm=DummyLM([{"answer": "so"}, {"answer": "so"}])):
        assert isinstance(await predict.acall(question="why"), dspy.Prediction)
        assert isinstance(await predict.aforward(question="why"), dspy.Prediction)


@pytest.mark.parametrize("path", ["dspy.Embeddings", "dspy.EmbeddingsWithScores"])
def test_retrievers_answer_the_outputs_of_the_table(path: str) -> None:
    cls = CATALOGUE.resolve(path)
    found = cls(corpus=["one", "three", "fourteen"], embedder=embedder(), k=2)("two")
    assert set(found.keys()) == {output.name for output in OUTPUTS[path]}
    for output in OUTPUTS[path]:
        pydantic.TypeAdapter(output.annotation).validate_python(codec.to_wire(found[output.name]))


def test_an_evaluation_answers_the_outputs_of_the_table() -> None:
    evaluate = dspy.Evaluate(devset=[EXAMPLE], metric=lambda example, pred: 1.0, num_threads=1)
    result = evaluate(Answers())
    assert {output.name for output in OUTPUTS["dspy.Evaluate"]} == set(result.keys())
    ((example, answer, score),) = result.results
    assert (result.score, type(example), type(answer), score) == (100.0, dspy.Example, dspy.Prediction, 1.0)


def test_what_a_team_defines_itself_is_not_in_the_table() -> None:
    assert untold.of_method(Answers, "forward") == {}
    assert untold.of_method(Answers, "predictors") != {}


def check(value: Any, wanted: Type) -> None:
    """Compares a value of Python with a type of the snapshot, in which an array is a list."""
    value = value.tolist() if isinstance(value, numpy.ndarray) else value
    match wanted["k"]:
        case "any":
            return
        case "none":
            assert value is None
        case "option":
            if value is not None:
                check(value, wanted["of"])
        case "union":
            assert any(fits(value, branch) for branch in wanted["of"]), value
        case "ref":
            assert isinstance(value, CATALOGUE.resolve(wanted["name"]))
        case "list":
            assert isinstance(value, (list, type({}.items())))
            for item in value:
                check(item, wanted["of"])
        case "tuple":
            assert isinstance(value, tuple)
            for item, part in zip(value, wanted["of"], strict=True):
                check(item, part)
        case "map":
            assert isinstance(value, dict)
            for key, item in value.items():
                check(key, wanted["key"])
                check(item, wanted["value"])
        case kind:
            # `evaluate_program` may answer a whole number.
            classes = {"str": str, "bool": bool, "float": (float, int)}
            assert isinstance(value, classes[kind])  # type: ignore[arg-type]


def fits(value: Any, wanted: Type) -> bool:
    try:
        check(value, wanted)
    except AssertionError:
        return False
    return True
