"""The prompts of DSPy's adapters: modules, engines that keep what they are asked, the first requests."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import dspy
from dspy._vendor.lm15 import serde
from dspy._vendor.lm15 import types as t

sys.path.insert(0, str(Path(__file__).parents[1]))

from golden_signatures import SCHEMAS, SIGNATURES, TICKET, signature_of, worker_signature

ADAPTERS: dict[str, Callable[[], dspy.Adapter]] = {
    "chat": dspy.ChatAdapter,
    "json": dspy.JSONAdapter,
    "xml": dspy.XMLAdapter,
}


def lookup_plan(email: str, invoices: int = 3, region: str | None = None) -> str:
    """The plan of a customer, by e-mail."""
    return f"{email} has the plan Pro; {invoices} invoices"


def incident_status(service: Literal["checkout", "search"], deep: bool) -> str:
    """The status of a service, when errors were reported for a customer."""
    return f"{service} is down"


def modules() -> dict[str, Callable[[], tuple[dspy.Module, dict[str, Any]]]]:
    """Each case: a module and the inputs it is called with."""
    tools = [lookup_plan, incident_status]
    ticket = {"ticket": TICKET}
    typed = {"urgency": Literal["Low", "Medium", "High"], "tags": list[str], "hours": float | None}
    cases: dict[str, Callable[[], tuple[dspy.Module, dict[str, Any]]]] = {}
    for name, outputs in SIGNATURES.items():
        cases[f"predict_{name}"] = lambda outputs=outputs: (dspy.Predict(signature_of(outputs)), ticket)  # type: ignore[misc]
    for name, schemas in SCHEMAS.items():
        cases[f"schema_{name}"] = lambda schemas=schemas: (  # type: ignore[misc]
            dspy.Predict(worker_signature(schemas).cls),
            ticket,
        )
    cases["chain_of_thought"] = lambda: (dspy.ChainOfThought(signature_of(typed)), ticket)
    cases["react"] = lambda: (dspy.ReAct(signature_of(typed), tools), ticket)
    cases["react_v2"] = lambda: (dspy.ReActV2(signature_of(typed), tools), ticket)
    cases["react_v2_forced"] = lambda: (dspy.ReActV2(signature_of(typed), tools, max_iters=1), ticket)
    cases["with_demos"] = lambda: (_with_demos(typed), ticket)
    cases["history"] = lambda: (
        dspy.Predict("history: dspy.History, question -> answer"),
        {"history": dspy.History(messages=[{"question": "Who?", "answer": "Ann"}]), "question": "And where?"},
    )
    cases["no_text_input"] = lambda: (
        dspy.Predict("count: int, names: list[str] -> name, total: int"),
        {"count": 3, "names": ["Ann", "Bo"]},
    )
    return cases


def _with_demos(outputs: dict[str, Any]) -> dspy.Module:
    program = dspy.Predict(signature_of(outputs))
    program.demos = [dspy.Example(ticket="Typo on the home page", urgency="Low", tags=["typo"], hours=None)]
    return program


class Recorder:
    """An engine that answers with what `answer` returns and keeps what was asked."""

    supports_function_calling = True
    supports_response_schema = True
    supports_reasoning = False
    supported_params = frozenset({"response_format", "tools", "tool_choice", "temperature", "max_tokens"})

    def __init__(self, answer: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
        self.answer = answer
        self.requests: list[dict[str, Any]] = []
        self.responses: list[dict[str, Any]] = []

    def complete(self, request: t.Request) -> t.Response:
        asked = serde.request_to_dict(request)
        self.requests.append(asked)
        answer = self.answer(asked)
        self.responses.append(answer)
        return serde.response_from_dict(answer)


class Plain(Recorder):
    """The same without native tools and structured outputs."""

    supports_function_calling = False
    supports_response_schema = False
    supported_params = frozenset({"temperature", "max_tokens"})


class Asked(BaseException):
    """Ends a call once the prompt is known; not an `Exception`, which DSPy would wrap."""


def prompts() -> list[dict[str, Any]]:
    """The first request of every case, with every adapter."""

    def stop(_: dict[str, Any]) -> dict[str, Any]:
        raise Asked

    found = []
    for adapter_name, adapter in ADAPTERS.items():
        for engine in (Recorder, Plain):
            if engine is Plain and adapter_name != "json":
                continue  # only JSONAdapter asks differently
            for name, case in modules().items():
                recorder = engine(stop)
                lm = dspy.LM("rust/model", engine=recorder, cache=False)
                program, inputs = case()
                with dspy.context(lm=lm, adapter=adapter(), trace=[], disable_history=True):
                    try:
                        program(**inputs)
                    except Asked:
                        pass
                label = f"{adapter_name}_plain" if engine is Plain else adapter_name
                found.append({"case": name, "adapter": label, "request": recorder.requests[0]})
    return found
