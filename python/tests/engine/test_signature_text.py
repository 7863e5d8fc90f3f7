"""The strict parser of signatures in text form."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from dspex_worker.json_types import field_type
from dspex_worker.signature_text import SignatureTextError, parse_signature_text


def schemas(text: str) -> dict[str, Any]:
    parsed = parse_signature_text(text)
    return {f["name"]: f["schema"] for side in ("inputs", "outputs") for f in parsed[side]}


def test_fields_without_a_type_are_texts() -> None:
    assert parse_signature_text("question, context -> answer") == {
        "inputs": [
            {"name": "question", "desc": None, "schema": {"type": "string"}},
            {"name": "context", "desc": None, "schema": {"type": "string"}},
        ],
        "outputs": [{"name": "answer", "desc": None, "schema": {"type": "string"}}],
    }


@pytest.mark.parametrize(
    ("text", "schema"),
    [
        ("str", {"type": "string"}),
        ("int", {"type": "integer"}),
        ("float", {"type": "number"}),
        ("bool", {"type": "boolean"}),
        ("Any", True),
        ("dict", {"type": "object", "additionalProperties": True}),
        ("list", {"type": "array", "items": True}),
        ("list[str]", {"type": "array", "items": {"type": "string"}}),
        ("list[list[int]]", {"type": "array", "items": {"type": "array", "items": {"type": "integer"}}}),
        ("dict[str, float]", {"type": "object", "additionalProperties": {"type": "number"}}),
        ("Optional[int]", {"type": ["integer", "null"]}),
        ("typing.Optional[int]", {"type": ["integer", "null"]}),
        ("int | None", {"type": ["integer", "null"]}),
        ("None|int", {"type": ["null", "integer"]}),
        (
            "Optional[list[str]]",
            {"anyOf": [{"type": "array", "items": {"type": "string"}}, {"type": "null"}]},
        ),
        ("int | str", {"type": ["integer", "string"]}),
        ("int | int", {"type": "integer"}),
        ("Literal['a', \"b\"]", {"enum": ["a", "b"]}),
        ("Literal[-1, 2, True, None]", {"enum": [-1, 2, True, None]}),
        ("Literal['it\\'s', 'p->q', 'a,b', ']']", {"enum": ["it's", "p->q", "a,b", "]"]}),
        ("dspy.Image", {"type": "object", "format": "image"}),
        ("list[dspy.Image]", {"type": "array", "items": {"type": "object", "format": "image"}}),
        ("dspy.History", {"type": "object", "format": "history"}),
    ],
)
def test_every_type_of_the_grammar_has_a_schema_that_works(text: str, schema: Any) -> None:
    assert schemas(f"q -> a: {text}")["a"] == schema
    field_type(schema, "a")


def test_spaces_and_line_breaks_do_not_matter() -> None:
    assert schemas("  q:int,\n  k :str->a : list [ str ] ") == schemas("q: int, k: str -> a: list[str]")


@pytest.mark.parametrize(
    ("text", "position", "says"),
    [
        ("", 0, "the name of an input field, found the end"),
        ("q", 1, "expected `->`"),
        ("-> a", 0, "the name of an input field"),
        ("q ->", 4, "the name of an output field"),
        ("q, -> a", 3, "the name of an input field"),
        ("q -> a,", 7, "the name of an output field"),
        ("q -> a -> b", 7, "unexpected `->`"),
        ("q q2 -> a", 2, "expected `->`"),
        ("q, q -> a", 3, "already an input field"),
        ("q -> q", 5, "already an input field"),
        ("q -> a, a", 8, "already an output field"),
        ("class -> a", 0, "keyword"),
        ("_q -> a", 0, "underscore"),
        ("a.b -> c", 0, "not a valid name"),
        ("lm -> a", 0, "`lm` cannot be an input field"),
        ("q -> signature", 5, "`signature` cannot be an output field"),
        ("q: strin -> a", 3, "did you mean `str`"),
        ("q -> a: antigravity.x", 8, "the type `antigravity.x` is unknown"),
        ("q -> a: os.PathLike", 8, "is unknown"),
        ("q -> a: dspy.LM", 8, "is unknown"),
        ("q -> a: 'int'", 8, "expected a type"),
        ("q -> a: list[", 13, "expected a type"),
        ("q -> a: list[str", 16, "`]`"),
        ("q -> a: dict[int, str]", 13, "keys of a `dict`"),
        ("q -> a: dict[str]", 16, "`,` and the type"),
        ("q -> a: Optional", 8, "needs a type in brackets"),
        ("q -> a: Literal[]", 16, "`Literal` holds"),
        ("q -> a: Literal[1.5]", 16, "`Literal` holds"),
        ("q -> a: Literal['x', 'x']", 21, "twice"),
        ("q -> a: Literal['x", 16, "without an end"),
        ("q -> a: int = 5", 12, "unexpected character '='"),
        ("q -> a: int)", 11, "unexpected character ')'"),
        ("*args -> a", 0, "unexpected character '*'"),
        ("q -> a: " + "list[" * 40 + "str" + "]" * 40, None, "nested deeper"),
        ("q -> a" + " " * 20_000, None, "more than"),
    ],
)
def test_an_error_says_what_and_where(text: str, position: int | None, says: str) -> None:
    with pytest.raises(SignatureTextError) as caught:
        parse_signature_text(text)

    assert says in str(caught.value)
    if position is not None:
        assert caught.value.position == position


def test_no_text_imports_a_module() -> None:
    before = set(sys.modules)
    for text in ("q -> a: antigravity.x", "q: this.s -> a", "q -> a: list[turtle.Turtle]"):
        with pytest.raises(SignatureTextError):
            parse_signature_text(text)
    assert set(sys.modules) == before
