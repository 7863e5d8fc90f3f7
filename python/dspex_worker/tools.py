"""What all tools of the worker have in common: tools of the host, and tools of Python that a spec names.

They are real `dspy.Tool`s, with three differences:

* What a model gives as arguments reaches the function, which judges it. DSPy's own check raises, and its
  modules show the model the traceback, with the machine's paths.
* A failure is a value that tells the model what went wrong: `{"error": message, "retryable": bool}`.
* One tool serves synchronous and asynchronous modules: both may share it.
"""

from __future__ import annotations

import inspect
import keyword
from collections.abc import Mapping
from typing import Any

import dspy
from dspy.dsp.utils.settings import thread_local_overrides
from dspy.utils.callback import with_callbacks


class Function:
    """What runs a tool. Called directly, it does the same as its tool."""

    def __init__(self, name: str, desc: str, signature: inspect.Signature) -> None:
        # What DSPy's interpreters read of a function.
        self.__name__ = self.__qualname__ = name
        self.__doc__ = desc
        self.__signature__ = signature

    def run(self, arguments: dict[str, Any]) -> Any:
        """Runs it where nothing else is kept waiting, or says in an error value why that cannot be."""
        raise NotImplementedError

    async def arun(self, arguments: dict[str, Any]) -> Any:
        """Runs it on an event loop."""
        raise NotImplementedError

    def __call__(self, /, **arguments: Any) -> Any:
        return self.run(arguments)

    def __copy__(self) -> Function:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Function:
        # Copies of a program call the same function.
        return self

    def __repr__(self) -> str:
        return f"<tool {self.__name__}>"


class WorkerTool(dspy.Tool):  # type: ignore[misc]
    """A tool whose function judges the arguments by itself."""

    def __init__(self, function: Function, name: str, desc: str, args: dict[str, Any]) -> None:
        super().__init__(function, name=name, desc=desc, args=args, arg_types={})

    def _parse_function(self, func: Any, arg_desc: Any = None) -> None:
        # Everything was given, and nothing is inferred.
        self.has_kwargs = True

    # Nothing by name beside the arguments: a tool may have parameters named `self` or `instance`.

    def _validate_and_parse_args(self, /, **arguments: Any) -> dict[str, Any]:
        return arguments

    def __call__(self, /, **arguments: Any) -> Any:
        if thread_local_overrides.get().get("callbacks"):
            return self._call_with_callbacks(arguments)
        return self.func.run(arguments)

    async def acall(self, /, **arguments: Any) -> Any:
        if thread_local_overrides.get().get("callbacks"):
            return await self._acall_with_callbacks(arguments)
        return await self.func.arun(arguments)

    @with_callbacks  # type: ignore[untyped-decorator]
    def _call_with_callbacks(self, kwargs: dict[str, Any]) -> Any:
        return self.func.run(kwargs)

    @with_callbacks  # type: ignore[untyped-decorator]
    async def _acall_with_callbacks(self, kwargs: dict[str, Any]) -> Any:
        return await self.func.arun(kwargs)


def failure(message: str, retryable: bool = False) -> dict[str, Any]:
    """What a model sees of a tool that failed."""
    return {"error": message, "retryable": retryable}


def signature_of(args: Mapping[str, Any]) -> inspect.Signature:
    """The parameters of a tool as Python has them, for interpreters that let a model call it."""
    parameters: list[inspect.Parameter] = []
    kind: Any = inspect.Parameter.POSITIONAL_OR_KEYWORD
    for name, schema in args.items():
        if not name.isidentifier() or keyword.iskeyword(name):
            # Such a name can only be given in a dictionary.
            open_ended = inspect.Parameter("arguments", inspect.Parameter.VAR_KEYWORD)
            return inspect.Signature([open_ended])
        default = schema.get("default", inspect.Parameter.empty)
        if parameters and default is inspect.Parameter.empty and parameters[-1].default is not default:
            # Python has no required parameter after an optional one, unless it is given by name.
            kind = inspect.Parameter.KEYWORD_ONLY
        parameters.append(inspect.Parameter(name, kind, default=default))
    return inspect.Signature(parameters)
