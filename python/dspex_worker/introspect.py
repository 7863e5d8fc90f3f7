"""What DSPy's classes are, as documents: the source of the schemas that Rust code is checked against.

Deterministic: the same DSPy gives the same bytes, and the same `abi_sha256` on every supported Python. What
only people read (docs) is not part of that hash.
"""

from __future__ import annotations

import functools
import hashlib
import inspect
import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import dspy
from dspy.adapters.base import Adapter
from dspy.teleprompt import Teleprompter

from dspex_worker import reserved, roles, source_facts, untold
from dspex_worker.apart import each_apart
from dspex_worker.callables import CallableReader
from dspex_worker.catalogue import Catalogue, is_tool
from dspex_worker.docstrings import argument_docs, doc_of, docs_in, without_docs
from dspex_worker.problems import NotFound
from dspex_worker.programs import abi_of_program, describe_program, describe_value
from dspex_worker.refusals import CALL, refusal_of
from dspex_worker.roles import ModuleFacts
from dspex_worker.surface import call_of, constructor, is_async_module, public_methods, public_properties
from dspex_worker.tool_documents import describe_tool
from dspex_worker.type_ir import ANY, Type
from dspex_worker.unreached import unreached

FORMAT = 1

_KINDS: tuple[tuple[type, str], ...] = (
    (dspy.Module, "module"),
    (Teleprompter, "optimizer"),
    (Adapter, "adapter"),
    (dspy.BaseLM, "lm"),
    (dspy.Type, "type"),
    (dspy.History, "type"),
    (getattr(dspy, "ToolCallResults", dspy.History), "type"),
    (dspy.Evaluate, "evaluate"),
    (BaseException, "error"),
)

# The parts of a class's document that a program depends on.
_ABI = (
    "name",
    "kind",
    "bases",
    "async",
    "call",
    "init",
    "init_extra",
    "call_extra",
    "call_open",
    "call_returns",
    "outputs",
    "reserved",
    "methods",
    "fields",
)


def document_json(catalogue: Catalogue, modules: list[str]) -> bytes:
    """The document for some modules, as canonical JSON.

    Raises `NotFound` for a module without public names.
    """
    return canonical(document(catalogue, modules))


def document(catalogue: Catalogue, modules: list[str]) -> dict[str, Any]:
    """`{"format", "dspy", "modules", "classes": [..], "functions": [..], "unsupported", "skipped"}`, by name.

    For workers: it imports modules, and builds programs of the user.
    """
    reader = Introspector(catalogue)
    classes: dict[str, Any] = {}
    functions: dict[str, Any] = {}
    for module in modules:
        found = [(p, v) for p, v in catalogue.items() if p.startswith(f"{module}.")]
        if not found:
            raise NotFound(f"the module `{module}` has no public names here", path=module)
        for path, value in found:
            if catalogue.name_of(value) != path:
                continue
            if inspect.isclass(value):
                classes[path] = reader.describe(path, value)
            else:
                functions[path] = reader.describe_function(path, value)
    unsupported, skipped = unreached(catalogue) if "dspy" in modules else ({}, {})
    return {
        "format": FORMAT,
        "dspy": dspy.__version__,
        "modules": sorted(set(modules)),
        "unsupported": unsupported,
        "skipped": skipped,
        "classes": [classes[name] for name in sorted(classes)],
        "functions": [functions[name] for name in sorted(functions)],
    }


@functools.lru_cache(maxsize=4)
def fingerprints(catalogue: Catalogue) -> dict[str, str]:
    """The hash of every public class of modules that can be built by a spec.

    Programs of the user are built for it, in a process of their own.
    """
    reader = Introspector(catalogue, abi_alone=True)
    modules = {
        path: value
        for path, value in catalogue.items()
        if inspect.isclass(value) and issubclass(value, dspy.Module) and catalogue.name_of(value) == path
    }
    found = {path: str(reader.describe_class(path, cls)["abi_sha256"]) for path, cls in modules.items()}
    programs = [path for path, cls in modules.items() if is_program(cls)]
    return {
        **found,
        **each_apart(programs, lambda path: str(reader.describe(path, modules[path])["abi_sha256"])),
    }


def is_program(cls: type) -> bool:
    """Whether a class is a program of the user: a module that DSPy does not define."""
    return issubclass(cls, dspy.Module) and not cls.__module__.startswith("dspy.")


def abi_of(described: Mapping[str, Any]) -> dict[str, Any]:
    """What a program in another language depends on, of the document of a class."""
    abi: dict[str, Any] = _whoever_asks(
        {key: without_docs(described[key]) for key in _ABI if key in described}
    )
    return abi


def canonical(value: Any) -> bytes:
    """JSON with sorted keys and nothing between them."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode("utf-8")


class Introspector:
    """Describes the classes and functions of a catalogue.

    With `abi_alone`, without what has to be read from source and is not in any fingerprint.
    """

    def __init__(self, catalogue: Catalogue, *, abi_alone: bool = False) -> None:
        self._catalogue = catalogue
        self._abi_alone = abi_alone
        self._reader = CallableReader(self._name_of)
        self._exports: dict[int, list[str]] = {}
        for path, value in catalogue.items():
            self._exports.setdefault(id(value), []).append(path)

    def _name_of(self, value: Any) -> str | None:
        return "dspy.Signature" if value is dspy.Signature else self._catalogue.name_of(value)

    # -------------------------------------------------------------------------------------------- classes

    def describe(self, path: str, cls: type) -> dict[str, Any]:
        """The schema of one class, with the predictors, inputs and outputs of a program of the user.

        Runs the program's constructor.
        """
        described = self.describe_class(path, cls)
        if is_program(cls):
            program = describe_program(cls, self._catalogue.name_of)
            described.update(program)
            described["abi_sha256"] = _sha256({**abi_of(described), **abi_of_program(program)})
        elif not cls.__module__.startswith("dspy."):
            described.update(describe_value(cls))
        return described

    def describe_class(self, path: str, cls: type) -> dict[str, Any]:
        """The schema of one class."""
        facts = roles.facts_of(path)
        kind = next((kind for base, kind in _KINDS if issubclass(cls, base)), "class")
        init, init_extra = self._constructor(cls)
        described = {
            "format": FORMAT,
            "dspy": dspy.__version__,
            "name": path,
            "canonical": f"{cls.__module__}.{cls.__qualname__}",
            "exports": self._exports.get(id(cls), [path]),
            "kind": kind,
            "bases": [name for name in map(self._name_of, cls.__mro__[1:]) if name is not None],
            "flags": sorted(
                {*facts.flags, *(["experimental"] if source_facts.is_experimental(doc_of(cls)) else [])}
            ),
            "requires": sorted({*facts.requires, *([] if self._abi_alone else source_facts.extras_of(cls))}),
            "async": is_async_module(cls),
            "call": "none",
            "init": init,
            "init_extra": init_extra,
            "call_extra": [],
            "call_open": False,
            "call_returns": ANY,
            "outputs": {"from_signature": False, "extra": []},
            "reserved": {"inputs": [], "outputs": [], "tools": []},
            "methods": self._members(cls),
            "unsupported": {
                n: refusal
                for n in (*public_methods(cls), *public_properties(cls))
                if _own(cls, n) and (refusal := refusal_of(cls, n)) is not None
            },
            "doc": doc_of(cls),
        }
        deprecated = self._deprecation_of(cls, described["doc"])
        if deprecated is not None:
            described["deprecated"] = deprecated
            described["flags"] = sorted({*described["flags"], "deprecated"})
        fields = self._reader.fields(cls)
        if fields:
            described["fields"] = fields
        if kind == "module":
            described.update(self._call_of_module(path, cls, facts))
        elif any(CALL in vars(base) for base in cls.__mro__) and _own(cls, CALL):
            refusal = refusal_of(cls, CALL)
            if refusal is None:
                described.update(self._call_of_object(path, cls))
            else:
                described["unsupported"] = {CALL: refusal, **described["unsupported"]}
        if not described["doc"]:
            described["doc"] = doc_of(inspect.getattr_static(cls, "__init__"))
        described["abi_sha256"] = _sha256(abi_of(described))
        described["doc_sha256"] = _sha256(list(docs_in(described)))
        return described

    def _constructor(self, cls: type) -> tuple[list[dict[str, Any]], bool]:
        if issubclass(cls, BaseException) and not _is_python(inspect.getattr_static(cls, "__init__")):
            return [], False
        try:
            signature = inspect.signature(constructor(cls))
        except (TypeError, ValueError):
            return [], False
        docs = {
            **argument_docs(doc_of(cls)),
            **argument_docs(doc_of(inspect.getattr_static(cls, "__init__"))),
        }
        owner = next((b.__module__ for b in cls.__mro__ if "__init__" in vars(b)), cls.__module__)
        return self._reader.parameters(signature, owner, docs, untold.of_method(cls, "__init__"))

    def _call_of_module(self, path: str, cls: Any, facts: ModuleFacts) -> dict[str, Any]:
        entry = cls.aforward if is_async_module(cls) else getattr(cls, "forward", None)
        if path in roles.FACTS:
            extra = [
                {
                    "name": a.name,
                    "role": "value",
                    "required": a.required,
                    "type": self._reader.read(a.annotation, cls.__module__),
                    "doc": a.doc,
                }
                for a in facts.call_extra
            ]
            call, open_ended, returns = "inputs", False, self._reader.read(dspy.Prediction, cls.__module__)
        elif entry is None:
            extra, call, open_ended, returns = [], "none", False, ANY
        else:
            extra, open_ended, returns = self._entry(cls, entry)
            call = "inputs" if open_ended and not extra else "args"
        general = (reserved.INPUTS, reserved.OUTPUTS) if facts.from_signature else (frozenset[str](),) * 2
        return {
            "call": call,
            "call_extra": extra,
            "call_open": open_ended and call == "args",
            "call_returns": returns,
            "outputs": {
                "from_signature": facts.from_signature,
                "extra": self._outputs(facts.extra_outputs or roles.OUTPUTS.get(path, ()), cls),
            },
            "reserved": {
                "inputs": sorted(general[0] | facts.reserved_inputs),
                "outputs": sorted(general[1] | facts.reserved_outputs),
                "tools": sorted(facts.reserved_tools),
            },
        }

    def _call_of_object(self, path: str, cls: Any) -> dict[str, Any]:
        """The call of an instance that is no module: with arguments of its own."""
        extra, open_ended, returns = self._entry(cls, call_of(cls))
        return {
            "call": "args",
            "call_extra": extra,
            "call_open": open_ended,
            "call_returns": returns,
            "outputs": {"from_signature": False, "extra": self._outputs(roles.OUTPUTS.get(path, ()), cls)},
        }

    def _entry(self, cls: type, function: Any) -> tuple[list[dict[str, Any]], bool, Type]:
        """What a call ends in: its parameters, whether it takes any other keyword, and its result."""
        told = untold.of_method(cls, function.__name__)
        described = self._reader.callable(function, skip_first=True, told=told, owner=cls)
        return described["params"], described["params_extra"], described["returns"]

    def _outputs(self, outputs: Iterable[roles.Output], cls: type) -> list[dict[str, Any]]:
        return [
            {"name": o.name, "type": self._reader.read(o.annotation, cls.__module__), "doc": o.doc}
            for o in outputs
        ]

    def _members(self, cls: type) -> list[dict[str, Any]]:
        """The methods and properties that the host can use, by name."""
        members = [
            self._method(cls, n) for n in public_methods(cls) if _own(cls, n) and refusal_of(cls, n) is None
        ]
        for name, getter in public_properties(cls).items():
            if _own(cls, name) and refusal_of(cls, name) is None:
                told = untold.of_method(cls, name)
                described = self._reader.callable(getter, skip_first=True, told=told, owner=cls)
                members.append({"name": name, "binding": "property", **described})
        return sorted(members, key=lambda member: str(member["name"]))

    def _method(self, cls: type, name: str) -> dict[str, Any]:
        raw = inspect.getattr_static(cls, name)
        binding = (
            "static"
            if isinstance(raw, staticmethod)
            else "class"
            if isinstance(raw, classmethod)
            else "method"
        )
        function = inspect.unwrap(getattr(raw, "__func__", raw))
        described = {
            "name": name,
            "binding": binding,
            **self._reader.callable(
                function, skip_first=binding != "static", told=untold.of_method(cls, name), owner=cls
            ),
        }
        deprecated = self._deprecation_of(function, described["doc"])
        if deprecated is not None:
            described["deprecated"] = deprecated
        return described

    def _deprecation_of(self, value: Any, doc: str) -> dict[str, str] | None:
        return None if self._abi_alone else source_facts.deprecation_of(value, doc)

    # -------------------------------------------------------------------------------------------- functions

    def describe_function(self, path: str, function: Callable[..., Any]) -> dict[str, Any]:
        """The schema of one function, or of a tool that is called like one."""
        described = {"name": path, "canonical": path, "exports": self._exports.get(id(function), [path])}
        if is_tool(function):
            described.update(describe_tool(self._reader, path, function))
        else:
            inner = inspect.unwrap(function)
            described["canonical"] = f"{function.__module__}.{function.__qualname__}"
            described.update(self._reader.callable(inner, skip_first=False, told=untold.of_function(inner)))
        described["abi_sha256"] = _sha256(
            without_docs({k: v for k, v in described.items() if k != "exports"})
        )
        return described


def _own(cls: type, name: str) -> bool:
    """Whether a method is of DSPy or the user, not of a library below."""
    owner = next(base for base in cls.__mro__ if name in vars(base))
    return owner.__module__.split(".")[0] not in (
        "pydantic",
        "builtins",
        "typing",
        "abc",
        "enum",
        "collections",
    )


def _is_python(function: Any) -> bool:
    return inspect.isfunction(inspect.unwrap(function))


def _whoever_asks(value: Any) -> Any:
    """The same whichever modules of the user were named: only classes of those have a public name."""
    if isinstance(value, list):
        return [_whoever_asks(item) for item in value]
    if not isinstance(value, dict):
        return value
    if value.get("k") == "ref" and not value["name"].startswith("dspy."):
        return {"k": "opaque", "repr": value["name"]}
    described = {key: _whoever_asks(item) for key, item in value.items()}
    if "bases" in described:
        described["bases"] = [base for base in described["bases"] if base.startswith("dspy.")]
    return described


def _sha256(value: Any) -> str:
    return hashlib.sha256(canonical(value)).hexdigest()
