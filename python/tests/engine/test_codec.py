"""The JSON of the wire."""

from __future__ import annotations

import collections
import dataclasses
import datetime
import decimal
import enum
import json
import math
import uuid
from pathlib import Path
from typing import Any

import dspy
import numpy
import pytest

from dspex_worker import codec

GOLDEN = json.loads((Path(__file__).parents[3] / "proto" / "golden" / "values.json").read_text())["values"]

# What the tagged vectors mean, so that decoding to something that only encodes alike does not pass.
MEANINGS: dict[str, Any] = {
    "above_u64": 2**64,
    "below_i64": -(2**63) - 1,
    "u64_max": 2**64 - 1,
    "above_f64_precision": 2**53 + 1,
    "infinity": math.inf,
    "negative_infinity": -math.inf,
    "lone_surrogate": "\ud800",
    "text_around_surrogate": "aあ\ud83db",
    "bytes": b"\x00\x01\xff",
    "escaped_object": {"$dspex": 1},
    "escaped_object_of_tag": {"$dspex": ["float", "nan"]},
    "none_text": "None",
}


def golden(*kinds: str) -> list[Any]:
    return [pytest.param(v["name"], v["json"], id=v["name"]) for v in GOLDEN if v["kind"] in kinds]


@pytest.mark.parametrize(("name", "text"), golden("same"))
def test_a_golden_value_comes_back_as_it_was(name: str, text: str) -> None:
    value = codec.loads(text.encode())

    assert json.loads(codec.dumps(value)) == json.loads(text)
    if name in MEANINGS:
        assert value == MEANINGS[name]
        assert type(value) is type(MEANINGS[name])


@pytest.mark.parametrize(("name", "text"), golden("same"))
def test_the_walking_encoder_agrees_with_the_fast_one(name: str, text: str) -> None:
    assert json.loads(json.dumps(codec.to_wire(codec.loads(text.encode())))) == json.loads(text)


@pytest.mark.parametrize(("name", "text"), golden("reject", "from_worker"))
def test_a_broken_golden_value_is_refused(name: str, text: str) -> None:
    with pytest.raises(codec.CodecError):
        codec.loads(text.encode())


def test_nan_is_a_float_and_not_null() -> None:
    assert math.isnan(codec.loads(b'{"$dspex":["float","nan"]}'))
    assert codec.dumps([1.5, None, float("nan")]) == b'[1.5,null,{"$dspex":["float","nan"]}]'


def test_an_opaque_value_keeps_the_rest_of_the_reply() -> None:
    document = json.loads(codec.dumps({"kept": 1, "odd": object()}))

    assert document["kept"] == 1
    assert document["odd"] == {"$dspex": ["opaque", {"type": "builtins.object", "repr": "<object object>"}]}


def test_an_object_whose_repr_raises_is_opaque_too() -> None:
    class Hostile:
        def __repr__(self) -> str:
            raise RuntimeError("no")

    kind, body = json.loads(codec.dumps(Hostile()))["$dspex"]
    assert kind == "opaque"
    assert "RuntimeError" in body["repr"]


def test_a_cycle_ends_in_an_opaque_marker() -> None:
    cycle: list[Any] = [1]
    cycle.append(cycle)

    first, second = json.loads(codec.dumps(cycle))
    assert first == 1
    assert second["$dspex"][0] == "opaque"


def test_the_same_object_twice_is_no_cycle() -> None:
    shared = {"n": float("inf")}
    infinity = {"n": {"$dspex": ["float", "inf"]}}
    assert json.loads(codec.dumps([shared, shared])) == [infinity, infinity]


def test_what_is_too_deep_to_read_is_opaque_when_written() -> None:
    value: Any = "bottom"
    for _ in range(5000):
        value = [value]

    told, levels = json.loads(codec.dumps(value)), 0
    while isinstance(told, list):
        told, levels = told[0], levels + 1
    assert levels == codec.MAX_DEPTH
    assert told["$dspex"][0] == "opaque"


def test_a_document_of_a_million_brackets_is_refused_and_not_a_crash() -> None:
    with pytest.raises(codec.CodecError):
        codec.loads(b"[" * 1_000_000 + b"]" * 1_000_000)


def test_a_wide_document_is_not_a_deep_one() -> None:
    wide = json.dumps([[] for _ in range(1000)]).encode()
    assert codec.loads(wide) == [[] for _ in range(1000)]


@pytest.mark.parametrize(
    "key", [b'"\\u0024dspex"', b'"$dspe\\u0078"', b'"\\u0024\\u0064\\u0073\\u0070\\u0065\\u0078"']
)
def test_a_tag_spelt_with_escapes_is_still_a_tag(key: bytes) -> None:
    assert codec.loads(b"{" + key + b':["int","5"]}') == 5


def test_json_escapes_of_lone_surrogates_are_read() -> None:
    assert codec.loads(b'{"a":"\\ud800","b":"\\ud83e\\udd80"}') == {"a": "\ud800", "b": "🦀"}


def test_bytes_that_are_not_utf8_are_refused() -> None:
    with pytest.raises(codec.CodecError, match="not a JSON document"):
        codec.loads(b'"\xff\xfe"')


class Color(enum.Enum):
    RED = "red"


@dataclasses.dataclass
class Point:
    x: int
    y: float


Pair = collections.namedtuple("Pair", "left right")


@pytest.mark.parametrize(
    ("value", "wire"),
    [
        ({3, 1, 2}, [1, 2, 3]),
        (frozenset({"b", "a"}), ["a", "b"]),
        ((1, (2,)), [1, [2]]),
        (Pair(1, 2), [1, 2]),
        (Color.RED, "red"),
        ({Color.RED: 1}, {"red": 1}),
        ({7: "a", True: "b", None: "c", 1.5: "d"}, {"7": "a", "true": "b", "null": "c", "1.5": "d"}),
        (Point(1, math.inf), {"x": 1, "y": {"$dspex": ["float", "inf"]}}),
        (datetime.date(2024, 2, 29), "2024-02-29"),
        (datetime.datetime(2024, 2, 29, 12, tzinfo=datetime.timezone.utc), "2024-02-29T12:00:00+00:00"),
        (datetime.timedelta(minutes=1), 60.0),
        (decimal.Decimal("1.10"), "1.10"),
        (uuid.UUID(int=5), "00000000-0000-0000-0000-000000000005"),
        (numpy.float32(0.5), 0.5),
        (numpy.int64(7), 7),
        (numpy.array([[1, 2], [3, 4]]), [[1, 2], [3, 4]]),
        (bytearray(b"\x01"), {"$dspex": ["bytes", "AQ=="]}),
        ({"a": 1}.keys(), ["a"]),
        (dspy.Prediction(items=1, copy=2), {"items": 1, "copy": 2}),
        (dspy.Example(q="a").with_inputs("q"), {"q": "a"}),
        (dspy.Reasoning(content="because"), "because"),
        (dspy.Image("https://example.org/a.png"), {"url": "https://example.org/a.png"}),
        (dspy.Code(code="x = 1"), {"code": "x = 1"}),
    ],
)
def test_python_values_have_the_obvious_form(value: Any, wire: Any) -> None:
    assert json.loads(codec.dumps(value)) == wire
    assert json.loads(codec.dumps([value])) == [wire]


def test_keys_without_a_text_make_the_whole_mapping_opaque() -> None:
    assert json.loads(codec.dumps({(1, 2): "pair"}))["$dspex"][0] == "opaque"


def test_two_keys_that_would_become_one_are_not_merged_silently() -> None:
    assert json.loads(codec.dumps({1: "a", "1": "b"}))["$dspex"][0] == "opaque"


def test_an_integer_of_more_digits_than_the_wire_has_is_opaque() -> None:
    assert json.loads(codec.dumps(10**5000))["$dspex"][0] == "opaque"


@pytest.mark.parametrize(
    "value",
    [
        dspy.Image("https://example.org/a.png"),
        dspy.Image("data:image/png;base64,AAAA"),
        dspy.Audio(data="AAAA", audio_format="wav"),
        dspy.File(file_data="data:text/plain;base64,AAAA", filename="a.txt"),
        dspy.File(file_id="file-1"),
        dspy.History(messages=[{"question": "a", "answer": "b"}]),
        dspy.ToolCalls.from_dict_list([{"name": "search", "args": {"q": "x"}}]),
        dspy.Code(code="x"),
    ],
    ids=lambda v: type(v).__name__,
)
def test_types_of_dspy_round_trip_by_their_fields(value: Any) -> None:
    fields = codec.loads(codec.dumps(value))
    assert type(value).model_validate(fields) == value


def test_a_repr_is_cut_and_without_addresses() -> None:
    class Long:
        def __repr__(self) -> str:
            return "<Long at 0x7f0000000000>" + "x" * 10_000

    text = json.loads(codec.dumps(Long()))["$dspex"][1]["repr"]
    assert "0x7f" not in text
    assert len(text) <= codec.MAX_REPR
