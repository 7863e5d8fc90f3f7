"""Tools of a server, as DSPy's own bridge makes them. Prints one JSON object of what came of them."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import dspy
import mcp


async def outcome(tool: dspy.Tool, **arguments: Any) -> Any:
    try:
        return await tool.acall(**arguments)
    except Exception as error:
        return {"raised": str(error)}


async def main(url: str) -> None:
    async with mcp.Client(url) as client:
        listed = (await client.list_tools()).tools
        texts = {tool.name: dspy.Tool.from_mcp_tool(client, tool) for tool in listed}
        structured = {
            tool.name: dspy.Tool.from_mcp_tool(client, tool, result_mode="structured") for tool in listed
        }
        functions = [tool.format_as_litellm_function_call()["function"] for tool in texts.values()]
        progress: list[tuple[float, str | None]] = []

        async def told(at: float, total: float | None, message: str | None) -> None:
            progress.append((at, message))

        counted = await client.call_tool("count", {"to": 3}, progress_callback=told)
        print(
            json.dumps(
                {
                    "names": list(texts),
                    "required": {
                        function["name"]: function["parameters"]["required"] for function in functions
                    },
                    "shown": str(texts["plan_of"]),
                    "plan": await outcome(structured["plan_of"], email="sara@acme.io"),
                    "sum": await outcome(texts["add"], a=1, b=2),
                    "refused": await outcome(texts["plan_of"], email="a", invoices=51),
                    "unfit": await outcome(texts["plan_of"]),
                    "busy": await outcome(texts["busy"]),
                    "counted": counted.content[0].text,
                    "progress": progress,
                }
            )
        )


asyncio.run(main(sys.argv[1]))
