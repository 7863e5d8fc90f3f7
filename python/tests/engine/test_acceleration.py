"""The acceleration of DSPy changes nothing but time."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from typing import Any, Literal

import dspy
import pydantic
import pytest
from dspy.adapters import utils, xml_adapter

from dspex_worker import acceleration
from dspex_worker.config import WorkerConfig
from dspex_worker.engine import Engine
from dspex_worker.json_types import field_type
from dspex_worker.proto import worker_pb2 as pb

from fake_host import FakeHost, call, chat, lm_spec, spec
from schemas import CASES


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    yield
    acceleration.install()


def test_it_is_installed_by_default_and_can_be_switched_off(config: WorkerConfig) -> None:
    acceleration.uninstall()
    Engine(WorkerConfig(settings={"accelerate": False}))
    assert utils.TypeAdapter is pydantic.TypeAdapter
    Engine(WorkerConfig())
    assert utils.TypeAdapter is not pydantic.TypeAdapter
    assert xml_adapter.TypeAdapter is utils.TypeAdapter


def test_it_keeps_away_from_other_versions(monkeypatch: pytest.MonkeyPatch) -> None:
    acceleration.uninstall()
    monkeypatch.setattr(dspy, "__version__", "3.4.2")
    assert not acceleration.install()
    assert utils.TypeAdapter is pydantic.TypeAdapter


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_prompts_and_parses_are_the_same_with_and_without(case: Any) -> None:
    made = field_type(case.schema, "answer")
    fields = {
        "question": (made.annotation, dspy.InputField()),
        "answer": (made.annotation, dspy.OutputField()),
    }
    signature = dspy.signatures.make_signature(fields, "x", custom_types={})

    def everything() -> list[Any]:
        adapter = dspy.ChatAdapter()
        done: list[Any] = [adapter.format(signature, [], {"question": value}) for value in case.good]
        for value in [*case.good, *case.bad]:
            try:
                done.append(utils.parse_value(value, made.annotation))
            except ValueError as error:
                done.append(str(error))
        return done

    acceleration.uninstall()
    plain = everything()
    acceleration.install()
    assert everything() == plain
    assert everything() == plain


def test_types_that_are_equal_and_not_the_same_are_told_apart() -> None:
    acceleration.install()
    assert utils.parse_value(True, Literal[True]) is True
    assert utils.parse_value(1, Literal[1]) == 1
    assert type(utils.TypeAdapter(Literal[1]).validate_python(1)) is int
    assert type(utils.TypeAdapter(Literal[True]).validate_python(True)) is bool


def test_what_is_remembered_is_bounded() -> None:
    remembered = acceleration._Remembered(lambda of: object())
    kept = []
    for _ in range(3 * acceleration.MAX_TYPES):
        cls = type("Passing", (), {})
        kept.append(weakref.ref(cls))
        remembered(cls)
    del cls
    gc.collect()
    assert sum(ref() is not None for ref in kept) <= acceleration.MAX_TYPES


@pytest.mark.parametrize("accelerated", [False, True])
async def test_a_call_is_the_same_to_callbacks_usage_and_host(
    config: WorkerConfig, accelerated: bool
) -> None:
    seen: list[str] = []

    class Watching(dspy.utils.BaseCallback):  # type: ignore[misc]
        def on_lm_start(self, call_id: str, instance: Any, inputs: dict[str, Any]) -> None:
            seen.append(f"start {instance.model} {sorted(inputs)}")

        def on_lm_end(self, call_id: str, outputs: Any, exception: Any = None) -> None:
            seen.append(f"end {outputs} {exception}")

    acceleration.uninstall()
    engine = Engine(WorkerConfig(settings={"accelerate": accelerated}))
    assert acceleration.is_installed() is accelerated
    target = spec("dspy.Predict", {"text": "question -> answer"})
    engine.learn(pb.State(specs=[target]))
    engine._instances.get(target.hash).target.callbacks = []
    model = lm_spec()
    engine.learn(pb.State(lms=[model]))
    engine._models.get(model.hash).callbacks = [Watching()]
    host = FakeHost(chat(answer="x"))

    result = await call(engine, target, {"question": "?"}, host=host, lm=model)

    assert result["outputs"] == {"answer": "x"}
    assert result["usage"]["test/model"]["total_tokens"] == 15
    assert len(host.requests) == 1
    start, end = seen
    assert start.startswith("start test/model ['kwargs', 'messages', 'prompt'")
    assert end.endswith(" None")


async def test_calls_work_without_it(config: WorkerConfig) -> None:
    acceleration.uninstall()
    engine = Engine(WorkerConfig(settings={"accelerate": False}))
    signature = {"text": "question -> answer: list[int]"}
    host = FakeHost(chat(answer=[1, 2]))
    result = await call(engine, spec("dspy.Predict", signature), {"question": "?"}, host=host, lm=lm_spec())
    assert result["outputs"] == {"answer": [1, 2]}
