"""What a large payload costs on its way into a worker: in pieces over the socket, or in shared memory.

The sender is as fast as a socket can be fed (whole pieces, made before); the receiver is the worker's own
code: frames, reassembly, the message, the array. `python tools/bench_payloads.py` prints medians of the
processors' time of both ends, in milliseconds, of all ways by turns: on a busy machine the clock on the wall
says little.
"""

from __future__ import annotations

import mmap
import os
import resource
import socket
import statistics
import struct
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from dspex_worker import codec
from dspex_worker.fragments import FRAGMENT_BYTES, Reassembly
from dspex_worker.proto import worker_pb2 as pb

ROUNDS = 31
MIB = 1024 * 1024
LENGTH = struct.Struct("<I")


def processors() -> float:
    """Seconds of this process and of the children that it waited for."""
    own, children = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def pieces(message: bytes) -> list[bytes]:
    out = []
    for start in range(0, len(message), FRAGMENT_BYTES):
        end = min(start + FRAGMENT_BYTES, len(message))
        total = 0 if start else len(message)
        fragment = pb.Fragment(data=message[start:end], last=end == len(message), total=total)
        body = pb.Up(call=1, fragment=fragment).SerializeToString()
        out.append(LENGTH.pack(len(body)) + body)
    return out


def read_exactly(sock: socket.socket, size: int) -> bytearray:
    data = bytearray(size)
    view = memoryview(data)
    got = 0
    while got < size:
        got += sock.recv_into(view[got:])
    return data


def receive_pieces(sock: socket.socket) -> pb.Up:
    reassembly = Reassembly(256 * MIB, 1024 * MIB)
    while True:
        (length,) = LENGTH.unpack(read_exactly(sock, 4))
        up = pb.Up.FromString(bytes(read_exactly(sock, length)))
        whole = reassembly.feed(up.call, up.fragment)
        if whole is not None:
            return pb.Up.FromString(whole)


def by_socket(size: int) -> float:
    data = np.random.default_rng(1).random(size // 4, np.float32).tobytes()
    attachment = pb.Attachment(name="a", dtype="float32", shape=[size // 4], data=data)
    opened = pb.Open(inputs=pb.Payload(json=b"{}", attachments=[attachment]))
    return feed(pieces(pb.Up(call=1, open=opened).SerializeToString()), take_array)


def by_socket_json(size: int) -> float:
    text = codec.dumps({"text": ["word " * 20] * (size // 104)})
    return feed(
        pieces(pb.Up(call=1, open=pb.Open(inputs=pb.Payload(json=text))).SerializeToString()), take_json
    )


def take_array(up: pb.Up) -> None:
    np.frombuffer(up.open.inputs.attachments[0].data, "<f4").sum()


def take_json(up: pb.Up) -> None:
    codec.loads_object(up.open.inputs.json, "inputs")


def feed(frames: list[bytes], take) -> float:  # type: ignore[no-untyped-def]
    ours, theirs = socket.socketpair()
    child = os.fork()
    if child == 0:
        ours.close()
        theirs.recv(1)
        for frame in frames:
            theirs.sendall(frame)
        os._exit(0)
    theirs.close()
    begun = processors()
    ours.sendall(b"!")
    take(receive_pieces(ours))
    os.waitpid(child, 0)
    ours.close()
    return (processors() - begun) * 1000


def by_shared_memory(size: int) -> float:
    """A new memory file for each payload, as payloads of calls need: filled, sent, mapped, read, gone."""
    data = np.random.default_rng(1).random(size // 4, np.float32)
    ours, theirs = socket.socketpair()
    child = os.fork()
    if child == 0:
        ours.close()
        theirs.recv(1)
        memory = os.memfd_create("tensor")
        os.ftruncate(memory, size)
        with mmap.mmap(memory, size) as mapped:
            mapped.write(data.data)
        socket.send_fds(theirs, [b"#"], [memory])
        os._exit(0)
    theirs.close()
    begun = processors()
    ours.sendall(b"!")
    _, received, _, _ = socket.recv_fds(ours, 1, 1)
    mapped = mmap.mmap(received[0], size, prot=mmap.PROT_READ)
    np.frombuffer(mapped, "<f4").sum()
    os.close(received[0])
    os.waitpid(child, 0)
    ours.close()
    return (processors() - begun) * 1000


def main() -> None:
    for size in (256 * 1024, MIB, 10 * MIB):
        ways = {"socket": by_socket, "shared memory": by_shared_memory, "socket, JSON": by_socket_json}
        took: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(ROUNDS):
            for name, way in ways.items():
                took[name].append(way(size))
        told = ", ".join(f"{name} {statistics.median(values):.2f} ms" for name, values in took.items())
        print(f"{size / MIB:g} MiB: {told}")


if __name__ == "__main__":
    main()
