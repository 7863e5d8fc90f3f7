"""Programs of a team whose predictors a spec steers."""

from __future__ import annotations

from typing import Any, Literal

import dspy
import pydantic


class Passage(pydantic.BaseModel):
    text: str
    page: int


class Judge(dspy.Signature):  # type: ignore[misc]
    """Judge the passages."""

    passages: list[Passage] = dspy.InputField()
    question: str = dspy.InputField()
    verdict: Literal["yes", "no"] = dspy.OutputField()
    score: float = dspy.OutputField()


class Two(dspy.Module):  # type: ignore[misc]
    """A predictor that judges, and one that answers."""

    def __init__(self) -> None:
        super().__init__()
        self.judge = dspy.Predict(Judge)
        self.respond = dspy.Predict("verdict -> answer")

    async def aforward(self, question: str) -> Any:
        judged = await self.judge.acall(passages=[Passage(text="t", page=1)], question=question)
        return await self.respond.acall(verdict=judged.verdict)


class Wrapper(dspy.Module):  # type: ignore[misc]
    """Has a module from its constructor's arguments."""

    def __init__(self, module: dspy.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, question: str) -> Any:
        return self.module(question=question)


OF_ALL = dspy.Predict("question -> answer")


class Sharing(dspy.Module):  # type: ignore[misc]
    """A predictor of its own, and one that all instances have."""

    def __init__(self) -> None:
        super().__init__()
        self.own = dspy.Predict("question -> answer")
        self.common = OF_ALL

    def forward(self, question: str) -> Any:
        return self.own(question=self.common(question=question).answer)
