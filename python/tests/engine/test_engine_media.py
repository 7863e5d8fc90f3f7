"""DSPy's types as inputs: media, and the history of a conversation."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dspex_worker.engine import Engine
from dspex_worker.errors import InvalidInput

from fake_host import FakeHost, call, chat, fields_signature, spec, text_signature
from triage import LM

PIXEL = "data:image/png;base64,iVBORw0KGgo="


@pytest.mark.parametrize(
    ("form", "value", "part"),
    [
        ("image", {"url": PIXEL}, "image"),
        ("audio", {"data": "AAAA", "audio_format": "wav"}, "audio"),
        ("file", {"file_data": "data:application/pdf;base64,AAAA"}, "document"),
    ],
)
async def test_media_reach_the_model_as_parts_and_not_as_text(
    engine: Engine, form: str, value: dict[str, Any], part: str
) -> None:
    host = FakeHost(chat(answer="seen"))
    signature = fields_signature(
        {"media": {"type": "object", "format": form}}, {"answer": {"type": "string"}}
    )

    await call(engine, spec("dspy.Predict", signature), {"media": value}, host=host, lm=LM)

    kinds = [p["type"] for message in host.requests[0]["messages"] for p in message["parts"]]
    assert part in kinds
    assert "CUSTOM-TYPE" not in json.dumps(host.requests[0])


async def test_a_history_becomes_messages(engine: Engine) -> None:
    host = FakeHost(chat(answer="Bern"))
    signature = text_signature("history: dspy.History, question -> answer")
    history = {"messages": [{"question": "Capital of France?", "answer": "Paris"}]}

    await call(
        engine, spec("dspy.Predict", signature), {"history": history, "question": "And?"}, host=host, lm=LM
    )

    assert [m["role"] for m in host.requests[0]["messages"]] == ["user", "assistant", "user"]


@pytest.mark.parametrize("value", [{"uri": PIXEL}, {"url": PIXEL, "download": True}, 5, [], {"url": 5}])
async def test_what_is_no_image_is_refused_where_an_image_belongs(engine: Engine, value: Any) -> None:
    signature = fields_signature(
        {"image": {"type": "object", "format": "image"}}, {"answer": {"type": "string"}}
    )
    host = FakeHost()

    with pytest.raises(InvalidInput) as caught:
        await call(engine, spec("dspy.Predict", signature), {"image": value}, host=host, lm=LM)

    assert caught.value.attributes["problems"][0]["field"] == "image"
    assert caught.value.attributes["problems"][0]["expected"] == "dspy.Image"
    assert host.requests == []


async def test_a_path_is_no_image_and_no_file_is_read(engine: Engine, tmp_path: Any) -> None:
    secret = tmp_path / "secret.png"
    secret.write_bytes(b"top secret")
    signature = fields_signature(
        {"image": {"type": "object", "format": "image"}}, {"answer": {"type": "string"}}
    )

    with pytest.raises(InvalidInput):
        await call(engine, spec("dspy.Predict", signature), {"image": {"url": str(secret)}}, lm=LM)
