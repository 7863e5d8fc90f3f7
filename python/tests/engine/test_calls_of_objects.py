"""Calls of classes that are no modules, and of what takes examples: all of it is data."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dspex_worker import introspect
from dspex_worker.catalogue import Catalogue
from dspex_worker.engine import Engine
from dspex_worker.errors import InvalidInput, NotAllowed

from fake_host import FakeHost, call, call_function, chat, lm_spec, spec, text_signature

PREDICT = {"class": "dspy.Predict", "signature": text_signature("question -> answer")}


def answer(request: dict[str, Any]) -> str:
    text = json.dumps(request)
    return chat(answer="Paris" if "France" in text else "Rome")


async def test_parallel_takes_pairs_of_specs_and_inputs(engine: Engine) -> None:
    host = FakeHost(answer)
    pairs = [[PREDICT, {"question": "Capital of France?"}], [PREDICT, {"question": "Capital of Italy?"}]]
    parallel = spec("dspy.Parallel", args={"num_threads": 2, "disable_progress_bar": True})
    result = await call(engine, parallel, {"exec_pairs": pairs}, host=host, lm=lm_spec())
    assert result == {"value": [{"answer": "Paris"}, {"answer": "Rome"}]}
    assert len(host.requests) == 2


@pytest.mark.parametrize(
    ("pairs", "field"),
    [
        ([[PREDICT]], r"inputs.args.exec_pairs\[0\]"),
        ([[PREDICT, {}], [{"text": "q -> a"}, {}]], r"inputs.args.exec_pairs\[1\]\[0\]"),
        ([[PREDICT, "question"]], r"inputs.args.exec_pairs\[0\]"),
    ],
)
async def test_a_pair_that_is_none_is_told_with_its_place(engine: Engine, pairs: Any, field: str) -> None:
    with pytest.raises(InvalidInput, match=field):
        await call(engine, spec("dspy.Parallel"), {"exec_pairs": pairs})


async def test_an_evaluation_takes_a_program_and_examples(engine: Engine) -> None:
    """What comes before its metric; see `test_host_functions` for the rest."""
    evaluate = spec("dspy.Evaluate", args={"devset": []})
    with pytest.raises(ValueError, match="at least one example"):
        await call(engine, evaluate, {"program": PREDICT})
    with pytest.raises(InvalidInput, match="`program`: missing"):
        await call(engine, evaluate, {})
    with pytest.raises(InvalidInput, match="`progam`: unexpected; did you mean `program`"):
        await call(engine, evaluate, {"progam": PREDICT})
    with pytest.raises(InvalidInput, match="expected a spec"):
        await call(engine, evaluate, {"program": "dspy.Predict"})
    with pytest.raises(InvalidInput, match="a function of the host"):
        await call(engine, evaluate, {"program": PREDICT, "metric": "exact"})


async def test_a_metric_that_is_a_module_takes_examples_as_objects(engine: Engine) -> None:
    host = FakeHost(chat(reasoning="-", precision=1.0, recall=0.5))
    gold, pred = {"question": "why", "response": "so"}, {"response": "so"}
    result = await call(
        engine,
        spec("dspy.evaluate.SemanticF1"),
        {"example": gold, "pred": pred},
        host=host,
        lm=lm_spec(),
    )
    assert result["outputs"]["score"] == pytest.approx(2 / 3)
    with pytest.raises(InvalidInput, match="`example`: it has to be an object; got a string"):
        await call(engine, spec("dspy.evaluate.SemanticF1"), {"example": "gold", "pred": pred})


async def test_a_metric_that_is_a_function_takes_examples_as_objects(engine: Engine) -> None:
    gold, pred = {"answer": ["Paris", "paris"]}, {"answer": "Paris"}
    found = await call_function(engine, "dspy.evaluate.answer_exact_match", gold, pred)
    assert found == {"value": True}
    context = {"context": ["Paris is the capital"]}
    passage = await call_function(engine, "dspy.evaluate.answer_passage_match", gold, context)
    assert passage == {"value": True}
    same = await call_function(engine, "dspy.evaluate.EM", "The Cat", answers_list=["a cat", "dog"])
    assert same == {"value": True}
    most = await call_function(engine, "dspy.majority", [{"answer": a} for a in ("x", "y", "x")])
    assert most["outputs"] == {"answer": "x"}


async def test_modules_within_a_module_are_a_list(engine: Engine) -> None:
    result = await call(engine, spec("dspy.Predict", PREDICT["signature"]), method="named_sub_modules")
    assert [name for name, _ in result["value"]] == ["self"]


async def test_a_parameter_without_a_name_in_python_has_one_in_a_spec(engine: Engine) -> None:
    url = "https://example.com/a.png"
    content = [{"type": "image_url", "image_url": {"url": url}}]
    for args in ({"source": url}, {"url": url}):
        assert await call(engine, spec("dspy.Image", args=args), method="format") == {"value": content}
    assert await call_function(engine, "dspy.Image", source=url) == {"value": {"url": url}}
    with pytest.raises(InvalidInput, match=r"`source`: .*got an integer"):
        await call_function(engine, "dspy.Image", source=1)


@pytest.mark.parametrize(
    ("cls", "method", "args"),
    [
        ("dspy.ChatAdapter", "", {}),
        ("dspy.Retrieve", "", {"k": 3}),
        ("dspy.Retrieve", "forward", {"k": 3}),
        ("dspy.Example", "with_inputs", {}),
        ("dspy.Image", "parse_stream_chunk", {"source": "https://example.com/a.png"}),
    ],
)
async def test_a_call_that_cannot_be_made_says_why_as_the_schema_does(
    engine: Engine, cls: str, method: str, args: dict[str, Any]
) -> None:
    catalogue = Catalogue()
    described = introspect.Introspector(catalogue).describe_class(cls, catalogue.resolve(cls))
    reason = described["unsupported"][method or "__call__"]
    with pytest.raises(NotAllowed) as caught:
        await call(engine, spec(cls, args=args), {}, method=method)
    assert str(caught.value).endswith(f"cannot be called: {reason}")


@pytest.mark.parametrize("cls", ["dspy.LM", "dspy.experimental.TypeSafe"])
async def test_no_client_of_a_language_model_is_built(engine: Engine, cls: str) -> None:
    with pytest.raises(NotAllowed, match="sessions and calls name language models"):
        await call(engine, spec(cls, args={"model": "openai/gpt-4o-mini"}), {}, method="copy")
