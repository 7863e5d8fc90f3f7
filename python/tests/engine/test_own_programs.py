"""What introspection tells of programs of a team, and of what cannot be reached."""

from __future__ import annotations

import dataclasses
import enum
import inspect
import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Generic, Literal, Optional, TypeVar

import dspy
import pydantic
import pytest
import typing_extensions

from dspex_worker import source_facts
from dspex_worker.catalogue import Catalogue
from dspex_worker.introspect import fingerprints
from dspex_worker.programs import describe_program, describe_value, read_schema
from dspex_worker.refusals import refusal_of
from dspex_worker.signature import describe_signature
from dspex_worker.surface import public_properties
from dspex_worker.unreached import unreached

ROOT = Path(__file__).parents[2]
T = TypeVar("T")


class Passage(pydantic.BaseModel):
    text: str
    page: Optional[int] = None  # noqa: UP045


class Page(pydantic.BaseModel, Generic[T]):
    items: list[T]


class Mood(enum.Enum):
    CALM = "calm"


@dataclasses.dataclass
class Piece:
    start: int


class Row(typing_extensions.TypedDict):
    id: int


class Respond(dspy.Signature):
    """Respond."""

    passages: list[Passage] = dspy.InputField(desc="What was found.")
    verdict: Literal["yes", "no"] = dspy.OutputField()


class Inner(dspy.Module):
    def __init__(self) -> None:
        super().__init__()
        self.respond = dspy.ChainOfThought(Respond)

    def forward(self, passages: list[Passage]) -> Any:
        return self.respond(passages=passages)


class Outer(dspy.Module):
    """Builds on another program."""

    def __init__(self, k: int = 3) -> None:
        super().__init__()
        self.inner = Inner()

    def forward(self, passages: list[Passage], k: int = 2) -> Any:
        found = self.inner(passages=passages)
        return dspy.Prediction(
            answer=found.verdict, why=found.reasoning, passages=passages, size=len(passages)
        )


class Undecided(Inner):
    def forward(self, passages: list[Passage]) -> Any:
        if not passages:
            return dspy.Prediction(verdict="no")
        return self.respond(passages=passages)


class Raises(dspy.Module):
    def __init__(self) -> None:
        raise RuntimeError("no index\nat all")


class AnyInputs(Inner):
    def forward(self, **inputs: Any) -> Any:
        result = self.respond(**inputs)
        if not inputs:
            result = dspy.Prediction(verdict="no")
        return result


def described(cls: type) -> dict[str, Any]:
    return describe_program(cls, Catalogue().name_of)


def names(fields: list[dict[str, Any]]) -> list[str]:
    return [field["name"] for field in fields]


def test_a_program_tells_its_predictors_with_json_schemas() -> None:
    (predictor,) = described(Inner)["predictors"]
    assert (predictor["name"], predictor["instructions"]) == ("respond.predict", "Respond.")
    (passages,) = predictor["inputs"]
    assert passages["desc"] == "What was found."
    assert passages["schema"]["items"] == {"$ref": "#/$defs/Passage"}
    assert names(predictor["outputs"]) == ["reasoning", "verdict"]
    assert predictor["outputs"][1]["desc"] is None


def test_outputs_are_followed_through_programs_within_programs() -> None:
    program = described(Outer)["program"]
    assert names(program["inputs"]) == ["passages", "k"]
    assert program["inputs"][1]["default"] == {"json": 2}
    outputs = {field["name"]: field["schema"] for field in program["outputs"]}
    assert list(outputs) == ["answer", "why", "passages", "size"]
    assert outputs["answer"] == {"enum": ["yes", "no"], "type": "string"}
    assert outputs["passages"]["items"] == {"$ref": "#/$defs/Passage"}
    assert outputs["size"] is True
    size = next(field for field in program["outputs"] if field["name"] == "size")
    assert size["untyped"] == "`forward` computes it, and its source does not tell the type"


@pytest.mark.parametrize("cls", [Undecided, AnyInputs])
def test_outputs_that_nobody_can_tell_are_not_guessed(cls: type) -> None:
    assert described(cls)["program"]["outputs"] is None


def test_a_program_that_takes_anything_has_no_inputs() -> None:
    assert described(AnyInputs)["program"]["inputs"] is None


def test_schemas_tell_of_which_class_their_parts_are() -> None:
    (passages,) = described(Inner)["program"]["inputs"]
    passage = passages["schema"]["$defs"]["Passage"]
    assert passage["x-python"] == f"{__name__}.Passage"
    assert passage["x-python-module"] == __name__
    whole = read_schema(Page[int])[0]
    assert (whole["x-python"], whole["x-python-module"]) == (f"{__name__}.Page[int]", __name__)


@pytest.mark.parametrize("cls", [Passage, Mood, Piece, Row])
def test_classes_of_data_have_the_schema_of_their_values(cls: type) -> None:
    assert describe_value(cls)["value"]["x-python"] == f"{__name__}.{cls.__name__}"


def test_a_signature_of_the_team_tells_its_fields() -> None:
    signature = describe_value(Respond)["signature"]
    assert signature["instructions"] == "Respond."
    assert [*names(signature["inputs"]), *names(signature["outputs"])] == ["passages", "verdict"]


@pytest.mark.parametrize("cls", [Inner, object])
def test_other_classes_are_no_data(cls: type) -> None:
    assert describe_value(cls) == {}


@pytest.mark.parametrize(
    ("annotation", "reason"),
    [
        (inspect.Parameter.empty, "Python does not annotate it"),
        (Any, "Python annotates it as `Any`"),
        (dspy.Prediction, "`Prediction` has no JSON Schema (PydanticSchemaGenerationError: "),
    ],
)
def test_an_annotation_without_a_schema_says_why(annotation: Any, reason: str) -> None:
    schema, untyped = read_schema(annotation)
    assert schema is True
    assert (untyped or "").startswith(reason)


def test_a_fingerprint_does_not_depend_on_which_modules_were_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "of_models.py").write_text("class Doc:\n    pass\n")
    (tmp_path / "of_programs.py").write_text(
        "import dspy\nimport of_models\n\n\nclass Program(dspy.Module):\n"
        "    def forward(self, doc: of_models.Doc):\n        return dspy.Prediction(doc=doc)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    path = "of_programs.Program"
    alone = fingerprints(Catalogue(["of_programs"]))[path]
    assert fingerprints(Catalogue(["of_programs", "of_models"]))[path] == alone


def test_a_program_that_cannot_be_built_says_why() -> None:
    assert described(Raises) == {"predictors_unknown": "its constructor raises RuntimeError: no index"}


def test_every_public_name_of_dspy_is_there_or_has_a_reason() -> None:
    catalogue = Catalogue()
    unsupported, skipped = unreached(catalogue)
    assert "dspy.settings" in unsupported
    assert "dspy.teleprompt.grpo.GRPO" in unsupported
    assert skipped["dspy.primitives.local_interpreter_worker"].startswith("importing it redirects")
    assert skipped["dspy.core.types"].startswith("it cannot be imported: ImportError")
    assert all(reason for reason in [*unsupported.values(), *skipped.values()])
    for name, value in vars(dspy).items():
        if (
            not name.startswith("_")
            and callable(value)
            and getattr(value, "__module__", "").startswith("dspy")
        ):
            path = catalogue.name_of(value)
            known = (
                path is not None
                or f"dspy.{name}" in unsupported
                or id(value) in {id(held) for held in catalogue.denied_objects()}
            )
            assert known, name


def test_deprecations_experiments_and_extras_come_from_the_source() -> None:
    old = source_facts.deprecation_of(dspy.ProgramOfThought, dspy.ProgramOfThought.__doc__ or "")
    assert old == {"since": "3.4", "removal": "3.5", "use": "RLM"}
    assert source_facts.deprecation_of(dspy.Image.from_file, "") == {
        "removal": "3.4",
        "use": "Image.from_path",
    }
    # Only one of its arguments is deprecated.
    assert source_facts.deprecation_of(dspy.Image, dspy.Image.__doc__ or "") is None
    assert source_facts.is_experimental(dspy.GEPA.__doc__ or "")
    assert source_facts.extras_of(dspy.MIPROv2) == ["optuna"]
    assert source_facts.extras_of(dspy.SIMBA) == ["numpy"]
    assert source_facts.extras_of(dspy.Predict) == []


def test_properties_are_found_and_not_evaluated() -> None:
    assert "engine" in public_properties(dspy.LM)
    assert refusal_of(dspy.Image, "from_path") is not None


def test_a_signature_is_described_with_types_and_schemas() -> None:
    told = describe_signature({"text": "question, k: Optional[int] -> answer: list[float]"})
    assert [(f["name"], f["required"], f["schema"]) for f in told["inputs"]] == [
        ("question", True, {"type": "string"}),
        ("k", False, {"type": ["integer", "null"]}),
    ]
    assert told["outputs"][0]["schema"] == {"type": "array", "items": {"type": "number"}}
    assert told["instructions"].startswith("Given the fields `question`, `k`")


def test_the_command_describes_what_its_interpreter_has(tmp_path: Path) -> None:
    (tmp_path / "team_tools.py").write_text("print('noise')\ndef add(a: int) -> int:\n    return a\n")
    (tmp_path / "team_broken.py").write_text("1 / 0\n")
    command = [sys.executable, "-m", "dspex_worker.describe", "--python-path", str(tmp_path), "--module"]
    done = subprocess.run([*command, "team_tools"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert [f["name"] for f in json.loads(done.stdout)["functions"]] == ["team_tools.add"]
    done = subprocess.run([*command, "team_broken"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert "`team_broken` cannot be imported" in done.stderr
    assert "ZeroDivisionError" in done.stderr
