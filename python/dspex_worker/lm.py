"""Language models: specs -> `dspy.LM`.

Of kind "host", the model runs in the host: DSPy's engine seam is served by callbacks on the call's own
stream, in the JSON of DSPy's own serialisation. Of kind "dspy", DSPy's client talks to the provider, with a
key that exists in this process alone.
"""

from __future__ import annotations

import asyncio
import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

import dspy
from dspy import lm15
from dspy._vendor.lm15.serde import request_to_dict, response_from_dict
from dspy.clients import execution
from dspy.dsp.utils.settings import thread_local_overrides
from dspy.utils.callback import with_callbacks
from dspy.utils.usage_tracker import UsageTracker

from dspex_worker import acceleration, codec
from dspex_worker.errors import InvalidInput, Problem, ProtocolError
from dspex_worker.host import Host, HostError
from dspex_worker.proto import worker_pb2 as pb
from dspex_worker.secrets import keep_secret
from dspex_worker.threads import Threads

# The key of DSPy's settings under which the current call travels. DSPy carries its settings into every thread
# that it starts itself; a context variable of ours would get lost in `dspy.Parallel`.
CALL_SETTING = "dspex_call"

MAX_LMS = 256

# Constructor arguments of `dspy.LM` that are objects of Python, or that the worker decides.
_REFUSED_KWARGS = frozenset(
    {
        "api_key",
        "async_engine",
        "cache",
        "callbacks",
        "engine",
        "finetuning_model",
        "launch_kwargs",
        "prompt_cache",
        "provider",
        "train_kwargs",
    }
)

_ERRORS: Mapping[str, Callable[..., lm15.LM15Error]] = {
    "auth": lm15.AuthError,
    "billing": lm15.BillingError,
    "collection_limit": lm15.CollectionLimitError,
    "configuration": lm15.ConfigurationError,
    "context_window_exceeded": lm15.ContextLengthError,
    "invalid_request": lm15.InvalidRequestError,
    "lock_timeout": lm15.LockTimeoutError,
    "not_configured": lm15.NotConfiguredError,
    "provider": lm15.ProviderError,
    "rate_limit": lm15.RateLimitError,
    "server": lm15.ServerError,
    "stream_assembly": lm15.StreamAssemblyError,
    "timeout": lm15.TimeoutError,
    "transport": lm15.TransportError,
    "unsupported_feature": lm15.UnsupportedFeatureError,
    "unsupported_model": lm15.UnsupportedModelError,
}


class HostModelError(Exception):
    """The host's language model failed in a way that has no name of its own in DSPy's errors."""


class CallUsage(UsageTracker):  # type: ignore[misc]
    """The usage of one call. `dspy.Parallel` copies the tracker for its threads; the copies would be lost."""

    def __deepcopy__(self, memo: dict[int, Any]) -> CallUsage:
        return self


class Call:
    """What a call carries with it wherever DSPy takes it."""

    __slots__ = (
        "_threads",
        "_tools",
        "adapter",
        "attempt_failure",
        "depth",
        "ended",
        "host",
        "lm",
        "loop_thread",
        "response",
        "session",
        "usage",
    )

    def __init__(
        self,
        host: Host,
        lm: dspy.LM | None,
        adapter: Any,
        threads: Threads,
        *,
        session: str = "",
        depth: int = 0,
        tools: Callable[[], Mapping[str, Any]] | None = None,
    ) -> None:
        """Made on the worker's event loop. `tools` makes those of the session."""
        self.host = host
        self.lm = lm
        self.adapter = adapter
        # Why the last attempt of `BestOfN` or `Refine` had no reward; DSPy prints that and goes on.
        self.attempt_failure: Exception | None = None
        # The session's id; empty: there is none.
        self.session = session
        # How many calls stand above this one.
        self.depth = depth
        self._threads = threads
        self._tools = tools
        # Its code is done. What was kept of it, in a module or a thread, is of no use any more.
        self.ended = False
        # Of the event loop, which nothing may block.
        self.loop_thread = threading.get_ident()
        self.usage = CallUsage()
        # The last answer of a language model of the host.
        self.response: lm15.Response | None = None

    def tools(self) -> Mapping[str, Any]:
        """The tools of the session, by name."""
        return {} if self._tools is None else self._tools()

    async def in_thread(self, function: Callable[[], Any]) -> Any:
        """Runs what may block, beside the event loop."""
        return await self._threads.run(function, self.host, self.depth)

    def response_text(self) -> str | None:
        """The last answer as text, for errors about what could be made of it."""
        return None if self.response is None else self.response.text


def running_call() -> Call | None:
    """The call that this code runs in."""
    return thread_local_overrides.get().get(CALL_SETTING)  # type: ignore[no-any-return]


def current_call() -> Call:
    """The call that this code runs in, for its language model."""
    call = running_call()
    if call is None:
        raise HostModelError(
            "a language model of the host was called outside of a call: a thread that DSPy did not start has "
            "lost the context; start it with `contextvars.copy_context().run`"
        )
    return call


class _Engine:
    """What both engines declare to DSPy. `name` is the hash of the model's spec."""

    def __init__(self, name: str, capabilities: Mapping[str, Any]) -> None:
        self.name = name
        self.supports_function_calling = bool(capabilities.get("function_calling"))
        self.supports_response_schema = bool(capabilities.get("response_schema"))
        self.supports_reasoning = bool(capabilities.get("reasoning"))
        self.supported_params = frozenset(capabilities.get("params") or ())


class HostEngine(_Engine):
    """For synchronous modules, which run on threads."""

    def complete(self, request: lm15.Request) -> lm15.Response:
        call = current_call()
        if _on_event_loop():
            raise HostModelError(
                "a synchronous call of the language model inside an async module would block the worker; "
                "use `await predictor.acall(..)` there, or write the module without `aforward`"
            )
        call.host.check_cancelled()
        try:
            answer = call.host.callback_blocking(pb.Callback.KIND_LM, self.name, _encode(request))
        except HostError as error:
            _raise_for(error)
        call.response = _decode(answer)
        return call.response


class AsyncHostEngine(_Engine):
    """For asynchronous modules."""

    async def complete(self, request: lm15.Request) -> lm15.Response:
        call = current_call()
        try:
            answer = await call.host.callback(pb.Callback.KIND_LM, self.name, _encode(request))
        except HostError as error:
            _raise_for(error)
        call.response = _decode(answer)
        return call.response


class HostLM(dspy.LM):  # type: ignore[misc]
    """A language model of the host."""

    async def acall(self, prompt: Any = None, *, messages: Any = None, **kwargs: Any) -> Any:
        """As DSPy's own, without the thread in which that one reads files of a request: there are none."""
        if not acceleration.is_installed():
            return await super().acall(prompt, messages=messages, **kwargs)
        return await self._acall_here(prompt, messages=messages, **kwargs)

    @with_callbacks  # type: ignore[untyped-decorator]
    async def _acall_here(self, prompt: Any = None, *, messages: Any = None, **kwargs: Any) -> Any:
        call = execution.prepare(self, prompt, messages, kwargs, asynchronous=True)
        return execution.finalize(self, call, await execution.aexecute(self, call))


def _on_event_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _encode(request: lm15.Request) -> bytes:
    return codec.dumps(request_to_dict(request))


def _decode(answer: bytes) -> lm15.Response:
    try:
        return response_from_dict(codec.loads_object(answer, "response"))
    except Exception as error:
        raise HostModelError(
            f"the host's language model answered with what is no response: {type(error).__name__}: {error}"
        ) from error


def _raise_for(error: HostError) -> NoReturn:
    """Raises the error of DSPy's engines that means the same, so that DSPy reports it as its own."""
    told = error.error
    attributes = codec.loads_object(told.attributes, "attributes") if told.attributes else {}
    make = _ERRORS.get(str(attributes.get("code")))
    if make is None:
        raise HostModelError(told.message or "the host's language model failed") from error
    status = attributes.get("status")
    raised = make(
        told.message,
        provider=attributes.get("provider"),
        provider_code=attributes.get("provider_code"),
        status=status if isinstance(status, int) else None,
        request_id=attributes.get("request_id"),
        retry_after=told.retry_after or None,
    )
    # Some of these errors append advice for users of their own client.
    raised.message = told.message
    raised.args = (told.message,)
    raise raised from error


@dataclass(frozen=True)
class _Entry:
    raw: Mapping[str, Any]
    api_key: str


class Models:
    """The language models that this worker knows, by the hash of their specs.

    Bounded: the host sends them again.
    """

    def __init__(self, limit: int = MAX_LMS) -> None:
        self._limit = limit
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._made: dict[str, dspy.LM] = {}

    def __contains__(self, spec: str) -> bool:
        return spec in self._entries

    def learn(self, spec: pb.LmSpec) -> None:
        """Keeps a spec. Raises `ProtocolError` if the hash is not that of the bytes, or for another key.

        Hosts share what they name by the same hash: none may put its key into the model of another one.
        """
        check_hash(spec.hash, spec.json, "language model")
        entry = _Entry(codec.loads_object(spec.json, "language model"), spec.api_key)
        known = self._entries.get(spec.hash)
        if (spec.api_key and not entry.raw.get("identity")) or (known and known.api_key != spec.api_key):
            raise ProtocolError(
                f"the language model {spec.hash[:12]} is not told apart from one with another key"
            )
        if spec.api_key:
            keep_secret(spec.api_key)
        self._entries[spec.hash] = entry
        self._entries.move_to_end(spec.hash)
        while len(self._entries) > self._limit:
            old, _ = self._entries.popitem(last=False)
            self._made.pop(old, None)

    def get(self, spec: str) -> dspy.LM:
        """The model of a spec; the same object for every call, so that connections are shared."""
        made = self._made.get(spec)
        if made is None:
            entry = self._entries.get(spec)
            if entry is None:
                raise ProtocolError(
                    f"the language model {spec[:12]} is not known; it has to come in `State` first"
                )
            made = self._made[spec] = _make(spec, entry)
        self._entries.move_to_end(spec)
        return made


def _make(spec: str, entry: _Entry) -> dspy.LM:
    raw = entry.raw
    problems: list[Problem] = []
    kind, model, kwargs = raw.get("kind"), raw.get("model"), raw.get("kwargs")
    kwargs = {} if kwargs is None else kwargs
    if kind not in ("host", "dspy"):
        problems.append(
            {"field": "lm.kind", "problem": f"{kind!r} is unknown", "expected": '"host" or "dspy"'}
        )
    if not isinstance(model, str) or not model:
        problems.append({"field": "lm.model", "problem": "missing", "expected": '"provider/name"'})
    if not isinstance(kwargs, dict):
        problems.append(
            {"field": "lm.kwargs", "problem": f"got {codec.describe(kwargs)}", "expected": "an object"}
        )
    else:
        refused = sorted(_REFUSED_KWARGS & kwargs.keys())
        problems.extend(
            {"field": f"lm.kwargs.{name}", "problem": "not settable by a spec"} for name in refused
        )
    if problems:
        raise InvalidInput(problems, "language model")
    try:
        if kind == "dspy":
            secret = {"api_key": entry.api_key} if entry.api_key else {}
            return dspy.LM(model, cache=False, **secret, **kwargs)
        capabilities = raw.get("capabilities") or {}
        # The host retries, if anybody does: two layers of retries multiply.
        return HostLM(
            model,
            engine=HostEngine(spec, capabilities),
            async_engine=AsyncHostEngine(spec, capabilities),
            **{**kwargs, "num_retries": 0, "cache": False},
        )
    except (TypeError, ValueError) as error:
        raise InvalidInput([{"field": "lm.kwargs", "problem": str(error)}], "language model") from None


def check_hash(told: str, data: bytes, what: str) -> None:
    """Raises `ProtocolError` unless `told` is the lower-case hex SHA-256 of `data`."""
    if hashlib.sha256(data).hexdigest() != told:
        raise ProtocolError(f"the {what} {told[:12]!r} does not have the content that its hash says")
