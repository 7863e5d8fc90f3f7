"""DSPy behind one seam: `Engine.run` takes an `Open` and the host of the call, and returns what `Done`
carries.

Every call runs in a `dspy.context` of its own; nothing is ever configured for the whole worker after `warm`.
The language model of the worker itself stays unset, so that code which lost its context fails instead of
using the model of somebody else.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import inspect
import os
import platform
import sys
import types
from collections.abc import Callable, Mapping
from typing import Any

# Before the first import of DSPy: LiteLLM would fetch its price list from the network.
os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")

import dspy
from dspy._vendor.lm15.serde import response_from_dict
from dspy.dsp.utils.settings import dotdict, main_thread_config, thread_local_overrides
from dspy.utils.exceptions import LMNotConfiguredError

from dspex_worker import (
    acceleration,
    codec,
    correction,
    errors,
    errors_for_models,
    introspect,
    left_behind,
    observations,
    off_loop,
    tool_calls,
)
from dspex_worker.boundaries import Boundaries
from dspex_worker.catalogue import Catalogue, is_tool
from dspex_worker.config import ConfigError, WorkerConfig
from dspex_worker.errors import InvalidInput, ProtocolError
from dspex_worker.function_calls import arguments_of, checked_arguments
from dspex_worker.host import Host
from dspex_worker.instances import Builder, Instance, Instances, Method
from dspex_worker.lm import CALL_SETTING, Call, Models
from dspex_worker.proto import worker_pb2 as pb
from dspex_worker.signature import describe_signature
from dspex_worker.threads import Threads
from dspex_worker.tool_sets import ToolMaker, ToolSets

# The adapters of a session, by the names of the wire. They keep no state of their calls.
_ADAPTERS: Mapping[str, Callable[[], Any]] = {
    "": dspy.ChatAdapter,
    "chat": dspy.ChatAdapter,
    "json": dspy.JSONAdapter,
    "xml": dspy.XMLAdapter,
}

_NO_LM = (
    "this call needs a language model and its session has none; give one with "
    "`Dspex::builder().lm(..)`, or to the session or call"
)


class NoAttempt(Exception):
    """A module that calls another one several times had no answer to choose from."""


# The same for all calls.
_SETTINGS: Mapping[str, Any] = {
    "disable_history": True,
    "track_usage": True,
    "send_stream": None,
    "caller_predict": None,
    "caller_modules": None,
    # Inputs are validated before.
    "warn_on_type_mismatch": False,
}


class Engine:
    """What one worker holds of DSPy: specs, instances and language models. For one event loop."""

    def __init__(self, config: WorkerConfig) -> None:
        _prepare(config)
        self._catalogue = catalogue_of(config)
        self._maker = ToolMaker(self._catalogue)
        self._instances = Instances(self._catalogue, int(config.settings.get("max_instances", 512)))
        self._models = Models(int(config.settings.get("max_lms", 256)))
        self._builder = Builder(self._catalogue)
        self._adapters = {name: make() for name, make in _ADAPTERS.items()}
        self._tools = ToolSets(self._maker, int(config.settings.get("max_tool_sets", 256)))
        self._threads = Threads(config.sync_threads)

    # -------------------------------------------------------------------------------------------- state

    def missing(self, open: pb.Open) -> tuple[list[str], list[str], list[str]]:
        """The hashes of the specs, language models and tools that this call needs and the worker lacks."""
        # A target that is not set reads as empty.
        spec = open.instance.spec or open.check.spec
        lm, tools = open.session.lm, open.session.tools
        return (
            [spec] if spec and spec not in self._instances else [],
            [lm] if lm and lm not in self._models else [],
            [tools] if tools and tools not in self._tools else [],
        )

    def learn(self, state: pb.State) -> None:
        """Keeps what the host sent. Raises `ProtocolError` for content that does not have its hash."""
        for spec in state.specs:
            self._instances.learn(spec)
        for lm in state.lms:
            self._models.learn(lm)
        for tools in state.tools:
            self._tools.learn(tools)

    def figures(self) -> tuple[int, int]:
        """The threads that run calls now, and the instances that are kept."""
        return self._threads.busy, len(self._instances)

    # -------------------------------------------------------------------------------------------- calls

    async def run(self, open: pb.Open, host: Host) -> pb.Payload:
        """Runs a call to its end. Does not end while a thread of a cancelled call still runs."""
        try:
            output = await self._run(open, host)
        except GeneratorExit:
            raise  # the loop is gone
        except BaseException:
            await left_behind.ended(host)
            raise
        await left_behind.ended(host)
        return output

    async def _run(self, open: pb.Open, host: Host) -> pb.Payload:
        kind = open.WhichOneof("target")
        if kind == "instance":
            return pb.Payload(json=await self._call_instance(open, host))
        if kind == "function":
            return pb.Payload(json=await self._call_function(open, host))
        if kind == "check":
            instance = await self._instance(open.check.spec, self._call(open, host))
            return pb.Payload(json=codec.dumps(_describe(instance)))
        if kind == "tool":
            return pb.Payload(json=await self._call_tool(open, host))
        if kind == "introspect":
            return pb.Payload(json=self._introspect(open))
        raise ProtocolError("the call names no target")

    def _introspect(self, open: pb.Open) -> bytes:
        given = codec.loads_object(open.inputs.json, "inputs") if open.inputs.json else {}
        if "signature" in given:
            return codec.dumps(describe_signature(given["signature"]))
        return introspect.document_json(self._catalogue, list(open.introspect.modules))

    def failed(self, error: BaseException) -> pb.Error:
        """What `Failed` carries for an exception."""
        return errors.to_error(error)

    async def _call_instance(self, open: pb.Open, host: Host) -> bytes:
        call = self._call(open, host)
        instance = await self._instance(open.instance.spec, call)
        method = instance.method(open.instance.method)
        given = codec.loads_object(open.inputs.json, "inputs")
        if method.takes_roles:
            given = {name: self._builder.argument(name, value, "inputs") for name, value in given.items()}
        if method.inputs.tools:
            given = self._with_tools(given, method.inputs.tools)
        inputs = method.inputs.check(given)
        try:
            with _Context(call):
                result = await self._run_method(instance, method, inputs, call)
        except ValueError as error:
            _explain(error, call, inputs)
            raise
        if result is None and instance.makes_attempts and not open.instance.method:
            failure = call.attempt_failure
            raise NoAttempt(
                f"none of the attempts of `{instance.path}` succeeded"
                + (
                    f"; the reward failed: {failure}"
                    if failure
                    else "; the worker's log says how each failed"
                )
            ) from failure
        if isinstance(result, dspy.Prediction):
            return _prediction(result, instance if not open.instance.method else None, call)
        if method.takes_roles and isinstance(result, types.GeneratorType):
            result = list(result)
        if isinstance(result, dspy.Module):
            # What an optimizer made of its student, in the form that the `state` of a spec has.
            result = result.dump_state()
        return codec.dumps({"value": result})

    async def _instance(self, spec: str, call: Call) -> Instance:
        """The instance of a spec, built where it is not yet."""
        if not self._instances.asks_host(spec):
            return self._instances.get(spec)
        # Its constructor asks the host, so it needs a call, and a thread that may wait.
        with _Context(call, ends=False):
            built: Instance = await call.in_thread(functools.partial(self._instances.get, spec))
        return built

    def _with_tools(self, given: dict[str, Any], names: frozenset[str]) -> dict[str, Any]:
        """The inputs, with tools in the place of their declarations."""
        made = {}
        for name in names & given.keys():
            value = given[name]
            if isinstance(value, list):
                made[name] = self._maker.tools(value, name)
            elif value is not None:
                made[name] = self._maker.tool(value, name)
        return {**given, **made}

    async def _run_method(
        self, instance: Instance, method: Method, inputs: dict[str, Any], call: Call
    ) -> Any:
        function = method.function
        if method.on_copy:
            function = functools.partial(function, instance.copy_of_target())
        if method.asynchronous:
            return await function(**inputs)
        return await call.in_thread(functools.partial(function, **inputs))

    async def _call_tool(self, open: pb.Open, host: Host) -> bytes:
        tool = self._maker.python(open.tool.path)
        if open.tool.describe:
            return codec.dumps(tool.declaration())
        arguments = tool.check(codec.loads_object(open.inputs.json, "inputs"))
        call = self._call(open, host)
        with _Context(call):
            return codec.dumps(await tool_calls.run(tool, arguments, call))

    async def _call_function(self, open: pb.Open, host: Host) -> bytes:
        path = open.function.path
        function = self._catalogue.resolve(path)
        call = self._call(open, host)
        if is_tool(function):
            tool = self._maker.python(path)
            arguments = tool.check(tool_calls.by_name(tool, *arguments_of(open.inputs.json)))
            with _Context(call):
                return codec.dumps({"value": await tool_calls.answer(tool, arguments, call)})
        args, kwargs = checked_arguments(self._builder, function, open.inputs.json)
        try:
            with _Context(call):
                if inspect.iscoroutinefunction(function):
                    result = await function(*args, **kwargs)
                else:
                    result = await call.in_thread(functools.partial(function, *args, **kwargs))
        except ValueError as error:
            _explain(error, call, kwargs)
            raise
        if isinstance(result, dspy.Prediction) and not inspect.isclass(function):
            return _prediction(result, None, call)
        return codec.dumps({"value": result})

    def _call(self, open: pb.Open, host: Host) -> Call:
        session = open.session
        lm = self._models.get(session.lm) if session.lm else None
        adapter = self._adapters.get(session.adapter)
        if adapter is None:
            problem = f"the adapter {session.adapter!r} is unknown"
            expected = ", ".join(repr(name) for name in self._adapters)
            raise InvalidInput([{"field": "session.adapter", "problem": problem, "expected": expected}])
        tools = self._tools.get(session.tools)
        return Call(host, lm, adapter, self._threads, session=session.id, depth=open.depth, tools=tools)


def _settings_of(call: Call) -> dict[str, Any]:
    """DSPy's settings for one call."""
    return {
        **_SETTINGS,
        "lm": call.lm,
        "adapter": call.adapter,
        # Kept per call and dropped with it. DSPy's default is one list for the whole process, and none at all
        # breaks modules that read the trace of their own call.
        "trace": [],
        "callbacks": Boundaries(call),
        "stream_listeners": [],
        "usage_tracker": call.usage,
        CALL_SETTING: call,
    }


class _Context:
    """`dspy.context` with the settings of one call, at half its price: it is on the way of every call."""

    __slots__ = ("_call", "_ends", "_token")

    def __init__(self, call: Call, *, ends: bool = True) -> None:
        self._call = call
        self._ends = ends

    def __enter__(self) -> None:
        overrides = {**main_thread_config, **thread_local_overrides.get(), **_settings_of(self._call)}
        self._token = thread_local_overrides.set(dotdict(overrides))

    def __exit__(self, *raised: object) -> None:
        self._call.ended = self._ends
        thread_local_overrides.reset(self._token)


def _explain(error: ValueError, call: Call, inputs: Mapping[str, Any]) -> None:
    """Raises what two of DSPy's plain `ValueError`s mean: no language model, or an unspeakable input."""
    if call.lm is None and str(error).startswith("No LM is loaded"):
        raise LMNotConfiguredError(_NO_LM) from None
    if "lone surrogate" in str(error):
        problem = "holds half of a surrogate pair, which no language model can be sent"
        fields = [name for name, value in inputs.items() if b'"$dspex":["str",' in codec.dumps(value)]
        if fields:
            raise InvalidInput([{"field": name, "problem": problem} for name in fields]) from error


def _prediction(prediction: Any, instance: Instance | None, call: Call) -> bytes:
    held: Mapping[str, Any] = prediction._store
    if instance is not None and instance.outputs is not None:
        held = instance.outputs.check(held, call.response_text)
    document: dict[str, Any] = {"outputs": held, "usage": call.usage.get_total_tokens()}
    completions = prediction.completions
    if completions is not None and len(completions) > 1:
        document["completions"] = [completions[i]._store for i in range(len(completions))]
    return codec.dumps(document)


def _describe(instance: Instance) -> dict[str, Any]:
    return {"class": instance.path, "predictors": instance.predictors(), "async": instance.is_async}


# ------------------------------------------------------------------------------------------------ starting a
# worker


def warm(config: WorkerConfig) -> None:
    """Imports and computes what every worker needs, before the zygote forks. Starts no thread, opens nothing.

    Raises `ConfigError` if a module of the user cannot be imported.
    """
    _prepare(config)
    catalogue = catalogue_of(config)
    introspect.fingerprints(catalogue)
    _warm_call()


def _prepare(config: WorkerConfig) -> None:
    """Settings of the process that DSPy has no other place for."""
    for path in reversed(config.python_path):
        if path not in sys.path:
            sys.path.insert(0, path)
    # DSPy's cache does not tell endpoints and keys apart, and keeps every answer on the disk.
    dspy.configure_cache(enable_disk_cache=False, enable_memory_cache=False)
    correction.install()
    errors_for_models.install()
    observations.install()
    off_loop.install()
    left_behind.install()
    if config.settings.get("accelerate", True):
        acceleration.install()


def _warm_call() -> None:
    """One synchronous call of a typed module against an engine that answers at once."""
    fields = {"question": (str, dspy.InputField()), "answer": (list[str], dspy.OutputField())}
    signature = dspy.signatures.make_signature(fields, "Answer.", custom_types={})
    lm = dspy.LM("dspex/warm", engine=_WarmEngine(), cache=False)
    with dspy.context(**{**_SETTINGS, "lm": lm, "trace": [], "callbacks": []}):
        dspy.ChainOfThought(signature)(question="?")


class _WarmEngine:
    """Answers the one question of `_warm_call`."""

    def complete(self, request: Any) -> Any:
        text = '[[ ## reasoning ## ]]\n-\n\n[[ ## answer ## ]]\n["-"]\n\n[[ ## completed ## ]]'
        return response_from_dict(
            {
                "model": request.model,
                "message": {"role": "assistant", "parts": [{"type": "text", "text": text}]},
                "finish_reason": "stop",
                "usage": {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2},
            }
        )


def catalogue_of(config: WorkerConfig) -> Catalogue:
    """The catalogue of a configuration, made once per process. Raises `ConfigError`."""
    return _catalogue(tuple(config.modules))


@functools.lru_cache(maxsize=8)
def _catalogue(modules: tuple[str, ...]) -> Catalogue:
    for module in modules:
        try:
            importlib.import_module(module)
        except Exception as error:
            problem = (
                f"modules: `{module}` cannot be imported: {type(error).__name__}: {errors.scrub(str(error))}"
            )
            raise ConfigError(problem) from error
    return Catalogue(modules)


def hello(config: WorkerConfig) -> dict[str, Any]:
    """What `Hello` tells of DSPy: versions, fingerprints of the public module classes, capabilities."""
    capabilities = [
        name for name in ("numpy", "optuna", "litellm") if importlib.util.find_spec(name) is not None
    ]
    return {
        "dspy_version": dspy.__version__,
        "python_version": platform.python_version(),
        "fingerprints": introspect.fingerprints(catalogue_of(config)),
        "capabilities": capabilities,
    }
