"""A stand-in for the usual design of a bridge to Python: what it does for each call, and nothing else.

    python usual_design.py SOCKET HOST

A unary `grpc.aio` server at SOCKET. For each call it sets the session up with the host at HOST, which is a
blocking unary call on the event loop, makes an adapter, registers its tools where the session is new, and
runs the tool in a thread. Says `ready` when it listens, and ends with its standard input.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Callable
from typing import Any

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_ANY_URL = "type.googleapis.com/google.protobuf.StringValue"
_Field = descriptor_pb2.FieldDescriptorProto


def _messages() -> dict[str, Any]:
    """The messages of both services, as a proto file would declare them."""
    import google.protobuf.any_pb2  # noqa: F401  # the pool has to know it

    file = descriptor_pb2.FileDescriptorProto(
        name="usual.proto", package="usual", syntax="proto3", dependency=["google/protobuf/any.proto"]
    )

    def message(name: str, *fields: tuple[str, Any]) -> None:
        made = file.message_type.add(name=name)
        for number, (field, kind) in enumerate(fields, 1):
            added = made.field.add(name=field, number=number, label=_Field.LABEL_OPTIONAL)
            if isinstance(kind, tuple):  # a map
                entry = made.nested_type.add(name=f"{field.title().replace('_', '')}Entry")
                entry.options.map_entry = True
                entry.field.add(name="key", number=1, label=_Field.LABEL_OPTIONAL, type=_Field.TYPE_STRING)
                value = entry.field.add(name="value", number=2, label=_Field.LABEL_OPTIONAL)
                _typed(value, kind[0])
                added.label = _Field.LABEL_REPEATED
                _typed(added, f".usual.{name}.{entry.name}")
            else:
                _typed(added, kind)

    text, flag, number, any_ = _Field.TYPE_STRING, _Field.TYPE_BOOL, _Field.TYPE_INT64, ".google.protobuf.Any"
    message(
        "ExecuteTool",
        ("session_id", text),
        ("tool_name", text),
        ("parameters", (any_,)),
        ("metadata", (text,)),
    )
    message(
        "ToolExecuted",
        ("success", flag),
        ("result", any_),
        ("error_message", text),
        ("metadata", (text,)),
        ("execution_time_ms", number),
    )
    message("InitializeSession", ("session_id", text), ("metadata", (text,)))
    message("SessionInitialized", ("success", flag), ("error_message", text), ("available_tools", (text,)))
    pool = descriptor_pool.Default()
    pool.Add(file)
    return {
        made.name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"usual.{made.name}"))
        for made in file.message_type
    }


def _typed(field: Any, kind: Any) -> None:
    if isinstance(kind, str):
        field.type, field.type_name = _Field.TYPE_MESSAGE, kind
    else:
        field.type = kind


class Adapter:
    """What holds a session's tools: one for each call."""

    def __init__(self, session_id: str, host_tools: dict[str, str]) -> None:
        self.session_id = session_id
        self.host_tools = host_tools
        self.tools: dict[str, Callable[..., Any]] = {}

    def initialize(self) -> None:
        self.tools = {"echo": self.echo}

    def register_tools(self, registered: set[str]) -> None:
        if self.session_id not in registered:
            registered.add(self.session_id)

    def execute(self, name: str, arguments: dict[str, Any]) -> Any:
        return self.tools[name](**arguments)

    def cleanup(self) -> None:
        self.tools.clear()

    def echo(self, text: str) -> str:
        return text


class Worker:
    """The service."""

    def __init__(self, host: str) -> None:
        self.messages = _messages()
        # Of a socket's path gRPC makes an authority that servers in Rust refuse.
        channel = grpc.insecure_channel(f"unix:{host}", [("grpc.default_authority", "localhost")])
        self.initialize_session = channel.unary_unary(
            "/usual.Host/InitializeSession",
            request_serializer=self.messages["InitializeSession"].SerializeToString,
            response_deserializer=self.messages["SessionInitialized"].FromString,
        )
        self.registered: set[str] = set()

    async def execute_tool(self, request: Any, context: object) -> Any:
        begun = time.monotonic()
        answer = self.messages["ToolExecuted"]()
        session = self.initialize_session(self.messages["InitializeSession"](session_id=request.session_id))
        if not session.success:
            answer.error_message = session.error_message or "the host has no such session"
            return answer
        adapter = Adapter(request.session_id, dict(session.available_tools))
        adapter.initialize()
        adapter.register_tools(self.registered)
        try:
            arguments = {name: json.loads(value.value) for name, value in request.parameters.items()}
            result = await asyncio.to_thread(adapter.execute, request.tool_name, arguments)
            answer.success = True
            answer.result.type_url = _ANY_URL
            answer.result.value = json.dumps(result).encode()
        except Exception as exc:
            answer.error_message = str(exc)
        finally:
            adapter.cleanup()
        answer.execution_time_ms = int((time.monotonic() - begun) * 1000)
        return answer


async def main() -> None:
    worker = Worker(sys.argv[2])
    method = grpc.unary_unary_rpc_method_handler(
        worker.execute_tool,
        request_deserializer=worker.messages["ExecuteTool"].FromString,
        response_serializer=worker.messages["ToolExecuted"].SerializeToString,
    )
    server = grpc.aio.server()
    methods = {"ExecuteTool": method}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("usual.Worker", methods),))
    server.add_insecure_port(f"unix:{sys.argv[1]}")
    await server.start()
    print("ready", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await server.stop(None)


if __name__ == "__main__":
    asyncio.run(main())
