"""Many calls at once, threads, and the end of calls that nobody waits for."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from typing import Any

import dspy
import pytest

from dspex_worker.config import WorkerConfig
from dspex_worker.engine import Engine
from dspex_worker.host import CallCancelled
from dspex_worker.lm import Call, CallUsage
from dspex_worker.proto import worker_pb2 as pb
from dspex_worker.threads import Threads

from fake_host import FakeHost, call, chat, lm_spec, run, spec, text_signature

QA = text_signature("question -> answer")


def reflecting(request: dict[str, Any]) -> str:
    """Answers with the model and the question that it was asked, so that a mix-up shows."""
    text = request["messages"][-1]["parts"][0]["text"]
    question = text.split("[[ ## question ## ]]\n")[1].split("\n")[0]
    return chat(reasoning="r", answer=f"{request['model']} on {question}")


@pytest.mark.parametrize("cls", ["dspy.Predict", "dspy.ChainOfThought", "dspex_worker.testing.SyncAnswer"])
async def test_a_hundred_calls_at_once_keep_their_own_models_and_hosts(engine: Engine, cls: str) -> None:
    target = spec(cls) if cls.startswith("dspex") else spec(cls, QA)
    hosts = [FakeHost(reflecting, call_id=i) for i in range(100)]
    models = [lm_spec(f"test/model-{i}") for i in range(100)]

    results = await asyncio.gather(
        *(call(engine, target, {"question": f"q{i}"}, host=hosts[i], lm=models[i]) for i in range(100))
    )

    for i, result in enumerate(results):
        assert result["outputs"]["answer"] == f"test/model-{i} on q{i}"
        assert list(result["usage"]) == [f"test/model-{i}"]
        assert hosts[i].names == [models[i].hash]


async def test_calls_at_once_keep_their_own_adapters(engine: Engine) -> None:
    echo = spec("dspex_worker.testing.Echo")
    names = ["", "chat", "json", "xml"] * 10
    seen = await asyncio.gather(*(call(engine, echo, {}, method="where", adapter=name) for name in names))
    classes = {"": "ChatAdapter", "chat": "ChatAdapter", "json": "JSONAdapter", "xml": "XMLAdapter"}
    assert [s["value"]["adapter"] for s in seen] == [classes[name] for name in names]


async def test_the_worker_itself_has_no_model_and_keeps_no_traces(engine: Engine) -> None:
    await call(
        engine, spec("dspy.Predict", QA), {"question": "?"}, host=FakeHost(chat(answer="x")), lm=lm_spec()
    )

    assert dspy.settings.lm is None
    assert dspy.settings.trace == []
    assert engine._models.get(lm_spec().hash).history == []


async def test_modules_without_an_async_form_run_on_threads(engine: Engine) -> None:
    host = FakeHost(chat(answer="x"))
    await call(engine, spec("dspex_worker.testing.SyncAnswer"), {"question": "?"}, host=host, lm=lm_spec())
    assert threading.get_ident() not in host.threads


async def test_threads_are_bounded(config: WorkerConfig) -> None:
    engine = Engine(WorkerConfig(modules=config.modules, sync_threads=2))
    gate, inside, most = threading.Event(), [0], [0]

    def answer(request: dict[str, Any]) -> str:
        inside[0] += 1
        most[0] = max(most[0], inside[0])
        gate.wait(0.02)
        inside[0] -= 1
        return chat(answer="x")

    target = spec("dspex_worker.testing.SyncAnswer")
    await asyncio.gather(
        *(call(engine, target, {"question": "?"}, host=FakeHost(answer), lm=lm_spec()) for _ in range(8))
    )
    assert most[0] == 2


async def test_a_cancelled_thread_has_ended_before_the_call_ends(engine: Engine) -> None:
    host = FakeHost(chat(answer="x"))
    host.hold = threading.Event()
    running = asyncio.ensure_future(
        call(engine, spec("dspex_worker.testing.SyncAnswer"), {"question": "?"}, host=host, lm=lm_spec())
    )
    await asyncio.to_thread(host.entered.wait, 5)

    running.cancel()
    await asyncio.sleep(0.05)
    assert not running.done(), "the thread still runs, so the call must not have ended"

    host.cancelled.set()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(running, 5)


async def test_a_cancelled_call_that_waits_for_a_thread_ends_at_once(config: WorkerConfig) -> None:
    engine = Engine(WorkerConfig(modules=config.modules, sync_threads=1))
    first, second = FakeHost(chat(answer="x")), FakeHost(chat(answer="y"))
    first.hold = threading.Event()
    target = spec("dspex_worker.testing.SyncAnswer")
    occupying = asyncio.ensure_future(call(engine, target, {"question": "?"}, host=first, lm=lm_spec()))
    waiting = asyncio.ensure_future(call(engine, target, {"question": "?"}, host=second, lm=lm_spec()))
    await asyncio.to_thread(first.entered.wait, 5)

    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(waiting, 1)

    first.hold.set()
    assert (await occupying)["outputs"] == {"answer": "x"}
    assert second.requests == []


async def test_a_cancelled_callback_stops_a_module_that_catches_exceptions(engine: Engine) -> None:
    """ReAct catches whatever a tool or a prediction raises; `CallCancelled` is no `Exception`."""

    def cancelled(request: dict[str, Any]) -> Any:
        return CallCancelled()

    agent = spec("dspy.ReAct", QA, args={"tools": []})
    host = FakeHost(cancelled)
    with pytest.raises(CallCancelled):
        await call(engine, agent, {"question": "?"}, host=host, lm=lm_spec())
    assert len(host.requests) == 1


async def test_an_async_call_is_cancelled_at_once(engine: Engine) -> None:
    waiting = asyncio.ensure_future(
        call(engine, spec("dspex_worker.testing.Echo"), {"seconds": 60}, method="wait")
    )
    await asyncio.sleep(0.01)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(waiting, 1)


async def test_usage_within_dspys_own_threads_is_counted() -> None:
    import copy

    usage = CallUsage()
    copy.deepcopy(usage).add_usage("m", {"total_tokens": 3})
    assert usage.get_total_tokens() == {"m": {"total_tokens": 3}}


async def test_the_model_of_a_call_is_reached_from_dspys_own_threads(engine: Engine) -> None:
    """`dspy.Parallel` starts plain threads, and carries DSPy's settings into them, and nothing else."""
    host = FakeHost(reflecting)
    model = lm_spec()
    engine.learn(pb.State(lms=[model]))
    fields = {"question": (str, dspy.InputField()), "answer": (str, dspy.OutputField())}
    predict = dspy.Predict(dspy.signatures.make_signature(fields, "x", custom_types={}))
    call_of = Call(host, engine._models.get(model.hash), dspy.ChatAdapter(), Threads(1))

    def work() -> list[Any]:
        from dspex_worker.engine import _settings_of

        with dspy.context(**_settings_of(call_of)):
            pairs = [(predict, {"question": f"q{i}"}) for i in range(6)]
            parallel = dspy.Parallel(num_threads=3, disable_progress_bar=True)
            return parallel([(p, dspy.Example(**e).with_inputs("question")) for p, e in pairs])

    results = await asyncio.to_thread(work)
    assert [r.answer for r in results] == [f"test/model on q{i}" for i in range(6)]
    assert call_of.usage.get_total_tokens()["test/model"]["total_tokens"] == 90


async def test_many_specs_do_not_pile_up(config: WorkerConfig) -> None:
    engine = Engine(WorkerConfig(modules=config.modules, settings={"max_instances": 4, "max_lms": 3}))
    targets = [spec("dspy.Predict", text_signature(f"q{i} -> a")) for i in range(20)]
    kept = []
    for i, target in enumerate(targets):
        model = lm_spec(f"test/{i}")
        await call(engine, target, {f"q{i}": "?"}, host=FakeHost(chat(a="x")), lm=model)
        kept.append(weakref.ref(engine._instances.get(target.hash).target))
    gc.collect()

    assert len(engine._instances) == 4
    assert sum(ref() is not None for ref in kept) <= 4
    # One that fell out is asked for again, and works again.
    open = pb.Open(instance=pb.InstanceCall(spec=targets[0].hash))
    assert engine.missing(open)[0] == [targets[0].hash]
    result = await call(engine, targets[0], {"q0": "?"}, host=FakeHost(chat(a="x")), lm=lm_spec())
    assert result["outputs"] == {"a": "x"}


async def test_one_instance_serves_every_call_of_its_spec(engine: Engine) -> None:
    target = spec("dspy.Predict", QA)
    await call(engine, target, {"question": "1"}, host=FakeHost(chat(answer="x")), lm=lm_spec())
    first = engine._instances.get(target.hash)
    await call(engine, target, {"question": "2"}, host=FakeHost(chat(answer="x")), lm=lm_spec())
    assert engine._instances.get(target.hash) is first


async def test_introspection_runs_beside_calls(engine: Engine) -> None:
    open = pb.Open(introspect=pb.Introspect(modules=["dspex_worker.testing"]))
    document, echoed = await asyncio.gather(
        run(engine, open, FakeHost(), [], []),
        call(engine, spec("dspex_worker.testing.Echo"), {"a": 1}, method="execute"),
    )
    assert "dspex_worker.testing.Echo" in [c["name"] for c in document["classes"]]
    assert echoed == {"value": {"a": 1}}
