"""The zygote: how it starts, forks, reports, and what it refuses."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from carriers import Connect, FramedClient, GrpcClient, call
from zygote_host import FAKE, PATIENCE_S, ZygoteHost, alive, gone_within, read_until


@pytest.fixture
def started() -> Iterator[list[ZygoteHost]]:
    hosts: list[ZygoteHost] = []
    yield hosts
    for host in hosts:
        host.close()


def test_a_zygote_says_when_it_is_ready(started: list[ZygoteHost]) -> None:
    host = ZygoteHost()
    started.append(host)
    ready = host.ready()
    assert ready["pid"] == host.process.pid
    assert ready["hello"]["dspy_version"] == "0.0-fake"
    assert ready["warm_ms"] > 0


def test_nothing_is_ever_on_the_standard_output(started: list[ZygoteHost]) -> None:
    read, write = os.pipe()
    host = ZygoteHost({"settings": {"print": True}}, stderr=write)
    started.append(host)
    os.close(write)
    host.ready()
    assert "printed while warming" in read_until(read, "printed while warming")
    host.send({"op": "exit"})
    assert host.process.wait(PATIENCE_S) == 0
    assert host.process.stdout is not None
    assert host.process.stdout.read() == b""
    os.close(read)


@pytest.mark.parametrize(
    ("config", "error", "told"),
    [
        ({"modules": ["no_such_module"]}, "ImportError", "'no_such_module': ModuleNotFoundError: No module"),
        (
            {"sync_threads": 0},
            "dspex_worker.config.ConfigError",
            "sync_threads: expected an integer of at least 1",
        ),
        ({"colour": "red"}, "dspex_worker.config.ConfigError", "unknown field(s)"),
        ({"token": ["s3cret"]}, "dspex_worker.config.ConfigError", "token: expected a string, got list"),
        ({"settings": {"thread": True}}, "RuntimeError", "left-behind"),
    ],
)
def test_a_zygote_that_cannot_start_says_why_and_exits_with_3(
    started: list[ZygoteHost], config: dict[str, object], error: str, told: str
) -> None:
    host = ZygoteHost(config, stderr=subprocess.DEVNULL)
    started.append(host)
    failed = host.receive("failed")["error"]
    assert failed["class"] == error
    assert told in failed["message"]
    assert "s3cret" not in str(failed)
    assert failed["frames"]
    assert not any("/" in str(frame) for frame in failed["frames"])
    assert host.process.wait(PATIENCE_S) == 3


def test_an_error_within_a_users_module_names_its_frames(started: list[ZygoteHost], tmp_path: Path) -> None:
    (tmp_path / "broken_team").mkdir()
    (tmp_path / "broken_team" / "__init__.py").write_text("def load():\n    1 / 0\nload()\n")
    host = ZygoteHost({"modules": ["broken_team"], "python_path": [str(tmp_path)]}, stderr=subprocess.DEVNULL)
    started.append(host)
    failed = host.receive("failed")["error"]
    assert "'broken_team': ZeroDivisionError" in failed["message"]
    assert failed["frames"][-1] == {"module": "broken_team", "function": "load", "line": 2}


def test_a_module_that_exits_while_it_is_imported_is_a_failed_start(
    started: list[ZygoteHost], tmp_path: Path
) -> None:
    (tmp_path / "quitter.py").write_text("import sys\nsys.exit('no licence')\n")
    host = ZygoteHost({"modules": ["quitter"], "python_path": [str(tmp_path)]}, stderr=subprocess.DEVNULL)
    started.append(host)
    assert host.receive("failed")["error"]["message"] == "no licence"
    assert host.process.wait(PATIENCE_S) == 3


def test_own_modules_are_found_on_the_python_path(started: list[ZygoteHost], tmp_path: Path) -> None:
    (tmp_path / "my_team.py").write_text("print('my team is here')\n")
    read, write = os.pipe()
    host = ZygoteHost({"modules": ["my_team"], "python_path": [str(tmp_path)]}, stderr=write)
    started.append(host)
    os.close(write)
    host.ready()
    assert "my team is here" in read_until(read, "my team is here")
    os.close(read)


@pytest.mark.parametrize(
    "line", [b"not json\n", b"[]\n", b'{"op":"fork"}\n', b'{"op":"init","config":{},"carrier":"framed"}\n']
)
def test_a_host_that_breaks_the_control_protocol_ends_the_zygote(
    started: list[ZygoteHost], line: bytes
) -> None:
    read, write = os.pipe()
    host = ZygoteHost(init=False, stderr=write)
    started.append(host)
    os.close(write)
    host.control.sendall(line)
    assert host.process.wait(PATIENCE_S) == 4
    assert "broke the control protocol" in read_until(read, "broke the control protocol")
    os.close(read)


def test_a_zygote_without_a_control_socket_says_what_it_needs() -> None:
    result = subprocess.run(
        [sys.executable, "-I", str(FAKE), "zygote"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert result.returncode == 2
    assert "standard input has to be a unix socket" in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize("ending", ["exit", "hang up"])
def test_a_zygote_ends_when_the_host_says_so_or_hangs_up(started: list[ZygoteHost], ending: str) -> None:
    host = ZygoteHost()
    started.append(host)
    host.ready()
    if ending == "exit":
        host.send({"op": "exit"})
    else:
        host.control.shutdown(socket.SHUT_WR)
    assert host.process.wait(PATIENCE_S) == 0


@pytest.mark.parametrize(
    "own", [{}, {"process_group": 0}, {"start_new_session": True}], ids=["nothing", "group", "session"]
)
def test_a_zygote_is_finished_only_when_what_its_workers_left_behind_is_gone(
    started: list[ZygoteHost], own: dict[str, object]
) -> None:
    host = ZygoteHost()
    started.append(host)
    host.ready()
    worker = host.fork("w0")

    async def leave() -> object:
        client = await FramedClient.connect(worker)
        left = await (await call(client, "leave_a_program", own)).done()
        await client.close()
        return left

    left = asyncio.run(leave())
    assert isinstance(left, int)
    assert alive(left)
    worker.release()
    host.send({"op": "exit"})
    host.receive("finished")
    assert not alive(left)
    assert not alive(worker.pid)
    assert host.process.wait(PATIENCE_S) == 0


@pytest.mark.parametrize(
    ("how", "expected"),
    [("exit", (7, None)), ("SIGSEGV", (None, signal.SIGSEGV)), ("SIGKILL", (None, signal.SIGKILL))],
)
async def test_the_end_of_a_worker_is_reported_with_code_or_signal(
    connect: Connect, how: str, expected: tuple[int | None, int | None]
) -> None:
    client, worker, zygote = await connect("framed")
    await call(client, "die", how)
    assert await asyncio.to_thread(zygote.exited, worker) == expected


@pytest.mark.parametrize("carrier", ["framed", "grpc"])
@pytest.mark.parametrize(
    ("setup", "told"),
    [
        ("import", "cannot start: ImportError: libcuda.so.1: cannot open shared object file"),
        ("exit", "cannot start: SystemExit: no licence"),
    ],
)
def test_a_forked_worker_that_cannot_be_set_up_exits_with_3_and_says_why_last(
    started: list[ZygoteHost], tmp_path: Path, carrier: str, setup: str, told: str
) -> None:
    host = ZygoteHost({"settings": {"setup": setup}}, carrier)
    started.append(host)
    host.ready()
    worker = host.fork("w0", 1, f"unix:{tmp_path}/w0" if carrier == "grpc" else None)
    assert host.exited(worker) == (3, None)
    first, last = worker.stderr_to_the_end().splitlines()
    assert first.startswith("E dspex_worker.zygote: the worker cannot set up DSPy\\nTraceback")
    assert last == f"C dspex_worker.zygote: {told}"
    # The zygote is none the worse for it.
    host.send({"op": "ping"})
    assert host.receive("pong")


def test_a_forked_worker_that_ends_otherwise_before_it_serves_does_not_exit_with_3(
    started: list[ZygoteHost], tmp_path: Path
) -> None:
    host = ZygoteHost(carrier="grpc")
    started.append(host)
    host.ready()
    worker = host.fork("w0", 1, f"unix:{tmp_path}/no/such/directory")
    assert host.exited(worker) == (1, None)
    assert "cannot listen on" in worker.stderr_to_the_end()


async def test_a_fork_without_a_name_is_refused_and_the_next_one_works(connect: Connect) -> None:
    _, _, zygote = await connect("framed")
    fds = [os.open(os.devnull, os.O_RDWR) for _ in range(3)]
    zygote.send({"op": "fork", "generation": 3}, fds)
    for fd in fds:
        os.close(fd)
    refused = zygote.receive("refused")
    assert refused["request"] == {"op": "fork", "generation": 3}
    assert "worker: expected a string" in refused["error"]["message"]
    client, _, _ = await connect("framed")
    assert await (await call(client, "echo", 1)).done() == 1


async def test_many_forks_at_once_get_their_own_descriptors(connect: Connect) -> None:
    clients = [(await connect("framed")) for _ in range(8)]
    for client, worker, _ in clients:
        hello = await client.hello()
        assert (hello.worker, hello.pid) == (worker.name, worker.pid)


async def test_workers_draw_different_random_numbers(connect: Connect) -> None:
    drawn = {await (await call((await connect("framed"))[0], "random")).done() for _ in range(3)}
    assert len(drawn) == 3


async def test_a_worker_has_nothing_of_the_zygote_or_of_its_siblings_open(connect: Connect) -> None:
    other, sibling, zygote = await connect("framed")
    client, worker, _ = await connect("framed")
    await other.hello()
    await client.hello()
    shared = {"zygote": channels(zygote.process.pid), "sibling": channels(sibling.pid)}
    own = channels(worker.pid)
    assert own.isdisjoint(shared["zygote"])
    assert own.isdisjoint(shared["sibling"])
    fds = await (await call(client, "fds")).done()
    assert fds["0"] == "/dev/null"
    assert fds["1"] == fds["2"]


def channels(pid: int) -> set[str]:
    """The pipes and sockets that a process has open."""
    directory = f"/proc/{pid}/fd"
    targets = {os.readlink(f"{directory}/{fd}") for fd in os.listdir(directory)}
    return {target for target in targets if target.startswith(("pipe:", "socket:"))}


async def test_a_worker_dies_when_its_lifeline_is_cut_and_its_siblings_live(connect: Connect) -> None:
    first, worker, zygote = await connect("framed")
    second, _, _ = await connect("framed")
    await (await call(first, "stuck")).expect("event")
    os.close(worker._lifeline)
    worker._lifeline = os.open(os.devnull, os.O_RDONLY)
    assert await asyncio.to_thread(zygote.exited, worker) == (None, signal.SIGKILL)
    assert await (await call(second, "echo", 1)).done() == 1


async def test_a_worker_with_a_thread_that_ignores_everything_still_ends_with_its_socket(
    connect: Connect,
) -> None:
    client, worker, zygote = await connect("framed")
    started = await call(client, "linger", 30)
    await started.expect("event")
    begun = time.monotonic()
    await client.close()
    assert await asyncio.to_thread(zygote.exited, worker) == (0, None)
    assert time.monotonic() - begun < 1


def test_a_grpc_worker_ends_by_its_lifeline(tmp_path: Path, started: list[ZygoteHost]) -> None:
    host = ZygoteHost(carrier="grpc")
    started.append(host)
    host.ready()
    worker = host.fork("w", 1, f"unix:{tmp_path}/w")

    async def use() -> object:
        client = await GrpcClient.connect(worker)
        answer = await (await call(client, "echo", 5)).done()
        await client.close()
        return answer

    assert asyncio.run(use()) == 5
    assert (tmp_path / "w").stat().st_mode & 0o077 == 0
    worker.release()
    assert host.exited(worker) == (None, signal.SIGKILL)


def test_a_fork_for_grpc_without_an_address_is_refused(started: list[ZygoteHost]) -> None:
    host = ZygoteHost(carrier="grpc")
    started.append(host)
    host.ready()
    null = os.open(os.devnull, os.O_RDWR)
    host.send({"op": "fork", "worker": "w", "generation": 1}, [null, null])
    os.close(null)
    assert "listen: expected an address" in host.receive("refused")["error"]["message"]


@pytest.mark.parametrize("busy", [False, True], ids=["idle", "stuck in C code that holds the lock"])
def test_zygote_and_workers_end_with_a_killed_host(tmp_path: Path, busy: bool) -> None:
    stand_in = Path(__file__).with_name("stand_in_host.py")
    host = subprocess.Popen(
        [sys.executable, str(stand_in), "stuck" if busy else "idle"],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert host.stdout is not None
    pids = [int(pid) for pid in host.stdout.readline().split()]
    assert len(pids) == 3
    assert all(alive(pid) for pid in pids)
    host.kill()
    # The processes are orphans by then, and vanish as soon as they end.
    killed = time.monotonic()
    assert gone_within(pids, 1.0), "a process outlived its host by a second"
    print(f"gone {1000 * (time.monotonic() - killed):.1f} ms after the host was killed")
    host.wait()
    host.stdout.close()


def test_a_forked_worker_answers_soon(started: list[ZygoteHost]) -> None:
    host = ZygoteHost()
    started.append(host)
    host.ready()

    async def measure() -> float:
        begun = time.perf_counter()
        client = await FramedClient.connect(host.fork(f"w{time.monotonic_ns()}"))
        assert await (await call(client, "echo", 1)).done() == 1
        took = time.perf_counter() - begun
        await client.close()
        return took

    times = sorted(asyncio.run(measure()) for _ in range(9))
    print(f"fork to first answer: median {times[4] * 1000:.1f} ms, fastest {times[0] * 1000:.1f} ms")
    assert times[0] < 1.0


def test_a_zygote_answers_a_ping(started: list[ZygoteHost]) -> None:
    host = ZygoteHost()
    started.append(host)
    host.ready()
    host.send({"op": "ping"})
    assert host.receive("pong") == {"op": "pong"}


@pytest.mark.parametrize(
    ("limits", "told"),
    [
        ({"memory_bytes": 1}, "a memory limit of 1 bytes is too small"),
        ({"memory_bytes": -1}, "limits: memory_bytes: got -1"),
        ({"open_files": True}, "limits: open_files: got True"),
        ({"colour": "red"}, "limits: unknown limit(s): colour"),
        (["memory_bytes"], "limits: expected an object"),
    ],
)
def test_limits_that_cannot_be_are_refused_at_the_start(
    started: list[ZygoteHost], limits: object, told: str
) -> None:
    host = ZygoteHost({"limits": limits}, stderr=subprocess.DEVNULL)
    started.append(host)
    assert told in host.receive("failed")["error"]["message"]


def test_a_worker_has_its_limits_and_no_core_dump_and_no_new_privileges(started: list[ZygoteHost]) -> None:
    host = ZygoteHost({"limits": {"open_files": 77, "memory_bytes": 1 << 30}})
    started.append(host)
    host.ready()
    worker = host.fork("w0")
    assert worker.socket is not None
    worker.socket.settimeout(PATIENCE_S)
    assert worker.socket.recv(1)  # of its Hello: all is set
    limits = Path(f"/proc/{worker.pid}/limits").read_text()
    rows = {line[:26].strip(): line[26:].split()[:2] for line in limits.splitlines()[1:]}
    assert rows["Max open files"] == ["77", "77"]
    assert rows["Max core file size"] == ["0", "0"]
    assert rows["Max data size"] == [str(1 << 30)] * 2
    assert "NoNewPrivs:\t1" in Path(f"/proc/{worker.pid}/status").read_text()
