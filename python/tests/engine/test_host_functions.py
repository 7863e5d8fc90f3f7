"""Rewards, metrics and embedders of the host in the modules and optimizers that take them."""

from __future__ import annotations

import asyncio
import inspect
import json
import threading
from typing import Any

import dspy
import numpy as np
import pytest

from dspex_worker.engine import Engine, NoAttempt
from dspex_worker.errors import InvalidInput
from dspex_worker.host import CallCancelled, HostError
from dspex_worker.host_functions import HostAnswerError, HostMetric, HostReward
from dspex_worker.proto import worker_pb2 as pb

from fake_host import call, chat, spec
from tool_host import ToolHost, bag_of_letters, refused, script
from triage import LM, QA

PREDICT = {"class": "dspy.Predict", "signature": QA}
REWARD = {"host": "reward", "describe": 'Longer answers are better.\nAt least """three""" words.'}


def answers(*texts: str) -> Any:
    return script(*(chat(answer=text) for text in texts))


def best_of_n(cls: str = "dspy.BestOfN", **args: Any) -> pb.Spec:
    given = {"module": PREDICT, "N": 3, "threshold": 1.0, "reward_fn": REWARD, **args}
    return spec(cls, args=given)


async def ask(engine: Engine, host: ToolHost, target: pb.Spec, **inputs: Any) -> Any:
    return await call(engine, target, inputs or {"question": "Why?"}, host=host, lm=LM)


# ------------------------------------------------------------------------------------------------ rewards


async def test_best_of_n_takes_the_attempt_that_the_host_rewards_most(engine: Engine) -> None:
    rewards = {"a": 0.1, "b": 0.9, "c": 0.3}
    host = ToolHost(answers("a", "b", "c"), reward=lambda asked: rewards[asked["prediction"]["answer"]])
    result = await ask(engine, host, best_of_n())
    assert result["outputs"]["answer"] == "b"
    assert host.asked[0] == (
        pb.Callback.KIND_REWARD,
        "reward",
        {"inputs": {"question": "Why?"}, "prediction": {"answer": "a"}},
    )
    assert threading.get_ident() not in host.asked_from
    assert result["usage"]["test/model"]["total_tokens"] == 45


async def test_attempts_take_the_inputs_and_give_the_outputs_of_their_module(engine: Engine) -> None:
    number = {"name": "digits", "schema": {"type": "integer"}}
    answer = {"name": "answer", "schema": {"type": "integer", "maximum": 9}}
    module = {"class": "dspy.Predict", "signature": {"inputs": [number], "outputs": [answer]}}
    for cls in ("dspy.BestOfN", "dspy.Refine"):
        host = ToolHost(answers("7"), reward=lambda asked: 1.0)
        assert (await ask(engine, host, best_of_n(cls, module=module), digits=1))["outputs"]["answer"] == 7
        with pytest.raises(InvalidInput, match="digits"):
            await ask(engine, host, best_of_n(cls, module=module), digits="one")


async def test_attempts_that_all_fail_are_an_error(engine: Engine) -> None:
    def reward(asked: dict[str, Any]) -> float:
        raise refused("the judge is out")

    host = ToolHost(answers("a"), reward=reward)
    with pytest.raises(NoAttempt, match="the reward failed: the judge is out") as raised:
        await ask(engine, host, best_of_n(N=1))
    assert isinstance(raised.value.__cause__, HostError)


async def test_best_of_n_stops_at_the_threshold_and_asks_with_another_rollout(engine: Engine) -> None:
    host = ToolHost(answers("a", "b"), reward=lambda asked: float(asked["prediction"]["answer"] == "b"))
    await ask(engine, host, best_of_n())
    assert len(host.requests) == 2
    assert [request["config"]["temperature"] for request in host.requests] == [1.0, 1.0]
    assert set(host.names) == {LM.hash}


async def test_a_reward_that_fails_counts_as_a_failed_attempt(engine: Engine) -> None:
    def reward(asked: dict[str, Any]) -> float:
        if asked["prediction"]["answer"] == "a":
            raise refused("the judge is out")
        return 0.5

    host = ToolHost(answers("a", "b", "c"), reward=reward)
    assert (await ask(engine, host, best_of_n()))["outputs"]["answer"] == "b"


async def test_a_reward_that_always_fails_is_an_error_with_the_hosts_words(engine: Engine) -> None:
    def reward(asked: dict[str, Any]) -> float:
        raise refused("the judge is out")

    host = ToolHost(answers("a", "b", "c"), reward=reward)
    with pytest.raises(HostError, match="the judge is out"):
        await ask(engine, host, best_of_n(fail_count=1))


async def test_what_the_host_said_of_its_function_goes_back_to_it(engine: Engine) -> None:
    told = engine.failed(refused("the judge is out", "timed_out", retryable=True))
    assert (told.kind, told.message, told.retryable) == (pb.Error.KIND_CALLBACK, "the judge is out", True)
    assert json.loads(told.attributes) == {"code": "timed_out"}


@pytest.mark.parametrize("answer", [None, "much", True, [1]])
async def test_a_reward_that_is_no_number_is_refused(engine: Engine, answer: Any) -> None:
    host = ToolHost(answers("a", "b", "c"), reward=lambda asked: answer)
    with pytest.raises(HostAnswerError, match="the host's reward answered with"):
        await ask(engine, host, best_of_n(fail_count=1))


async def test_refine_shows_what_the_reward_is_about_and_none_of_our_code(engine: Engine) -> None:
    advice = chat(discussion="Too short.", advice={"self": "Be longer."})
    host = ToolHost(
        script(chat(answer="a"), advice, chat(answer="a longer one")),
        reward=lambda asked: float(len(asked["prediction"]["answer"]) > 5),
    )
    result = await ask(engine, host, best_of_n("dspy.Refine"))
    assert result["outputs"]["answer"] == "a longer one"
    shown = host.requests[1]["messages"][-1]["parts"][0]["text"]
    code = shown.split("[[ ## reward_code ## ]]")[1].split("[[ ##")[0]
    assert "def reward_fn(args: dict, pred: dspy.Prediction) -> float:" in code
    assert "Longer answers are better." in code
    assert "'''three'''" in code
    assert "HostReward" not in host.prompts()
    assert "Be longer." in json.dumps(host.requests[2])


async def test_a_reward_without_a_description_has_a_source_too() -> None:
    source = inspect.getsource(HostReward("k"))
    assert "A function of the host's program." in source
    assert "HostReward" not in source
    assert "def metric(" in inspect.getsource(HostMetric("k", "Exact match."))


async def test_a_cancelled_reward_ends_all_attempts(engine: Engine) -> None:
    host = ToolHost(answers("a"), reward=lambda asked: 0.0)
    asked = host._function

    def cancel(kind: Any, name: str, payload: pb.Payload) -> Any:
        host.cancelled.set()
        raise CallCancelled

    host._function = cancel  # type: ignore[method-assign]
    with pytest.raises(CallCancelled):
        await ask(engine, host, best_of_n())
    assert asked is not None
    assert len(host.requests) == 1


async def test_only_what_has_a_meaning_can_be_a_function_of_the_host(engine: Engine) -> None:
    for args, says in (
        ({"reward_fn": {"host": ""}}, "have to be texts"),
        ({"reward_fn": {"host": "k", "more": 1}}, "`more` is unexpected"),
        ({"reward_fn": {"host": "k", "describe": 1}}, "have to be texts"),
        ({"reward_fn": "k"}, "got a string.*a function of the host"),
    ):
        with pytest.raises(InvalidInput, match=says):
            await ask(engine, ToolHost(), best_of_n(**args))
    ensemble = spec("dspy.Ensemble", args={"reduce_fn": {"host": "k"}})
    with pytest.raises(InvalidInput, match="`reduce_fn` cannot be a function of the host"):
        await ask(engine, ToolHost(), ensemble)


# ------------------------------------------------------------------------------------------------ metrics

DEVSET = [{"fields": {"question": q, "answer": q.upper()}, "inputs": ["question"]} for q in "abcd"]


def exact(asked: dict[str, Any]) -> float:
    return float(asked["gold"]["answer"] == asked["prediction"]["answer"])


def upper(request: dict[str, Any]) -> str:
    """A model that writes the question in capitals, but not the last one."""
    question = request["messages"][-1]["parts"][0]["text"].split("]]\n")[1][0]
    return chat(answer=question if question == "d" else question.upper())


@pytest.mark.parametrize("threads", [1, 4])
async def test_evaluate_asks_the_host_from_its_threads(engine: Engine, threads: int) -> None:
    host = ToolHost(upper, metric=exact)
    target = spec(
        "dspy.Evaluate", args={"devset": DEVSET, "metric": {"host": "metric"}, "num_threads": threads}
    )
    result = await ask(engine, host, target, program=PREDICT)
    assert result["outputs"]["score"] == 75.0
    assert [score for _, _, score in result["outputs"]["results"]] == [1.0, 1.0, 1.0, 0.0]
    first = next(asked for _, _, asked in host.asked if asked["gold"]["question"] == "a")
    assert first == {
        "gold": {"question": "a", "answer": "A"},
        "inputs": ["question"],
        "prediction": {"answer": "A"},
        "trace": False,
    }


async def test_a_metric_is_given_with_the_call_as_well(engine: Engine) -> None:
    host = ToolHost(upper, metric=exact, other=lambda asked: True)
    target = spec("dspy.Evaluate", args={"devset": DEVSET, "metric": {"host": "metric"}})
    result = await ask(engine, host, target, program=PREDICT, metric={"host": "other"})
    assert result["outputs"]["score"] == 100.0


async def test_an_evaluation_counts_failures_of_the_metric(engine: Engine) -> None:
    def metric(asked: dict[str, Any]) -> float:
        if asked["gold"]["question"] == "a":
            raise refused("no gold")
        return exact(asked)

    host = ToolHost(upper, metric=metric)
    target = spec("dspy.Evaluate", args={"devset": DEVSET, "metric": {"host": "metric"}, "num_threads": 1})
    assert (await ask(engine, host, target, program=PREDICT))["outputs"]["score"] == 50.0


async def test_bootstrapping_collects_what_the_host_accepts(engine: Engine) -> None:
    host = ToolHost(upper, metric=lambda asked: {"score": exact(asked), "feedback": "So so."})
    target = spec("dspy.BootstrapFewShot", args={"metric": {"host": "metric"}, "max_labeled_demos": 0})
    result = await call(
        engine, target, {"student": PREDICT, "trainset": DEVSET}, host=host, lm=LM, method="compile"
    )
    demos = result["value"]["demos"]
    assert [demo["answer"] for demo in demos] == ["A", "B", "C"]
    assert all(asked["trace"] for _, _, asked in host.asked)


async def test_random_search_takes_the_best_program(engine: Engine) -> None:
    host = ToolHost(upper, metric=exact)
    args = {
        "metric": {"host": "metric"},
        "max_labeled_demos": 1,
        "max_bootstrapped_demos": 1,
        "num_candidate_programs": 1,
        "num_threads": 2,
    }
    target = spec("dspy.BootstrapFewShotWithRandomSearch", args=args)
    inputs = {"student": PREDICT, "trainset": DEVSET, "valset": DEVSET}
    result = await call(engine, target, inputs, host=host, lm=LM, method="compile")
    assert "demos" in result["value"]
    assert {asked["trace"] for _, _, asked in host.asked} == {True, False}


async def ask_metric(engine: Engine, answer: Any, *given: Any) -> Any:
    """A metric's answer as an optimizer sees it, from a thread of a call."""
    host = ToolHost(metric=lambda asked: answer)
    metric = HostMetric("metric")
    gold = dspy.Example(q="a").with_inputs("q")
    running = engine._call(pb.Open(), host)

    def run() -> Any:
        with dspy.context(dspex_call=running):
            return metric(gold, dspy.Prediction(a=1), *given)

    return await asyncio.to_thread(run), host.asked[0][2]


async def test_feedback_is_a_prediction_only_where_an_optimizer_asks_for_it(engine: Engine) -> None:
    full = {"score": 0.5, "feedback": "Shorter.", "scores": {"brevity": 0.1}}
    scored, asked = await ask_metric(engine, full)
    assert (scored["score"], scored["feedback"]) == (0.5, "Shorter.")
    assert scored["objective_scores"] == {"brevity": 0.1}
    assert "predictor" not in asked
    of_one, asked = await ask_metric(engine, full, [1], "self", [2])
    assert (of_one["feedback"], asked["predictor"], asked["trace"]) == ("Shorter.", "self", False)
    collecting, asked = await ask_metric(engine, {**full, "score": 0}, [1])
    assert (collecting, asked["trace"]) == (0, True)
    for plain in (True, 0.25, 3):
        assert (await ask_metric(engine, plain))[0] is plain or plain == 0.25
    assert (await ask_metric(engine, {"score": 0.5}))[0] == 0.5
    for wrong in (None, "good", {"feedback": "x"}, {"score": "x"}):
        with pytest.raises(HostAnswerError, match="the host's metric answered with"):
            await ask_metric(engine, wrong)


def test_a_metric_takes_the_arguments_of_every_optimizer() -> None:
    signature = inspect.signature(HostMetric("k"))
    signature.bind(None, None, None, None, None)
    signature.bind(None, None)


# ------------------------------------------------------------------------------------------------ embedders

CORPUS = ["apple pie", "zebra zoo", "banana bread"]


async def test_embeddings_search_with_an_embedder_of_the_host(engine: Engine) -> None:
    host = ToolHost(embed=bag_of_letters)
    target = spec("dspy.Embeddings", args={"corpus": CORPUS, "embedder": {"host": "embed"}, "k": 1})
    found = await ask(engine, host, target, query="zzz")
    assert found["outputs"]["passages"] == ["zebra zoo"]
    assert host.asked == [
        (pb.Callback.KIND_RETRIEVER, "embed", {"op": "embed", "texts": CORPUS}),
        (pb.Callback.KIND_RETRIEVER, "embed", {"op": "embed", "texts": ["zzz"]}),
    ]
    assert threading.get_ident() not in host.asked_from


async def test_an_embedder_embeds_its_corpus_once_and_another_one_its_own(engine: Engine) -> None:
    def nearest(identity: str) -> dict[str, Any]:
        embedder = {"host": "embed", "id": identity}
        return spec("dspy.Embeddings", args={"corpus": CORPUS, "embedder": embedder, "k": 1})

    def reversed_letters(asked: dict[str, Any]) -> Any:
        return bag_of_letters(asked)[:, ::-1].copy()

    host, again = ToolHost(embed=bag_of_letters), ToolHost(embed=bag_of_letters)
    await ask(engine, host, nearest("one"), query="zzz")
    await ask(engine, again, nearest("one"), query="pie")
    # Each call asks its own host.
    assert (len(host.asked), len(again.asked)) == (2, 1)
    other = ToolHost(embed=reversed_letters)
    found = await ask(engine, other, nearest("other"), query="zzz")
    assert found["outputs"]["passages"] == ["zebra zoo"]
    assert [len(asked["texts"]) for _, _, asked in other.asked] == [len(CORPUS), 1]


async def test_no_thread_is_left_of_a_search(engine: Engine) -> None:
    before = {thread for thread in threading.enumerate() if "_worker" in thread.name}
    target = spec("dspy.EmbeddingsWithScores", args={"corpus": CORPUS, "embedder": {"host": "embed"}, "k": 2})
    found = await ask(engine, ToolHost(embed=bag_of_letters), target, query="apple")
    assert len(found["outputs"]["scores"]) == 2
    assert {thread for thread in threading.enumerate() if "_worker" in thread.name} == before


async def test_a_refused_embedding_is_an_error_and_building_is_tried_again(engine: Engine) -> None:
    def refuses(asked: dict[str, Any]) -> Any:
        raise refused("the model is loading")

    target = spec("dspy.Embeddings", args={"corpus": CORPUS, "embedder": {"host": "embed"}, "k": 1})
    with pytest.raises(HostError, match="the model is loading"):
        await ask(engine, ToolHost(embed=refuses), target, query="zzz")
    found = await ask(engine, ToolHost(embed=bag_of_letters), target, query="zzz")
    assert found["outputs"]["indices"] == [1]


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (np.zeros((2, 3), np.float32), r"float32 \[2, 3\] for 3 texts"),
        (np.zeros((3, 3), np.float64), "float64"),
        (np.zeros(3, np.float32), r"\[3\]"),
        ({"value": 1}, "without embeddings"),
    ],
)
async def test_an_answer_that_is_no_embedding_is_refused(engine: Engine, answer: Any, says: str) -> None:
    target = spec("dspy.Embeddings", args={"corpus": CORPUS, "embedder": {"host": "embed"}})
    with pytest.raises(HostAnswerError, match=says):
        await ask(engine, ToolHost(embed=lambda asked: answer), target, query="zzz")


async def test_nearest_neighbours_are_found_with_an_embedder_of_the_host(engine: Engine) -> None:
    trainset = [{"fields": {"question": t, "answer": t[0]}, "inputs": ["question"]} for t in CORPUS]
    args = {"k": 1, "trainset": trainset, "vectorizer": {"host": "embed"}}
    host = ToolHost(embed=bag_of_letters)
    found = await ask(engine, host, spec("dspy.KNN", args=args), question="zoo")
    assert found["value"] == [{"question": "zebra zoo", "answer": "z"}]
    assert host.asked[0][2]["texts"][0] == "question: apple pie"


async def test_few_shots_of_nearest_neighbours_take_metric_and_vectorizer_of_the_host(engine: Engine) -> None:
    args = {"k": 1, "trainset": DEVSET, "vectorizer": {"host": "embed"}, "metric": {"host": "metric"}}
    host = ToolHost(upper, embed=bag_of_letters, metric=exact)
    target = spec("dspy.KNNFewShot", args=args)
    result = await call(engine, target, {"student": PREDICT}, host=host, lm=LM, method="compile")
    assert result["value"]["signature"]["instructions"] == "Answer shortly."
    assert [kind for kind, _, _ in host.asked] == [pb.Callback.KIND_RETRIEVER]


async def test_a_program_of_a_user_gets_an_embedder_that_also_awaits(tool_engine: Engine) -> None:
    host = ToolHost(embed=bag_of_letters)
    for program in ("Embeds", "EmbedsInThread"):
        target = spec(f"tool_programs.{program}", args={"embedder": {"host": "embed"}})
        found = await ask(tool_engine, host, target, texts=["aa", "b"])
        assert found["outputs"] == {"shape": [2, 26], "first": 2.0, "one": [26]}


async def test_large_corpora_are_embedded_in_parts(engine: Engine) -> None:
    host = ToolHost(embed=bag_of_letters)
    corpus = ["a" * (i % 7 + 1) for i in range(2500)]
    args = {"corpus": corpus, "embedder": {"host": "embed"}, "k": 1}
    await ask(engine, host, spec("dspy.Embeddings", args=args), query="a")
    assert [len(asked["texts"]) for _, _, asked in host.asked] == [1024, 1024, 452, 1]
