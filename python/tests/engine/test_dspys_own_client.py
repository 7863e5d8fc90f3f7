"""Language models of kind "dspy": DSPy's own client against a provider on this machine."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import dspy
import pytest

from dspex_worker.engine import Engine
from dspex_worker.proto import worker_pb2 as pb

from fake_host import call, chat, lm_spec, spec, text_signature

QA = text_signature("question -> answer")
KEY = "sk-very-secret-0123456789"


class Provider:
    """Speaks OpenAI's chat completions. `answer` returns a status, headers and a body for a request."""

    def __init__(
        self, answer: Callable[[dict[str, Any]], tuple[int, dict[str, str], dict[str, Any]]]
    ) -> None:
        self.seen: list[tuple[str, dict[str, Any]]] = []
        provider = self

        class Handler(BaseHTTPRequestHandler):
            # One write per answer: small ones wait for an acknowledgement otherwise.
            wbufsize = -1

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                provider.seen.append((self.headers.get("Authorization", ""), body))
                status, headers, answered = answer(body)
                data = json.dumps(answered).encode()
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(data))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/v1"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def completion(text: str) -> dict[str, Any]:
    usage = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    return {
        "id": "1",
        "object": "chat.completion",
        "model": "gpt-4o-mini",
        "choices": [choice],
        "usage": usage,
    }


@pytest.fixture
def serve() -> Iterator[Callable[..., Provider]]:
    providers: list[Provider] = []

    def start(status: int, body: dict[str, Any], **headers: str) -> Provider:
        providers.append(Provider(lambda request: (status, headers, body)))
        return providers[-1]

    yield start
    for provider in providers:
        provider.close()


def model(provider: Provider, api_key: str = KEY, **kwargs: Any) -> pb.LmSpec:
    settings = {"api_base": provider.url, "num_retries": 0, **kwargs}
    return lm_spec("openai/gpt-4o-mini", kind="dspy", api_key=api_key, kwargs=settings)


@pytest.mark.parametrize("target", [spec("dspy.Predict", QA), spec("dspex_worker.testing.SyncAnswer")])
async def test_an_answer_of_a_provider_arrives_with_its_usage(
    engine: Engine, serve: Callable[..., Provider], target: pb.Spec
) -> None:
    provider = serve(200, completion(chat(answer="Paris")))

    result = await call(engine, target, {"question": "?"}, lm=model(provider, temperature=0.5))

    assert result["outputs"] == {"answer": "Paris"}
    assert result["usage"]["openai/gpt-4o-mini"]["total_tokens"] == 10
    authorization, body = provider.seen[0]
    assert authorization == f"Bearer {KEY}"
    assert body["temperature"] == 0.5


@pytest.mark.parametrize(
    ("status", "headers", "cls", "code", "retryable"),
    [
        (429, {"Retry-After": "7"}, dspy.LMRateLimitError, "rate_limit", True),
        (401, {}, dspy.LMAuthError, "auth", False),
        (500, {}, dspy.LMServerError, "server", True),
        (400, {}, dspy.LMInvalidRequestError, "invalid_request", False),
    ],
)
async def test_a_failure_of_a_provider_keeps_its_meaning_and_no_key(
    engine: Engine,
    serve: Callable[..., Provider],
    status: int,
    headers: dict[str, str],
    cls: type[Exception],
    code: str,
    retryable: bool,
) -> None:
    body = {"error": {"message": f"Not with this key: {KEY}", "type": "x", "code": "y"}}
    provider = serve(status, body, **headers)

    with pytest.raises(cls) as caught:
        await call(engine, spec("dspy.Predict", QA), {"question": "?"}, lm=model(provider))

    error = engine.failed(caught.value)
    attributes = json.loads(error.attributes)
    assert error.kind == pb.Error.KIND_LM
    assert (attributes["code"], attributes["status"]) == (code, status)
    assert error.retryable is retryable
    assert error.retry_after == (7.0 if status == 429 else 0.0)
    assert KEY.encode() not in error.SerializeToString()


async def test_retries_are_those_that_the_spec_asks_for(
    engine: Engine, serve: Callable[..., Provider]
) -> None:
    provider = serve(429, {"error": {"message": "slow down"}}, **{"Retry-After": "0"})
    with pytest.raises(dspy.LMRateLimitError):
        await call(engine, spec("dspy.Predict", QA), {"question": "?"}, lm=model(provider, num_retries=2))
    assert len(provider.seen) == 3


async def test_the_same_question_is_asked_again_because_nothing_is_cached(
    engine: Engine, serve: Callable[..., Provider]
) -> None:
    provider = serve(200, completion(chat(answer="Paris")))
    for _ in range(3):
        await call(engine, spec("dspy.Predict", QA), {"question": "?"}, lm=model(provider))
    assert len(provider.seen) == 3


async def test_another_key_for_the_same_model_is_another_model(
    engine: Engine, serve: Callable[..., Provider]
) -> None:
    provider = serve(200, completion(chat(answer="Paris")))
    for key in (KEY, "sk-another-secret-987"):
        await call(engine, spec("dspy.Predict", QA), {"question": "?"}, lm=model(provider, api_key=key))
    assert [authorization for authorization, _ in provider.seen] == [
        f"Bearer {KEY}",
        "Bearer sk-another-secret-987",
    ]


@pytest.mark.parametrize("before", ["", KEY])
async def test_no_host_puts_its_key_into_the_model_of_another_one(
    engine: Engine, serve: Callable[..., Provider], before: str
) -> None:
    provider = serve(200, completion(chat(answer="Paris")))
    theirs = model(provider, api_key=before)
    engine.learn(pb.State(lms=[theirs]))
    made = engine._models.get(theirs.hash)
    stolen = pb.LmSpec(hash=theirs.hash, json=theirs.json, api_key="sk-another-secret-987")
    with pytest.raises(Exception, match="is not told apart from one with another key"):
        engine.learn(pb.State(lms=[stolen]))
    assert engine._models.get(theirs.hash) is made
