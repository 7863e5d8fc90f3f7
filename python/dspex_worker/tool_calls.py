"""Calls that the host makes of tools in Python: the answer, or the items of a generator as they come."""

from __future__ import annotations

import inspect
from typing import Any

from dspex_worker import codec
from dspex_worker.lm import Call
from dspex_worker.problems import InvalidInput
from dspex_worker.python_tools import PythonTool, acollected


async def run(tool: PythonTool, arguments: dict[str, Any], call: Call) -> dict[str, Any]:
    """`{"value": ..}`, or for a generator `{"items": n}` after as many events "item".

    Raises what the tool raises. A generator is closed whatever happens.
    """
    result = await _started(tool, arguments, call)
    if inspect.isasyncgen(result):
        return {"items": await _asend(result, call)}
    if inspect.isgenerator(result):
        return {"items": await call.in_thread(lambda: _send(result, call))}
    return {"value": result}


async def answer(tool: PythonTool, arguments: dict[str, Any], call: Call) -> Any:
    """The answer of a tool; of a generator, all its items."""
    result = await _started(tool, arguments, call)
    if inspect.isgenerator(result):
        return await call.in_thread(lambda: list(result))
    return await acollected(result)


async def _started(tool: PythonTool, arguments: dict[str, Any], call: Call) -> Any:
    """What the function answers; a generator is only made."""
    if tool.streams:
        return tool.function(**arguments)
    if tool.asynchronous:
        return await tool.function(**arguments)
    result = await call.in_thread(lambda: tool.function(**arguments))
    return await result if inspect.isawaitable(result) else result


def by_name(tool: PythonTool, args: list[Any], kwargs: dict[str, Any]) -> dict[str, Any]:
    """All arguments by name. Raises `InvalidInput`."""
    names = list(tool.args)
    if len(args) > len(names):
        problem = f"{len(args)} arguments by position; `{tool.path}` takes {len(names)}"
        raise InvalidInput([{"field": "", "problem": problem}])
    named = dict(zip(names, args, strict=False))
    twice = sorted(named.keys() & kwargs.keys())
    if twice:
        raise InvalidInput([{"field": twice[0], "problem": "given twice, by position and by name"}])
    return {**named, **kwargs}


async def _asend(items: Any, call: Call) -> int:
    count = 0
    try:
        async for item in items:
            await call.host.item(_item(count, item))
            count += 1
    finally:
        await items.aclose()
    return count


def _send(items: Any, call: Call) -> int:
    count = 0
    try:
        for item in items:
            call.host.item_blocking(_item(count, item))
            count += 1
    finally:
        items.close()
    return count


def _item(index: int, value: Any) -> bytes:
    return codec.dumps({"index": index, "value": value})
