"""DSPy takes the schemas that Rust writes of tools, and `jsonschema` comes to the same verdicts as Rust.

The fixture is written by `dspex-runtime/tests/tool_schemas.rs`, whose tests hold the same values
against the same schemas.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import dspy
import pytest
from dspy.adapters.types.tool import convert_input_schema_to_tool_args
from jsonschema import Draft202012Validator

GOLDEN = Path(__file__).parents[3] / "proto" / "golden" / "tool_schemas.json"
CASES: list[dict[str, Any]] = json.loads(GOLDEN.read_text())
each = pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])


def called(**given: Any) -> dict[str, Any]:
    return given


def tool_of(case: dict[str, Any]) -> dspy.Tool:
    return dspy.Tool(
        called,
        name=case["name"],
        desc=case["description"],
        args=case["args"],
        arg_types=dict.fromkeys(case["args"], Any),
    )


def test_the_fixture_holds_what_programs_write() -> None:
    assert len(CASES) >= 15
    assert all(case["fitting"] and case["unfit"] for case in CASES)


@each
def test_a_tool_of_dspy_calls_its_function_with_what_fits(case: dict[str, Any]) -> None:
    tool = tool_of(case)
    for value in case["fitting"]:
        # DSPy knows nothing of a null that stands for absence where the schema has another default.
        assert tool(**value) == value


@each
def test_native_function_calling_requires_what_has_no_default(case: dict[str, Any]) -> None:
    function = tool_of(case).format_as_litellm_function_call()["function"]
    assert function["name"] == case["name"]
    assert function["parameters"]["required"] == case["required"]
    assert list(function["parameters"]["properties"]) == list(case["args"])
    Draft202012Validator.check_schema(function["parameters"])


@each
def test_dspys_conversion_for_mcp_takes_the_whole_schema(case: dict[str, Any]) -> None:
    args, types, descriptions = convert_input_schema_to_tool_args(case["schema"])
    assert args == case["args"]
    tool = dspy.Tool(called, name="t", desc="t", args=args, arg_types=types, arg_desc=descriptions)
    assert tool.format_as_litellm_function_call()["function"]["parameters"]["required"] == case["required"]


@each
def test_a_prompt_shows_the_tool_without_references_and_titles(case: dict[str, Any]) -> None:
    shown = str(tool_of(case))
    assert "$ref" not in shown
    assert "$defs" not in shown
    assert "$schema" not in shown


@each
def test_the_schema_is_one_of_the_current_draft(case: dict[str, Any]) -> None:
    Draft202012Validator.check_schema(case["schema"])


@each
def test_jsonschema_takes_what_rust_takes_and_refuses_what_it_refuses(case: dict[str, Any]) -> None:
    validator = Draft202012Validator(case["schema"])
    for value in case["fitting"]:
        assert not list(validator.iter_errors(value)), value
    for value in case["unfit"]:
        assert list(validator.iter_errors(value)), value
