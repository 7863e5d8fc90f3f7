"""Writes the golden files that the Rust side of language models is tested against, from DSPy and the worker.

    python python/tools/lm_goldens.py            # writes them to dspex-runtime/tests/golden
    python python/tools/lm_goldens.py --check    # fails where they differ from what this DSPy writes

`lm15.json`: requests and responses as DSPy's serialiser writes them.
`lm_errors.json`: the tree of language-model errors.
`prompts.json`: what DSPy's adapters ask a model for a range of signatures and modules.
"""

from __future__ import annotations

import argparse
import enum
import inspect
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import dspy
import pydantic
from dspy._vendor.lm15 import serde
from dspy._vendor.lm15 import types as t
from dspy.utils import exceptions

sys.path.insert(0, str(Path(__file__).parents[1]))

from dspex_worker.signature import Signature, build_signature

GOLDEN = Path(__file__).parents[2] / "dspex-runtime" / "tests" / "golden"


# ------------------------------------------------------------------------------------------------ lm15


def lm15_documents() -> dict[str, list[Any]]:
    """One document for each part, tool and setting that the serialiser knows."""
    state = (t.ContinuationState(provider="openai", kind="signature", data={"token": "abc", "n": [1, None]}),)
    image = t.ImagePart(media_type="image/png", data="aGVsbG8=", detail="low")
    everything = [
        t.TextPart(text="Grüße, 世界 \N{PILE OF POO}\n\ttab", continuation=state),
        t.TextPart(text=""),
        image,
        t.ImagePart(media_type="image/jpeg", url="https://example.org/a.jpg"),
        t.AudioPart(media_type="audio/wav", file_id="file-1"),
        t.VideoPart(media_type="video/mp4", url="https://example.org/a.mp4"),
        t.DocumentPart(media_type="application/pdf", data="JVBERi0="),
        t.BinaryPart(media_type="application/octet-stream", data="AAEC"),
        t.DataPart(value={"a": [1, 2.5, None, True]}),
        t.DataPart(value=None),
    ]
    answer = [
        t.ThinkingPart(text="Let me see.", continuation=state),
        t.TextPart(text="Two."),
        t.CitationPart(url="https://example.org", title="Mars", text="two moons"),
        t.ToolCallPart(id="call_0", name="lookup", input={"planet": "Mars", "deep": {"k": [1]}}),
        t.ToolCallPart(id="call_1", name="now", input={}),
    ]
    judged = t.DataPart(
        value={"a": "x"}, probabilities={"a": {"x": 0.75, "y": 0.25}}, method="provider_classification"
    )
    result = t.ToolResultPart(id="call_0", name="lookup", content=(t.TextPart(text="2"), image))
    failed = t.ToolResultPart(id="call_1", content=(t.TextPart(text="no clock"),), is_error=True)
    conversation = (
        t.Message(role="developer", parts=(t.TextPart(text="Be brief."),)),
        t.Message(role="user", parts=tuple(everything)),
        t.Message(role="assistant", parts=tuple(answer), continuation=state),
        t.Message(role="tool", parts=(result, failed)),
        t.Message(role="assistant", parts=(t.RefusalPart(text="No."),)),
        t.Message(role="assistant", parts=(judged,)),
        t.Message(role="user", parts=(t.TextPart(text="Thanks"),)),
    )
    parameters = {"type": "object", "properties": {"planet": {"type": "string"}}, "required": ["planet"]}
    tools = (
        t.FunctionTool(name="lookup", description="Looks up a planet.", parameters=parameters),
        t.FunctionTool(name="now", parameters={}),
        t.BuiltinTool(name="web_search", config={"max_results": 3}),
        t.BuiltinTool(name="code"),
    )
    schema = {
        "type": "json_schema",
        "name": "Out",
        "strict": True,
        "schema": {"type": "object", "properties": {}},
    }
    config = t.Config(
        max_tokens=100,
        temperature=0.0,
        top_p=0.9,
        top_k=40,
        stop=("END", "\n\n"),
        response_format=schema,
        tool_choice=t.ToolChoice(mode="required", allowed=("lookup",), parallel=False),
        reasoning=t.Reasoning(effort="low", thinking_budget=1024, summary="auto"),
        cache=t.CacheConfig(mode="auto", retention="long", key="k"),
        seed=0,
        frequency_penalty=0.0,
        presence_penalty=-0.5,
        service_tier="flex",
        user_id="u-1",
        store=False,
        logprobs=0,
        probabilities="if_available",
        extensions={"n": 2, "nested": {"x": None}},
    )
    hello = (t.Message(role="user", parts=(t.TextPart(text="Hello"),)),)
    requests = [
        t.Request(model="rust/model", messages=hello),
        t.Request(model="rust/model", messages=hello, system="Answer in one word."),
        t.Request(
            model="rust/model",
            messages=conversation,
            system=(t.TextPart(text="Look:"), image),
            tools=tools,
            config=config,
        ),
        t.Request(
            model="rust/model", messages=hello, tools=tools[:1], config=t.Config(tool_choice=t.ToolChoice())
        ),
    ]
    reply = t.Message(role="assistant", parts=(t.TextPart(text="Two."),))
    usage = t.Usage(input_tokens=10, output_tokens=0, cache_read_tokens=4, reasoning_tokens=0)
    logprobs = (
        t.TokenLogprob(token="Two", logprob=-0.1, bytes=(84, 119, 111), top=(t.TopLogprob("2", -2.5),)),
    )
    responses = [
        t.Response(id=None, model="m", message=reply, finish_reason="stop", usage=t.Usage()),
        t.Response(
            id="r-1", model="m", message=reply, finish_reason="length", usage=usage, logprobs=logprobs
        ),
        t.Response(
            id="r-2",
            model="m",
            message=t.Message(role="assistant", parts=tuple(answer)),
            finish_reason="tool_call",
            usage=t.Usage(
                input_tokens=1, output_tokens=2, total_tokens=9, input_audio_tokens=1, output_audio_tokens=0
            ),
            logprobs_complete=False,
            provider_data={"raw": [1, {"a": None}]},
        ),
    ]
    return {
        "requests": [serde.request_to_dict(request) for request in requests],
        "responses": [serde.response_to_dict(response, include_provider_data=True) for response in responses],
    }


# ---------------------------------------------------------------------------------------------- errors


def lm_errors() -> list[dict[str, Any]]:
    """Every class of DSPy's tree, with its code, bases and whether DSPy retries it."""
    found = []
    root = exceptions.LMError
    for name, known in sorted(vars(exceptions).items()):
        if inspect.isclass(known) and issubclass(known, root) and known is not root:
            cls: Any = known
            bases = [
                f"{base.__module__}.{base.__qualname__}" for base in cls.__mro__[1:] if base is not object
            ]
            retryable = exceptions.is_retryable_lm_error(cls(message="x"))
            found.append(
                {
                    "class": f"{cls.__module__}.{name}",
                    "code": cls.default_code,
                    "bases": bases,
                    "retryable": retryable,
                }
            )
    return found


# --------------------------------------------------------------------------------------------- prompts


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


def _signature(outputs: dict[str, Any], instructions: str = "Read the ticket.") -> Any:
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
        cases[f"predict_{name}"] = lambda outputs=outputs: (dspy.Predict(_signature(outputs)), ticket)  # type: ignore[misc]
    for name, schemas in SCHEMAS.items():
        cases[f"schema_{name}"] = lambda schemas=schemas: (  # type: ignore[misc]
            dspy.Predict(worker_signature(schemas).cls),
            ticket,
        )
    cases["chain_of_thought"] = lambda: (dspy.ChainOfThought(_signature(typed)), ticket)
    cases["react"] = lambda: (dspy.ReAct(_signature(typed), tools), ticket)
    cases["react_v2"] = lambda: (dspy.ReActV2(_signature(typed), tools), ticket)
    cases["react_v2_forced"] = lambda: (dspy.ReActV2(_signature(typed), tools, max_iters=1), ticket)
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
    program = dspy.Predict(_signature(outputs))
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


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="compare instead of writing")
    check = parser.parse_args().check
    GOLDEN.mkdir(parents=True, exist_ok=True)
    stale = []
    for name, document in {"lm15": lm15_documents(), "lm_errors": lm_errors(), "prompts": prompts()}.items():
        path = GOLDEN / f"{name}.json"
        text = json.dumps(document, indent=1, ensure_ascii=False) + "\n"
        if check:
            if not path.exists() or path.read_text("utf-8") != text:
                stale.append(path.name)
        else:
            path.write_text(text, "utf-8")
    if stale:
        print(f"stale: {', '.join(stale)}; run python/tools/lm_goldens.py", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
