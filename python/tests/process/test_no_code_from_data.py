"""What the worker receives is data: nothing in its sources makes code or objects of it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "dspex_worker"

MODULES = {
    "pickle",
    "cPickle",
    "_pickle",
    "cloudpickle",
    "dill",
    "joblib",
    "marshal",
    "shelve",
    "yaml",
    "runpy",
}
CALLS = {"eval", "exec", "compile", "__import__"}
# Functions of numpy and DSPy that read pickles.
METHODS = {"load", "loads", "fromfile", "load_state", "allow_pickle"}

ALLOWED = {
    # Compiles one of two lines of this source, whose function is read by `inspect` and never run.
    ("host_functions.py", "exec"),
    ("host_functions.py", "compile"),
    # A regular expression; `compile` of the module `re`.
    ("*", "re.compile"),
    # JSON.
    ("*", "json.load"),
    ("*", "json.loads"),
    ("*", "orjson.loads"),
    ("*", "codec.loads"),
    # Of a state that was JSON, without models: DSPy reads a file only by `load`.
    ("states.py", "target.load_state"),
}


def uses(source: str) -> Iterator[str]:
    """The modules and functions of a source that could make code of data."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names if name.name.split(".")[0] in MODULES)
        elif isinstance(node, ast.ImportFrom):
            if (node.module or "").split(".")[0] in MODULES:
                yield str(node.module)
        elif isinstance(node, ast.keyword) and node.arg == "allow_pickle":
            yield "allow_pickle"
        elif isinstance(node, ast.Call):
            called = node.func
            if isinstance(called, ast.Name) and called.id in CALLS:
                yield called.id
            elif isinstance(called, ast.Attribute) and called.attr in METHODS | CALLS:
                yield ast.unparse(called)


def sources() -> list[Path]:
    return [path for path in sorted(PACKAGE.rglob("*.py")) if "proto" not in path.parts]


def test_no_source_of_the_worker_unpickles_or_evaluates() -> None:
    found = {(path.name, use) for path in sources() for use in uses(path.read_text())}
    wrong = {(name, use) for name, use in found if (name, use) not in ALLOWED and ("*", use) not in ALLOWED}
    assert not wrong
    assert len(sources()) > 50


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from cloudpickle import loads",
        "import a, marshal as m",
        "def f(x): return eval(x)",
        "numpy.load(path)",
        "numpy.array(x, allow_pickle=True)",
        "[exec(x) for x in y]",
        "torch.load(f)",
    ],
)
def test_the_gate_sees_what_it_should(source: str) -> None:
    assert list(uses(source))
