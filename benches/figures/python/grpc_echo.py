"""A unary `grpc.aio` server as one writes it: gives back the bytes that it got, over a unix socket.

    python grpc_echo.py SOCKET

Says `ready` when it listens, and ends with its standard input.
"""

from __future__ import annotations

import asyncio
import sys

import grpc
from google.protobuf.wrappers_pb2 import BytesValue


async def echo(request: BytesValue, context: object) -> BytesValue:
    return request


async def main() -> None:
    method = grpc.unary_unary_rpc_method_handler(
        echo, request_deserializer=BytesValue.FromString, response_serializer=BytesValue.SerializeToString
    )
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("figures.Echo", {"Echo": method}),))
    server.add_insecure_port(f"unix:{sys.argv[1]}")
    await server.start()
    print("ready", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await server.stop(None)


if __name__ == "__main__":
    asyncio.run(main())
