"""Signatures and schemas whose prompts the golden files hold."""

from __future__ import annotations

import enum
import sys
from pathlib import Path
from typing import Any, Literal

import dspy
import pydantic

sys.path.insert(0, str(Path(__file__).parents[1]))

from dspex_worker.signature import Signature, build_signature


class Urgency(enum.Enum):
    LOW = "low"
    HIGH = "high"


class Address(pydantic.BaseModel):
    street: str
    zip_code: int


class Person(pydantic.BaseModel):
    """Somebody."""

    name: str
    age: int = pydantic.Field(ge=0, le=130)
    email: str | None = None
    address: Address
    tags: list[str]
    mood: Literal["happy", "sad"]


class Circle(pydantic.BaseModel):
    kind: Literal["circle"]
    radius: float = pydantic.Field(gt=0)


class Square(pydantic.BaseModel):
    kind: Literal["square"]
    side: float


class Node(pydantic.BaseModel):
    value: int
    children: list[Node]


TICKET = "Checkout returns error 500 for every customer since 9:40, revenue is down. Urgency is High!"


def signature_of(outputs: dict[str, Any], instructions: str = "Read the ticket.") -> Any:
    fields: dict[str, Any] = {"ticket": (str, dspy.InputField(desc="What the customer wrote."))}
    for name, output in outputs.items():
        annotation, keywords = (
            output if isinstance(output, tuple) and isinstance(output[-1], dict) else (output, {})
        )
        fields[name] = (annotation, dspy.OutputField(**keywords))
    return dspy.make_signature(fields, instructions)


SIGNATURES: dict[str, dict[str, Any]] = {
    "text": {"answer": str},
    "described": {"summary": (str, {"desc": "One sentence; no more."}), "title": (str, {"max_length": 40})},
    "literal": {"urgency": Literal["Low", "Medium", "High"], "odd": Literal["it's", 'say "x"', "a; b"]},
    "numeric_literal": {"stars": Literal[1, 2, 3], "mixed": Literal["one", 2]},
    "enumeration": {"urgency": Urgency},
    "numbers": {"count": int, "share": float, "urgent": bool},
    "constrained": {
        "level": (int, {"ge": 1, "le": 5}),
        "many": (int, {"gt": 100, "multiple_of": 7}),
        "share": (float, {"ge": 0.25, "lt": 0.5}),
        "code": (str, {"min_length": 60}),
        "few": (list[str], {"min_length": 2, "max_length": 2}),
    },
    "optional": {"owner": str | None, "hours": int | None, "label": Literal["a", "b"] | None},
    "lists": {"tags": list[str], "scores": list[float], "flags": list[bool], "grid": list[list[int]]},
    "mappings": {"counts": dict[str, int], "anything": dict[str, Any], "texts": dict[str, list[str]]},
    "tuples": {"pair": tuple[str, int], "three": tuple[int, float, bool]},
    "nested": {"person": Person},
    "nested_list": {"people": list[Person]},
    "optional_nested": {"person": Person | None},
    "tagged_union": {"shape": Circle | Square},
    "recursive": {"tree": Node},
    "unions": {"value": int | str, "maybe": bool | list[str] | None},
    "any_value": {"whatever": Any},
    "reserved_words": {"completed_at": str, "result": str, "note": list[Literal["x", "y"]]},
}

# As schemars writes the types of Rust, in the worker's own signatures.
_URGENCY = {"title": "Urgency", "type": "string", "enum": ["Low", "Medium", "High"]}
_IMPACT = {
    "title": "Impact",
    "oneOf": [
        {"description": "It can wait.", "type": "string", "const": "Minor"},
        {"description": "Revenue is lost.", "type": "string", "const": "Major"},
    ],
}
_CUSTOMER = {
    "title": "Customer",
    "type": "object",
    "properties": {
        "name": {"description": "As on the contract.", "type": "string"},
        "age": {"type": "integer", "format": "uint8", "minimum": 18, "maximum": 99},
        "plan": {"anyOf": [{"$ref": "#/$defs/Plan"}, {"type": "null"}]},
        "email": {"type": ["string", "null"], "format": "email"},
    },
    "required": ["name", "age"],
    "$defs": {"Plan": {"type": "string", "enum": ["Free", "Pro"]}},
}
_TO_CUSTOMER = {"$ref": "#/$defs/Customer"}
_CUSTOMER_DEFS = {"Customer": {k: v for k, v in _CUSTOMER.items() if k != "$defs"}, **_CUSTOMER["$defs"]}  # type: ignore[dict-item]


def _variant(kind: str, name: str, schema: dict[str, Any]) -> dict[str, Any]:
    properties = {"kind": {"type": "string", "const": kind}, name: schema}
    return {"type": "object", "properties": properties, "required": ["kind", name]}


_EXPRESSION = {
    "oneOf": [
        {
            "type": "object",
            "properties": {"left": {"$ref": "#/$defs/Expression"}, "right": {"$ref": "#/$defs/Expression"}},
            "required": ["left", "right"],
        },
        {"type": "object", "properties": {"number": {"type": "integer"}}, "required": ["number"]},
    ],
}

SCHEMAS: dict[str, dict[str, Any]] = {
    "enums": {
        "urgency": _URGENCY,
        "impact": _IMPACT,
        "maybe": {"anyOf": [_URGENCY, {"type": "null"}]},
        "nothing_fits": {"type": ["string", "null"], "enum": ["zz", "yy", None]},
    },
    "options": {
        "owner": {"type": ["string", "null"]},
        "hours": {"type": ["number", "null"], "format": "double"},
        "short": {"type": ["string", "null"], "maxLength": 5},
        "words": {"anyOf": [{"type": "array", "items": {"type": "string"}}, {"type": "null"}]},
        "nothing": {"type": "null"},
    },
    "structs": {
        "customer": _CUSTOMER,
        "customers": {"type": "array", "items": _TO_CUSTOMER, "$defs": _CUSTOMER_DEFS},
        "perhaps": {"anyOf": [_TO_CUSTOMER, {"type": "null"}], "$defs": _CUSTOMER_DEFS},
    },
    "unions": {
        "action": {
            "title": "Action",
            "oneOf": [
                _variant("refund", "amount", {"type": "number", "format": "double"}),
                _variant("escalate", "to", {"type": "string"}),
            ],
        },
        "shape": {
            "title": "Shape",
            "oneOf": [
                {"type": "string", "const": "Point"},
                {
                    "type": "object",
                    "properties": {"Circle": {"type": "number"}},
                    "required": ["Circle"],
                    "additionalProperties": False,
                },
            ],
        },
        "node": {
            "title": "Node",
            "type": "object",
            "properties": {
                "value": {"type": "integer", "format": "int64"},
                "children": {"type": "array", "items": {"$ref": "#"}},
            },
            "required": ["value", "children"],
        },
    },
    "recursive_union": {
        "expression": {"$ref": "#/$defs/Expression", "$defs": {"Expression": _EXPRESSION}},
    },
    "texts": {
        "code": {"type": "string", "pattern": "^[A-Z]{3}-\\d{2}$"},
        "commas": {"type": "string", "pattern": "^(?:ab, ){2}c$", "minLength": 2},
        "brief": {"type": "string", "minLength": 3, "maxLength": 8},
        "date": {"type": "string", "format": "date"},
        "email": {"type": "string", "format": "email", "maxLength": 40},
        "anything": True,
    },
    "collections": {
        "share": {"type": "number", "minimum": 0.0, "maximum": 1.0},
        "rank": {"type": "integer", "format": "uint8", "minimum": 1, "maximum": 5},
        "counts": {
            "type": "object",
            "additionalProperties": {"type": "integer", "format": "uint32", "minimum": 0},
        },
        "pair": {
            "type": "array",
            "prefixItems": [{"type": "string"}, {"type": "integer"}],
            "minItems": 2,
            "maxItems": 2,
        },
        "levels": {"type": "array", "items": _URGENCY, "uniqueItems": True},
        "flags": {"type": "array", "items": {"type": "boolean"}, "minItems": 2},
    },
}


def worker_signature(outputs: dict[str, Any]) -> Signature:
    """The signature that the worker makes of schemas."""
    fields = [{"name": name, "desc": f"The {name}.", "schema": schema} for name, schema in outputs.items()]
    ticket = {"name": "ticket", "desc": "What the customer wrote.", "schema": {"type": "string"}}
    return build_signature(
        {"name": "Triage", "instructions": "Triage.", "inputs": [ticket], "outputs": fields}
    )
