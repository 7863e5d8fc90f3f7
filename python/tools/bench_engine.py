"""CPU of the engine, against the same work in one plain Python process.

    python tools/bench_engine.py [--json] [--rounds 7]

Prints microseconds of CPU per call, the median of alternating rounds. Nothing is asserted.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import dspy
from dspy._vendor.lm15.serde import response_from_dict

from dspex_worker import acceleration, codec, engine
from dspex_worker.config import WorkerConfig
from dspex_worker.proto import worker_pb2 as pb

TEXT = "[[ ## answer ## ]]\nParis\n\n[[ ## completed ## ]]"
ANSWER = {
    "model": "test/model",
    "message": {"role": "assistant", "parts": [{"type": "text", "text": TEXT}]},
    "finish_reason": "stop",
    "usage": {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15},
}
ANSWER_BYTES = json.dumps(ANSWER).encode()
OBJECT = {
    "ticket": "x" * 100,
    "tags": ["one", "two"],
    "n": 12,
    "score": 0.5,
    "ok": True,
    "who": {"name": "Sara", "age": 30},
}


class Host:
    """Answers at once."""

    call_id = 1

    async def callback(self, kind: int, name: str, payload: bytes) -> bytes:
        return ANSWER_BYTES

    def callback_blocking(self, kind: int, name: str, payload: bytes) -> bytes:
        return ANSWER_BYTES

    def event(self, type: str, body: object) -> None:
        pass

    def check_cancelled(self) -> None:
        pass


class PlainEngine:
    """The model of the plain process: the same answer, without bytes in between."""

    def complete(self, request: Any) -> Any:
        return response_from_dict(ANSWER)


class PlainAsyncEngine:
    async def complete(self, request: Any) -> Any:
        return response_from_dict(ANSWER)


async def cpu_us(work: Callable[[], Awaitable[Any]], times: int) -> float:
    start = time.process_time()
    for _ in range(times):
        await work()
    return (time.process_time() - start) / times * 1e6


async def alternating(
    works: dict[str, Callable[[], Awaitable[Any]]], times: int, rounds: int
) -> dict[str, float]:
    measured: dict[str, list[float]] = {name: [] for name in works}
    for work in works.values():
        await cpu_us(work, max(times // 10, 1))
    for _ in range(rounds):
        for name, work in works.items():
            measured[name].append(await cpu_us(work, times))
    return {name: statistics.median(values) for name, values in measured.items()}


def opened(
    engine: engine.Engine, spec: dict[str, Any], inputs: dict[str, Any], method: str = "", lm: Any = None
) -> pb.Open:
    def hashed(value: Any) -> tuple[str, bytes]:
        data = json.dumps(value).encode()
        return hashlib.sha256(data).hexdigest(), data

    name, data = hashed(spec)
    state = pb.State(specs=[pb.Spec(hash=name, json=data)])
    session = pb.SessionView()
    if lm is not None:
        session.lm, lm_data = hashed(lm)
        state.lms.append(pb.LmSpec(hash=session.lm, json=lm_data))
    engine.learn(state)
    payload = pb.Payload(json=json.dumps(inputs).encode())
    return pb.Open(instance=pb.InstanceCall(spec=name, method=method), inputs=payload, session=session)


async def figures(rounds: int) -> dict[str, float]:
    config = WorkerConfig(modules=("dspex_worker.testing",))
    engine.warm(config)
    acceleration.uninstall()
    worker = engine.Engine(config)
    acceleration.uninstall()
    host = Host()
    echo = opened(worker, {"class": "dspex_worker.testing.Echo"}, OBJECT, "execute")
    module = opened(worker, {"class": "dspex_worker.testing.AsyncEchoModule"}, OBJECT)
    fields = {"name": "question", "desc": None, "schema": {"type": "string"}}
    signature = {"inputs": [fields], "outputs": [{**fields, "name": "answer"}]}
    predict = opened(
        worker,
        {"class": "dspy.Predict", "signature": signature},
        {"question": "What is the capital of France?"},
        lm={"kind": "host", "model": "test/model"},
    )
    plain_lm = dspy.LM("test/model", engine=PlainEngine(), async_engine=PlainAsyncEngine(), cache=False)
    made = dspy.signatures.make_signature(
        {"question": (str, dspy.InputField()), "answer": (str, dspy.OutputField())},
        "Given the fields `question`, produce the fields `answer`.",
    )
    plain = dspy.Predict(made)

    async def run_plain() -> Any:
        with dspy.context(lm=plain_lm, trace=[], disable_history=True, track_usage=True):
            return await plain.acall(question="What is the capital of France?")

    data = json.dumps(OBJECT).encode()

    async def code() -> bytes:
        return codec.dumps(codec.loads(data))

    async def only_context() -> None:
        with dspy.context(lm=None, trace=[], callbacks=[]):
            pass

    result = await alternating(
        {
            "codec_decode_and_encode_200_bytes": code,
            "bare_dspy_context": only_context,
            "run_trivial_async_method": lambda: worker.run(echo, host),
            "run_trivial_async_module": lambda: worker.run(module, host),
        },
        5000,
        rounds,
    )

    async def accelerated(work: Callable[[], Awaitable[Any]]) -> Any:
        acceleration.install()
        try:
            return await work()
        finally:
            acceleration.uninstall()

    result |= await alternating(
        {
            "predict_plain": run_plain,
            "predict_plain_accelerated": lambda: accelerated(run_plain),
            "predict_engine": lambda: worker.run(predict, host),
            "predict_engine_accelerated": lambda: accelerated(lambda: worker.run(predict, host)),
        },
        100,
        rounds * 3,
    )
    result["predict_ratio_unaccelerated"] = result["predict_engine"] / result["predict_plain"]
    result["predict_ratio_worker_as_shipped"] = result["predict_engine_accelerated"] / result["predict_plain"]
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    measured = asyncio.run(figures(options.rounds))
    if options.json:
        print(json.dumps(measured, indent=2))
        return
    for name, value in measured.items():
        print(f"{name:40} {value:10.2f}" + ("" if "ratio" in name else " us"))


if __name__ == "__main__":
    main()
