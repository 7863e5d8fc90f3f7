"""Functions of the host that DSPy calls beside tools: rewards, metrics and embedders.

DSPy calls them from threads, and they block there. What the host refuses is an exception, which DSPy counts;
a cancelled call ends whatever DSPy is doing.
"""

from __future__ import annotations

import inspect
import linecache
import weakref
from collections.abc import Mapping
from typing import Any

import dspy
import numpy as np

from dspex_worker import codec
from dspex_worker.host_tools import in_call
from dspex_worker.lm import Call, running_call
from dspex_worker.problems import InvalidInput
from dspex_worker.proto import worker_pb2 as pb

# Texts in one question about embeddings.
_BATCH = 1024


class HostAnswerError(Exception):
    """A function of the host answered with what it may not."""


class _HostCallable:
    """What asks the host. Copies of a program ask for the same."""

    def __init__(self, key: str, describe: str, stub: str) -> None:
        self._key = key
        self.describe = describe
        # What `inspect` finds in its place: DSPy puts the source of rewards into prompts.
        self.__wrapped__ = _stub(stub, describe)

    def __copy__(self) -> _HostCallable:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> _HostCallable:
        return self

    def __repr__(self) -> str:
        return f"<function of the host {self._key!r}>"

    def _ask(self, kind: pb.Callback.Kind.ValueType, question: dict[str, Any]) -> Any:
        host = in_call(running_call()).host
        return codec.loads(host.callback_blocking(kind, self._key, codec.dumps(question)))


class HostReward(_HostCallable):
    """A reward of the host: `BestOfN` and `Refine` take it as `reward_fn`."""

    def __init__(self, key: str, describe: str = "") -> None:
        super().__init__(key, describe, "def reward_fn(args: dict, pred: dspy.Prediction) -> float:")

    def __call__(self, args: Mapping[str, Any], pred: Any) -> float:
        question = {"inputs": dict(args), "prediction": _fields(pred)}
        try:
            answer = self._ask(pb.Callback.KIND_REWARD, question)
            if isinstance(answer, bool) or not isinstance(answer, (int, float)):
                raise HostAnswerError(
                    f"the host's reward answered with {codec.describe(answer)}, not with a number"
                )
        except Exception as error:
            in_call(running_call()).attempt_failure = error
            raise
        return float(answer)


class HostMetric(_HostCallable):
    """A metric of the host, for `Evaluate` and all optimizers."""

    def __init__(self, key: str, describe: str = "") -> None:
        super().__init__(
            key,
            describe,
            "def metric(gold: dspy.Example, pred: dspy.Prediction, trace=None, pred_name=None, "
            "pred_trace=None) -> float:",
        )

    def __call__(
        self, gold: Any, pred: Any, trace: Any = None, pred_name: str | None = None, pred_trace: Any = None
    ) -> Any:
        # GEPA passes a trace where it wants feedback for one predictor; others where they collect
        # demonstrations.
        collects = trace is not None and pred_name is None
        question: dict[str, Any] = {
            "gold": _fields(gold),
            "inputs": sorted(getattr(gold, "_input_keys", None) or ()),
            "prediction": _fields(pred),
            "trace": collects,
        }
        if pred_name is not None:
            question["predictor"] = pred_name
        answer = self._ask(pb.Callback.KIND_METRIC, question)
        if isinstance(answer, (bool, int, float)):
            return answer
        score = answer.get("score") if isinstance(answer, dict) else None
        if isinstance(score, bool) or not isinstance(score, (int, float)):
            raise HostAnswerError(
                f"the host's metric answered with {codec.describe(answer)}, not with a number, a boolean or "
                'an object with a "score"'
            )
        feedback, scores = answer.get("feedback"), answer.get("scores")
        if collects or (feedback is None and not scores):
            # As an object, a score of zero would be true.
            return score
        told = {"score": float(score), "feedback": feedback}
        return dspy.Prediction(**told, **({"objective_scores": scores} if scores else {}))


class HostEmbedder:
    """An embedder of the host, wherever DSPy takes a `dspy.Embedder` or a function of texts."""

    def __init__(self, key: str) -> None:
        self._key = key

    def __call__(self, inputs: str | list[str], **settings: Any) -> Any:
        """An array [texts, size]; for a single text, its one row."""
        host = in_call(running_call()).host
        parts = [
            _array(host.exchange_blocking(pb.Callback.KIND_RETRIEVER, self._key, question), count)
            for question, count in _questions(inputs)
        ]
        return _whole(parts, inputs)

    async def acall(self, inputs: str | list[str], **settings: Any) -> Any:
        """The same on an event loop."""
        call: Call | None = running_call()
        host = (call or in_call(call)).host
        parts = [
            _array(await host.exchange(pb.Callback.KIND_RETRIEVER, self._key, question), count)
            for question, count in _questions(inputs)
        ]
        return _whole(parts, inputs)

    def __copy__(self) -> HostEmbedder:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> HostEmbedder:
        return self

    def __repr__(self) -> str:
        return f"<embedder of the host {self._key!r}>"


def host_function(parameter: str, value: Mapping[str, Any], where: str) -> Any:
    """What stands for a function of the host in an argument. Raises `InvalidInput`."""
    key, describe = value.get("host"), value.get("describe")
    # An embedder's id tells its spec from others': that is all it is for.
    more = "id" if parameter in ("embedder", "vectorizer") else "describe"
    unknown = sorted(value.keys() - {"host", more})
    if not isinstance(key, str) or not key or unknown or not isinstance(value.get(more), (str, type(None))):
        problem = f"`{unknown[0]}` is unexpected" if unknown else f"`host` and `{more}` have to be texts"
        raise InvalidInput([{"field": where, "problem": problem, "expected": '{"host": key}'}], "spec")
    make = HOST_FUNCTIONS.get(parameter)
    if make is None:
        problem = f"`{parameter}` cannot be a function of the host; {', '.join(HOST_FUNCTIONS)} can"
        raise InvalidInput([{"field": where, "problem": problem}], "spec")
    return make(key) if describe is None else make(key, describe)


# By the names of parameters.
HOST_FUNCTIONS: Mapping[str, Any] = {
    "metric": HostMetric,
    "reward_fn": HostReward,
    "embedder": HostEmbedder,
    "vectorizer": HostEmbedder,
}


def _fields(value: Any) -> Any:
    """A prediction or an example as an object of its fields."""
    if isinstance(value, dspy.Example):
        return value._store
    return value if isinstance(value, dict) else {"value": value}


def _questions(inputs: str | list[str]) -> list[tuple[pb.Payload, int]]:
    texts = [inputs] if isinstance(inputs, str) else list(inputs)
    if not all(isinstance(text, str) for text in texts):
        raise TypeError("an embedder takes texts")
    parts = [texts[i : i + _BATCH] for i in range(0, len(texts), _BATCH)]
    return [(pb.Payload(json=codec.dumps({"op": "embed", "texts": part})), len(part)) for part in parts]


def _array(answer: pb.Payload, count: int) -> Any:
    for attachment in answer.attachments:
        if attachment.name == "embeddings":
            shape = tuple(attachment.shape)
            if attachment.dtype != "float32" or len(shape) != 2 or shape[0] != count:
                raise HostAnswerError(
                    f"the host's embedder answered with {attachment.dtype} {list(shape)} for {count} texts; "
                    f"expected float32 [{count}, size]"
                )
            return np.frombuffer(attachment.data, "<f4").reshape(shape)
    raise HostAnswerError("the host's embedder answered without embeddings")


def _whole(parts: list[Any], inputs: str | list[str]) -> Any:
    if not parts:
        return np.empty((0, 0), np.float32)
    # A copy, because DSPy writes into arrays.
    whole = np.concatenate(parts).astype(np.float32)
    return whole[0] if isinstance(inputs, str) else whole


_stubs = 0


def _stub(line: str, describe: str) -> Any:
    """A function without a body, whose source as `inspect` finds it is `line` and what is said of it."""
    global _stubs
    _stubs += 1
    text = inspect.cleandoc(describe) or "A function of the host's program."
    # It is only read, never run; but it has to end where it ends.
    text = text.replace("\\", "\\\\").replace('"""', "'''")
    body = "\n".join(f"    {part}".rstrip() for part in text.split("\n"))
    source = f'{line}\n    """\n{body}\n    """\n'
    name = f"<function of the host {_stubs}>"
    namespace: dict[str, Any] = {"dspy": dspy}
    exec(compile(f"{line} ...", name, "exec"), namespace)
    stub = next(value for key, value in namespace.items() if key in ("reward_fn", "metric"))
    # Without a time of change, it stays as it is.
    linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
    weakref.finalize(stub, linecache.cache.pop, name, None)
    return stub
