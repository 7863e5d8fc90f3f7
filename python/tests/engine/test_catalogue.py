"""What can be reached by name, and what cannot."""

from __future__ import annotations

import inspect
import random
import types
from pathlib import Path
from typing import Any

import dspy
import pytest

from dspex_worker.catalogue import DENIED, Catalogue, is_tool
from dspex_worker.engine import Engine
from dspex_worker.errors import InvalidInput, NotAllowed, NotFound
from dspex_worker.proto import worker_pb2 as pb

from fake_host import FakeHost, call, call_function, chat, lm_spec, spec


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return Catalogue(("dspex_worker.testing",))


def test_random_walks_over_dspy_reach_nothing_outside_the_list(catalogue: Catalogue) -> None:
    """Whatever path plain attribute access can follow, the catalogue resolves it only if it lists it."""
    rng = random.Random(20240229)
    allowed = {id(value) for _, value in catalogue.items()}
    reached = set()
    for _ in range(4000):
        value: Any = dspy
        path = "dspy"
        for _ in range(rng.randint(1, 6)):
            names = dir(value)
            if not names:
                break
            name = rng.choice(names)
            try:
                value = getattr(value, name)
            except Exception:
                break
            path = f"{path}.{name}"
            try:
                found = catalogue.resolve(path)
            except (NotAllowed, NotFound):
                continue
            reached.add(path)
            assert found is value
            assert id(found) in allowed
            assert inspect.isclass(found) or inspect.isfunction(found)
            assert found.__module__.split(".")[0] == "dspy"
    assert len(reached) > 20, "the walks have to meet the list at times, or they prove nothing"


def test_everything_on_the_list_is_a_public_class_or_function_of_its_package(catalogue: Catalogue) -> None:
    for path, value in catalogue.items():
        assert not isinstance(value, types.ModuleType)
        assert not any(part.startswith("_") for part in path.split("."))
        assert value.__module__.startswith(("dspy.", "dspex_worker.testing"))


@pytest.mark.parametrize("name", sorted(DENIED))
def test_every_denial_says_why(catalogue: Catalogue, name: str) -> None:
    with pytest.raises(NotAllowed, match="not callable from the host: ") as caught:
        catalogue.resolve(f"dspy.{name}")
    assert caught.value.attributes["path"] == f"dspy.{name}"


def test_a_denied_class_is_denied_under_every_path(catalogue: Catalogue) -> None:
    for path in ("dspy.predict.CodeAct", "dspy.predict.code_act.CodeAct", "dspy.primitives.LocalInterpreter"):
        with pytest.raises(NotAllowed):
            catalogue.resolve(path)


def test_a_class_has_one_name_and_many_paths(catalogue: Catalogue) -> None:
    for path in ("dspy.ReAct", "dspy.predict.ReAct", "dspy.predict.react.ReAct"):
        assert catalogue.resolve(path) is dspy.ReAct
    assert catalogue.name_of(dspy.ReAct) == "dspy.ReAct"
    assert catalogue.name_of(dspy.BootstrapRS) == "dspy.BootstrapFewShotWithRandomSearch"


def test_a_misspelt_path_gets_a_suggestion(catalogue: Catalogue) -> None:
    with pytest.raises(NotFound, match=r"did you mean `dspy\.ChainOfThought`") as caught:
        catalogue.resolve("dspy.ChainOfThougt")
    assert caught.value.attributes["suggestion"] == "dspy.ChainOfThought"


def test_a_path_elsewhere_says_how_to_allow_it(catalogue: Catalogue) -> None:
    with pytest.raises(NotAllowed, match=r'allow_module\("my_team\.rag"\)'):
        catalogue.resolve("my_team.rag.RagProgram")


def test_of_the_users_modules_only_what_they_define_is_public(catalogue: Catalogue) -> None:
    own = [p.rsplit(".", 1)[1] for p in catalogue.paths() if p.startswith("dspex_worker.testing.")]
    assert {"Echo", "add", "SyncAnswer"} <= set(own)
    assert not {"dspy", "Any", "asyncio", "time", "threading"} & set(own)
    with pytest.raises(NotFound, match=r"the module `dspex_worker\.testing`"):
        catalogue.resolve("dspex_worker.testing.asyncio")


# ------------------------------------------------------------------------------------------------ calls by
# path


async def test_functions_take_positional_and_named_arguments(engine: Engine) -> None:
    assert await call_function(engine, "dspex_worker.testing.add", 1, b=2) == {"value": 3}
    assert await call_function(engine, "dspex_worker.testing.add", "4") == {"value": 5}
    assert await call_function(engine, "dspex_worker.testing.add_async", 1, 2) == {"value": 3}


@pytest.mark.parametrize(
    ("args", "kwargs", "says"),
    [
        ((), {}, "`a`: missing"),
        (("x",), {}, "valid integer"),
        ((1,), {"a": 2}, "given twice"),
        ((1,), {"c": 2}, "unexpected"),
    ],
)
async def test_wrong_arguments_of_a_function_are_told(
    engine: Engine, args: Any, kwargs: Any, says: str
) -> None:
    with pytest.raises(InvalidInput, match=says):
        await call_function(engine, "dspex_worker.testing.add", *args, **kwargs)


async def test_a_function_of_dspy_works(engine: Engine) -> None:
    assert await call_function(engine, "dspy.infer_prefix", "someFieldName") == {"value": "Some Field Name"}
    assert (await call_function(engine, "dspy.evaluate.normalize_text", "The  Cat!")) == {"value": "cat"}


async def test_a_class_by_path_is_built_and_told_as_a_marker(engine: Engine) -> None:
    result = await call_function(engine, "dspy.Predict", signature={"text": "q -> a"})
    kind, body = result["value"]["$dspex"]
    assert (kind, body["type"]) == ("opaque", "dspy.predict.predict.Predict")


async def test_plain_data_of_a_class_comes_back_as_fields(engine: Engine) -> None:
    result = await call_function(engine, "dspy.Image", "data:image/png;base64,AAAA")
    assert result == {"value": {"url": "data:image/png;base64,AAAA"}}


async def test_a_signature_text_by_path_never_reaches_dspys_parser(engine: Engine) -> None:
    for signature in ("q -> a", "q -> a: antigravity.x"):
        with pytest.raises(InvalidInput, match="expected an object"):
            await call_function(engine, "dspy.Predict", signature)
    with pytest.raises(InvalidInput, match="unknown"):
        await call_function(engine, "dspy.Predict", {"text": "q -> a: antigravity.x"})


@pytest.mark.parametrize(
    "path", ["os.system", "dspy.clients.lm.os.system", "dspy.load", "dspy.make_signature", "eval"]
)
async def test_no_other_path_is_called(engine: Engine, path: str) -> None:
    with pytest.raises((NotAllowed, NotFound)) as caught:
        await call_function(engine, path, "echo owned")
    assert engine.failed(caught.value).kind in (pb.Error.KIND_NOT_ALLOWED, pb.Error.KIND_NOT_FOUND)


async def test_odd_results_are_marked_and_not_failures(engine: Engine) -> None:
    value = (await call_function(engine, "dspex_worker.testing.returns_odd_values"))["value"]
    assert value["set"] == [1, 2, 3]
    assert value["bytes"] == {"$dspex": ["bytes", "AP8="]}
    assert value["object"]["$dspex"][0] == "opaque"


async def test_a_shapeless_call_is_refused(engine: Engine) -> None:
    open = pb.Open(function=pb.FunctionCall(path="dspy.infer_prefix"), inputs=pb.Payload(json=b'{"name": 1}'))
    with pytest.raises(InvalidInput, match="`name`"):
        await engine.run(open, FakeHost())


async def test_a_function_sees_the_sessions_model(engine: Engine) -> None:
    metric = "dspy.evaluate.SemanticF1"
    host = FakeHost(chat(answer="x"))
    result = await call_function(engine, metric, host=host, lm=lm_spec())
    assert result["value"]["$dspex"][1]["type"] == "dspy.evaluate.auto_evaluation.SemanticF1"


def test_tools_of_a_module_are_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "somebodys_tools.py").write_text(
        "import dspy\nfrom tool_programs import add_ten, loud as theirs\n\n"
        "if True:\n    from tool_programs import echo_later\n\n"
        "def make():\n    import json as mine\n    return len\n\n"
        "mine = dspy.Tool(make, name='m')\nagent = dspy.Predict('q -> a')\nnumber = 5\n"
    )
    catalogue = Catalogue(("somebodys_tools",))
    names = [path for path in catalogue.paths() if path.startswith("somebodys_tools.")]
    assert names == ["somebodys_tools.make", "somebodys_tools.mine"]
    assert is_tool(catalogue.resolve("somebodys_tools.mine"))
    assert not is_tool(catalogue.resolve("somebodys_tools.make"))


async def test_a_tool_is_no_class_to_make_an_instance_of(tool_engine: Engine) -> None:
    with pytest.raises(InvalidInput, match=r"`tool_programs\.loud` is a tool, not a class"):
        await call(tool_engine, spec("tool_programs.loud"), {})
