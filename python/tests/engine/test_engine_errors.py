"""What becomes of exceptions: from the host's model, from DSPy, from the user's code."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import dspy
import pytest

from dspex_worker.engine import Engine
from dspex_worker.errors import scrub, to_error
from dspex_worker.host import CallCancelled, HostError
from dspex_worker.proto import worker_pb2 as pb

from fake_host import FakeHost, call, chat, lm_error, lm_spec, response, spec, text_signature

QA = text_signature("question -> answer")
LM = lm_spec()

CODES = {
    "auth": (dspy.LMAuthError, False),
    "billing": (dspy.LMBillingError, False),
    "rate_limit": (dspy.LMRateLimitError, True),
    "timeout": (dspy.LMTimeoutError, True),
    "server": (dspy.LMServerError, True),
    "context_window_exceeded": (dspy.ContextWindowExceededError, False),
    "invalid_request": (dspy.LMInvalidRequestError, False),
    "unsupported_model": (dspy.LMUnsupportedModelError, False),
    "unsupported_feature": (dspy.LMUnsupportedFeatureError, False),
    "transport": (dspy.LMTransportError, True),
    "provider": (dspy.LMProviderError, False),
    "not_configured": (dspy.LMNotConfiguredError, False),
    "configuration": (dspy.LMConfigurationError, False),
    "lock_timeout": (dspy.LMLockTimeoutError, True),
    "stream_assembly": (dspy.LMStreamAssemblyError, False),
    "collection_limit": (dspy.LMCollectionLimitError, False),
}


async def failing(engine: Engine, host: FakeHost, **kwargs: Any) -> tuple[BaseException, pb.Error]:
    target = kwargs.pop("spec", spec("dspy.Predict", QA))
    with pytest.raises(BaseException) as caught:  # noqa: PT011
        await call(engine, target, kwargs.pop("inputs", {"question": "?"}), host=host, lm=LM, **kwargs)
    return caught.value, engine.failed(caught.value)


@pytest.mark.parametrize("sync", [False, True], ids=["async", "sync"])
@pytest.mark.parametrize("code", CODES)
async def test_an_error_of_the_hosts_model_becomes_dspys_and_comes_back_whole(
    engine: Engine, code: str, sync: bool
) -> None:
    cls, retryable = CODES[code]
    told = {"status": 429, "provider": "acme", "provider_code": "slow_down", "request_id": "r-1"}
    host = FakeHost(
        lambda request: lm_error(code, "The words of the provider.", attributes=told, retry_after=2.5)
    )
    target = spec("dspex_worker.testing.SyncAnswer") if sync else spec("dspy.Predict", QA)

    raised, error = await failing(engine, host, spec=target)

    attributes = json.loads(error.attributes)
    assert type(raised) is cls
    assert error.kind == pb.Error.KIND_LM
    assert getattr(error, "class") == f"dspy.utils.exceptions.{cls.__name__}"
    assert "dspy.utils.exceptions.LMError" in error.mro
    assert error.message == "The words of the provider."
    assert (error.retryable, error.retry_after) == (retryable, 2.5)
    assert attributes["status"] == 429
    assert attributes["provider"] == "acme"
    assert attributes["provider_code"] == "slow_down"
    assert attributes["request_id"] == "r-1"
    assert attributes["model"] == "test/model"
    # No retries here: whoever runs the model retries.
    assert len(host.requests) == 1


@pytest.mark.parametrize("code", [None, "quux"])
async def test_an_error_without_a_known_code_is_unexpected_and_keeps_its_message(
    engine: Engine, code: str | None
) -> None:
    raised, error = await failing(engine, FakeHost(lambda request: lm_error(code, "It panicked.")))
    assert type(raised) is dspy.LMUnexpectedError
    assert "It panicked." in error.message
    assert not error.retryable


@pytest.mark.parametrize(
    "answer",
    [
        b"{",
        b"[]",
        b"{}",
        b'{"model": "m"}',
        b'"text"',
        json.dumps({**response("x"), "finish_reason": "quux"}).encode(),
    ],
)
async def test_an_answer_that_is_no_response_is_an_error_of_the_model(engine: Engine, answer: bytes) -> None:
    raised, error = await failing(engine, FakeHost(lambda request: answer))
    assert type(raised) is dspy.LMUnexpectedError
    assert error.kind == pb.Error.KIND_LM
    assert "no response" in error.message


async def test_a_blocking_call_within_an_async_module_is_refused_and_not_a_deadlock(engine: Engine) -> None:
    host = FakeHost(chat(answer="x"))
    _, error = await asyncio.wait_for(
        failing(engine, host, spec=spec("dspex_worker.testing.BlockingAnswer")), 5
    )
    assert "acall" in error.message
    assert host.requests == []


async def test_an_exception_keeps_class_message_cause_and_frames(engine: Engine) -> None:
    echo = spec("dspex_worker.testing.Echo")
    _, error = await failing(engine, FakeHost(), spec=echo, method="fail", inputs={"message": "outer"})

    assert error.kind == pb.Error.KIND_PYTHON
    assert getattr(error, "class") == "builtins.RuntimeError"
    assert list(error.mro) == ["builtins.Exception", "builtins.BaseException"]
    assert error.message == "outer"
    assert getattr(error.cause, "class") == "builtins.KeyError"
    assert error.cause.message == "'inner'"
    assert error.frames[-1].module == "dspex_worker.testing"
    assert error.frames[-1].line > 0
    assert not any("/" in frame.module for frame in error.frames)


def test_causes_are_bounded_and_suppressed_ones_are_left_out() -> None:
    error: BaseException = ValueError("0")
    for index in range(1, 30):
        outer = ValueError(str(index))
        outer.__cause__ = error
        error = outer
    depth, told = 0, to_error(error)
    while told.HasField("cause"):
        depth, told = depth + 1, told.cause
    assert depth == 8

    suppressed = ValueError("shown")
    suppressed.__context__ = KeyError("hidden")
    suppressed.__suppress_context__ = True
    assert not to_error(suppressed).HasField("cause")


def test_an_exception_that_is_its_own_cause_is_no_endless_chain() -> None:
    error = ValueError("x")
    error.__cause__ = error
    assert to_error(error).message == "x"


def test_frames_are_bounded_however_deep_the_recursion() -> None:
    def deeper(n: int) -> None:
        if n == 0:
            raise ValueError("bottom")
        deeper(n - 1)

    with pytest.raises(ValueError, match="bottom") as caught:
        deeper(400)
    frames = to_error(caught.value).frames
    assert len(frames) == 32
    assert frames[-1].function.endswith("deeper")


def test_long_and_odd_messages_are_sent_all_the_same() -> None:
    assert len(to_error(ValueError("x" * 10_000_000)).message) <= 16 * 1024
    assert to_error(ValueError("half \ud800")).message == "half \\ud800"

    class Mute(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    assert "Mute" in to_error(Mute()).message


def test_messages_do_not_tell_where_python_lives() -> None:
    told = to_error(
        FileNotFoundError(2, "No such file", f"{sys.prefix}/lib/python3/site-packages/x.py")
    ).message
    assert sys.prefix not in told
    assert "<python>" in told
    assert scrub("/data/tickets.csv is the user's own") == "/data/tickets.csv is the user's own"


@pytest.mark.parametrize("error", [CallCancelled(), asyncio.CancelledError()])
def test_both_cancellations_are_one_kind(error: BaseException) -> None:
    assert to_error(error).kind == pb.Error.KIND_CANCELLED


def test_an_error_of_a_callback_is_the_hosts() -> None:
    assert to_error(HostError(pb.Error(message="panicked"))).kind == pb.Error.KIND_CALLBACK


# ------------------------------------------------------------------------------------------------ DSPy's own
# client


async def test_a_key_never_shows(engine: Engine, caplog: pytest.LogCaptureFixture) -> None:
    key = "sk-very-secret-0123456789"
    model = lm_spec(
        "openai/gpt-4o-mini",
        kind="dspy",
        api_key=key,
        kwargs={"api_base": "http://127.0.0.1:9", "num_retries": 0},
    )
    predict = spec("dspy.Predict", QA)

    with pytest.raises(dspy.LMError) as caught:
        await call(engine, predict, {"question": "?"}, lm=model)

    error = engine.failed(caught.value)
    assert error.kind == pb.Error.KIND_LM
    assert json.loads(error.attributes)["code"] == "transport"
    assert error.retryable
    assert key.encode() not in error.SerializeToString()
    assert key not in caplog.text
    assert key not in repr(engine._models.get(model.hash))
    assert key not in to_error(ValueError(f"Incorrect API key provided: {key}")).message


@pytest.mark.parametrize("name", ["engine", "api_key", "callbacks", "cache", "provider"])
async def test_a_models_spec_cannot_set_what_is_not_data(engine: Engine, name: str) -> None:
    model = lm_spec(kwargs={name: "x"})
    with pytest.raises(Exception, match="not settable") as caught:
        await call(engine, spec("dspy.Predict", QA), {"question": "?"}, lm=model)
    assert engine.failed(caught.value).kind == pb.Error.KIND_INVALID_INPUT


@pytest.mark.parametrize(
    ("rest", "says"),
    [
        ({"kind": "quux"}, "quux"),
        ({"model": ""}, "provider/name"),
        ({"model": "openai/"}, "provider prefix"),
        ({"kwargs": []}, "an object"),
    ],
)
async def test_a_broken_spec_of_a_model_says_what_is_wrong(
    engine: Engine, rest: dict[str, Any], says: str
) -> None:
    with pytest.raises(Exception, match=says) as caught:
        await call(engine, spec("dspy.Predict", QA), {"question": "?"}, lm=lm_spec(**rest))
    assert engine.failed(caught.value).kind == pb.Error.KIND_INVALID_INPUT
