"""The fingerprint of a program of a team is of its predictors too, and nobody pays for finding them out."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from dspex_worker import introspect
from dspex_worker.apart import each_apart
from dspex_worker.catalogue import Catalogue
from dspex_worker.docstrings import schema_without_docs

# Tests before these may have left threads behind; the process that workers are forked from has none.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")

PROGRAM = """
import dspy, pydantic

class Passage(pydantic.BaseModel):
    '''A passage.'''
    text: str

class Respond(dspy.Signature):
    '''Respond.'''
    passages: list[Passage] = dspy.InputField(desc="What was found.")
    answer: str = dspy.OutputField()

class Rag(dspy.Module):
    def __init__(self):
        super().__init__()
        self.respond = dspy.Predict(Respond)

    def forward(self, passages: list[Passage]):
        return self.respond(passages=passages)
"""


@pytest.fixture
def team(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    for name in [name for name in sys.modules if name.startswith("team_of_programs")]:
        del sys.modules[name]


def fingerprint(team: Path, source: str) -> str:
    """The fingerprint of `Rag`, as a worker tells it at the start and as a schema has it."""
    name = f"team_of_programs_{len(list(team.iterdir()))}"
    (team / f"{name}.py").write_text(source)
    catalogue = Catalogue((name,))
    (rag,) = (c for c in introspect.document(catalogue, [name])["classes"] if c["name"] == f"{name}.Rag")
    told = introspect.fingerprints(catalogue)[f"{name}.Rag"]
    assert told == rag["abi_sha256"], "a worker tells another fingerprint than its schema has"
    return told


def relative(team: Path, source: str) -> str:
    """As `fingerprint`, in a module of always the same name."""
    (team / "team_of_programs.py").write_text(source)
    sys.modules.pop("team_of_programs", None)
    catalogue = Catalogue(("team_of_programs",))
    return introspect.fingerprints(catalogue)["team_of_programs.Rag"]


def test_a_worker_tells_the_fingerprint_that_the_schema_has(team: Path) -> None:
    assert fingerprint(team, PROGRAM) != fingerprint(team, PROGRAM.replace("answer: str", "answer: int"))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("answer: str", "answer: int"),
        ("answer: str", "reply: str"),
        ("text: str", "text: str\n    page: int = 0"),
        ("def forward(self, passages: list[Passage]", "def forward(self, passages: list[str]"),
        ("self.respond", "self.answer"),
    ],
)
def test_another_signature_is_another_fingerprint(team: Path, before: str, after: str) -> None:
    held = relative(team, PROGRAM)
    changed = PROGRAM.replace(before, after)
    assert changed != PROGRAM
    assert relative(team, changed) != held


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("What was found.", "What the search found."),
        ("'''Respond.'''", "'''Answer briefly.'''"),
        ("'''A passage.'''", "'''Some lines.'''"),
    ],
)
def test_texts_for_people_and_models_are_not_in_the_fingerprint(team: Path, before: str, after: str) -> None:
    assert relative(team, PROGRAM.replace(before, after)) == relative(team, PROGRAM)


def test_constructors_run_in_a_process_of_their_own(team: Path) -> None:
    source = PROGRAM.replace(
        "        self.respond =",
        "        import os, pathlib, threading\n"
        f"        pathlib.Path({str(team / 'ran')!r}).write_text(str(os.getpid()))\n"
        "        threading.Thread(target=threading.Event().wait, daemon=True).start()\n"
        "        self.respond =",
    )
    threads = threading.active_count()
    relative(team, source)
    assert (team / "ran").read_text() != str(os.getpid())
    assert threading.active_count() == threads


def test_a_program_that_ends_or_delays_its_process_costs_nothing_but_its_own_answer() -> None:
    def look(name: str) -> str:
        if name == "ends":
            os._exit(3)
        if name == "waits":
            threading.Event().wait()
        if name == "raises":
            raise RuntimeError(name)
        return name.upper()

    names = ["first", "ends", "second", "raises", "waits", "third"]
    assert each_apart(names, look, seconds=0.3) == {"first": "FIRST", "second": "SECOND", "third": "THIRD"}
    assert each_apart([], look) == {}


def test_a_program_that_cannot_be_looked_into_has_the_fingerprint_of_its_class(team: Path) -> None:
    broken = PROGRAM.replace("super().__init__()", "raise RuntimeError('no index')")
    assert relative(team, broken) == relative(team, broken.replace("answer: str", "answer: int"))
    assert relative(team, broken) != relative(team, PROGRAM)


def test_a_field_may_be_called_like_a_keyword_of_schemas() -> None:
    schema = {
        "description": "dropped",
        "properties": {"description": {"type": "string", "description": "dropped"}, "examples": {}},
        "$defs": {"description": {"enum": ["description", {"description": "kept"}]}},
        "items": [{"description": "dropped", "const": {"description": "kept"}}],
    }
    assert schema_without_docs(schema) == {
        "properties": {"description": {"type": "string"}, "examples": {}},
        "$defs": {"description": {"enum": ["description", {"description": "kept"}]}},
        "items": [{"const": {"description": "kept"}}],
    }
