"""The text form of signatures, `question, k: int -> answer: float`, into structured fields.

Stricter than DSPy's own parser, and without its reach: DSPy's imports the module that a type's name begins
with, and looks names up in the frames of its callers. Here the types are those listed in `_SCALARS` and
`_DSPY`, with `list[..]`, `dict[str, ..]`, `Optional[..]`, `.. | None` and `Literal[..]` around them, and
nothing else.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from typing import Any, NoReturn

from dspex_worker import reserved

MAX_TEXT = 16 * 1024
MAX_NESTING = 16

_SCALARS: dict[str, Any] = {
    "str": {"type": "string"},
    "int": {"type": "integer"},
    "float": {"type": "number"},
    "bool": {"type": "boolean"},
    "dict": {"type": "object", "additionalProperties": True},
    "list": {"type": "array", "items": True},
    "Any": True,
}
_DSPY: dict[str, Any] = {
    f"dspy.{name}": {"type": "object", "format": form}
    for name, form in {
        "Image": "image",
        "Audio": "audio",
        "File": "file",
        "History": "history",
        "Code": "code",
        "Reasoning": "reasoning",
        "Tool": "tool",
        "ToolCalls": "tool-calls",
    }.items()
}
_GENERIC = ("list", "dict", "Optional", "Literal")

_TOKEN = re.compile(
    r"""\s*(?:
        (?P<arrow>->)
      | (?P<number>-?(?:\d+\.\d*(?:[eE][-+]?\d+)?|\d+[eE][-+]?\d+|\d+))
      | (?P<string>'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*")
      | (?P<name>[^\W\d]\w*(?:\.[^\W\d]\w*)*)
      | (?P<mark>[,:|\[\]])
    )""",
    re.VERBOSE,
)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)


class SignatureTextError(ValueError):
    """A signature's text that cannot be read. `position` counts characters from 0."""

    def __init__(self, problem: str, position: int) -> None:
        super().__init__(f"{problem} (at character {position + 1})")
        self.problem = problem
        self.position = position


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    at: int


def parse_signature_text(text: str) -> dict[str, Any]:
    """`{"inputs": [field], "outputs": [field]}`, as the structured signature of a spec has them.

    Raises `SignatureTextError` with the position for duplicates, empty sides, keywords, reserved names,
    unknown types and everything that is not in the grammar.
    """
    if len(text) > MAX_TEXT:
        raise SignatureTextError(f"a signature of more than {MAX_TEXT} characters", MAX_TEXT)
    return _Parser(text).signature()


class _Parser:
    def __init__(self, text: str) -> None:
        self._tokens = _tokens(text)
        self._next = 0

    def signature(self) -> dict[str, Any]:
        seen: dict[str, str] = {}
        inputs = self._side("input", reserved.INPUTS, seen)
        self._expect("arrow", "->", "`->` between the inputs and the outputs")
        outputs = self._side("output", reserved.OUTPUTS, seen)
        end = self._peek()
        if end.kind != "end":
            self._fail(f"unexpected {_show(end)} after the outputs", end)
        return {"inputs": inputs, "outputs": outputs}

    def _side(self, side: str, taken: frozenset[str], seen: dict[str, str]) -> list[dict[str, Any]]:
        fields = []
        while True:
            token = self._peek()
            if token.kind != "name":
                self._fail(f"expected the name of an {side} field, found {_show(token)}", token)
            self._next += 1
            self._check_name(token, side, taken, seen)
            schema: Any = {"type": "string"}
            if self._take("mark", ":"):
                schema = self._type(0)
            fields.append({"name": token.text, "desc": None, "schema": schema})
            if not self._take("mark", ","):
                return fields

    def _check_name(self, token: _Token, side: str, taken: frozenset[str], seen: dict[str, str]) -> None:
        name = token.text
        problem = reserved.name_problem(name)
        if problem is not None:
            self._fail(f"`{name}`: {problem}", token)
        if name in taken:
            self._fail(
                f"`{name}` cannot be an {side} field: DSPy uses the name itself; choose another one", token
            )
        if name in seen:
            self._fail(f"`{name}` is already an {seen[name]} field", token)
        seen[name] = side

    # -------------------------------------------------------------------------------------------- types

    def _type(self, depth: int) -> Any:
        start = self._peek()
        if depth > MAX_NESTING:
            self._fail(f"types nested deeper than {MAX_NESTING} levels", start)
        branches = [self._single(depth)]
        while self._take("mark", "|"):
            branches.append(self._single(depth))
        return _union(branches)

    def _single(self, depth: int) -> Any:
        token = self._peek()
        if token.kind != "name":
            self._fail(f"expected a type, found {_show(token)}", token)
        self._next += 1
        name = token.text.removeprefix("typing.")
        if name == "None":
            return {"type": "null"}
        if name in _GENERIC and self._take("mark", "["):
            schema = self._generic(name, depth)
            self._expect("mark", "]", f"`]` after the type in `{name}[`")
            return schema
        if name in _SCALARS:
            return _SCALARS[name]
        if name in _DSPY:
            return _DSPY[name]
        return self._unknown_type(name, token)

    def _generic(self, name: str, depth: int) -> Any:
        if name == "Literal":
            return self._literal()
        if name == "list":
            return {"type": "array", "items": self._type(depth + 1)}
        if name == "Optional":
            return _union([self._type(depth + 1), {"type": "null"}])
        key = self._peek()
        if key.text != "str":
            self._fail(f"the keys of a `dict` are `str` in JSON, found {_show(key)}", key)
        self._next += 1
        self._expect("mark", ",", "`,` and the type of the values")
        return {"type": "object", "additionalProperties": self._type(depth + 1)}

    def _literal(self) -> Any:
        values: list[Any] = []
        while True:
            token = self._peek()
            value = self._literal_value(token)
            self._next += 1
            if any(value == v and type(value) is type(v) for v in values):
                self._fail(f"the value {token.text} is there twice", token)
            values.append(value)
            if not self._take("mark", ","):
                return {"enum": values}

    def _literal_value(self, token: _Token) -> Any:
        if token.kind == "string":
            return _ESCAPE.sub(lambda m: {"n": "\n", "t": "\t"}.get(m[1], m[1]), token.text[1:-1])
        if token.kind == "number" and re.fullmatch(r"-?\d+", token.text):
            return int(token.text)
        if token.kind == "name" and token.text in ("True", "False", "None"):
            return {"True": True, "False": False, "None": None}[token.text]
        return self._fail(
            f"`Literal` holds strings, integers, booleans and None, found {_show(token)}", token
        )

    def _unknown_type(self, name: str, token: _Token) -> NoReturn:
        known = list(dict.fromkeys([*_SCALARS, *_DSPY, *_GENERIC]))
        if name in _GENERIC:
            self._fail(f"`{name}` needs a type in brackets, as in `{name}[..]`", token)
        near = difflib.get_close_matches(name, known, 1)
        hint = f"did you mean `{near[0]}`? " if near else ""
        self._fail(f"the type `{name}` is unknown; {hint}known are {', '.join(known)}", token)

    # -------------------------------------------------------------------------------------------- tokens

    def _peek(self) -> _Token:
        return self._tokens[self._next]

    def _take(self, kind: str, text: str) -> bool:
        token = self._peek()
        if token.kind == kind and token.text == text:
            self._next += 1
            return True
        return False

    def _expect(self, kind: str, text: str, what: str) -> None:
        if not self._take(kind, text):
            self._fail(f"expected {what}, found {_show(self._peek())}", self._peek())

    @staticmethod
    def _fail(problem: str, token: _Token) -> NoReturn:
        raise SignatureTextError(problem, token.at)


def _tokens(text: str) -> list[_Token]:
    tokens = []
    at = 0
    end = len(text.rstrip())
    while at < end:
        match = _TOKEN.match(text, at)
        if match is None:
            at += len(text[at:]) - len(text[at:].lstrip())
            what = "a string without an end" if text[at] in "'\"" else f"unexpected character {text[at]!r}"
            raise SignatureTextError(what, at)
        kind = str(match.lastgroup)
        tokens.append(_Token(kind, match[kind], match.start(kind)))
        at = match.end()
    tokens.append(_Token("end", "", end))
    return tokens


def _show(token: _Token) -> str:
    return "the end of the text" if token.kind == "end" else f"`{token.text}`"


def _union(branches: list[Any]) -> Any:
    if len(branches) == 1:
        return branches[0]
    if True in branches:
        return True
    flat: list[Any] = []
    for branch in branches:
        for part in branch.get("anyOf", [branch]):
            if part not in flat:
                flat.append(part)
    if len(flat) == 1:
        return flat[0]
    simple = [b.get("type") for b in flat if b.keys() == {"type"}]
    return {"type": simple} if len(simple) == len(flat) else {"anyOf": flat}
