"""JSON Schemas as types of DSPy's signatures: through DSPy's own adapters, and as the worker checks them."""

from __future__ import annotations

import copy
import json
import pickle
from pathlib import Path
from typing import Any, Literal

import cloudpickle
import dspy
import dspy.experimental
import pydantic
import pytest

from dspex_worker.json_types import FieldType, JsonType, UnsupportedSchema, field_type

from schemas import CASES

ADAPTERS = {"chat": dspy.ChatAdapter(), "json": dspy.JSONAdapter(), "xml": dspy.XMLAdapter()}


# An element's content is a text, and where a text or a list of texts is valid, XML has said just that.
XML_READS_MORE = {CASES["recursive_enum"].rust, CASES["set"].rust}


def each(kind: str) -> list[Any]:
    return [
        pytest.param(case, value, id=f"{name}-{index}")
        for name, case in CASES.items()
        for index, value in enumerate(getattr(case, kind))
    ]


def signature_of(made: FieldType) -> type[dspy.Signature]:
    fields = {"question": (str, dspy.InputField()), "answer": (made.annotation, dspy.OutputField())}
    return dspy.signatures.make_signature(fields, "Answer.", custom_types={})


def answer_text(adapter: str, value: Any) -> str:
    """The value as a model writes it for that adapter."""
    text = value if isinstance(value, str) else json.dumps(value)
    if adapter == "chat":
        return f"[[ ## answer ## ]]\n{text}\n\n[[ ## completed ## ]]"
    return json.dumps({"answer": value}) if adapter == "json" else f"<answer>\n{text}\n</answer>"


def through_dspy(made: FieldType, adapter: str, value: Any) -> Any:
    parsed = ADAPTERS[adapter].parse(signature_of(made), answer_text(adapter, value))
    return made.accept_parsed(parsed["answer"])


@pytest.mark.parametrize("adapter", ADAPTERS)
@pytest.mark.parametrize(("case", "value"), each("good"))
def test_a_good_answer_arrives_exactly(case: Any, value: Any, adapter: str) -> None:
    assert through_dspy(field_type(case.schema, "answer"), adapter, value) == value


@pytest.mark.parametrize("adapter", ADAPTERS)
@pytest.mark.parametrize(("case", "value"), each("bad"))
def test_a_bad_answer_is_rejected(case: Any, value: Any, adapter: str) -> None:
    if adapter == "xml" and case.rust in XML_READS_MORE:
        return
    with pytest.raises((dspy.AdapterParseError, pydantic.ValidationError, ValueError)):
        through_dspy(field_type(case.schema, "answer"), adapter, value)


@pytest.mark.parametrize("adapter", ADAPTERS)
@pytest.mark.parametrize(("case", "pair"), each("coerced"))
def test_an_answer_that_is_nearly_right_is_coerced(case: Any, pair: tuple[Any, Any], adapter: str) -> None:
    given, wanted = pair
    assert through_dspy(field_type(case.schema, "answer"), adapter, given) == wanted


@pytest.mark.parametrize(("case", "value"), each("good"))
def test_a_good_input_is_accepted_and_shown_to_the_model(case: Any, value: Any) -> None:
    made = field_type(case.schema, "question")
    fields = {"question": (made.annotation, dspy.InputField()), "answer": (str, dspy.OutputField())}
    signature = dspy.signatures.make_signature(fields, "Answer.", custom_types={})

    accepted = made.accept(value)
    messages = dspy.ChatAdapter().format(signature, [], {"question": accepted})

    assert accepted == value
    assert "[[ ## question ## ]]" in messages[-1]["content"]


@pytest.mark.parametrize(("case", "value"), each("bad"))
def test_a_bad_input_is_rejected(case: Any, value: Any) -> None:
    with pytest.raises(pydantic.ValidationError):
        field_type(case.schema, "question").accept(value)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_every_type_has_a_schema_for_structured_outputs(case: Any) -> None:
    from dspy.adapters.json_adapter import _get_structured_outputs_response_format

    made = field_type(case.schema, "answer")
    if made.annotation in (dict,) or getattr(made.annotation, "__origin__", None) is dict:
        return
    shown = _get_structured_outputs_response_format(signature_of(made)).model_json_schema()
    assert "answer" in shown["properties"]


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_values_of_a_type_are_plain_json(case: Any) -> None:
    for value in case.good:
        assert json.loads(json.dumps(field_type(case.schema, "answer").accept(value))) == value


# Written by schemars 1.2.3 for real types, with values that serde_json read and values that it refused.
WRITTEN = json.loads((Path(__file__).parent / "schemars.json").read_text())


@pytest.mark.parametrize("adapter", ["chat", "json"])
@pytest.mark.parametrize("document", WRITTEN, ids=lambda d: d["name"])
def test_what_schemars_writes_means_what_serde_reads(document: dict[str, Any], adapter: str) -> None:
    made = field_type(document["schema"], "answer")
    for value in document["good"]:
        assert made.accept(value) == value
        assert through_dspy(made, adapter, value) == value
    for value in document["bad"]:
        with pytest.raises(pydantic.ValidationError):
            made.accept(value)
        if made.annotation in (str, str | None):
            continue  # Whatever a model writes is a text.
        with pytest.raises((dspy.AdapterParseError, pydantic.ValidationError)):
            through_dspy(made, adapter, value)


@pytest.mark.parametrize(
    ("schema", "annotation"),
    [
        ({"type": "string"}, str),
        ({"type": "integer"}, int),
        ({"type": "number"}, float),
        ({"type": "boolean"}, bool),
        ({"type": "string", "description": "x", "title": "T"}, str),
        ({"type": "string", "maxLength": 3}, str),
        ({"type": "string", "format": "date-time"}, str),
        ({"type": ["string", "null"]}, str | None),
        ({"type": "array", "items": {"type": "string"}}, list[str]),
        ({"type": "object", "additionalProperties": {"type": "integer"}}, dict[str, int]),
        ({"enum": ["a", "b"], "type": "string"}, Literal["a", "b"]),
        ({"type": "object", "format": "image"}, dspy.Image),
        ({"type": "object", "format": "audio"}, dspy.Audio),
        ({"type": "object", "format": "file"}, dspy.File),
        ({"type": "object", "format": "history"}, dspy.History),
        ({"type": "object", "format": "code"}, dspy.Code),
        ({"type": "string", "format": "reasoning"}, dspy.Reasoning),
        ({"type": "object", "format": "tool-calls"}, dspy.ToolCalls),
        ({"type": "object", "format": "document"}, dspy.experimental.Document),
        ({"type": "object", "format": "citations"}, dspy.experimental.Citations),
        ({"type": "array", "items": {"type": "object", "format": "image"}}, list[dspy.Image]),
        ({"anyOf": [{"type": "object", "format": "image"}, {"type": "null"}]}, dspy.Image | None),
    ],
)
def test_what_dspy_has_a_type_for_uses_that_type(schema: Any, annotation: Any) -> None:
    assert field_type(schema, "x").annotation == annotation


@pytest.mark.parametrize(
    ("schema", "name"),
    [
        ({"type": "integer", "minimum": 1}, "int"),
        ({"type": ["integer", "null"]}, "Optional[int]"),
        (CASES["structs"].schema, "list[Person]"),
        (CASES["optional_struct"].schema, "Optional[Address]"),
        (CASES["nested_struct"].schema, "Person"),
        (CASES["tuple"].schema, "tuple[str, float]"),
    ],
)
def test_prompts_call_the_other_types_what_python_would(schema: Any, name: str) -> None:
    annotation = field_type(schema, "x").annotation
    assert isinstance(annotation, JsonType)
    assert annotation.__name__ == name


def test_constraints_that_dspy_does_not_show_are_in_the_notes() -> None:
    assert field_type(CASES["constrained_text"].schema, "x").notes == (
        "(at least 2 characters, at most 4 characters, matching the regular expression ^[0-9]+$)"
    )
    assert field_type(CASES["documented_enum"].schema, "x").notes == "Low: Can wait.; High: Now."


@pytest.mark.parametrize("text", ["None", "null", "", "  None "])
@pytest.mark.parametrize("schema", [{"type": ["string", "null"]}, {"type": ["integer", "null"]}])
@pytest.mark.parametrize("adapter", ["chat", "xml"])
def test_a_text_for_nothing_is_null(schema: Any, text: str, adapter: str) -> None:
    assert through_dspy(field_type(schema, "answer"), adapter, text) is None


@pytest.mark.parametrize("text", ["None", "null", ""])
def test_an_input_text_for_nothing_stays_a_text(text: str) -> None:
    assert field_type({"type": ["string", "null"]}, "q").accept(text) == text


@pytest.mark.parametrize(
    ("schema", "why"),
    [
        ({"not": {"type": "string"}}, "`not`"),
        ({"type": "object", "properties": {"a": {"if": {}}}}, "#/properties/a"),
        ({"$ref": "https://example.org/a.json"}, "only references within"),
        ({"$ref": "#/$defs/Missing"}, "points at nothing"),
        ({"$ref": "#/$defs/A", "$defs": {"A": {"$ref": "#/$defs/A"}}}, "A"),
        (False, "no value is valid|has to be an object"),
        ({"type": "quux"}, "'quux' does not exist"),
        ({"type": "string", "pattern": "(?<=a)b"}, "look-around"),
        ({"enum": [[1], {}]}, "literal"),
        ({"type": "object", "properties": {"i": {"type": "object", "format": "image"}}}, "image"),
        ({"type": "array", "prefixItems": [{}], "minItems": 0}, "varying length"),
        ({"type": "object", "properties": {}, "required": ["a"]}, "`a` is required"),
        (
            {"allOf": [{"type": "object", "minProperties": 1}, {"type": "object", "minProperties": 2}]},
            "merged",
        ),
    ],
)
def test_what_has_no_type_is_refused_with_the_place(schema: Any, why: str) -> None:
    with pytest.raises(UnsupportedSchema, match=why):
        field_type(schema, "x")


def test_nested_xml_is_read_as_the_type_says() -> None:
    made = field_type(CASES["nested_struct"].schema, "answer")
    text = "<answer><name>Sara</name><age>30</age><address><city>Bern</city></address><tags>a</tags></answer>"

    parsed = ADAPTERS["xml"].parse(signature_of(made), text)

    assert parsed["answer"] == {"name": "Sara", "age": 30, "address": {"city": "Bern"}, "tags": ["a"]}


def test_the_same_schema_is_the_same_class() -> None:
    one = field_type(CASES["nested_struct"].schema, "x").annotation
    other = field_type(copy.deepcopy(CASES["nested_struct"].schema), "x").annotation
    assert one is other
    assert copy.deepcopy(one) is one
    assert pickle.loads(pickle.dumps(one)) is one
    assert cloudpickle.loads(cloudpickle.dumps(one)) is one


def test_two_types_of_one_name_do_not_mix_in_one_signature() -> None:
    def holder(key: str) -> Any:
        inner = {"type": "object", "properties": {key: {"type": "string"}}, "required": [key]}
        refs = {"a": {"$ref": "#/$defs/Inner"}, "b": {"$ref": "#/$defs/Inner"}}
        return {"title": "Holder", "type": "object", "properties": refs, "$defs": {"Inner": inner}}

    one, other = (field_type(holder(key), "x").annotation for key in ("left", "right"))
    both = pydantic.create_model("Both", one=(one, ...), other=(other, ...))

    assert both.model_validate({"one": {"a": {"left": "x"}}, "other": {"b": {"right": "y"}}})
    with pytest.raises(pydantic.ValidationError):
        both.model_validate({"one": {"a": {"right": "x"}}, "other": {}})
    assert len(both.model_json_schema()["$defs"]) == 2


def test_properties_keep_their_order_and_have_no_titles() -> None:
    shown = pydantic.TypeAdapter(field_type(CASES["nested_struct"].schema, "x").annotation).json_schema()
    assert list(shown["properties"]) == ["name", "age", "address", "tags"]
    assert not any("title" in p for p in shown["properties"].values())
    assert shown["properties"]["name"]["description"] == "Full name."


def test_a_demonstration_survives_the_state_of_a_program() -> None:
    made = field_type(CASES["nested_struct"].schema, "answer")
    program = dspy.ChainOfThought(signature_of(made))
    value = {"name": "Sara", "age": 30}
    program.predict.demos = [dspy.Example(question="who?", answer=made.accept(value))]

    state = json.loads(json.dumps(program.dump_state()))
    fresh = dspy.ChainOfThought(signature_of(made))
    fresh.load_state(state)

    assert fresh.predict.demos[0]["answer"] == value
