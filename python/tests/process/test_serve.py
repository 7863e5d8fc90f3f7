"""`dspex_worker serve`: the worker that an operator starts."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import grpc
import grpc.aio
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from dspex_worker import cli, limits, logs, worker
from dspex_worker.proto import worker_pb2 as pb
from dspex_worker.proto.worker_pb2_grpc import WorkerStub

from carriers import ConnectionEnded, GrpcClient, GrpcWire, call, function
from served import Served
from zygote_host import FAKE, PATIENCE_S, read_until

WEB = "0123456789abcdef0123456789abcdef-web"
BATCH = "0123456789abcdef0123456789abcdef-batch"


async def test_it_serves_a_free_port_and_writes_it_to_the_port_file(
    serve: type[Served], tmp_path: Path
) -> None:
    served = serve("--listen", "127.0.0.1:0", "--port-file", str(tmp_path / "port"), "--name", "alone")
    client = await served.connect()
    hello = await client.hello()
    assert (hello.worker, hello.pid) == ("alone", served.process.pid)
    assert await (await call(client, "echo", 1)).done() == 1
    host, _, port = (tmp_path / "port").read_text().strip().rpartition(":")
    assert host == "127.0.0.1"
    assert int(port) > 0
    assert os.listdir(tmp_path) == ["port"]
    await client.close()


async def test_it_serves_a_unix_socket_that_is_its_owners_alone(serve: type[Served], tmp_path: Path) -> None:
    served = serve("--listen", f"unix:{tmp_path}/socket")
    client = await served.connect()
    assert await (await call(client, "echo", 1)).done() == 1
    assert (tmp_path / "socket").stat().st_mode & 0o077 == 0
    await client.close()


async def test_a_second_worker_at_a_socket_is_refused_and_the_first_one_serves_on(
    serve: type[Served], tmp_path: Path
) -> None:
    address = f"unix:{tmp_path}/socket"
    first = serve("--listen", address)
    client = await first.connect()
    second = serve("--listen", address)
    assert await asyncio.to_thread(second.process.wait, PATIENCE_S) == 3
    assert f"cannot listen on {address}: another process listens there" in second.log_until("another path")
    assert await (await call(client, "echo", 1)).done() == 1
    await client.close()
    first.process.kill()
    first.process.wait()
    client = await serve("--listen", address).connect()
    assert await (await call(client, "echo", 1)).done() == 1, "what a killed one left is in nobody's way"
    await client.close()


async def test_limits_hold_in_a_worker_that_an_operator_serves(serve: type[Served]) -> None:
    served = serve("--listen", "127.0.0.1:0", "--open-files", "100", "--memory-bytes", str(4 << 30))
    client = await served.connect()
    assert await (await call(client, "echo", 1)).done() == 1
    assert resource.prlimit(served.process.pid, resource.RLIMIT_NOFILE) == (100, 100)
    assert resource.prlimit(served.process.pid, resource.RLIMIT_DATA) == (4 << 30, 4 << 30)
    await client.close()


async def test_health_checks_follow_the_state_of_the_worker(serve: type[Served]) -> None:
    served = serve("--listen", "127.0.0.1:0")
    client = await served.connect()
    health = health_pb2_grpc.HealthStub(client._channel)
    watch = health.Watch(health_pb2.HealthCheckRequest(service="dspex.v1.Worker"))
    assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVING
    overall = await health.Check(health_pb2.HealthCheckRequest())
    assert overall.status == health_pb2.HealthCheckResponse.SERVING
    running = await call(client, "callback", ["tool"])
    await running.expect("callback")
    served.process.send_signal(signal.SIGTERM)
    assert (await watch.read()).status == health_pb2.HealthCheckResponse.NOT_SERVING
    watch.cancel()
    await running.cancel()
    assert (await running.failed()).kind == pb.Error.KIND_CANCELLED
    await client.close()


async def test_nothing_of_a_stranger_is_read_on_any_rpc(serve: type[Served], tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text(f"# the hosts\nweb:{WEB}\n\nbatch: {BATCH}\n")
    served = serve("--listen", "127.0.0.1:0", "--token-file", str(tmp_path / "tokens"))
    address = served.address()
    for wrong, told in [
        ("", "gave none"),
        ("wrong", "none of the worker's"),
        (WEB[:-1], "none of the worker's"),
    ]:
        stranger = await served.connect_to(address, wrong)
        with pytest.raises(ConnectionEnded) as ended:
            await (await stranger.start()).next()
        assert ended.value.args[0] == grpc.StatusCode.UNAUTHENTICATED
        assert told in ended.value.args[1]
        assert WEB not in ended.value.args[1]
        # Whatever is sent all the same: the client may find the stream ended while it still writes.
        for kind in ({"drain": pb.Drain()}, {"ping": pb.Ping(nonce=1)}, {"open": function("echo", 1)}):
            with pytest.raises(ConnectionEnded):
                await stranger.control(**kind)
        with pytest.raises(ConnectionEnded):
            await stranger.send_garbage()
        health = health_pb2_grpc.HealthStub(stranger._channel)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await health.Check(health_pb2.HealthCheckRequest(), metadata=stranger.metadata)
        assert refused.value.code() == grpc.StatusCode.UNAUTHENTICATED
        await stranger.close()
    first = await served.connect_to(address, WEB)
    stats = (await first.control(ping=pb.Ping(nonce=5))).pong.stats
    assert (stats.calls, stats.draining) == (0, False), "nothing of it reached the worker"
    await first.close()
    assert "broke the protocol" not in served.log_until("the host web is connected")
    for token in (WEB, BATCH):
        host = await served.connect_to(address, token)
        assert await (await call(host, "echo", 1)).done() == 1
        assert (await host.control(ping=pb.Ping(nonce=5))).pong.nonce == 5
        await host.close()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("short", "line 1: a token of 5 characters can be guessed"),
        (f"a:{'x' * 40}\na:{'y' * 40}", "line 2: the host a is there twice"),
        (f"a:{'x' * 40}\nb:{'x' * 40}", "line 2: another host has the same token"),
        (f"no name:{'x' * 40}", "expected name:token"),
        (f"a:{'x' * 20} {'x' * 20}", "visible ASCII"),
        ("# nobody\n\n", "is empty"),
    ],
)
def test_a_file_of_tokens_that_cannot_be_meant_is_refused_without_showing_it(
    serve: type[Served], tmp_path: Path, text: str, told: str
) -> None:
    (tmp_path / "tokens").write_text(text)
    served = serve("--listen", "127.0.0.1:0", "--token-file", str(tmp_path / "tokens"))
    assert served.process.wait(PATIENCE_S) == 2
    log = served.log_until(told)
    assert "xxxx" not in log


async def test_a_stream_that_asks_how_the_worker_is_learns_of_a_drain_at_once(serve: type[Served]) -> None:
    served = serve("--listen", "127.0.0.1:0")
    client = await served.connect()
    watch = await client.start()
    await watch.wire.send(pb.Up(ping=pb.Ping(nonce=1)))
    assert not (await watch.expect("pong")).stats.draining
    running = await call(client, "callback", ["tool"])
    callback = await running.expect("callback")
    served.process.send_signal(signal.SIGTERM)
    told = await watch.expect("stats")
    assert (told.draining, told.in_flight) == (True, 1)
    await running.send(callback_reply=pb.CallbackReply(id=callback.id, ok=pb.Payload(json=b"1")))
    assert await running.done() == [1]
    with pytest.raises(ConnectionEnded):
        await watch.next()
    assert await asyncio.to_thread(served.process.wait, PATIENCE_S) == 0
    await client.close()


async def test_a_compressed_message_is_refused(serve: type[Served]) -> None:
    served = serve("--listen", "127.0.0.1:0")
    channel = grpc.aio.insecure_channel(served.address())
    stub = WorkerStub(channel)
    stream = stub.Call(compression=grpc.Compression.Gzip)
    bomb = pb.Open(function=pb.FunctionCall(path="echo"), inputs=pb.Payload(json=b" " * 200_000 + b"1"))
    with contextlib.suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):
        await stream.write(pb.Up(call=1, open=bomb))
        while (down := await stream.read()) is not grpc.aio.EOF:
            assert down.HasField("hello")
    assert await stream.code() in (grpc.StatusCode.UNIMPLEMENTED, grpc.StatusCode.INTERNAL)
    await channel.close()


async def test_a_host_that_closes_its_side_before_the_end_cancels_its_call(serve: type[Served]) -> None:
    served = serve("--listen", "127.0.0.1:0")
    client = await served.connect()
    running = await call(client, "spin")
    await running.expect("event")
    assert isinstance(running.wire, GrpcWire)
    await running.wire.stream.done_writing()
    failed = await running.failed()
    assert failed.kind == pb.Error.KIND_CANCELLED
    assert "keep it open" in failed.message
    await client.close()


async def test_a_message_that_should_have_been_split_is_refused_with_a_status(serve: type[Served]) -> None:
    served = serve("--listen", "127.0.0.1:0")
    address = served.address()
    client = await served.connect_to(address)
    large = pb.Up(call=1, open=pb.Open(inputs=pb.Payload(json=b"1" * 2_000_000)))

    def refused() -> grpc.StatusCode:
        # Not with the client of asyncio, which takes its own failed write for the status of the stream.
        with grpc.insecure_channel(address) as channel, pytest.raises(grpc.RpcError) as ended:
            list(WorkerStub(channel).Call(iter([large])))
        code: grpc.StatusCode = ended.value.code()
        return code

    assert await asyncio.to_thread(refused) == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert await (await call(client, "echo", 1)).done() == 1
    await client.close()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--listen", "0.0.0.0:0"], "pass --tls-cert, --tls-key and --tls-client-ca"),
        (["--listen", "[::]:0"], "pass --tls-cert, --tls-key and --tls-client-ca"),
        (["--listen", "example.invalid:1"], "pass --tls-cert, --tls-key and --tls-client-ca"),
        (["--listen", "0.0.0.0:0", "--allow-unencrypted"], "pass --token-file"),
        (["--listen", "127.0.0.1:0", "--tls-cert", "/no/file"], "--tls-key, --tls-client-ca: missing"),
        (["--listen", "127.0.0.1:0", "--max-message-bytes", "0"], "max_message_bytes"),
        (["--listen", "8080"], "expected unix:/path or HOST:PORT"),
        (["--listen", "127.0.0.1:99999"], "expected unix:/path or HOST:PORT"),
        (["--listen", "unix:"], "needs a path"),
        (["--listen", "127.0.0.1:0", "--token-file", "/no/such/file"], "cannot read /no/such/file"),
        (["--listen", "127.0.0.1:0", "--token-file", "/dev/null"], "is empty"),
        (["--listen", "127.0.0.1:0", "--sync-threads", "0"], "sync_threads"),
        (
            ["--listen", "127.0.0.1:0", "--memory-bytes", "1"],
            "--memory-bytes: a memory limit of 1 bytes is",
        ),
        (["--listen", "127.0.0.1:0", "--max-message-bytes", "9" * 20], "expected an integer of at most"),
        (["--listen", "127.0.0.1:0", "--memory-bytes", "9" * 20], "limits: memory_bytes: got 999"),
        (["--listen", "127.0.0.1:0", "--open-files", "0"], "limits: open_files: got 0"),
        (["--listen", "127.0.0.1:0", "--grace", "soon"], "--grace: invalid seconds value: 'soon'"),
        (
            ["--listen", "127.0.0.1:0", "--cancel-grace", "-1"],
            "--cancel-grace: -1 s are not between 0 and a year",
        ),
        (["--listen", "127.0.0.1:0", "--cancel-grace", "nan"], "nan s are not between 0 and a year"),
        ([], "--listen"),
    ],
)
def test_options_that_cannot_work_are_refused(serve: type[Served], options: list[str], told: str) -> None:
    served = serve(*options)
    assert served.process.wait(PATIENCE_S) == 2
    assert told in served.log_until(told)


def test_a_port_file_that_cannot_be_written_is_told_with_the_next_step(
    serve: type[Served], tmp_path: Path
) -> None:
    file = tmp_path / "missing" / "port"
    served = serve("--listen", "127.0.0.1:0", "--port-file", str(file))
    assert served.process.wait(PATIENCE_S) == 3
    told = f"--port-file: cannot write {file}: No such file or directory; name a file"
    assert told in served.log_until("of your own")


def test_a_worker_that_cannot_go_on_says_why(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Exited(Exception):
        pass

    def fails(*_: object, **__: object) -> int:
        raise OverflowError("what nobody thought of")

    def exits(code: int) -> None:
        assert code == worker.EXIT_INIT
        raise Exited

    monkeypatch.setattr(worker, "prepare", lambda config: {})
    monkeypatch.setattr(worker, "serve_grpc", fails)
    for name in ("prepare", "apply"):
        monkeypatch.setattr(limits, name, lambda limits: None)
    monkeypatch.setattr(logs, "stdout_to_stderr", lambda: None)
    monkeypatch.setattr(logs, "configure", lambda level: None)
    monkeypatch.setattr(os, "_exit", exits)
    with pytest.raises(Exited):
        cli.main(["serve", "--listen", "127.0.0.1:0"])
    assert "OverflowError: what nobody thought of" in caplog.text


def test_a_module_that_is_missing_is_told_in_a_line(serve: type[Served]) -> None:
    served = serve("--listen", "127.0.0.1:0", "--module", "no_such_module")
    assert served.process.wait(PATIENCE_S) == 3
    assert "cannot import the configured module 'no_such_module'" in served.log_until("no_such_module'")


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("unix:/no/such/directory/socket", "make it first"),
        (f"unix:/tmp/{'x' * 120}", "at most 107 bytes; choose a shorter one"),
        ("unix:/dev/null", "something else than a socket at /dev/null; choose another path"),
        ("192.0.2.1:0", "no address of this machine; name one of its own"),
        ("host.invalid:7443", "the name host.invalid is not known here; name an address of this machine"),
        ("IN USE", "another process listens there; end it, or choose another port"),
    ],
)
def test_an_address_that_cannot_be_listened_on_is_told_with_the_next_step(
    serve: type[Served], tmp_path: Path, address: str, told: str
) -> None:
    if address == "IN USE":
        address = serve("--listen", "127.0.0.1:0").address()
    (tmp_path / "tokens").write_text(f"web:{WEB}\n")
    options = ["--allow-unencrypted", "--token-file", str(tmp_path / "tokens")]
    refused = serve("--listen", address, *options)
    assert refused.process.wait(PATIENCE_S) == 3
    log = refused.log_until(told)
    assert f"dspex_worker serve: cannot listen on {address}: " in log
    assert "GRPC_VERBOSITY" not in log


@pytest.mark.parametrize(
    ("pem", "told"),
    [("no certificate", "--tls-cert: {} holds no certificate in PEM"), (None, "--tls-cert: cannot read {}")],
)
def test_a_certificate_that_cannot_be_used_is_told_with_the_next_step(
    serve: type[Served], tmp_path: Path, pem: str | None, told: str
) -> None:
    file = tmp_path / "server.pem"
    (tmp_path / "key").write_text("no key")
    if pem is not None:
        file.write_text(pem)
    certificates = ["--tls-cert", str(file), "--tls-key", str(tmp_path / "key"), "--tls-client-ca", str(file)]
    refused = serve("--listen", "127.0.0.1:0", *certificates)
    assert refused.process.wait(PATIENCE_S) == 3
    assert told.format(file) in refused.log_until("`dspex certs` makes and renews such files")


@pytest.mark.parametrize("debuggable", [False, True])
async def test_a_served_worker_leaves_no_core_dump_and_lets_nobody_look_into_it(
    serve: type[Served], debuggable: bool
) -> None:
    served = serve("--listen", "127.0.0.1:0", *(["--debuggable"] if debuggable else []))
    client = await served.connect()
    assert await (await call(client, "dumpable")).done() == int(debuggable)
    limits = await asyncio.to_thread(Path(f"/proc/{served.process.pid}/limits").read_text)
    (core,) = (line.split() for line in limits.splitlines() if line.startswith("Max core file size"))
    assert core[4:6] == ["0", "0"]
    await client.close()


def as_a_module(*options: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "dspex_worker", *options]
    return subprocess.Popen(command, cwd=FAKE.parents[2], stderr=subprocess.PIPE)


@pytest.mark.parametrize("style", ["--listen ADDRESS", "--listen=ADDRESS"])
async def test_the_module_with_listen_alone_is_serve(tmp_path: Path, style: str) -> None:
    """`python -m dspex_worker --listen ..` with the real engine, as an operator types it."""
    address = f"unix:{tmp_path}/socket"
    listen = style.replace("ADDRESS", address).split()
    process = as_a_module(*listen)
    try:
        assert process.stderr is not None
        told = await asyncio.to_thread(read_until, process.stderr.fileno(), "\n")
        assert told.startswith(f"dspex_worker serves at {address}")
        channel = grpc.aio.insecure_channel(address)
        await asyncio.wait_for(channel.channel_ready(), PATIENCE_S)
        client = GrpcClient(channel)
        hello = await client.hello()
        assert (hello.pid, hello.dspy_version) == (process.pid, "3.4.1")
        await client.close()
    finally:
        process.kill()
        process.communicate()
