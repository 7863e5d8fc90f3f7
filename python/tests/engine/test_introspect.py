"""The documents that schemas are made of."""

from __future__ import annotations

import hashlib
import inspect
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, Optional, Union

import dspy
import pytest

from dspex_worker import docstrings, introspect, reserved
from dspex_worker import engine as engine_module
from dspex_worker.catalogue import Catalogue
from dspex_worker.config import ConfigError, WorkerConfig
from dspex_worker.engine import Engine
from dspex_worker.errors import NotFound
from dspex_worker.proto import worker_pb2 as pb
from dspex_worker.type_ir import TypeReader

from fake_host import FakeHost, run

ROOT = Path(__file__).parents[2]

# The fingerprints of the classes that are most used, as schemas of other machines and Pythons have them.
KNOWN = json.loads((Path(__file__).parent / "fingerprints.json").read_text())


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return introspect.document(Catalogue(("dspex_worker.testing",)), ["dspy", "dspex_worker.testing"])


def class_of(document: dict[str, Any], name: str) -> dict[str, Any]:
    return next(c for c in document["classes"] if c["name"] == name)


def parameter(described: dict[str, Any], name: str) -> dict[str, Any]:
    return next(p for p in described["init"] if p["name"] == name)


def test_a_class_is_described_with_roles_types_and_docs(document: dict[str, Any]) -> None:
    react = class_of(document, "dspy.ReAct")

    assert (react["kind"], react["async"], react["call"], react["init_extra"]) == (
        "module",
        True,
        "inputs",
        False,
    )
    assert react["canonical"] == "dspy.predict.react.ReAct"
    assert react["exports"] == ["dspy.ReAct", "dspy.predict.ReAct", "dspy.predict.react.ReAct"]
    assert react["bases"][0] == "dspy.Module"
    assert [(p["name"], p["role"], p["required"]) for p in react["init"]] == [
        ("signature", "signature", True),
        ("tools", "tools", True),
        ("max_iters", "value", False),
    ]
    assert parameter(react, "max_iters") == {
        "name": "max_iters",
        "role": "value",
        "required": False,
        "type": {"k": "int"},
        "default": {"json": 20},
        "doc": "The maximum number of iterations to run. Defaults to 20.",
    }
    assert [o["name"] for o in react["outputs"]["extra"]] == ["trajectory", "reasoning"]
    assert react["reserved"]["tools"] == ["finish"]
    assert set(reserved.INPUTS) < set(react["reserved"]["inputs"])
    assert {"trajectory", "max_iters"} <= set(react["reserved"]["inputs"])


def test_every_module_that_a_spec_can_build_is_there(document: dict[str, Any]) -> None:
    modules = {c["name"] for c in document["classes"] if c["kind"] == "module"}
    assert {
        "dspy.Predict",
        "dspy.ChainOfThought",
        "dspy.ReAct",
        "dspy.ReActV2",
        "dspy.RLM",
        "dspy.BestOfN",
    } <= modules
    assert {"dspy.evaluate.SemanticF1", "dspex_worker.testing.SyncAnswer"} <= modules
    assert not {"dspy.CodeAct", "dspy.ProgramOfThought"} & modules


def test_a_module_of_the_user_tells_what_its_call_takes(document: dict[str, Any]) -> None:
    answer = class_of(document, "dspex_worker.testing.SyncAnswer")
    assert (answer["call"], answer["async"]) == ("args", False)
    assert [(p["name"], p["type"]) for p in answer["call_extra"]] == [("question", {"k": "str"})]
    echo = class_of(document, "dspex_worker.testing.Echo")
    assert [m["name"] for m in echo["methods"] if m["async"]] == ["execute", "fail", "wait", "where"]


def test_no_public_member_of_a_class_is_lost(document: dict[str, Any]) -> None:
    """Each of them is a method, a property or a field, or has a reason why it is none."""
    catalogue = Catalogue()
    for described in document["classes"]:
        cls = catalogue.resolve(described["name"]) if described["name"].startswith("dspy.") else object
        told = {*described["unsupported"], *(m["name"] for m in described["methods"])}
        fields = {f["name"] for f in described.get("fields", [])}
        for name in dir(cls):
            value = inspect.getattr_static(cls, name)
            owner = next((base for base in cls.__mro__ if name in vars(base)), object)
            is_member = callable(getattr(value, "__func__", value)) or isinstance(value, property)
            if name.startswith("_") or isinstance(value, type) or not is_member:
                continue
            if owner.__module__.split(".")[0] == "dspy":
                assert name in told | fields, f"{described['name']}.{name}"
        callable_itself = any("__call__" in vars(base) for base in cls.__mro__) and cls is not object
        assert (
            described["call"] != "none"
            or not callable_itself
            or "__call__" in told
            or (described["name"] == "dspy.Module")
        ), described["name"]


def test_a_method_tells_whether_it_takes_any_other_keyword(document: dict[str, Any]) -> None:
    open_ended = {
        f"{c['name']}.{m['name']}" for c in document["classes"] for m in c["methods"] if m["params_extra"]
    }
    assert {"dspy.Predict.update_config", "dspy.Example.copy"} <= open_ended
    assert "dspy.Predict.get_config" not in open_ended


def test_a_call_of_a_class_that_is_no_module_is_described(document: dict[str, Any]) -> None:
    evaluate = class_of(document, "dspy.Evaluate")
    assert (evaluate["call"], evaluate["call_open"]) == ("args", False)
    assert [(p["name"], p["role"]) for p in evaluate["call_extra"]][:3] == [
        ("program", "handle:module"),
        ("metric", "callback"),
        ("devset", "examples"),
    ]
    assert evaluate["call_returns"] == {"k": "ref", "name": "dspy.evaluate.EvaluationResult"}
    assert [o["name"] for o in evaluate["outputs"]["extra"]] == ["score", "results"]
    # Its own call passes everything on, so the parameters are those of `forward`.
    pairs = class_of(document, "dspy.Parallel")["call_extra"][0]
    assert (pairs["name"], pairs["role"], pairs["required"]) == ("exec_pairs", "pairs", True)
    assert class_of(document, "dspy.KNN")["call_open"]
    assert "retrieval model" in class_of(document, "dspy.Retrieve")["unsupported"]["__call__"]
    assert class_of(document, "dspy.Predict")["call_returns"] == {"k": "ref", "name": "dspy.Prediction"}


def test_data_that_a_class_shows_is_described_with_types(document: dict[str, Any]) -> None:
    def fields(name: str) -> dict[str, Any]:
        return {f["name"]: f["type"] for f in class_of(document, name)["fields"]}

    assert fields("dspy.Image") == {"url": {"k": "str"}}
    assert fields("dspy.History")["messages"]["k"] == "list"
    assert fields("dspy.streaming.StatusMessage") == {"message": {"k": "str"}}
    assert fields("dspy.streaming.StreamResponse")["is_last_chunk"] == {"k": "bool"}
    assert fields("dspy.ToolCalls")["tool_call_results"] == {
        "k": "option",
        "of": {"k": "ref", "name": "dspy.ToolCallResults"},
    }


def test_functions_are_described_too(document: dict[str, Any]) -> None:
    add = next(f for f in document["functions"] if f["name"] == "dspex_worker.testing.add")
    assert [(p["name"], p["type"], p.get("default")) for p in add["params"]] == [
        ("a", {"k": "int"}, None),
        ("b", {"k": "int"}, {"json": 1}),
    ]
    assert add["returns"] == {"k": "int"}


def test_the_hash_is_of_what_programs_depend_on_and_not_of_docs(document: dict[str, Any]) -> None:
    react = class_of(document, "dspy.ReAct")
    held = {key: docstrings.without_docs(react[key]) for key in introspect._ABI if key in react}
    assert react["abi_sha256"] == hashlib.sha256(introspect.canonical(held)).hexdigest()
    assert react["doc"]
    assert '"doc"' not in introspect.canonical(held).decode()


def test_the_fingerprints_are_the_same_on_every_python(document: dict[str, Any]) -> None:
    found = {name: class_of(document, name)["abi_sha256"] for name in KNOWN}
    assert found == KNOWN


def test_the_snapshot_that_programs_are_built_with_is_what_this_python_finds(
    document: dict[str, Any],
) -> None:
    """Whichever Python runs the tests: 3.10 to 3.13 write the same documents."""
    snapshot = ROOT.parent / "dspex-schema" / "schemas" / dspy.__version__
    held = {path.name: json.loads(path.read_text()) for path in snapshot.glob("dspy.*.json")}
    found = {f"{c['name']}.json": c for c in document["classes"] if c["name"].startswith("dspy.")}
    assert found == held
    functions = [f for f in document["functions"] if f["name"].startswith("dspy.")]
    assert functions == json.loads((snapshot / "functions.json").read_text())["functions"]


def test_the_document_does_not_depend_on_hashing_places_or_languages() -> None:
    program = (
        "from dspex_worker import introspect; from dspex_worker.catalogue import Catalogue; import hashlib;"
        "print(hashlib.sha256(introspect.document_json(Catalogue(), ['dspy'])).hexdigest())"
    )
    digests = {hashlib.sha256(introspect.document_json(Catalogue(), ["dspy"])).hexdigest()}
    for seed, home, zone, language in (
        ("1", "/nonexistent", "UTC", "C"),
        ("2", "/tmp", "Asia/Tokyo", "de_DE.UTF-8"),
    ):
        places = {"HOME": home, "TZ": zone, "LANG": language, "LC_ALL": language}
        env = {**os.environ, **places, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            [sys.executable, "-c", program], env=env, capture_output=True, text=True, check=True
        )
        digests.add(done.stdout.strip())
    assert len(digests) == 1


def test_no_address_and_no_path_of_the_machine_gets_into_the_document(document: dict[str, Any]) -> None:
    text = json.dumps(document)
    assert " at 0x" not in text
    assert sys.prefix not in text
    assert os.path.expanduser("~") + "/" not in text


async def test_introspection_is_a_call_like_any_other(engine: Engine) -> None:
    open = pb.Open(introspect=pb.Introspect(modules=["dspex_worker.testing"]))
    document = await run(engine, open, FakeHost(), [], [])
    assert (document["format"], document["dspy"]) == (1, dspy.__version__)
    names = [c["name"] for c in document["classes"]]
    assert names == sorted(names)
    with pytest.raises(NotFound, match="os"):
        await run(engine, pb.Open(introspect=pb.Introspect(modules=["os"])), FakeHost(), [], [])


def test_hello_tells_versions_and_fingerprints(config: WorkerConfig) -> None:
    hello = engine_module.hello(config)
    assert hello["dspy_version"] == "3.4.1"
    assert hello["python_version"].startswith(f"{sys.version_info.major}.{sys.version_info.minor}")
    assert hello["fingerprints"]["dspy.Predict"] == KNOWN["dspy.Predict"]
    assert "dspex_worker.testing.SyncAnswer" in hello["fingerprints"]


def test_a_worker_tells_the_fingerprints_that_schemas_have(document: dict[str, Any]) -> None:
    told = introspect.fingerprints(Catalogue(("dspex_worker.testing",)))
    assert told == {c["name"]: c["abi_sha256"] for c in document["classes"] if c["kind"] == "module"}


def test_warming_starts_no_threads_and_opens_no_cache(tmp_path: Path) -> None:
    program = (
        "import threading, sys, os\n"
        "from dspex_worker import engine\n"
        "from dspex_worker.config import WorkerConfig\n"
        "engine.warm(WorkerConfig()); engine.hello(WorkerConfig())\n"
        "assert threading.active_count() == 1, threading.enumerate()\n"
        "assert 'litellm' not in sys.modules\n"
        "assert os.listdir(os.environ['HOME']) == [], os.listdir(os.environ['HOME'])\n"
    )
    env = {**os.environ, "PYTHONPATH": str(ROOT), "HOME": str(tmp_path)}
    env.pop("DSPY_CACHEDIR", None)
    subprocess.run([sys.executable, "-c", program], env=env, check=True)


def test_a_module_that_cannot_be_imported_is_named() -> None:
    with pytest.raises(ConfigError, match="no_such_module_anywhere"):
        engine_module.warm(WorkerConfig(modules=("no_such_module_anywhere",)))


def test_modules_of_a_team_are_found_on_the_configured_path(tmp_path: Path) -> None:
    lines = [
        "import os, dspy",
        "class Rag(dspy.Module):",
        "    def forward(self, question: str):",
        "        return dspy.Prediction(answer=question)",
    ]
    (tmp_path / "team_rag.py").write_text("\n".join(lines))
    config = WorkerConfig(modules=("team_rag",), python_path=(str(tmp_path),))
    try:
        engine_module.warm(config)
        catalogue = engine_module.catalogue_of(config)
        assert "team_rag.Rag" in catalogue
        assert "team_rag.os" not in catalogue
    finally:
        sys.path.remove(str(tmp_path))


# Old spellings are what DSPy's own annotations hold.
@pytest.mark.parametrize(
    ("annotation", "wanted"),
    [
        (str, {"k": "str"}),
        (Optional[int], {"k": "option", "of": {"k": "int"}}),  # noqa: UP045
        (int | None, {"k": "option", "of": {"k": "int"}}),
        (Optional[Any], {"k": "any"}),  # noqa: UP045
        (Union[int, str, None], {"k": "option", "of": {"k": "union", "of": [{"k": "int"}, {"k": "str"}]}}),  # noqa: UP007
        (list["int"], {"k": "list", "of": {"k": "int"}}),  # type: ignore[type-arg]
        ("list[int] | None", {"k": "option", "of": {"k": "list", "of": {"k": "int"}}}),
        (
            dict[str, list[bool]],
            {"k": "map", "key": {"k": "str"}, "value": {"k": "list", "of": {"k": "bool"}}},
        ),
        (tuple[int, str], {"k": "tuple", "of": [{"k": "int"}, {"k": "str"}]}),
        (tuple[int, ...], {"k": "list", "of": {"k": "int"}}),
        (set[str], {"k": "set", "of": {"k": "str"}}),
        (Literal["a", 1], {"k": "literal", "values": ["a", 1]}),
        (Callable[[int], str], {"k": "callable"}),
        (type[dspy.Signature], {"k": "class"}),
        (dspy.Predict, {"k": "ref", "name": "dspy.Predict"}),
        ("dspy.Predict", {"k": "ref", "name": "dspy.Predict"}),
        ("NoSuchName", {"k": "unresolved", "expr": "NoSuchName"}),
    ],
)
def test_annotations_become_types(annotation: Any, wanted: dict[str, Any]) -> None:
    reader = TypeReader(Catalogue().name_of, {"dspy": dspy})
    assert reader.read(annotation, __name__) == wanted
