"""Workers with the fake engine, forked from one zygote per carrier and configuration."""

from __future__ import annotations

import itertools
import json
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from carriers import LIMIT, Client, Connect, FramedClient, GrpcClient
from served import Served
from zygote_host import WorkerProcess, ZygoteHost

_names = itertools.count()


@pytest.fixture(scope="session")
def zygotes() -> Iterator[Callable[[str, dict[str, Any]], ZygoteHost]]:
    started: dict[str, ZygoteHost] = {}

    def zygote(carrier: str, config: dict[str, Any]) -> ZygoteHost:
        key = json.dumps([carrier, config])
        if key not in started:
            started[key] = ZygoteHost(config, carrier)
            started[key].ready()
        return started[key]

    yield zygote
    for host in started.values():
        host.close()


@pytest_asyncio.fixture
async def connect(
    zygotes: Callable[[str, dict[str, Any]], ZygoteHost], tmp_path: Path
) -> AsyncIterator[Connect]:
    """Forks a worker and connects to it: `connect("framed", token="..")`."""
    opened: list[tuple[Client, WorkerProcess]] = []

    async def connect(carrier: str, **config: Any) -> tuple[Client, WorkerProcess, ZygoteHost]:
        zygote = zygotes(carrier, {"max_message_bytes": LIMIT, **config})
        name = f"w{next(_names)}"
        listen = f"unix:{tmp_path}/{name}" if carrier == "grpc" else None
        worker = zygote.fork(name, 7, listen)
        client: Client
        if carrier == "framed":
            client = await FramedClient.connect(worker)
        else:
            client = await GrpcClient.connect(worker, str(config.get("token", "")))
        opened.append((client, worker))
        return client, worker, zygote

    yield connect
    for client, worker in opened:
        await client.close()
        worker.release()


@pytest.fixture(params=["framed", "grpc"])
def carrier(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest_asyncio.fixture
async def client(connect: Connect, carrier: str) -> Client:
    return (await connect(carrier))[0]


@pytest.fixture
def serve() -> Iterator[type[Served]]:
    started: list[Served] = []

    class Started(Served):
        def __init__(self, *options: str) -> None:
            super().__init__(*options)
            started.append(self)

    yield Started
    for served in started:
        served.close()
