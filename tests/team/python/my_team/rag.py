"""Programs that answer from documents."""

from __future__ import annotations

from typing import Any, Literal, Optional, Union

import dspy
import dspy.experimental
import pydantic

from my_team.models import Claim, Comment, Doc, Page, Refusal, Span, Urgency


class RagProgramInputs(pydantic.BaseModel):
    """A class of the team's that has the name which dspex would give to the inputs of `RagProgram`."""

    question: str


class Answer(dspy.Signature):
    """Answer from the documents."""

    documents: list[Doc] = dspy.InputField()
    question: str = dspy.InputField(desc="What is asked.")
    urgency: Urgency = dspy.OutputField()
    verdict: Union[Claim, Refusal] = dspy.OutputField(desc="What the documents say.")
    table: list[list[int]] = dspy.OutputField()
    counts: dict[str, int] = dspy.OutputField()
    confidence: Optional[float] = dspy.OutputField(desc="0 to 1")


class RagProgram(dspy.Module):
    """Answers a question from documents."""

    def __init__(self, depth: int = 3):
        super().__init__()
        self.depth = depth
        self.answer = dspy.ChainOfThought(Answer)
        self.title = dspy.Predict("question -> title")

    async def aforward(
        self,
        question: str,
        documents: list[Doc],
        hint: Optional[str] = None,
        mode: Literal["fast", "slow"] = "fast",
        limit: Optional[int] = 5,
    ):
        found = await self.answer.acall(question=question, documents=documents)
        title = await self.title.acall(question=f"{question} ({mode}, {hint}, {limit}, {self.depth})")
        return dspy.Prediction(
            urgency=found.urgency,
            verdict=found.verdict,
            table=found.table,
            counts=found.counts,
            confidence=found.confidence,
            why=found.reasoning,
            title=title.title,
            documents=documents,
            size=len(documents),
        )


class Shapes(dspy.Module):
    """Gives back what it takes, with types of all sorts."""

    async def aforward(
        self,
        comment: Comment,
        page: Page[int],
        span: Span,
        image: dspy.Image,
        code: dspy.Code["java"],
        document: dspy.experimental.Document,
        pair: tuple[int, str],
        choice: Union[int, list[str], None] = None,
        new: bool = False,
    ):
        return dspy.Prediction(
            comment=comment,
            page=page,
            span=span,
            image=image,
            code=code,
            document=document,
            pair=pair,
            choice=choice,
            new=new,
        )


class Undecided(dspy.Module):
    """Nobody can tell what it takes and answers."""

    def forward(self, **inputs: Any):
        if "question" in inputs:
            return dspy.Prediction(answer=inputs["question"])
        return dspy.Prediction(nothing=True)


class Needs(dspy.Module):
    """Cannot be built without an index."""

    def __init__(self, index: str):
        super().__init__()
        self.index = index

    def forward(self, question: str):
        return dspy.Prediction(answer=f"{self.index}: {question}")


def best(documents: list[Doc], urgency: Urgency = Urgency.NOW) -> Doc:
    """The document with the highest score."""
    return max(documents, key=lambda doc: doc.score)


def _count_words(text: str, longest: int = 100) -> dict[str, int]:
    counts: dict[str, int] = {}
    for word in text.lower().split():
        if len(word) <= longest:
            counts[word] = counts.get(word, 0) + 1
    return counts


count_words = dspy.Tool(
    _count_words,
    name="count_words",
    desc="How often each word is in a text.",
    arg_desc={"text": "What is counted."},
)
