"""A host of a zygote, as small as it can be: starts it, and speaks its control protocol."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
FAKE = HERE / "fake_run.py"
REAL = HERE.parent.parent / "run.py"
PATIENCE_S = 20.0


class WorkerProcess:
    """A forked worker and the host's ends of what it was given."""

    def __init__(self, name: str, pid: int, sock: socket.socket | None, lifeline: int, stderr: int) -> None:
        self.name = name
        self.pid = pid
        self.socket = sock
        self._lifeline = lifeline
        self._stderr = stderr
        self.listen = ""

    def stderr_until(self, text: str) -> str:
        """Reads the worker's stderr until it holds `text`."""
        return read_until(self._stderr, text)

    def stderr_to_the_end(self) -> str:
        """Reads what a worker that ended has left on its stderr."""
        data = b""
        while chunk := os.read(self._stderr, 65536):
            data += chunk
        return data.decode()

    def release(self) -> None:
        """Lets go of it: the worker dies by its lifeline."""
        if self.socket is not None:
            self.socket.close()
        if self._lifeline >= 0:
            os.close(self._lifeline)
            os.close(self._stderr)
            self._lifeline = -1


class ZygoteHost:
    def __init__(
        self,
        config: dict[str, Any] | None = None,
        carrier: str = "framed",
        script: Path = FAKE,
        stderr: int | None = None,
        init: bool = True,
    ) -> None:
        self.carrier = carrier
        # What the zygote said of its engine, for tests that share it.
        self.hello: dict[str, Any] = {}
        ours, theirs = socket.socketpair()
        self.control = ours
        self.process: subprocess.Popen[bytes] = subprocess.Popen(
            [sys.executable, "-I", str(script), "zygote"],
            stdin=theirs.fileno(),
            stdout=subprocess.PIPE,
            stderr=stderr,
        )
        theirs.close()
        self._buffer = b""
        self._kept: list[dict[str, Any]] = []
        self._lifeline = -1
        self._workers: list[WorkerProcess] = []
        if init:
            read, self._lifeline = os.pipe()
            self.send({"op": "init", "config": config or {}, "carrier": carrier}, [read])
            os.close(read)

    def send(self, message: dict[str, Any], fds: list[int] | None = None) -> None:
        socket.send_fds(self.control, [json.dumps(message).encode() + b"\n"], fds or [])

    def receive(self, op: str, **fields: Any) -> dict[str, Any]:
        """The next message with these fields; others are kept for later."""
        deadline = time.monotonic() + PATIENCE_S
        wanted = {"op": op, **fields}
        while True:
            for message in self._kept:
                if wanted.items() <= message.items():
                    self._kept.remove(message)
                    return message
            left = deadline - time.monotonic()
            readable, _, _ = select.select([self.control], [], [], max(0.0, left))
            assert readable, f"the zygote did not send {wanted}, but {self._kept}"
            data = self.control.recv(65536)
            assert data, f"the zygote hung up instead of sending {wanted}, after {self._kept}"
            *lines, self._buffer = (self._buffer + data).split(b"\n")
            self._kept += map(json.loads, lines)

    def ready(self) -> dict[str, Any]:
        return self.receive("ready")

    def fork(self, name: str, generation: int = 1, listen: str | None = None) -> WorkerProcess:
        lifeline_read, lifeline = os.pipe()
        stderr, stderr_write = os.pipe()
        message: dict[str, Any] = {"op": "fork", "worker": name, "generation": generation}
        ours = theirs = None
        if listen is None:
            ours, theirs = socket.socketpair()
            self.send(message, [theirs.fileno(), lifeline_read, stderr_write])
            theirs.close()
        else:
            self.send({**message, "listen": listen}, [lifeline_read, stderr_write])
        os.close(lifeline_read)
        os.close(stderr_write)
        pid = self.receive("forked", worker=name, generation=generation)["pid"]
        worker = WorkerProcess(name, pid, ours, lifeline, stderr)
        worker.listen = listen or ""
        self._workers.append(worker)
        return worker

    def exited(self, worker: WorkerProcess) -> tuple[int | None, int | None]:
        """Waits for the report of its end: exit code and signal."""
        message = self.receive("exited", pid=worker.pid)
        return message["code"], message["signal"]

    def close(self) -> None:
        for worker in self._workers:
            worker.release()
        self.control.close()
        try:
            self.process.wait(PATIENCE_S)
        finally:
            if self.process.poll() is None:
                self.process.send_signal(signal.SIGKILL)
                self.process.wait()
            if self._lifeline >= 0:
                os.close(self._lifeline)
            assert self.process.stdout is not None
            self.process.stdout.close()


def read_until(fd: int, text: str) -> str:
    deadline = time.monotonic() + PATIENCE_S
    data = b""
    while text.encode() not in data:
        left = deadline - time.monotonic()
        readable, _, _ = select.select([fd], [], [], max(0.0, left))
        assert readable, f"{text!r} did not come, but {data!r}"
        chunk = os.read(fd, 65536)
        assert chunk, f"the end came before {text!r}, after {data!r}"
        data += chunk
    return data.decode()


def alive(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"


def gone_within(pids: list[int], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while any(alive(pid) for pid in pids):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.002)
    return True
