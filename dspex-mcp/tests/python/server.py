"""A server of tools, written with the SDK for Python."""

from __future__ import annotations

import os
from typing import Annotated, Literal

from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from pydantic import BaseModel, Field

server = MCPServer("inventory")


class Item(BaseModel):
    """Something in stock."""

    name: str
    count: Annotated[int, Field(ge=0)]
    tags: list[str] = []


@server.tool()
def put(item: Item, shelf: Literal["low", "high"] = "low", note: str | None = None) -> Item:
    """Puts something on a shelf."""
    return Item(name=f"{item.name} on the {shelf} shelf", count=item.count, tags=[*item.tags, str(note)])


@server.tool()
def total(counts: dict[str, float]) -> float:
    """Adds up counts."""
    return sum(counts.values())


@server.tool()
def fail() -> str:
    """Fails."""
    raise ToolError("the shelf broke")


@server.tool()
def die() -> str:
    """Ends the server's process."""
    os._exit(3)


server.run("stdio")
