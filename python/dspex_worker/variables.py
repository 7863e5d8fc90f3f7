"""The variables of a session, as a module, tool or metric of Python reads and writes them.

They live in the host, which holds every value against the variable's type and constraints. Each operation is
one question to it; nothing is remembered here, so what is read is what is there.

Every operation has two forms. The plain one blocks its thread, which is right in synchronous modules: they
run on threads of their own. In asynchronous ones it raises `WouldBlock`, and the form with an `a` is awaited.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from dspex_worker.variable_errors import VariableNotFound

if TYPE_CHECKING:
    from dspex_worker.variable_wire import Exchange, Reply


# Within `Variables`, `list` is a method.
_Names = list[str]


class Versioned(NamedTuple):
    """A value with its version, for writing it back only if nobody else did."""

    value: Any
    version: int


@dataclass(frozen=True)
class Description:
    """What a variable may hold, without its value."""

    name: str
    # "string", "integer", "float", "boolean", "list", "dict", "tensor", "embedding", "choice" or "module".
    type: str
    constraints: Mapping[str, Any]
    description: str | None
    metadata: Mapping[str, Any]
    # The write that set the value.
    version: int
    # The write that set the type and the constraints.
    spec_version: int


class Variables:
    """The variables of one session, by name.

    >>> variables = dspex_worker.session().variables
    >>> variables["temperature"] = 0.2                          # a variable that there is
    >>> value, version = variables.read("attempts")
    >>> variables.update("attempts", value + 1, if_version=version)   # or raises VersionConflict
    >>> variables.create("centroid", "embedding", array, dimensions=384)

    Tensors and embeddings are numpy arrays; those that are read cannot be written into.
    """

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    # As a mapping.

    def __getitem__(self, name: str) -> Any:
        return self.read(name).value

    def __setitem__(self, name: str, value: Any) -> None:
        self.update(name, value)

    def __delitem__(self, name: str) -> None:
        self.delete(name)

    def __contains__(self, name: object) -> bool:
        if not isinstance(name, str):
            return False
        try:
            self._exchange.ask("adescribe", name, {"op": "describe"})
        except VariableNotFound:
            return False
        return True

    def __iter__(self) -> Iterator[str]:
        return iter(self.list())

    def __len__(self) -> int:
        return len(self.list())

    def keys(self) -> _Names:
        """The names, so that `dict(variables)` reads all of them."""
        return self.list()

    def get(self, name: str, default: Any = None) -> Any:
        """The value of a variable, or the default where there is no such variable."""
        try:
            return self.read(name).value
        except VariableNotFound:
            return default

    # With versions, blocking.

    def read(self, name: str) -> Versioned:
        """A value with its version. Raises `VariableNotFound`."""
        return _versioned(self._exchange.ask("aread", name, {"op": "read"}))

    def update(self, name: str, value: Any, *, if_version: int | None = None) -> int:
        """Sets a variable that there is, and returns its new version.

        Raises `InvalidValue` where the value breaks the variable's rules, and `VersionConflict` where the
        variable has another version than `if_version`.
        """
        return _version(self._exchange.ask("aupdate", name, _update(if_version), (value,)))

    def create(
        self,
        name: str,
        type: str,
        value: Any,
        *,
        description: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        **constraints: Any,
    ) -> int:
        """Makes a variable of a type, with the type's constraints as keywords, and returns its version.

        Raises `VariableExists`, `InvalidSpec` or `InvalidValue`.
        """
        request = _create(type, description, metadata, constraints)
        return _version(self._exchange.ask("acreate", name, request, (value,)))

    def delete(self, name: str, *, if_version: int | None = None) -> None:
        """Removes a variable. Raises `VariableNotFound` or `VersionConflict`."""
        self._exchange.ask("adelete", name, _delete(if_version))

    def describe(self, name: str) -> Description:
        """What a variable may hold. Raises `VariableNotFound`."""
        return _description(self._exchange.ask("adescribe", name, {"op": "describe"}))

    def list(self, glob: str | None = None) -> _Names:
        """The names in their order; those alone that match, where a glob with `*` and `?` is given."""
        names: _Names = []
        while True:
            reply = self._exchange.ask("alist", "", _list(glob, names))
            names += reply.document["names"]
            if not reply.document["more"]:
                return names

    # The same for asynchronous code.

    async def aread(self, name: str) -> Versioned:
        """As `read`."""
        return _versioned(await self._exchange.aask(name, {"op": "read"}))

    async def aupdate(self, name: str, value: Any, *, if_version: int | None = None) -> int:
        """As `update`."""
        return _version(await self._exchange.aask(name, _update(if_version), (value,)))

    async def acreate(
        self,
        name: str,
        type: str,
        value: Any,
        *,
        description: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        **constraints: Any,
    ) -> int:
        """As `create`."""
        request = _create(type, description, metadata, constraints)
        return _version(await self._exchange.aask(name, request, (value,)))

    async def adelete(self, name: str, *, if_version: int | None = None) -> None:
        """As `delete`."""
        await self._exchange.aask(name, _delete(if_version))

    async def adescribe(self, name: str) -> Description:
        """As `describe`."""
        return _description(await self._exchange.aask(name, {"op": "describe"}))

    async def alist(self, glob: str | None = None) -> _Names:
        """As `list`."""
        names: _Names = []
        while True:
            reply = await self._exchange.aask("", _list(glob, names))
            names += reply.document["names"]
            if not reply.document["more"]:
                return names


def _update(if_version: int | None) -> dict[str, Any]:
    return {"op": "update", **_expected(if_version)}


def _delete(if_version: int | None) -> dict[str, Any]:
    return {"op": "delete", **_expected(if_version)}


def _expected(if_version: int | None) -> dict[str, Any]:
    return {} if if_version is None else {"if_version": if_version}


def _create(
    type: str, description: str | None, metadata: Mapping[str, Any] | None, constraints: Mapping[str, Any]
) -> dict[str, Any]:
    spec: dict[str, Any] = {"type": type, "constraints": dict(constraints)}
    if description is not None:
        spec["description"] = description
    if metadata is not None:
        spec["metadata"] = dict(metadata)
    return {"op": "create", "spec": spec}


def _list(glob: str | None, before: _Names) -> dict[str, Any]:
    request: dict[str, Any] = {"op": "list"}
    if glob is not None:
        request["glob"] = glob
    if before:
        request["after"] = before[-1]
    return request


def _version(reply: Reply) -> int:
    return int(reply.document["version"])


def _versioned(reply: Reply) -> Versioned:
    return Versioned(reply.value(), _version(reply))


def _description(reply: Reply) -> Description:
    document = reply.document
    spec: Mapping[str, Any] = document["spec"]
    return Description(
        name=document["name"],
        type=spec["type"],
        constraints=spec.get("constraints", {}),
        description=spec.get("description"),
        metadata=spec.get("metadata", {}),
        version=_version(reply),
        spec_version=int(document["spec_version"]),
    )
