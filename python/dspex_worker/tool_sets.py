"""Tools out of their declarations in specs and sessions."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from typing import Any

import dspy

from dspex_worker import codec
from dspex_worker.catalogue import Catalogue
from dspex_worker.host_tools import host_tool
from dspex_worker.lm import check_hash
from dspex_worker.problems import InvalidInput, Problem, ProtocolError
from dspex_worker.proto import worker_pb2 as pb
from dspex_worker.python_tools import PythonTool, python_tool
from dspex_worker.tool_errors import ToolNotFound

MAX_TOOL_SETS = 256

_HOST_KEYS = frozenset({"host", "name", "desc", "args"})
_EXPECTED = '{"host": key, "name", "desc", "args"} or {"python": "<dotted path>"}'

# Classes of DSPy whose tools are shipped as source.
_SOURCE = (
    "DSPy ships its tools to the interpreter as source, and there is none of a function of the host; "
    "use `dspy.ReAct` or `dspy.RLM`"
)
_NONE = "DSPy gives it no tools; use `dspy.ReAct` or `dspy.RLM`"


class ToolMaker:
    """Makes tools of declarations. `{"python": path}` names what the catalogue has."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._python: dict[str, PythonTool] = {}

    def tool(self, value: Any, where: str) -> dspy.Tool:
        """The tool of one declaration. Raises `InvalidInput`, `NotFound` or `NotAllowed`."""
        if isinstance(value, dspy.Tool):
            return value
        if isinstance(value, Mapping) and value.keys() == {"python"}:
            return python_tool(self.python(value["python"]))
        if isinstance(value, Mapping) and "host" in value:
            problem = _problem_of(value)
            if problem is None:
                return host_tool(value["host"], value["name"], value.get("desc") or "", dict(value["args"]))
        else:
            problem = f"got {codec.describe(value)}"
        raise InvalidInput([{"field": where, "problem": problem, "expected": _EXPECTED}], "spec")

    def python(self, path: Any) -> PythonTool:
        """The tool of Python at a path. Raises `InvalidInput`, `NotFound` or `NotAllowed`."""
        if not isinstance(path, str):
            raise InvalidInput(
                [{"field": "python", "problem": f"got {codec.describe(path)}", "expected": "a dotted path"}]
            )
        made = self._python.get(path)
        if made is None:
            made = self._python[path] = PythonTool(path, self._catalogue.resolve(path))
        return made

    def tools(
        self, value: Any, where: str, cls: type | None = None, reserved: frozenset[str] = frozenset()
    ) -> list[dspy.Tool]:
        """The tools of a list, for an instance of `cls`. Raises as `tool` does."""
        if not isinstance(value, list):
            problem: Problem = {
                "field": where,
                "problem": f"got {codec.describe(value)}",
                "expected": "a list of tools",
            }
            raise InvalidInput([problem], "spec")
        refusal = _refusal(cls, value)
        if refusal is not None:
            raise InvalidInput([{"field": where, "problem": refusal}], "spec")
        made = [self.tool(item, f"{where}[{i}]") for i, item in enumerate(value)]
        problems: list[Problem] = []
        seen: set[str] = set()
        for i, tool in enumerate(made):
            if tool.name in seen:
                problem_of_name = f"`{tool.name}` is the name of another tool in the list"
            elif tool.name in reserved and cls is not None:
                problem_of_name = (
                    f"`{tool.name}` is a tool that {cls.__name__} has itself; give it another name"
                )
            else:
                seen.add(tool.name)
                continue
            problems.append({"field": f"{where}[{i}]", "problem": problem_of_name})
        if problems:
            raise InvalidInput(problems, "spec")
        return made


def _problem_of(value: Mapping[str, Any]) -> str | None:
    unknown = sorted(value.keys() - _HOST_KEYS)
    if unknown:
        return f"`{unknown[0]}` is unexpected"
    for key in ("host", "name"):
        if not isinstance(value.get(key), str) or not value[key]:
            return f"`{key}` has to be a text"
    args = value.get("args")
    if not isinstance(args, Mapping):
        return f"`args` has to be an object of JSON Schemas, got {codec.describe(args)}"
    wrong = next((name for name, schema in args.items() if not isinstance(schema, Mapping)), None)
    return None if wrong is None else f"the parameter `{wrong}` has no JSON Schema"


def _refusal(cls: type | None, tools: list[Any]) -> str | None:
    """Why a class cannot have these tools."""
    if cls is None or not tools:
        return None
    if issubclass(cls, dspy.predict.CodeAct):
        return _SOURCE if any(not _is_python(tool) for tool in tools) else None
    return _NONE if issubclass(cls, dspy.predict.ProgramOfThought) else None


def _is_python(tool: Any) -> bool:
    return isinstance(tool, Mapping) and "python" in tool


class SessionTools(Mapping[str, dspy.Tool]):
    """The tools of a session, by name, in the order in which the host has them.

    >>> agent = dspy.ReAct("question -> answer", tools=list(dspex_worker.session().tools.values()))
    """

    def __init__(self, tools: list[dspy.Tool]) -> None:
        self._tools = {tool.name: tool for tool in tools}

    def __getitem__(self, name: str) -> dspy.Tool:
        tool = self._tools.get(name)
        if tool is not None:
            return tool
        near = codec.nearest(str(name), self._tools)
        known = ", ".join(f"`{n}`" for n in self._tools)
        told = f"there are {known}" if known else "it has none"
        hint = f"; did you mean `{near}`?" if near else ""
        raise ToolNotFound(f"the session has no tool `{name}`; {told}{hint}")

    def __iter__(self) -> Iterator[str]:
        return iter(self._tools)

    def __len__(self) -> int:
        return len(self._tools)

    def list(self) -> list[str]:
        """The names of the tools."""
        return [*self._tools]

    def __repr__(self) -> str:
        return f"<tools {', '.join(self._tools)}>"


class ToolSets:
    """The tools of sessions that this worker knows, by hash. Bounded: the host sends them again."""

    def __init__(self, maker: ToolMaker, limit: int = MAX_TOOL_SETS) -> None:
        self._maker = maker
        self._limit = limit
        self._entries: OrderedDict[str, list[Any]] = OrderedDict()
        self._made: dict[str, SessionTools] = {}

    def __contains__(self, hash: str) -> bool:
        return hash in self._entries

    def learn(self, told: pb.ToolSet) -> None:
        """Keeps the tools of a session. Raises `ProtocolError` for what is no list with that hash."""
        if told.hash in self._entries:
            return
        check_hash(told.hash, told.json, "session's tools")
        tools = codec.loads(told.json)
        if not isinstance(tools, list):
            raise ProtocolError(f"the session's tools have to be a list, got {codec.describe(tools)}")
        self._entries[told.hash] = tools
        while len(self._entries) > self._limit:
            old, _ = self._entries.popitem(last=False)
            self._made.pop(old, None)

    def get(self, hash: str) -> SessionTools:
        """The tools, made at first use; none for the empty hash. Raises what is wrong with them."""
        if not hash:
            return SessionTools([])
        made = self._made.get(hash)
        if made is None:
            tools = self._entries.get(hash)
            if tools is None:
                raise ProtocolError(
                    f"the tools {hash[:12]!r} are not known; they have to come in `State` first"
                )
            made = self._made[hash] = SessionTools(self._maker.tools(tools, "session.tools"))
        # Another thread may have dropped it meanwhile.
        if hash in self._entries:
            self._entries.move_to_end(hash)
        return made
