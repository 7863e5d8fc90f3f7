"""How a worker that an operator started ends: for a signal, or for a call that nothing can stop."""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import signal
from pathlib import Path
from typing import Any

import pytest

from dspex_worker.proto import worker_pb2 as pb
from dspex_worker.worker import _watch_the_loop

from carriers import ConnectionEnded, GrpcClient, HostCall, call
from served import Served
from zygote_host import PATIENCE_S


class Waiting:
    """A call that waits for the answer of a tool."""

    def __init__(self, running: HostCall, callback: int) -> None:
        self._running = running
        self._callback = callback

    @classmethod
    async def start(cls, client: GrpcClient) -> Waiting:
        running = await call(client, "callback", ["tool"])
        return cls(running, (await running.expect("callback")).id)

    async def finish(self) -> None:
        reply = pb.CallbackReply(id=self._callback, ok=pb.Payload(json=b"1"))
        await self._running.send(callback_reply=reply)
        assert await self._running.done() == [1]


async def until_it_refuses(client: GrpcClient) -> None:
    """The worker was told to drain, and takes no calls from now on."""
    while (down := await (await call(client, "echo", 1)).next()).HasField("done"):
        pass
    assert down.failed.error.kind == pb.Error.KIND_DRAINING


async def test_sigterm_lets_running_calls_end(serve: type[Served]) -> None:
    served = serve("--listen", "127.0.0.1:0")
    client = await served.connect()
    running = await Waiting.start(client)
    served.process.send_signal(signal.SIGTERM)
    await until_it_refuses(client)
    await running.finish()
    assert await asyncio.to_thread(served.process.wait, PATIENCE_S) == 0
    await client.close()


@pytest.mark.parametrize("how", ["a second signal", "the end of the grace"])
async def test_calls_that_do_not_end_after_sigterm_are_cancelled(serve: type[Served], how: str) -> None:
    served = serve("--listen", "127.0.0.1:0", "--grace", "0.2" if how.startswith("the") else "600")
    client = await served.connect()
    running = await call(client, "spin")
    await running.expect("event")
    served.process.send_signal(signal.SIGTERM)
    if how == "a second signal":
        await until_it_refuses(client)
        served.process.send_signal(signal.SIGTERM)
    failed = await running.failed()
    assert failed.kind == pb.Error.KIND_CANCELLED
    assert "shutting down" in failed.message
    assert await asyncio.to_thread(served.process.wait, PATIENCE_S) == 0
    await client.close()


async def test_a_call_that_ignores_its_cancellation_ends_the_worker_after_all_others(
    serve: type[Served],
) -> None:
    served = serve("--listen", "127.0.0.1:0", "--cancel-grace", "0.2")
    client = await served.connect()
    running = await Waiting.start(client)
    watch = await client.start()
    await watch.wire.send(pb.Up(ping=pb.Ping(nonce=1)))
    await watch.expect("pong")
    stuck = await call(client, "linger", 600)
    await stuck.expect("event")
    await stuck.cancel()
    told = await watch.expect("stats")
    assert (told.draining, told.in_flight) == (True, 2)
    assert "0.2 s after it was cancelled" in served.log_until("all others have ended")
    refused = await (await call(client, "echo", 1)).failed()
    assert refused.kind == pb.Error.KIND_DRAINING
    await running.finish()
    assert await asyncio.to_thread(served.process.wait, PATIENCE_S) == 5
    with pytest.raises(ConnectionEnded):
        await stuck.next()
    await client.close()


async def test_a_worker_that_ends_itself_says_so_also_where_the_call_ended_after_all(
    serve: type[Served], tmp_path: Path
) -> None:
    served = serve("--listen", "127.0.0.1:0", "--cancel-grace", "0.2")
    client = await served.connect()
    running = await Waiting.start(client)
    late = await call(client, "linger_until", str(tmp_path / "released"))
    await late.expect("event")
    await late.cancel()
    served.log_until("all others have ended")
    (tmp_path / "released").touch()
    assert (await late.failed()).kind == pb.Error.KIND_CANCELLED
    assert served.process.poll() is None
    await running.finish()
    assert await asyncio.to_thread(served.process.wait, PATIENCE_S) == 5
    await client.close()


async def test_a_host_that_goes_leaves_no_call_that_holds_a_thread_for_ever(serve: type[Served]) -> None:
    served = serve("--listen", "127.0.0.1:0", "--cancel-grace", "0.2")
    client = await served.connect()
    await (await call(client, "linger", 600)).expect("event")
    await client.close()
    assert await asyncio.to_thread(served.process.wait, PATIENCE_S) == 5


async def test_what_is_left_when_a_worker_ends_itself_is_cancelled_after_the_grace(
    serve: type[Served],
) -> None:
    served = serve("--listen", "127.0.0.1:0", "--cancel-grace", "1", "--grace", "0.1")
    client = await served.connect()
    running = await call(client, "spin")
    await running.expect("event")
    stuck = await call(client, "linger", 600)
    await stuck.expect("event")
    await stuck.cancel()
    assert (await running.failed()).kind == pb.Error.KIND_CANCELLED
    assert await asyncio.to_thread(served.process.wait, PATIENCE_S) == 5
    await client.close()


async def test_a_cancelled_call_that_ends_in_time_costs_nothing(serve: type[Served]) -> None:
    served = serve("--listen", "127.0.0.1:0", "--cancel-grace", "600")
    client = await served.connect()
    running = await call(client, "spin")
    await running.expect("event")
    await running.cancel()
    assert (await running.failed()).kind == pb.Error.KIND_CANCELLED
    stats = (await client.control(ping=pb.Ping(nonce=5))).pong.stats
    assert (stats.draining, stats.in_flight) == (False, 0)
    assert await (await call(client, "echo", 1)).done() == 1
    await client.close()


async def test_code_that_holds_everything_up_ends_the_worker_with_the_stacks_of_its_threads(
    serve: type[Served],
) -> None:
    served = serve("--listen", "127.0.0.1:0", "--heartbeat-patience", "2")
    client = await served.connect()
    stuck = await call(client, "stuck")
    await stuck.expect("event")
    assert await asyncio.to_thread(served.process.wait, PATIENCE_S) == 1
    log = served.log_until("do_stuck")
    assert "Timeout" in log
    with pytest.raises(ConnectionEnded):
        await stuck.next()
    await client.close()


def test_a_loop_that_runs_puts_its_end_off_long_before_it_is_due(monkeypatch: pytest.MonkeyPatch) -> None:
    put_off: list[float] = []
    monkeypatch.setattr(faulthandler, "dump_traceback_later", lambda after_s, exit: put_off.append(after_s))

    class Loop(asyncio.SelectorEventLoop):
        def call_later(self, delay: float, callback: Any, *args: Any, **_: Any) -> Any:
            assert delay <= put_off[-1] / 2
            if len(put_off) < 3:
                callback(*args)

    with contextlib.closing(Loop()) as loop:
        _watch_the_loop(loop, 8.0)
    assert put_off == [8.0] * 3


@pytest.mark.parametrize("signals", [1, 2])
async def test_sigterm_ends_a_worker_also_where_a_call_does_not_stop(
    serve: type[Served], signals: int
) -> None:
    grace = "0.1" if signals == 1 else "600"
    served = serve("--listen", "127.0.0.1:0", "--cancel-grace", "0.1", "--grace", grace)
    client = await served.connect()
    stuck = await call(client, "linger", 600)
    await stuck.expect("event")
    served.process.send_signal(signal.SIGTERM)
    if signals == 2:
        await until_it_refuses(client)
        served.process.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(served.process.wait, PATIENCE_S) == 5
    await client.close()
