"""Programs of which DSPy abandons a thread when they are cancelled."""

from __future__ import annotations

import threading
from typing import Any

import dspy


class Watched:
    """What the programs tell, and what they wait for."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        # One thread works and looks at nothing.
        self.deaf = threading.Event()
        # It may end.
        self.release = threading.Event()
        # Its work is done.
        self.done = threading.Event()
        # The other thread was told that the call is cancelled.
        self.told = threading.Event()
        self.began: list[int] = []


watched = Watched()


class Nothing(dspy.Module):  # type: ignore[misc]
    def forward(self) -> None:
        return None


class Attentive(dspy.Module):  # type: ignore[misc]
    """Meets a boundary again and again."""

    def forward(self, **inputs: Any) -> Any:
        inner = Nothing()
        watched.deaf.wait(20)
        try:
            while True:
                inner()
        finally:
            watched.told.set()


class Deaf(dspy.Module):  # type: ignore[misc]
    """Works without a boundary."""

    def forward(self, **inputs: Any) -> str:
        watched.deaf.set()
        watched.release.wait(20)
        watched.done.set()
        return "done"


class Chosen(dspy.Module):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()
        self.kinds = {"deaf": Deaf(), "attentive": Attentive()}

    def forward(self, kind: str) -> Any:
        return self.kinds[kind]()


class ParallelThreads(dspy.Module):  # type: ignore[misc]
    def forward(self) -> Any:
        parallel = dspy.Parallel(num_threads=2, disable_progress_bar=True)
        return parallel([(Attentive(), {}), (Deaf(), {})])


class EvaluatesInThreads(dspy.Module):  # type: ignore[misc]
    def forward(self) -> Any:
        devset = [dspy.Example(kind=kind).with_inputs("kind") for kind in ("attentive", "deaf")]
        evaluate = dspy.Evaluate(
            devset=devset,
            metric=lambda *_: 1.0,
            num_threads=2,
            display_progress=False,
            provide_traceback=False,
        )
        return evaluate(Chosen())


class ParallelInParallel(dspy.Module):  # type: ignore[misc]
    """The thread that works on belongs to a thread that was left itself."""

    def forward(self) -> Any:
        parallel = dspy.Parallel(num_threads=2, disable_progress_bar=True)
        return parallel([(Attentive(), {}), (ParallelThreads(), {})])


class Asyncified(dspy.Module):  # type: ignore[misc]
    async def aforward(self) -> Any:
        watched.told.set()
        return await dspy.asyncify(Deaf())()


class ManyJobs(dspy.Module):  # type: ignore[misc]
    """Two threads for twenty functions, none of which meets a boundary of its own."""

    def forward(self) -> Any:
        def job(number: int) -> None:
            watched.began.append(number)
            watched.deaf.set()
            watched.release.wait(20)

        parallel = dspy.Parallel(num_threads=2, disable_progress_bar=True)
        return parallel([(job, {"number": number}) for number in range(20)])


class Straggles(dspy.Module):  # type: ignore[misc]
    """The first attempt at its job takes too long for DSPy, which makes a second one."""

    def forward(self) -> Any:
        def job() -> str:
            watched.began.append(1)
            if len(watched.began) == 1:
                Deaf()()
                return "first"
            return "second"

        parallel = dspy.Parallel(num_threads=2, disable_progress_bar=True, timeout=0.01)
        return {"answers": parallel([(job, {})])}
