"""Writes the golden files that the Rust side of language models is tested against, from DSPy and the worker.

    python python/tools/lm_goldens.py            # writes them to dspex-runtime/tests/golden
    python python/tools/lm_goldens.py --check    # fails where they differ from what this DSPy writes

`lm15.json`: requests and responses as DSPy's serialiser writes them.
`lm_errors.json`: the tree of language-model errors.
`prompts.json`: what DSPy's adapters ask a model for a range of signatures and modules.
"""

from __future__ import annotations

import argparse
import inspect
import json
import sys
from pathlib import Path
from typing import Any

from dspy._vendor.lm15 import serde
from dspy._vendor.lm15 import types as t
from dspy.utils import exceptions

sys.path.insert(0, str(Path(__file__).parents[1]))

from golden_prompts import prompts

GOLDEN = Path(__file__).parents[2] / "dspex-runtime" / "tests" / "golden"


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
