"""`dspy.Predict` in one plain Python process, with a model that answers at once.

    python predict.py

Says `ready`, takes `{"question": .., "completion": ..}` on a line, and then, for every line with a number,
makes so many calls and prints the CPU seconds (user and system, of all threads) that they took.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from typing import Any

os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")

import dspy
from dspy import lm15
from dspy._vendor.lm15.serde import response_from_dict


class InstantEngine:
    """Gives the same answer, made once, whatever is asked."""

    def __init__(self, answer: lm15.Response) -> None:
        self._answer = answer

    def complete(self, request: lm15.Request) -> lm15.Response:
        return self._answer


class AsyncInstantEngine(InstantEngine):
    """The same for `acall`."""

    async def complete(self, request: lm15.Request) -> lm15.Response:
        return self._answer


def model(completion: str) -> dspy.LM:
    answer = response_from_dict(
        {
            "model": "dspex/instant",
            "message": {"role": "assistant", "parts": [{"type": "text", "text": completion}]},
            "finish_reason": "stop",
            "usage": {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0},
        }
    )
    engines = {"engine": InstantEngine(answer), "async_engine": AsyncInstantEngine(answer)}
    return dspy.LM("dspex/instant", cache=False, **engines)


def predictor() -> dspy.Predict:
    fields: dict[str, Any] = {"question": (str, dspy.InputField()), "answer": (str, dspy.OutputField())}
    return dspy.Predict(dspy.Signature(fields, "Answer the question in one word."))


async def calls(count: int, predict: dspy.Predict, lm: dspy.LM, question: str) -> float:
    before = os.times()
    for _ in range(count):
        with dspy.context(lm=lm, disable_history=True, track_usage=True, trace=[]):
            prediction = await predict.acall(question=question)
    after = os.times()
    if prediction.answer != "Paris":
        raise SystemExit(f"the answer is {prediction.answer!r}")
    return (after.user + after.system) - (before.user + before.system)


def main() -> None:
    dspy.configure_cache(enable_disk_cache=False, enable_memory_cache=False)
    print("ready", flush=True)
    given = json.loads(sys.stdin.readline())
    lm = model(given["completion"])
    predict = predictor()
    print("given", flush=True)
    loop = asyncio.new_event_loop()
    for line in sys.stdin:
        print(loop.run_until_complete(calls(int(line), predict, lm, given["question"])), flush=True)


if __name__ == "__main__":
    main()
