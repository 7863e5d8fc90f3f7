"""A signature with outputs of every kind, and how a model writes them. Shared by tests."""

from __future__ import annotations

import json
from typing import Any

from dspex_worker.proto import worker_pb2 as pb

from fake_host import chat, fields_signature, lm_spec, spec, text_signature
from schemas import CASES

QA = text_signature("question -> answer", "Answer shortly.")
LM = lm_spec()


def triage(cls: str = "dspy.Predict") -> pb.Spec:
    outputs = {
        "urgency": CASES["documented_enum"].schema,
        "tags": {"type": "array", "items": {"type": "string"}},
        "owner": CASES["nested_struct"].schema,
        "score": {"type": "number", "format": "double"},
        "due": {"type": ["string", "null"]},
    }
    return spec(cls, fields_signature({"ticket": {"type": "string"}}, outputs, "Triage a ticket."))


TRIAGED: dict[str, Any] = {
    "urgency": "High",
    "tags": ["billing", "angry"],
    "owner": {"name": "Sara", "age": 30},
    "score": 0.5,
    "due": None,
}


def as_chat(fields: dict[str, Any]) -> str:
    return chat(**fields)


def as_xml(fields: dict[str, Any]) -> str:
    return "\n".join(
        f"<{name}>\n{value if isinstance(value, str) else json.dumps(value)}\n</{name}>"
        for name, value in fields.items()
    )
