"""Programs that use the session of their call."""

from __future__ import annotations

from typing import Any

import dspex_worker
from dspex_worker import InvalidValue, VersionConflict


def add(times: int) -> int:
    """Adds one so often, and loses no other's update."""
    variables = dspex_worker.session().variables
    conflicts = 0
    while times:
        value, version = variables.read("count")
        try:
            variables.update("count", value + 1, if_version=version)
            times -= 1
        except VersionConflict:
            conflicts += 1
    return conflicts


async def add_async(times: int) -> int:
    """The same on the event loop."""
    variables = dspex_worker.session().variables
    conflicts = 0
    while times:
        value, version = await variables.aread("count")
        try:
            await variables.aupdate("count", value + 1, if_version=version)
            times -= 1
        except VersionConflict:
            conflicts += 1
    return conflicts


def double(name: str) -> str:
    """Doubles the numbers of an array."""
    variables = dspex_worker.session().variables
    array = variables[name]
    variables[name] = array * 2
    return f"{array.dtype} {list(array.shape)} {array.flags.writeable}"


def put(name: str, value: Any) -> int:
    variables = dspex_worker.session().variables
    variables[name] = value
    return variables.read(name).version


def put_ones(name: str, count: int) -> None:
    """A long list of numbers."""
    dspex_worker.session().variables[name] = [1.0] * count


def refused(name: str, value: Any) -> Any:
    """What is wrong with a value."""
    try:
        put(name, value)
    except InvalidValue as error:
        return [str(error), error.violations]
    return None


def make() -> Any:
    """Makes variables, and says what there is."""
    variables = dspex_worker.session().variables
    variables.create("made", "float", 0.5, min=0, max=2, description="how free")
    variables.create("gone", "dict", {"$dspex": 1})
    gone = variables["gone"]
    del variables["gone"]
    described = variables.describe("made")
    return [
        list(variables),
        gone,
        described.type,
        dict(described.constraints),
        described.description,
    ]


def who() -> str:
    return dspex_worker.session().id
