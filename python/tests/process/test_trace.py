"""W3C trace context from the host to the worker and back, and the worker's clock."""

from __future__ import annotations

import asyncio
import logging

import pytest

from dspex_worker import tracing
from dspex_worker.logs import LineFormatter
from dspex_worker.proto import worker_pb2 as pb

from carriers import Client, Connect, call

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = f"00-{TRACE}-b7ad6b7169203331-01"
OTHER = f"00-{TRACE}-00f067aa0ba902b7-01"


def test_a_traceparent_is_written_as_it_was_read() -> None:
    read = tracing.parse(PARENT, "congo=t61rcWkgMzE,rojo@x=00f0")
    assert read is not None
    assert (read.traceparent, read.tracestate) == (PARENT, "congo=t61rcWkgMzE,rojo@x=00f0")
    assert (read.trace_id, read.sampled) == (TRACE, True)


@pytest.mark.parametrize(
    "bad",
    [
        "",
        "00",
        PARENT.upper(),
        PARENT + "-more",
        PARENT + "\n",
        PARENT[:-1],
        "ff" + PARENT[2:],
        f"00-{'0' * 32}-b7ad6b7169203331-01",
        f"00-{TRACE}-{'0' * 16}-01",
        PARENT.replace("0af", "\u0660af"),
    ],
)
def test_what_breaks_the_rules_is_no_traceparent(bad: str) -> None:
    assert tracing.parse(bad) is None


@pytest.mark.parametrize(
    "bad",
    ["nothing", "=x", "K=v", "k=v=w", "k=\x7f", "k=" + "v" * 257, ",".join(f"k{n}=v" for n in range(33))],
)
def test_a_bad_tracestate_is_left_out_and_the_trace_goes_on(bad: str) -> None:
    read = tracing.parse(PARENT, bad)
    assert read is not None
    assert read.tracestate == ""


def test_a_later_version_may_say_more() -> None:
    read = tracing.parse(f"01-{TRACE}-b7ad6b7169203331-03-what.comes")
    assert read is not None
    assert read.traceparent == PARENT


async def test_code_sees_the_trace_of_its_own_call(client: Client) -> None:
    here, thread = await (await call(client, "trace", traceparent=PARENT, tracestate="a=1")).done()
    assert here == thread == [PARENT, "a=1"]
    assert await (await call(client, "trace")).done() == [None, None]


async def test_calls_at_once_do_not_see_each_others_traces(client: Client) -> None:
    parents = [PARENT.replace("b7ad", f"{number:04x}") for number in range(1, 30)]
    calls = [await call(client, "trace", traceparent=parent) for parent in parents]
    for parent, seen in zip(parents, await asyncio.gather(*(each.done() for each in calls)), strict=True):
        assert seen == [[parent, ""], [parent, ""]]


async def test_a_bad_traceparent_of_the_host_is_no_trace(client: Client) -> None:
    assert await (await call(client, "trace", traceparent="00-bad", tracestate="a=1")).done() == [None, None]


async def test_a_callback_names_the_span_that_it_is_below_where_that_is_pythons(client: Client) -> None:
    asked = await call(client, "ask_below", OTHER, traceparent=PARENT)
    seen = [await asked.answer(None) for _ in range(3)]
    assert [(each.traceparent, each.tracestate) for each in seen] == [
        ("", ""),
        (OTHER, "a=1"),
        (OTHER, "a=1"),
    ]


async def test_spans_of_opentelemetry_join_the_hosts_trace_and_callbacks_join_theirs(client: Client) -> None:
    asked = await call(client, "ask_below_a_span_of_opentelemetry", traceparent=PARENT)
    callback = await asked.answer(None)
    trace_id, span_id, parent = await asked.done()
    assert (trace_id, parent) == (TRACE, PARENT.split("-")[2])
    assert callback.traceparent == f"00-{TRACE}-{span_id}-01"


async def test_log_lines_of_a_call_name_its_session_and_trace(connect: Connect, carrier: str) -> None:
    client, worker, _ = await connect(carrier)
    session = pb.SessionView(id="team a/[1]")
    await (await call(client, "log_something", "hot", traceparent=PARENT, session=session)).done()
    lines = worker.stderr_until("on a thread")
    of_call = f"W program [session=team%20a/%5B1%5D trace={TRACE}]: hot"
    assert of_call in lines
    assert f"{of_call} on a thread" in lines


def test_a_line_outside_of_calls_names_none() -> None:
    record = logging.LogRecord("program", logging.WARNING, "x.py", 1, "text", (), None)
    assert LineFormatter().format(record) == "W program: text"


async def test_the_worker_says_how_long_it_had_a_call(client: Client) -> None:
    slow = await (await call(client, "sleep", 0.05)).expect("done")
    assert 50_000 <= slow.run_us < 10_000_000
    failed = await (await call(client, "raise", ["value", "x"])).expect("failed")
    assert 0 < failed.run_us < 10_000_000
