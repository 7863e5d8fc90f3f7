"""The checked-in stubs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PYTHON = Path(__file__).resolve().parent.parent.parent
GENERATOR = PYTHON / "tools" / "gen_proto.py"


def test_the_stubs_are_those_of_the_contract() -> None:
    result = subprocess.run(
        [sys.executable, str(GENERATOR), "--check"], capture_output=True, text=True, check=False
    )
    assert (result.returncode, result.stdout) == (0, ""), result.stderr


def test_a_stale_stub_is_found(tmp_path: Path) -> None:
    run = [sys.executable, str(GENERATOR), "--out", str(tmp_path)]
    subprocess.run(run, check=True, capture_output=True)
    stub = tmp_path / "worker_pb2.py"
    stub.write_text(stub.read_text() + "\n# edited\n")
    result = subprocess.run([*run, "--check"], capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert "worker_pb2.py is stale" in result.stderr
    assert "worker_pb2.pyi is stale" not in result.stderr
