"""Tools in Python: functions, `dspy.Tool`s and callable objects of modules that the host allows.

For models they are tools like those of the host: their arguments are checked, and their failures are values.
A host that calls one itself gets the failures as they are; see `tool_calls`.
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
import inspect
import threading
from collections.abc import Callable, Mapping
from typing import Any

import dspy
import jsonschema
import pydantic
from dspy.utils.exceptions import is_retryable_lm_error

from dspex_worker import validate
from dspex_worker.errors import scrub
from dspex_worker.lm import running_call
from dspex_worker.problems import InvalidInput, Problem
from dspex_worker.tools import Function, WorkerTool, failure

# What a model is told of one failure.
_MAX_MESSAGE = 2000


class PythonTool:
    """A tool in Python: what it is, how its arguments are checked, and how it runs."""

    def __init__(self, path: str, target: Any) -> None:
        """Raises `InvalidInput` for what DSPy cannot describe as a tool."""
        self.path = path
        # Where it is a `dspy.Tool` already.
        self.given = target if isinstance(target, dspy.Tool) else None
        self.function: Callable[..., Any] = target.func if self.given is not None else target
        self.tool = self.given or _described(path, target)
        # What has the parameters and the result.
        self.target = kind = _unwrapped(self.function)
        self.streams = inspect.isgeneratorfunction(kind) or inspect.isasyncgenfunction(kind)
        # Whether it belongs on an event loop.
        self.asynchronous = inspect.iscoroutinefunction(kind) or inspect.isasyncgenfunction(kind)
        # Where the function takes any other keyword, DSPy calls that a parameter.
        rest = _keywords(self.function)
        self.args = {name: schema for name, schema in (self.tool.args or {}).items() if name not in rest}
        self.open_ended = bool(rest) and (not self.args or rest <= (self.tool.args or {}).keys())
        self._inputs = (
            validate.inputs_of_callable(kind, roles=False)
            if self.given is None
            else self._declared(self.given)
        )
        self._never_null = self._inputs.never_null()

    def check(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments as the function wants them. Raises `InvalidInput` with every problem.

        Null is the absence of an optional argument that cannot be null.
        """
        return self._inputs.check(
            {name: v for name, v in arguments.items() if v is not None or name not in self._never_null}
        )

    def _declared(self, tool: dspy.Tool) -> validate.Inputs:
        """The checks of a `dspy.Tool`: the types and JSON Schemas that it holds, prepared once."""
        required = _required(tool)
        parameters = {}
        for name, schema in self.args.items():
            check, expected = _check_of(schema, (tool.arg_types or {}).get(name, Any))
            parameters[name] = validate.Parameter(name, check, expected, name in required)
        return validate.Inputs(parameters, open_ended=self.open_ended)

    def declaration(self) -> dict[str, Any]:
        """The tool as it stands in a spec, and what it answers."""
        declared = {
            "path": self.path,
            "name": self.tool.name,
            "desc": self.tool.desc or "",
            "args": self.args,
            "streams": self.streams,
        }
        returns = _returns(self.target, self.streams)
        return declared if returns is None else {**declared, "returns": returns}


class PythonFunction(Function):
    """Runs a tool of Python for a model."""

    def __init__(self, tool: PythonTool) -> None:
        super().__init__(tool.tool.name, tool.tool.desc or "", _signature(tool.function))
        self._tool = tool

    def run(self, arguments: dict[str, Any]) -> Any:
        try:
            return collected(self._tool.function(**self._tool.check(arguments)), self.__name__)
        except (Exception, SystemExit, KeyboardInterrupt) as error:
            return told(error)

    async def arun(self, arguments: dict[str, Any]) -> Any:
        call = running_call()
        if call is None or self._tool.asynchronous or threading.get_ident() != call.loop_thread:
            try:
                return await acollected(self._tool.function(**self._tool.check(arguments)))
            except (Exception, SystemExit, KeyboardInterrupt) as error:
                return told(error)
        # What is synchronous may block, and gets a thread.
        return await call.in_thread(lambda: self.run(arguments))


def python_tool(tool: PythonTool) -> WorkerTool:
    """The same as a tool of DSPy."""
    return WorkerTool(PythonFunction(tool), tool.tool.name, tool.tool.desc or "", tool.args)


def told(error: BaseException) -> dict[str, Any]:
    """What a model sees of an exception: never where it came from."""
    if isinstance(error, InvalidInput):
        return failure("; ".join(_line(problem) for problem in error.attributes["problems"]))
    message = scrub(str(error)).split("Traceback (most recent call last)", 1)[0].strip()[:_MAX_MESSAGE]
    retryable = isinstance(error, Exception) and is_retryable_lm_error(error)
    return failure(f"{type(error).__name__}: {message}" if message else type(error).__name__, retryable)


def _line(problem: Problem) -> str:
    told = f"`{problem['field']}`: {problem['problem']}"
    return f"{told} (expected: {problem['expected']})" if "expected" in problem else told


# ------------------------------------------------------------------------------------------------ running


def collected(result: Any, name: str = "") -> Any:
    """What a function answered, awaited and iterated to its end, without an event loop of the caller's."""
    if inspect.isgenerator(result):
        return list(result)
    if not inspect.isawaitable(result) and not inspect.isasyncgen(result):
        return result
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(acollected(result))
    call = running_call()
    if call is not None and threading.get_ident() != call.loop_thread:
        return _in_thread_of_its_own(result)
    if inspect.iscoroutine(result):
        result.close()
    raise RuntimeError(f"the tool `{name}` is asynchronous; use `await tool.acall(..)` in asynchronous code")


async def acollected(result: Any) -> Any:
    """The same on an event loop."""
    if inspect.isasyncgen(result):
        try:
            return [item async for item in result]
        finally:
            await result.aclose()
    if inspect.isawaitable(result):
        return await result
    return list(result) if inspect.isgenerator(result) else result


def _in_thread_of_its_own(result: Any) -> Any:
    """The end of an awaitable, for a thread whose own event loop is busy with the caller."""
    outcome: list[Any] = []
    raised: list[BaseException] = []

    def run() -> None:
        try:
            outcome.append(asyncio.run(acollected(result)))
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=contextvars.copy_context().run, args=(run,))
    thread.start()
    thread.join()
    if raised:
        raise raised[0]
    return outcome[0]


# ------------------------------------------------------------------------------------------------ checking


def _required(tool: dspy.Tool) -> set[str]:
    """The parameters that the function cannot do without. DSPy leaves it to the function to find out."""
    try:
        parameters = inspect.signature(_unwrapped(tool.func)).parameters.values()
    except (TypeError, ValueError):
        return set()
    named = {p.name for p in parameters if p.default is p.empty and p.kind is not p.VAR_KEYWORD}
    return {name for name, schema in (tool.args or {}).items() if name in named and "default" not in schema}


def _keywords(function: Any) -> set[str]:
    """The name under which a function takes any other keyword."""
    try:
        parameters = inspect.signature(_unwrapped(function)).parameters.values()
    except (TypeError, ValueError):
        return set()
    return {p.name for p in parameters if p.kind in (p.VAR_KEYWORD, p.VAR_POSITIONAL)}


def _check_of(schema: Any, annotation: Any) -> tuple[Callable[[Any], Any] | None, str]:
    convert, expected = validate.checker(annotation)
    validator = None
    if isinstance(schema, Mapping) and schema.get("type") != "Any":
        cls = jsonschema.validators.validator_for(schema, jsonschema.Draft202012Validator)
        validator = cls(schema)
        kinds = schema.get("type")
        expected = expected if annotation is not Any else str(kinds or "a value of its JSON Schema")
    if validator is None and convert is None:
        return None, expected

    def check(value: Any) -> Any:
        if validator is not None:
            plain = value.model_dump() if isinstance(value, pydantic.BaseModel) else value
            problem = jsonschema.exceptions.best_match(validator.iter_errors(plain))
            if problem is not None:
                raise ValueError(_schema_problem(problem, value))
        return value if convert is None else convert(value)

    return check, expected


def _schema_problem(problem: Any, value: Any) -> str:
    at = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in problem.absolute_path)
    text = problem.message if len(problem.message) <= 200 else f"not valid for `{problem.validator}`"
    return f"at {at.lstrip('.')}: {text}" if at else text


# ------------------------------------------------------------------------------------------------ describing


def _described(path: str, target: Any) -> dspy.Tool:
    if isinstance(target, type):
        problem: Problem = {"field": "path", "problem": f"`{path}` is a class; a tool is a function"}
        raise InvalidInput([problem])
    own = getattr(target, "__name__", "")
    try:
        # Objects and lambdas have no name of their own.
        return dspy.Tool(target, name=own if own.isidentifier() else path.rpartition(".")[2])
    except Exception as error:
        problem = {
            "field": "path",
            "problem": f"`{path}` cannot be described as a tool: {type(error).__name__}: {error}",
        }
        raise InvalidInput([problem]) from error


def _unwrapped(function: Any) -> Any:
    """The function that an object's call ends in."""
    if inspect.isroutine(function) or isinstance(function, (type, functools.partial)):
        return function
    return getattr(function, "__call__", function)  # noqa: B004


def _signature(function: Any) -> inspect.Signature:
    try:
        return inspect.signature(function)
    except (TypeError, ValueError):
        return inspect.Signature([inspect.Parameter("arguments", inspect.Parameter.VAR_KEYWORD)])


def _returns(function: Any, streams: bool) -> Any:
    """The JSON Schema of what a function answers; of one item where it streams. None: nobody knows."""
    annotation = validate.type_hints(function).get("return", Any)
    if streams:
        arguments = getattr(annotation, "__args__", ())
        annotation = arguments[0] if arguments else Any
    if annotation is Any:
        return None
    try:
        return pydantic.TypeAdapter(annotation).json_schema()
    except Exception:
        return None
