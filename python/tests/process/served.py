"""A worker as an operator starts it: `dspex_worker serve`, with the fake engine."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys

import grpc
import grpc.aio

from carriers import GrpcClient
from zygote_host import FAKE, PATIENCE_S, read_until


class Served:
    def __init__(self, *options: str) -> None:
        self._stderr, write = os.pipe()
        self.process = subprocess.Popen(
            [sys.executable, "-I", str(FAKE), "serve", *options], stdin=subprocess.DEVNULL, stderr=write
        )
        os.close(write)

    def address(self) -> str:
        line = read_until(self._stderr, "\n")
        return line.partition(" serves at ")[2].splitlines()[0]

    def log_until(self, text: str) -> str:
        return read_until(self._stderr, text)

    async def connect(self, token: str = "") -> GrpcClient:
        return await self.connect_to(self.address(), token)

    async def connect_to(self, address: str, token: str = "") -> GrpcClient:
        channel = grpc.aio.insecure_channel(address)
        await asyncio.wait_for(channel.channel_ready(), PATIENCE_S)
        return GrpcClient(channel, token)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self._stderr)
