"""Specs -> instances: modules of DSPy, built from data, cached by the hash of that data."""

from __future__ import annotations

import copy
import dataclasses
import inspect
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

import dspy
from dspy.primitives.base_module import BaseModule

from dspex_worker import codec, overrides, roles
from dspex_worker.catalogue import Catalogue, is_tool
from dspex_worker.errors import InvalidInput, NotAllowed, NotFound, Problem, ProtocolError
from dspex_worker.host_functions import host_function
from dspex_worker.lm import check_hash
from dspex_worker.proto import worker_pb2 as pb
from dspex_worker.refusals import CALL, is_client, refusal_of
from dspex_worker.roles import ModuleFacts
from dspex_worker.signature import Signature, build_signature
from dspex_worker.surface import by_position, call_of, constructor, is_async_module, public_methods
from dspex_worker.tool_sets import ToolMaker
from dspex_worker.validate import (
    Inputs,
    Outputs,
    Parameter,
    checker,
    example_of,
    inputs_of_callable,
    inputs_of_signature,
)

MAX_INSTANCES = 512

_SPEC_KEYS = frozenset({"class", "signature", "args", "config", "overrides", "state"})

# Other names of a module's call. DSPy does not want `forward` to be called by itself.
_CALLS = frozenset({"", "__call__", "acall", "forward", "aforward"})

# Methods of DSPy's modules that change the instance. An instance is its spec, and calls share it: these get a
# copy.
_MUTATING = frozenset({"reset", "set_criteria", "update_config"})


class Method:
    """One way to call an instance: the function, how its arguments are checked, and where it has to run."""

    __slots__ = ("asynchronous", "function", "inputs", "on_copy", "takes_roles")

    def __init__(
        self,
        function: Callable[..., Any],
        inputs: Inputs,
        *,
        asynchronous: bool,
        on_copy: bool,
        takes_roles: bool = False,
    ) -> None:
        self.function = function
        self.inputs = inputs
        self.asynchronous = asynchronous
        # Called as a method of a copy of the instance: `function` takes the copy first.
        self.on_copy = on_copy
        # Written by DSPy, so that names of parameters mean what `roles` says: a `student` is a spec.
        self.takes_roles = takes_roles


class Instance:
    """An object built from a spec, with everything that its calls need prepared."""

    def __init__(self, target: Any, path: str, facts: ModuleFacts, signature: Signature | None) -> None:
        self.target = target
        self.path = path
        self.signature = signature
        self.outputs = Outputs(signature) if signature is not None and facts.from_signature else None
        self._facts = facts
        self._call: Method | None = None
        self._methods: dict[str, Method] = {}

    @property
    def makes_attempts(self) -> bool:
        """Whether a call is several of another module, of which each may fail."""
        return bool(self._facts.attempts)

    @property
    def is_async(self) -> bool:
        return is_async_module(type(self.target))

    def predictors(self) -> list[str]:
        """The names of the predictors within a module."""
        if not isinstance(self.target, dspy.Module):
            return []
        return [name for name, _ in self.target.named_predictors()]

    def method(self, name: str) -> Method:
        """A method by name; the empty name is the module's call. Raises `NotFound` or `NotAllowed`."""
        if not name or (name in _CALLS and isinstance(self.target, dspy.Module)):
            if self._call is None:
                self._call = self._make_call()
            return self._call
        method = self._methods.get(name)
        if method is None:
            method = self._methods[name] = self._make_method(name)
        return method

    def _make_call(self) -> Method:
        target = self.target
        if not callable(target):
            raise NotFound(f"`{self.path}` cannot be called; name one of its methods", path=self.path)
        refusal = refusal_of(type(target), CALL)
        if refusal is not None:
            raise NotAllowed(f"`{self.path}` cannot be called: {refusal}", path=self.path)
        asynchronous = self.is_async
        is_module = isinstance(target, dspy.Module)
        function: Callable[..., Any] = target.acall if asynchronous and is_module else target
        if self._facts.exclusive:
            function = _call_copy
        return Method(
            function,
            self._call_inputs(),
            asynchronous=asynchronous,
            on_copy=self._facts.exclusive,
            # The inputs of a module may have any name; what DSPy's other classes take is their own.
            takes_roles=not is_module and type(target).__module__.startswith("dspy."),
        )

    def _call_inputs(self) -> Inputs:
        extra: dict[str, Parameter] = {}
        for argument in self._facts.call_extra:
            check, expected = checker(argument.annotation)
            extra[argument.name] = Parameter(argument.name, check, expected, argument.required)
        if self.signature is not None and self._facts.from_signature:
            return inputs_of_signature(self.signature, extra)
        if isinstance(self.target, dspy.Module):
            entry = type(self.target).aforward if self.is_async else type(self.target).forward
            return inputs_of_callable(entry.__get__(self.target))
        return inputs_of_callable(call_of(type(self.target)).__get__(self.target))

    def _make_method(self, name: str) -> Method:
        path = f"{self.path}.{name}"
        if name.startswith("_"):
            raise NotAllowed(
                f"`{path}` is private: names with a leading underscore cannot be reached", path=path
            )
        public = public_methods(type(self.target))
        if name not in public:
            near = codec.nearest(name, public)
            hint = f"; did you mean `{near}`?" if near else f"; there are {', '.join(public)}"
            raise NotFound(f"`{self.path}` has no method `{name}`{hint}", path=path, suggestion=near)
        refusal = refusal_of(type(self.target), name)
        if refusal is not None:
            raise NotAllowed(f"`{path}` cannot be called: {refusal}", path=path)
        bound = getattr(self.target, name)
        mutating = isinstance(self.target, BaseModule) and name in _MUTATING
        function = getattr(type(self.target), name) if mutating else bound
        asynchronous = inspect.iscoroutinefunction(inspect.unwrap(bound))
        owner = getattr(inspect.unwrap(bound), "__module__", None) or ""
        return Method(
            function,
            inputs_of_callable(bound),
            asynchronous=asynchronous,
            on_copy=mutating,
            takes_roles=owner.startswith("dspy."),
        )

    def copy_of_target(self) -> Any:
        """For calls that change the instance."""
        if isinstance(self.target, dspy.Module):
            return self.target.deepcopy()
        return copy.deepcopy(self.target)


def _call_copy(target: Any, **inputs: Any) -> Any:
    return target(**inputs)


class _Entry:
    """A spec, and the instance once it was asked for."""

    __slots__ = ("instance", "json")

    def __init__(self, json: bytes) -> None:
        self.json = json
        self.instance: Instance | None = None


class Instances:
    """The specs that this worker knows, by hash. Bounded: the host sends a spec again when it is asked to."""

    def __init__(self, catalogue: Catalogue, limit: int = MAX_INSTANCES) -> None:
        self._builder = Builder(catalogue)
        self._limit = limit
        self._entries: OrderedDict[str, _Entry] = OrderedDict()

    def __contains__(self, spec: str) -> bool:
        return spec in self._entries

    def __len__(self) -> int:
        return len(self._entries)

    def learn(self, spec: pb.Spec) -> None:
        """Keeps a spec. Raises `ProtocolError` if the hash is not that of the bytes."""
        if spec.hash in self._entries:
            return
        check_hash(spec.hash, spec.json, "spec")
        self._entries[spec.hash] = _Entry(spec.json)
        while len(self._entries) > self._limit:
            self._entries.popitem(last=False)

    def asks_host(self, spec: str) -> bool:
        """Whether building the instance may ask the host: there is an embedder among its arguments."""
        entry = self._entries.get(spec)
        return entry is not None and entry.instance is None and _names_embedder(entry.json)

    def get(self, spec: str) -> Instance:
        """The instance of a spec, built at first use. Raises what is wrong with the spec, every time."""
        entry = self._entries.get(spec)
        if entry is None:
            raise ProtocolError(f"the spec {spec[:12]!r} is not known; it has to come in `State` first")
        if entry.instance is None:
            # On a thread, where it asks the host: another call may have built it meanwhile.
            built = self._builder.build(codec.loads_object(entry.json, "spec"))
            entry.instance = entry.instance or built
        if spec in self._entries:
            self._entries.move_to_end(spec)
        return entry.instance


def _names_embedder(json: bytes) -> bool:
    return b'"host"' in json and (b'"embedder"' in json or b'"vectorizer"' in json)


class Builder:
    """Builds instances from specs."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._tools = ToolMaker(catalogue)

    def build(self, spec: Mapping[str, Any], where: str = "spec") -> Instance:
        """The instance that a spec describes. Raises `InvalidInput`, `NotFound` or `NotAllowed`."""
        path = spec.get("class")
        if not isinstance(path, str):
            raise InvalidInput(
                [{"field": f"{where}.class", "problem": "missing", "expected": "a dotted path"}], "spec"
            )
        unknown = sorted(spec.keys() - _SPEC_KEYS)
        if unknown:
            known = ", ".join(sorted(_SPEC_KEYS))
            raise InvalidInput(
                [{"field": f"{where}.{u}", "problem": f"unexpected; known are {known}"} for u in unknown]
            )
        cls = self._catalogue.resolve(path)
        if not inspect.isclass(cls):
            kind = "tool" if is_tool(cls) else "function"
            raise InvalidInput(
                [{"field": f"{where}.class", "problem": f"`{path}` is a {kind}, not a class"}], "spec"
            )
        if is_client(cls):
            raise NotAllowed(
                f"`{path}` is not built as an instance; sessions and calls name language models", path=path
            )
        facts = roles.facts_of(self._catalogue.name_of(cls) or path)
        raw = spec.get("signature")
        signature = None if raw is None else build_signature(raw, f"{where}.signature")
        arguments = self.arguments(cls, spec, signature, facts, where)
        try:
            positional, named = by_position(constructor(cls), arguments)
            target = cls(*positional, **named)
        except (TypeError, ValueError) as error:
            problem: Problem = {
                "field": f"{where}.args",
                "problem": f"`{path}` refuses its arguments: {error}",
            }
            raise InvalidInput([problem], "spec") from error
        if spec.get("state") is not None:
            _load_state(target, spec["state"], where)
        if spec.get("overrides") is not None:
            overrides.apply(
                target,
                spec["overrides"],
                f"{where}.overrides",
                # From the start, modules among the arguments included.
                lambda: cls(**self.arguments(cls, spec, signature, facts, where)),
            )
        return Instance(target, path, *self._of_call(facts, signature, spec, where))

    def _of_call(
        self, facts: ModuleFacts, signature: Signature | None, spec: Mapping[str, Any], where: str
    ) -> tuple[ModuleFacts, Signature | None]:
        """What is known of its calls: those of a module that calls another are the other's."""
        exclusive, attempts = facts.exclusive, facts.attempts
        while facts.attempts and isinstance(inner := (spec.get("args") or {}).get(facts.attempts), Mapping):
            spec, where = inner, f"{where}.args.{facts.attempts}"
            cls = self._catalogue.resolve(inner["class"])
            facts = roles.facts_of(self._catalogue.name_of(cls) or inner["class"])
            raw = inner.get("signature")
            signature = None if raw is None else build_signature(raw, f"{where}.signature")
        return dataclasses.replace(facts, exclusive=exclusive, attempts=attempts), signature

    def arguments(
        self, cls: type, spec: Mapping[str, Any], signature: Signature | None, facts: ModuleFacts, where: str
    ) -> dict[str, Any]:
        """The keyword arguments for the constructor. Raises `InvalidInput` with all problems."""
        args, config = ({} if spec.get(key) is None else spec[key] for key in ("args", "config"))
        for name, value in (("args", args), ("config", config)):
            if not isinstance(value, dict):
                problem: Problem = {
                    "field": f"{where}.{name}",
                    "problem": f"expected an object, got {codec.describe(value)}",
                }
                raise InvalidInput([problem], "spec")
        signature_of = inspect.signature(constructor(cls))
        open_ended = any(p.kind is p.VAR_KEYWORD for p in signature_of.parameters.values())
        if config and not open_ended:
            problem = {
                "field": f"{where}.config",
                "problem": f"`{cls.__name__}` takes no configuration keywords",
            }
            raise InvalidInput([problem], "spec")
        given: dict[str, Any] = {**args}
        if signature is not None:
            if "signature" not in signature_of.parameters:
                problem = {"field": f"{where}.signature", "problem": f"`{cls.__name__}` takes no signature"}
                raise InvalidInput([problem], "spec")
            _check_names(signature, facts, where)
            given["signature"] = signature.cls
        converted = {
            name: value
            if name == "signature" and signature is not None
            else self.argument(name, value, where, cls, facts.reserved_tools)
            for name, value in given.items()
        }
        checked = inputs_of_callable(constructor(cls)).check(converted)
        return {**checked, **config}

    def argument(
        self,
        name: str,
        value: Any,
        where: str,
        cls: type | None = None,
        reserved_tools: frozenset[str] = frozenset(),
    ) -> Any:
        """One argument, of an instance of `cls`, in the form that its role needs."""
        role = roles.role_of(name)
        field = f"{where}.args.{name}"
        if role == "signature":
            return build_signature(value, field).cls
        if role == "handle:module" and value is not None:
            if isinstance(value, list):
                return [self._module(v, f"{field}[{i}]") for i, v in enumerate(value)]
            return self._module(value, field)
        if role == "pairs" and isinstance(value, list):
            return [self._pair(v, f"{field}[{i}]") for i, v in enumerate(value)]
        if role == "examples" and isinstance(value, list):
            return [_example(v, f"{field}[{i}]") for i, v in enumerate(value)]
        if role == "tools" and value is not None:
            return self._tools.tools(value, field, cls, reserved_tools)
        if role in roles.HOST_ROLES and isinstance(value, Mapping) and "host" in value:
            return host_function(name, value, field)
        if role not in roles.DATA_ROLES and value is not None:
            problem = f"a parameter of the role `{role}` has no form in a spec"
            raise InvalidInput([{"field": field, "problem": problem}], "spec")
        return value

    def _pair(self, value: Any, where: str) -> tuple[Any, Any]:
        """A module and the inputs of one call."""
        if not isinstance(value, list) or len(value) != 2 or not isinstance(value[1], dict):
            problem: Problem = {
                "field": where,
                "problem": f"got {codec.describe(value)}",
                "expected": "a pair of a spec and an object of inputs",
            }
            raise InvalidInput([problem], "spec")
        return self._module(value[0], f"{where}[0]"), value[1]

    def _module(self, value: Any, where: str) -> Any:
        if not isinstance(value, Mapping) or "class" not in value:
            problem: Problem = {
                "field": where,
                "problem": f"got {codec.describe(value)}",
                "expected": "a spec",
            }
            raise InvalidInput([problem], "spec")
        return self.build(value, where).target


def _check_names(signature: Signature, facts: ModuleFacts, where: str) -> None:
    problems: list[Problem] = []
    for side, fields, taken in (
        ("inputs", signature.inputs, facts.reserved_inputs),
        ("outputs", signature.outputs, facts.reserved_outputs),
    ):
        problems.extend(
            {
                "field": f"{where}.signature.{side}",
                "problem": f"`{f.name}` is a name that this class uses itself",
            }
            for f in fields
            if f.name in taken
        )
    if problems:
        raise InvalidInput(problems, "spec")


def _example(value: Any, where: str) -> dspy.Example:
    """An example: an object of its fields, or `{"fields": {..}, "inputs": [names]}`."""
    try:
        return example_of(value)
    except TypeError:
        problem: Problem = {
            "field": where,
            "problem": f"got {codec.describe(value)}",
            "expected": "an object",
        }
        raise InvalidInput([problem], "spec") from None


def _load_state(target: Any, state: Any, where: str) -> None:
    """Loads what `dump_state` returned, if it fits: DSPy itself loads a stranger's state without a word."""
    field = f"{where}.state"
    if not isinstance(target, dspy.Module) or not isinstance(state, dict):
        problem = "only modules of DSPy have a state, which is an object"
        raise InvalidInput([{"field": field, "problem": problem}], "spec")
    own = target.dump_state()
    single = isinstance(target, dspy.Predict)
    told = {"": state} if single else {k: v for k, v in state.items() if k != "metadata"}
    held = {"": own} if single else own
    problems: list[Problem] = []
    if told.keys() != held.keys():
        expected = ", ".join(sorted(held)) or "none"
        problems.append(
            {"field": field, "problem": f"is of other predictors: {', '.join(told)}", "expected": expected}
        )
    for name in told.keys() & held.keys():
        found = _state_problem(told[name], held[name])
        if found is not None:
            problems.append({"field": f"{field}.{name}".rstrip("."), "problem": found})
    if problems:
        raise InvalidInput(problems, "spec")
    # The session's language model would be overridden by one of the state.
    clean = {name: {**part, "lm": None} for name, part in told.items()}
    target.load_state(clean[""] if single else clean)


def _state_problem(part: Any, own: Any) -> str | None:
    if not isinstance(part, dict) or not isinstance(part.get("signature"), dict):
        return "not the state of a predictor"
    told, held = part["signature"].get("fields"), own["signature"]["fields"]
    if not isinstance(told, list) or len(told) != len(held):
        count = len(told) if isinstance(told, list) else 0
        return f"is of a signature with {count} fields, this one has {len(held)}"
    # The prefixes are made of the fields' names. Only the last one may differ: that is the one that COPRO
    # rewrites.
    prefixes = [f.get("prefix") for f in told if isinstance(f, dict)]
    if prefixes[:-1] != [f["prefix"] for f in held[:-1]]:
        return f"is of a signature with the fields {prefixes}"
    return None
