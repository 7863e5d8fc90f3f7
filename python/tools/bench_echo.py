"""What a call costs in the worker besides its module: frames, protobuf, a task, no DSPy.

    python tools/bench_echo.py [--rounds 5]

A worker with the tests' fake engine answers 200 bytes of JSON with themselves. The peer is as fast as Python
can be: it sends frames that were encoded before, and looks at lengths only. Prints the round trip with one
call in flight, calls per second with 16, and the worker's own CPU per call in both.
"""

from __future__ import annotations

import argparse
import json
import socket
import struct
import sys
import time
from pathlib import Path

PYTHON = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(PYTHON), str(PYTHON / "tests" / "process")]

from dspex_worker.proto import worker_pb2 as pb  # noqa: E402

from zygote_host import ZygoteHost  # noqa: E402

BATCH = 20_000


class Peer:
    def __init__(self, sock: socket.socket, payload: bytes) -> None:
        self._socket = sock
        self._payload = payload
        self._calls = 0
        self._rest = b""
        self._receive(1)  # Hello
        # The engine has to be given the spec that the calls are for.
        self._calls += 1
        up = pb.Up(call=self._calls, open=pb.Open(instance=pb.InstanceCall(spec="0" * 64)))
        state = pb.Up(call=self._calls, state=pb.State(specs=[pb.Spec(hash="0" * 64, json=payload)]))
        sock.sendall(_frame(up))
        self._receive(1)
        sock.sendall(_frame(state))
        self._receive(1)

    def frames(self, count: int) -> list[bytes]:
        first = self._calls + 1
        self._calls += count
        inputs = pb.Payload(json=self._payload)
        target = pb.InstanceCall(spec="0" * 64)
        return [
            _frame(pb.Up(call=first + n, open=pb.Open(instance=target, inputs=inputs))) for n in range(count)
        ]

    def one_by_one(self, frames: list[bytes]) -> list[float]:
        """Seconds of each round trip."""
        clock, send, receive = time.perf_counter, self._socket.sendall, self._socket.recv
        times = []
        for frame in frames:
            begun = clock()
            send(frame)
            receive(65536)
            times.append(clock() - begun)
        return times

    def in_flight(self, frames: list[bytes], depth: int) -> None:
        """All of them, with `depth` in flight."""
        send = self._socket.sendall
        send(b"".join(frames[:depth]))
        position, missing = depth, len(frames)
        while missing:
            answered = self._receive_some()
            missing -= answered
            more = frames[position : position + answered]
            position += answered
            if more:
                send(b"".join(more))

    def callbacks(self, path: str, count: int) -> list[float]:
        """Seconds of each call that asks the host once, and of nothing else."""
        times = []
        for _ in range(count):
            self._calls += 1
            target = pb.FunctionCall(path=path)
            opened = _frame(
                pb.Up(call=self._calls, open=pb.Open(function=target, inputs=pb.Payload(json=b'["t"]')))
            )
            reply = pb.CallbackReply(id=1, ok=pb.Payload(json=b"1"))
            replied = _frame(pb.Up(call=self._calls, callback_reply=reply))
            begun = time.perf_counter()
            self._socket.sendall(opened)
            self._socket.recv(65536)
            self._socket.sendall(replied)
            self._socket.recv(65536)
            times.append(time.perf_counter() - begun)
        return times

    def _receive_some(self) -> int:
        data = self._rest + self._socket.recv(262144)
        position, count, end = 0, 0, len(data)
        while end - position >= 4:
            following = position + 4 + int.from_bytes(data[position : position + 4], "little")
            if following > end:
                break
            position = following
            count += 1
        self._rest = data[position:]
        return count

    def _receive(self, count: int) -> None:
        while count > 0:
            count -= self._receive_some()


def _frame(up: pb.Up) -> bytes:
    body = up.SerializeToString()
    return struct.pack("<I", len(body)) + body


def cpu_seconds(pid: int) -> float:
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


def median(times: list[float]) -> float:
    """In microseconds."""
    return sorted(times)[len(times) // 2] * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    payload = json.dumps({"text": "x" * 188}).encode()
    host = ZygoteHost()
    host.ready()
    worker = host.fork("bench")
    assert worker.socket is not None
    peer = Peer(worker.socket, payload)
    peer.in_flight(peer.frames(2000), 16)
    for _ in range(options.rounds):
        frames = peer.frames(BATCH)
        cpu = cpu_seconds(worker.pid)
        times = peer.one_by_one(frames)
        alone = (cpu_seconds(worker.pid) - cpu) / BATCH
        frames = peer.frames(BATCH)
        cpu, begun = cpu_seconds(worker.pid), time.perf_counter()
        peer.in_flight(frames, 16)
        took = time.perf_counter() - begun
        together = (cpu_seconds(worker.pid) - cpu) / BATCH
        print(
            f"1 in flight: p50 {median(times):5.1f} us, CPU {alone * 1e6:5.1f} us;"
            f" 16 in flight: {BATCH / took:6.0f} calls/s, CPU {together * 1e6:5.1f} us"
        )
    for path in ("callback", "callback_blocking"):
        cpu = cpu_seconds(worker.pid)
        times = peer.callbacks(path, 3000)
        used = (cpu_seconds(worker.pid) - cpu) / len(times)
        print(f"with one {path}: p50 {median(times):5.1f} us, CPU of the loop's thread {used * 1e6:5.1f} us")
    worker.release()
    host.close()


if __name__ == "__main__":
    main()
