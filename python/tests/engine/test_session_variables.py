"""A session's variables from Python: in modules, tools and functions, on threads and on the event loop."""

from __future__ import annotations

import json
import threading
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import numpy as np
import pytest

import dspex_worker
from dspex_worker import (
    InvalidSpec,
    InvalidValue,
    NoSession,
    QuotaExceeded,
    SessionClosed,
    ValueTooLarge,
    VariableError,
    VariableExists,
    VariableNotFound,
    Variables,
    VariablesUnavailable,
    VersionConflict,
    WouldBlock,
)
from dspex_worker import engine as engine_module
from dspex_worker.catalogue import Catalogue
from dspex_worker.config import WorkerConfig
from dspex_worker.engine import Engine
from dspex_worker.errors import to_error
from dspex_worker.host import CallCancelled, HostError
from dspex_worker.proto import worker_pb2 as pb

import session_programs
from fake_host import chat, lm_spec, run, spec
from variable_host import VariableHost, refusal


@pytest.fixture(scope="module")
def engine() -> Engine:
    config = WorkerConfig(modules=("session_programs",))
    engine_module.warm(config)
    return Engine(config)


@pytest.fixture
def host() -> VariableHost:
    return VariableHost()


@pytest.fixture(autouse=True)
def forget_kept_sessions() -> Iterator[None]:
    yield
    session_programs.kept.clear()


async def call(engine: Engine, cls: str, host: VariableHost, session: str = "s1", **inputs: Any) -> Any:
    target, lm = spec(f"session_programs.{cls}"), lm_spec()
    open = pb.Open(
        instance=pb.InstanceCall(spec=target.hash),
        inputs=pb.Payload(json=json.dumps(inputs).encode()),
        session=pb.SessionView(id=session, lm=lm.hash),
    )
    return (await run(engine, open, host, [target], [lm]))["outputs"]["answer"]


async def with_variables(engine: Engine, host: VariableHost, use: Callable[[Variables], Any]) -> Any:
    """Runs a function in a synchronous module."""
    session_programs.body = lambda: use(dspex_worker.session().variables)
    return await call(engine, "Sync", host)


async def awaiting_variables(
    engine: Engine, host: VariableHost, use: Callable[[Variables], Awaitable[Any]]
) -> Any:
    """Runs a function in an asynchronous module."""
    session_programs.async_body = lambda: use(dspex_worker.session().variables)
    return await call(engine, "Async", host)


async def test_a_session_has_the_id_that_the_host_gave_it(engine: Engine, host: VariableHost) -> None:
    session_programs.body = lambda: [dspex_worker.session().id, repr(dspex_worker.session())]
    assert await call(engine, "Sync", host, "ml_session") == [
        "ml_session",
        "<dspex_worker.Session 'ml_session'>",
    ]


async def test_variables_are_read_and_written_like_a_mapping(engine: Engine, host: VariableHost) -> None:
    host.put("x", 1)

    def use(v: Variables) -> Any:
        v["x"] = v["x"] + 1
        v.create("y", "string", "new", description="why", max_length=9, metadata={"team": 1})
        found = [v["x"], "x" in v, "z" in v, 7 in v, v.get("z"), v.get("z", 5), v.get("y"), dict(v), len(v)]
        del v["y"]
        return [*found, list(v)]

    got = await with_variables(engine, host, use)

    assert got == [2, True, False, False, None, 5, "new", {"x": 2, "y": "new"}, 2, ["x"]]
    created = next(asked for asked in host.asked if asked["op"] == "create")
    assert created["spec"] == {
        "type": "string",
        "constraints": {"max_length": 9},
        "description": "why",
        "metadata": {"team": 1},
    }
    assert threading.get_ident() not in host.asked_from, "a blocking form blocked the event loop"


async def test_the_asynchronous_forms_do_the_same_on_the_event_loop(
    engine: Engine, host: VariableHost
) -> None:
    host.put("x", 1)

    async def use(v: Variables) -> Any:
        value, version = await v.aread("x")
        written = await v.aupdate("x", value + 1, if_version=version)
        made = await v.acreate("y", "integer", 3, min=0)
        described = await v.adescribe("y")
        names = await v.alist()
        await v.adelete("y")
        return [value, version, written, made, described.constraints, names, await v.alist("y*")]

    assert await awaiting_variables(engine, host, use) == [1, 1, 2, 3, {"min": 0}, ["x", "y"], []]
    assert host.asked_from == {threading.get_ident()}


async def test_names_come_in_pages(engine: Engine, host: VariableHost) -> None:
    names = [f"v{i}" for i in range(8)]
    for name in names:
        host.put(name, 0)

    async def use(v: Variables) -> Any:
        return await v.alist()

    assert await with_variables(engine, host, lambda v: v.list()) == names
    assert await with_variables(engine, host, lambda v: v.list("v[1]")) == ["v1"]
    assert await awaiting_variables(engine, host, use) == names


async def test_a_description_tells_the_type_and_its_rules(engine: Engine, host: VariableHost) -> None:
    found: list[dspex_worker.Description] = []

    def use(v: Variables) -> None:
        v.create("t", "float", 0.5, min=0, max=2, description="how free")
        found.append(v.describe("t"))

    await with_variables(engine, host, use)

    assert found == [
        dspex_worker.Description(
            "t", "float", {"min": 0, "max": 2}, "how free", {}, version=1, spec_version=1
        )
    ]


async def test_of_two_writers_the_slower_one_is_refused(engine: Engine, host: VariableHost) -> None:
    host.put("x", 1)

    def use(v: Variables) -> Any:
        version = v.read("x").version
        v["x"] = 2
        with pytest.raises(VersionConflict, match="has the version 2 by now, not 1") as raised:
            v.update("x", 3, if_version=version)
        with pytest.raises(VersionConflict):
            v.delete("x", if_version=version)
        return [raised.value.expected, raised.value.found, v["x"]]

    assert await with_variables(engine, host, use) == [1, 2, 2]


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "int64"])
@pytest.mark.parametrize("shape", [(2, 3), (4,), (), (0, 2)])
async def test_arrays_travel_as_bytes(
    engine: Engine, host: VariableHost, dtype: str, shape: tuple[int, ...]
) -> None:
    array = np.arange(int(np.prod(shape)), dtype=dtype).reshape(shape)
    read: list[np.ndarray[Any, Any]] = []

    def use(v: Variables) -> None:
        v.create("t", "tensor", array)
        v["t"] = array
        read.append(v["t"])

    await with_variables(engine, host, use)

    assert all("value" not in asked for asked in host.asked)
    assert (read[0].dtype, read[0].shape) == (array.dtype, array.shape)
    assert np.array_equal(read[0], array)
    with pytest.raises(ValueError, match="read-only"):
        read[0][...] = 1


async def test_arrays_of_any_layout_arrive_in_c_order_and_little_endian(
    engine: Engine, host: VariableHost
) -> None:
    array = np.arange(6, dtype=">f4").reshape(2, 3).T

    await with_variables(engine, host, lambda v: v.create("t", "tensor", array))

    (sent,) = host.held["t"][0].attachments
    assert (sent.dtype, list(sent.shape)) == ("float32", [3, 2])
    assert sent.data == np.array([0, 3, 1, 4, 2, 5], dtype="<f4").tobytes()


async def test_lists_and_numbers_of_numpy_are_values_too(engine: Engine, host: VariableHost) -> None:
    def use(v: Variables) -> None:
        v.create("t", "tensor", [[1, 2], [3, 4]])
        v.create("f", "float", np.float32(0.5))
        v.create("i", "integer", np.int64(3))

    await with_variables(engine, host, use)
    assert [asked["value"] for asked in host.asked] == [[[1, 2], [3, 4]], 0.5, 3]


@pytest.mark.parametrize(
    ("value", "dtype", "shape"),
    [
        ([0.5] * 64, "float64", [64]),
        ([[1, 2], [3, -(2**63)]] * 40, "int64", [80, 2]),
        ([[[0.5] * 8] * 4] * 2, "float64", [2, 4, 8]),
        ([0.5] * 63, None, None),
        ([0.5] * 99 + [1], None, None),
        ([True] * 99, None, None),
        ([2**63] * 99, None, None),
        ([[0.5] * 60, [0.5] * 61], None, None),
        ([[0.5] * 60, 0.5], None, None),
        (["a"] * 99, None, None),
        ([[]] * 99, None, None),
    ],
)
async def test_long_lists_of_numbers_travel_as_arrays(
    engine: Engine, host: VariableHost, value: list[Any], dtype: str | None, shape: list[int] | None
) -> None:
    await with_variables(engine, host, lambda v: v.create("t", "list", value))

    (asked,) = host.asked
    attachments = host.held["t"][0].attachments
    if dtype is None:
        assert asked["value"] == value
        assert not attachments
    else:
        assert asked["attachment"] == attachments[0].name
        assert asked["list"] is True
        assert "value" not in asked
        assert (attachments[0].dtype, list(attachments[0].shape)) == (dtype, shape)
        assert np.frombuffer(attachments[0].data, dtype).reshape(shape).tolist() == value


@pytest.mark.parametrize("array", [np.array([object()]), np.array(["a"]), np.array([1j])])
async def test_arrays_of_something_else_are_refused(
    engine: Engine, host: VariableHost, array: np.ndarray[Any, Any]
) -> None:
    def use(v: Variables) -> None:
        with pytest.raises(InvalidValue, match=r"float32, float64, int32 or int64"):
            v["t"] = array

    await with_variables(engine, host, use)
    assert host.asked == []


@pytest.mark.parametrize(
    ("code", "error", "also"),
    [
        ("not_found", VariableNotFound, KeyError),
        ("exists", VariableExists, VariableError),
        ("conflict", VersionConflict, VariableError),
        ("invalid", InvalidValue, ValueError),
        ("spec", InvalidSpec, ValueError),
        ("quota", QuotaExceeded, VariableError),
        ("closed", SessionClosed, VariableError),
        ("unavailable", VariablesUnavailable, VariableError),
        ("something newer", VariableError, VariableError),
    ],
)
async def test_what_the_host_refuses_is_an_error_of_its_own(
    engine: Engine, host: VariableHost, code: str, error: type[VariableError], also: type[Exception]
) -> None:
    def use(v: Variables) -> None:
        host.refuse = refusal(code, "the host's words", variable="x")
        with pytest.raises(error) as raised:
            v["x"] = 1
        assert type(raised.value) is error
        assert isinstance(raised.value, also)
        assert isinstance(raised.value, VariableError)
        assert str(raised.value) == "the host's words"
        assert raised.value.attributes == {"code": code, "variable": "x"}

    await with_variables(engine, host, use)


async def test_an_invalid_value_tells_the_rules_that_it_breaks(engine: Engine, host: VariableHost) -> None:
    violation = {"rule": "max", "path": "", "found": "3", "expected": "at most 2"}

    def use(v: Variables) -> Any:
        host.refuse = refusal("invalid", "no", variable="x", violations=[violation])
        with pytest.raises(InvalidValue) as raised:
            v["x"] = 3
        return raised.value.violations

    assert await with_variables(engine, host, use) == [violation]


async def test_a_message_that_is_too_large_is_an_error_of_its_own(engine: Engine, host: VariableHost) -> None:
    async def use(v: Variables) -> None:
        host.refuse = HostError(pb.Error(kind=pb.Error.KIND_TOO_LARGE, message="over the limit"))
        with pytest.raises(ValueTooLarge, match="over the limit"):
            await v.aupdate("x", "long")

    await awaiting_variables(engine, host, use)


async def test_an_error_that_nobody_catches_keeps_its_name_and_what_it_carries(
    engine: Engine, host: VariableHost
) -> None:
    with pytest.raises(VariableNotFound) as raised:
        await with_variables(engine, host, lambda v: v["x"])

    told = to_error(raised.value)
    assert told.kind == pb.Error.KIND_PYTHON
    assert getattr(told, "class") == "dspex_worker.VariableNotFound"
    assert "dspex_worker.VariableError" in told.mro
    assert told.message == "there is no variable `x`"
    assert json.loads(told.attributes) == {"code": "not_found", "variable": "x"}


async def test_a_blocking_form_on_the_event_loop_names_its_twin(engine: Engine, host: VariableHost) -> None:
    async def use(v: Variables) -> None:
        with pytest.raises(WouldBlock, match=r"await variables\.aread\("):
            v["x"]
        with pytest.raises(WouldBlock, match=r"await variables\.aupdate\("):
            v["x"] = 1
        with pytest.raises(WouldBlock, match=r"await variables\.acreate\("):
            v.create("x", "float", 1)
        with pytest.raises(WouldBlock, match=r"await variables\.adelete\("):
            del v["x"]
        with pytest.raises(WouldBlock, match=r"await variables\.alist\("):
            list(v)
        with pytest.raises(WouldBlock, match=r"await variables\.adescribe\("):
            _ = "x" in v

    await awaiting_variables(engine, host, use)
    assert host.asked == []


async def test_a_loop_of_a_modules_own_thread_may_do_both(engine: Engine, host: VariableHost) -> None:
    host.put("x", 4)
    assert await call(engine, "LoopInThread", host) == [4, 4]


async def test_a_tool_of_an_agent_counts_in_the_session(engine: Engine) -> None:
    turns = iter(
        [
            chat(next_thought="t", next_tool_name="count", next_tool_args={"what": "one"}),
            chat(next_thought="t", next_tool_name="count", next_tool_args={"what": "two"}),
            chat(next_thought="t", next_tool_name="finish", next_tool_args={}),
            chat(reasoning="r", answer="done"),
        ]
    )
    host = VariableHost(lambda request: next(turns))
    host.put("count", 0, "integer")

    assert await call(engine, "Agent", host, question="?") == "done"
    assert json.loads(host.held["count"][0].json)["value"] == 2
    assert "one: 1" in json.dumps(host.requests[-1])


async def test_threads_that_dspy_starts_have_the_session(engine: Engine, host: VariableHost) -> None:
    host.put("x", 3)
    session_programs.body = lambda: dspex_worker.session().variables["x"]
    assert await call(engine, "Parallel", host) == [3, 3, 3, 3]


async def test_functions_have_the_session(engine: Engine, host: VariableHost) -> None:
    host.put("x", 3)
    open = pb.Open(
        function=pb.FunctionCall(path="session_programs.score"), session=pb.SessionView(id="metrics")
    )
    assert await run(engine, open, host, [], []) == {"value": 3}


def test_outside_of_a_call_there_is_no_session() -> None:
    with pytest.raises(NoSession, match="within `forward`, a tool or a metric"):
        dspex_worker.session()


async def test_a_thread_without_the_calls_context_has_no_session(engine: Engine, host: VariableHost) -> None:
    with pytest.raises(NoSession, match=r"contextvars\.copy_context"):
        await call(engine, "OwnThread", host)


async def test_a_call_without_a_session_says_how_to_have_one(engine: Engine, host: VariableHost) -> None:
    session_programs.body = dspex_worker.session
    with pytest.raises(NoSession, match=r"create\(&session\)"):
        await call(engine, "Sync", host, session="")


async def test_the_session_of_an_earlier_call_is_refused(engine: Engine, host: VariableHost) -> None:
    host.put("x", 3)
    assert await call(engine, "Keeper", host) == 3
    with pytest.raises(NoSession, match="in each call"):
        await call(engine, "Keeper", host)


async def test_a_cancelled_call_stops_at_its_next_variable(engine: Engine, host: VariableHost) -> None:
    def use(v: Variables) -> Any:
        host.cancelled.set()
        return v["x"]

    with pytest.raises(CallCancelled):
        await with_variables(engine, host, use)


def test_what_a_module_imports_from_here_is_not_among_its_own_names() -> None:
    paths = Catalogue(("session_programs",)).paths()
    assert "session_programs.Sync" in paths
    assert not {
        "session_programs.session",
        "session_programs.Session",
        "session_programs.VersionConflict",
    } & {*paths}
