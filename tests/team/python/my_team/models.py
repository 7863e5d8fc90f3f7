"""What the team's programs speak about."""

from __future__ import annotations

import dataclasses
import enum
from typing import Generic, Literal, Optional, TypeVar

import pydantic

T = TypeVar("T")


class Urgency(enum.Enum):
    """How soon."""

    NOW = "now"
    SOME_DAY = "some day"


class Author(pydantic.BaseModel):
    """Who wrote it."""

    name: str
    email: Optional[str] = None


class Doc(pydantic.BaseModel):
    """A document, see `list[str]` and [the page](https://example.org)."""

    title: str = pydantic.Field(description="What it is called.", min_length=1)
    author: Author
    tags: list[str] = []
    score: float = 0.5


class Comment(pydantic.BaseModel):
    """What somebody said, and what others said about it."""

    text: str
    replies: list[Comment] = []


class Claim(pydantic.BaseModel):
    kind: Literal["claim"] = "claim"
    text: str
    support: list[Doc]


class Refusal(pydantic.BaseModel):
    kind: Literal["refusal"] = "refusal"
    reason: str


class Page(pydantic.BaseModel, Generic[T]):
    """One page of many."""

    items: list[T]
    next: Optional[int] = None


@dataclasses.dataclass
class Span:
    """A piece of a text."""

    start: int
    end: int = 0
