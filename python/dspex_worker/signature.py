"""The structured signature of a spec -> `dspy.Signature`.

Signatures are made from fields, never from texts: DSPy's own parser of texts imports modules. Every signature
gets `FieldInfo`s of its own, because DSPy writes into them.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import dspy

from dspex_worker import reserved
from dspex_worker.codec import describe
from dspex_worker.json_types import FieldType, UnsupportedSchema, field_type, takes_tools
from dspex_worker.problems import InvalidInput, Problem
from dspex_worker.signature_text import SignatureTextError, parse_signature_text

_NO_DEFAULT = object()


@dataclass(frozen=True)
class Field:
    """One field of a signature."""

    name: str
    type: FieldType
    desc: str | None
    # `_NO_DEFAULT` where there is none: null is a default like any other.
    default: Any = _NO_DEFAULT

    @property
    def has_default(self) -> bool:
        return self.default is not _NO_DEFAULT


@dataclass(frozen=True)
class Signature:
    """A signature as DSPy's class, with what DSPy does not keep of its fields."""

    cls: type[dspy.Signature]
    inputs: tuple[Field, ...]
    outputs: tuple[Field, ...]


def build_signature(raw: Any, where: str = "signature") -> Signature:
    """The signature that a spec describes: `{"name", "instructions", "inputs", "outputs"}` or `{"text",
    "instructions"}`.

    Raises `InvalidInput` with all problems at once.
    """
    if not isinstance(raw, Mapping):
        hint = ' (as {"text": ".."} for the text form)' if isinstance(raw, str) else ""
        raise InvalidInput(
            [{"field": where, "problem": f"expected an object{hint}, got {describe(raw)}"}], "spec"
        )
    reader = _Reader(where)
    sides = reader.text(raw["text"]) if "text" in raw else raw
    inputs = reader.side(sides, "inputs", reserved.INPUTS)
    outputs = reader.side(sides, "outputs", reserved.OUTPUTS)
    instructions = reader.optional_text(raw, "instructions")
    name = reader.optional_text(raw, "name") or "StringSignature"
    if reader.problems:
        raise InvalidInput(reader.problems, "spec")
    return Signature(_signature_class(inputs, outputs, instructions, name), inputs, outputs)


def describe_signature(raw: Any) -> dict[str, Any]:
    """How a signature resolves: `{"instructions", "inputs": [field], "outputs": [field]}`, where a field has
    "name", "desc", "type" in a few words, "schema" and "required".

    Raises `InvalidInput` with all problems at once.
    """
    built = build_signature(raw)
    sides = parse_signature_text(raw["text"]) if "text" in raw else raw
    described: dict[str, Any] = {"instructions": built.cls.instructions}
    for side, fields in (("inputs", built.inputs), ("outputs", built.outputs)):
        described[side] = [
            {
                "name": field.name,
                "desc": field.desc,
                "type": field.type.expected,
                "schema": of.get("schema", True),
                "required": not (field.has_default or field.type.nullable),
            }
            for field, of in zip(fields, sides[side], strict=True)
        ]
    return described


class _Reader:
    """Reads the parts of one signature and collects what is wrong with them."""

    def __init__(self, where: str) -> None:
        self._where = where
        self._seen: dict[str, str] = {}
        self.problems: list[Problem] = []

    def text(self, text: Any) -> Mapping[str, Any]:
        if not isinstance(text, str):
            self._wrong(f"{self._where}.text", f"expected a string, got {describe(text)}")
            raise InvalidInput(self.problems, "spec")
        try:
            return parse_signature_text(text)
        except SignatureTextError as error:
            self._wrong(f"{self._where}.text", str(error))
            raise InvalidInput(self.problems, "spec", position=error.position) from None

    def optional_text(self, raw: Mapping[str, Any], key: str) -> str | None:
        value = raw.get(key)
        if value is not None and not isinstance(value, str):
            self._wrong(f"{self._where}.{key}", f"expected a string or null, got {describe(value)}")
            return None
        return value

    def side(self, sides: Mapping[str, Any], side: str, taken: frozenset[str]) -> tuple[Field, ...]:
        raws = sides.get(side)
        if not isinstance(raws, Sequence) or isinstance(raws, str) or not raws:
            self._wrong(f"{self._where}.{side}", "expected a list of at least one field")
            return ()
        fields = (
            self._field(raw, f"{self._where}.{side}[{i}]", side[:-1], taken) for i, raw in enumerate(raws)
        )
        return tuple(f for f in fields if f is not None)

    def _field(self, raw: Any, where: str, side: str, taken: frozenset[str]) -> Field | None:
        if not isinstance(raw, Mapping):
            return self._wrong(where, f"expected an object, got {describe(raw)}")
        name = raw.get("name")
        problem = reserved.name_problem(name)
        if problem is not None or not isinstance(name, str):
            return self._wrong(f"{where}.name", f"{name!r}: {problem}")
        if name in taken:
            return self._wrong(
                f"{where}.name", f"`{name}` cannot be an {side} field: DSPy uses the name itself"
            )
        if name in self._seen:
            return self._wrong(f"{where}.name", f"`{name}` is already an {self._seen[name]} field")
        self._seen[name] = side
        desc = raw.get("desc")
        if desc is not None and not isinstance(desc, str):
            return self._wrong(f"{where}.desc", f"expected a string or null, got {describe(desc)}")
        try:
            of = field_type(raw.get("schema", True), name)
        except UnsupportedSchema as error:
            return self._wrong(f"{where}.schema", f"field `{name}`: {error}")
        if side == "output" and takes_tools(of.annotation):
            problem = f"field `{name}`: no model can make a tool; `dspy.ToolCalls` are what it can answer"
            return self._wrong(f"{where}.schema", problem)
        return Field(name, of, desc, raw.get("default", _NO_DEFAULT))

    def _wrong(self, field: str, problem: str) -> Field | None:
        """Notes a problem. There is no field then."""
        self.problems.append({"field": field, "problem": problem})
        return None


def _signature_class(
    inputs: Sequence[Field], outputs: Sequence[Field], instructions: str | None, name: str
) -> type[dspy.Signature]:
    fields = {f.name: (f.type.annotation, dspy.InputField(**_settings(f))) for f in inputs}
    fields.update({f.name: (f.type.annotation, dspy.OutputField(**_settings(f))) for f in outputs})
    if instructions is None:
        # DSPy's own text; with none given, DSPy makes the class twice to arrive at it.
        said = [", ".join(f"`{f.name}`" for f in side) for side in (inputs, outputs)]
        instructions = f"Given the fields {said[0]}, produce the fields {said[1]}."
    with warnings.catch_warnings():
        # Names such as `json` shadow methods that nobody calls on a signature.
        warnings.filterwarnings("ignore", message="Field name .* shadows an attribute", category=UserWarning)
        warnings.filterwarnings(
            "ignore", message="Field .* has conflict with protected namespace", category=UserWarning
        )
        return dspy.signatures.make_signature(  # type: ignore[no-any-return]
            fields, instructions, name, custom_types={}
        )


def _settings(field: Field) -> dict[str, Any]:
    desc = " ".join(part for part in (field.desc, field.type.notes) if part)
    settings: dict[str, Any] = {"desc": desc} if desc else {}
    if field.has_default:
        settings["default"] = field.default
    return settings
