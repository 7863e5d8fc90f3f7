"""Pickles run code when they are read: none is, wherever one is offered in the place of a program's state."""

from __future__ import annotations

import base64
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cloudpickle
import dspy
import pytest

from dspex_worker.codec import CodecError
from dspex_worker.engine import Engine
from dspex_worker.errors import InvalidInput, NotAllowed
from dspex_worker.problems import WorkerError
from dspex_worker.proto import worker_pb2 as pb

from fake_host import FakeHost, call, call_function, sha256, spec, text_signature

QA = text_signature("question -> answer")


class Trap:
    """Writes a file when it is unpickled."""

    def __init__(self, witness: Witness) -> None:
        self.witness = witness.path

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str, str]]:
        return (open, (str(self.witness), "w"))


class Witness:
    """A file that only code of a pickle writes."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def saw_code(self) -> bool:
        return self.path.exists()


@pytest.fixture
def witness(tmp_path: Path) -> Witness:
    return Witness(tmp_path / "code ran")


@pytest.fixture(params=["pickle", "cloudpickle"])
def trap(request: pytest.FixtureRequest, witness: Witness) -> bytes:
    made: bytes = {"pickle": pickle.dumps, "cloudpickle": cloudpickle.dumps}[request.param](Trap(witness))
    return made


def refusal(engine: Engine, error: WorkerError) -> str:
    told = engine.failed(error)
    assert told.kind in (pb.Error.KIND_NOT_ALLOWED, pb.Error.KIND_INVALID_INPUT)
    return told.message


def test_the_trap_runs_where_it_is_read(trap: bytes, witness: Witness) -> None:
    assert not witness.saw_code()
    pickle.loads(trap).close()
    assert witness.saw_code()


@pytest.mark.parametrize(
    "cls", ["dspy.Predict", "dspy.ChainOfThought", "dspex_worker.testing.AsyncEchoModule"]
)
async def test_a_program_loads_no_file(
    engine: Engine, trap: bytes, witness: Witness, tmp_path: Path, cls: str
) -> None:
    file = tmp_path / "program.pkl"
    file.write_bytes(trap)
    target = spec(cls, QA) if cls.startswith("dspy.") else spec(cls)
    for arguments in ({"path": str(file)}, {"path": str(file), "allow_pickle": True}):
        with pytest.raises(NotAllowed) as caught:
            await call(engine, target, arguments, method="load")
        assert "send the state in the spec" in refusal(engine, caught.value)
    with pytest.raises(NotAllowed) as caught:
        await call(engine, target, {"state": {}}, method="load_state")
    assert "send the state in the spec" in refusal(engine, caught.value)
    assert not witness.saw_code()


async def test_a_whole_program_of_dspys_own_is_not_loaded_from_its_directory(
    engine: Engine, trap: bytes, witness: Witness, tmp_path: Path
) -> None:
    dspy.Predict("question -> answer").save(str(tmp_path / "whole"), save_program=True)
    (tmp_path / "whole" / "program.pkl").write_bytes(trap)
    with pytest.raises(NotAllowed) as caught:
        await call_function(engine, "dspy.load", str(tmp_path / "whole"), allow_pickle=True)
    assert "`dump_state`" in refusal(engine, caught.value)
    assert not witness.saw_code()
    # It would have run.
    dspy.load(str(tmp_path / "whole"), allow_pickle=True)
    assert witness.saw_code()


@pytest.mark.parametrize("form", ["text", "base64", "bytes"])
async def test_a_state_that_is_a_pickle_is_refused_and_says_what_a_state_is(
    engine: Engine, trap: bytes, witness: Witness, form: str
) -> None:
    state: Any = {
        "text": trap.decode("latin-1"),
        "base64": base64.b64encode(trap).decode(),
        "bytes": {"$dspex": ["bytes", base64.b64encode(trap).decode()]},
    }[form]
    for cls in ("dspy.Predict", "dspy.ChainOfThought"):
        with pytest.raises(InvalidInput) as caught:
            await call(engine, spec(cls, QA, state=state), {"question": "?"})
        assert "what `dump_state` returns" in refusal(engine, caught.value)
    assert not witness.saw_code()


async def test_a_pickle_in_the_place_of_json_is_no_json(
    engine: Engine, trap: bytes, witness: Witness
) -> None:
    for target, inputs in ((pb.Spec(hash=sha256(trap), json=trap), b"{}"), (spec("dspy.Predict", QA), trap)):
        with pytest.raises(CodecError) as caught:
            await call(engine, target, inputs, host=FakeHost())
        told = engine.failed(caught.value)
        assert (told.kind, "not a JSON document" in told.message) == (pb.Error.KIND_INVALID_INPUT, True)
    assert not witness.saw_code()
