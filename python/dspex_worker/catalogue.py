"""What may be reached by name: an exact list, made once.

A rule about prefixes is not enough. `dspy.clients.lm.os.system` begins with `dspy.`, and plain attribute
access finds it. Here a path is a key of a dictionary; nothing is ever looked up by walking attributes that a
caller names.
"""

from __future__ import annotations

import ast
import difflib
import importlib
import inspect
import types
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import dspy

from dspex_worker.problems import NotAllowed, NotFound

# The packages of DSPy whose exports are public.
PACKAGES = (
    "dspy",
    "dspy.adapters",
    "dspy.adapters.types",
    "dspy.clients",
    "dspy.evaluate",
    "dspy.experimental",
    "dspy.predict",
    "dspy.primitives",
    "dspy.retrievers",
    "dspy.signatures",
    "dspy.streaming",
    "dspy.teleprompt",
    "dspy.utils.exceptions",
)

# Public, though no package exports it.
_UNEXPORTED = (("dspy.adapters.baml_adapter", "BAMLAdapter"),)

_STATE = "it changes the state of the whole worker; sessions of the host carry settings instead"
_CODE = "it runs code that a caller supplies, or code of a model outside of a sandbox"
_TEXTS = "it reads texts with DSPy's parser, which imports modules; send a structured signature in a spec"
_FILES = "it reads or writes files of the machine"
_PICKLES = "it reads pickles, which run code; `dump_state` gives a state, which goes into the spec as JSON"
_WRAPS = "it takes and returns Python functions, which have no form on the wire"
_OLD = "DSPy removes it in 3.5, and it runs code that a model wrote; use dspy.RLM"
_FIELD = "it makes a part of a signature's class; fields stand in the signature of a spec"
_EXCEPTION = "it takes an exception of Python, which has no form on the wire"
_BROKEN = "it is broken in DSPy 3.4.1: it uses dspy.TypedPredictor, which is gone"

# Names of public things that stay out of reach, and why.
DENIED: Mapping[str, str] = {
    "configure": _STATE,
    "configure_cache": _STATE,
    "configure_dspy_loggers": _STATE,
    "context": _STATE,
    "disable_logging": _STATE,
    "enable_logging": _STATE,
    "load": _PICKLES,
    "load_settings": _FILES,
    "settings": _STATE,
    "Cache": _FILES,
    "Provider": _CODE,
    "TrainingJob": _CODE,
    "configure_litellm_logging": _STATE,
    "default_cache_dir": _FILES,
    "disable_litellm_logging": _STATE,
    "enable_litellm_logging": _STATE,
    "CodeInterpreter": _CODE,
    "LocalInterpreter": _CODE,
    "PythonInterpreter": _CODE,
    "resolve_interpreter_factory": _CODE,
    "CodeAct": _OLD,
    "ProgramOfThought": _OLD,
    "AvatarOptimizer": _BROKEN,
    "InputField": _FIELD,
    "OldField": _FIELD,
    "OldInputField": _FIELD,
    "OldOutputField": _FIELD,
    "OutputField": _FIELD,
    "Signature": _TEXTS,
    "SignatureMeta": _TEXTS,
    "ensure_signature": _TEXTS,
    "make_signature": _TEXTS,
    "asyncify": _WRAPS,
    "syncify": _WRAPS,
    "streamify": _WRAPS,
    "apply_sync_streaming": _WRAPS,
    "streaming_response": _WRAPS,
    "track_usage": _STATE,
    "inspect_history": _STATE,
    "format_error_for_lm": _EXCEPTION,
    "is_retryable_lm_error": _EXCEPTION,
}

_CALLABLE = (type, types.FunctionType, types.BuiltinFunctionType)


def is_tool(value: Any) -> bool:
    """Whether it is an object of a module that can be called, rather than a class or a function."""
    return not isinstance(value, _CALLABLE)


class Catalogue:
    """The public classes and functions of DSPy and of the user's own modules, by their dotted paths.

    Of the user's modules also tools: `dspy.Tool`s, and objects with a `__call__`.
    """

    def __init__(self, modules: Iterable[str] = ()) -> None:
        self._modules = tuple(modules)
        self._denied: dict[str, str] = {}
        self._denied_objects: dict[int, tuple[str, Any]] = {}
        self._objects: dict[str, Any] = {}
        for path, value in _exports_of_dspy():
            why = DENIED.get(path.rsplit(".", 1)[1])
            if why is None:
                self._objects[path] = value
            else:
                self._denied[path] = why
                held = self._denied_objects.get(id(value))
                if held is None or _preference((path, value)) < _preference(held):
                    self._denied_objects[id(value)] = (path, value)
        for name in DENIED:
            self._denied.setdefault(f"dspy.{name}", DENIED[name])
        for module in self._modules:
            self._objects.update(_names_of(module))
        self._names = {
            id(value): path for path, value in sorted(self._objects.items(), key=_preference, reverse=True)
        }

    def paths(self) -> list[str]:
        """All paths, sorted."""
        return sorted(self._objects)

    def __contains__(self, path: str) -> bool:
        return path in self._objects

    def items(self) -> Iterator[tuple[str, Any]]:
        yield from sorted(self._objects.items())

    def name_of(self, value: Any) -> str | None:
        """The shortest path of an object: `dspy.ReAct`, not `dspy.predict.react.ReAct`."""
        return self._names.get(id(value))

    def denied(self) -> dict[str, str]:
        """What is public in DSPy and stays out of reach, with the reasons."""
        named = [path for path, _ in self._denied_objects.values()]
        # Values that are no classes or functions, such as `dspy.settings`.
        exported = {path.rsplit(".", 1)[1] for path in named}
        named += [f"dspy.{n}" for n in DENIED if n not in exported and hasattr(dspy, n)]
        return {path: self._denied[path] for path in sorted(named)}

    def denied_objects(self) -> list[Any]:
        """The classes and functions among those."""
        return [value for _, value in self._denied_objects.values()]

    def resolve(self, path: str) -> Any:
        """What the path names. Raises `NotAllowed` or `NotFound`, which say what to do."""
        found = self._objects.get(path)
        if found is not None:
            return found
        if path in self._denied:
            raise NotAllowed(f"`{path}` is not callable from the host: {self._denied[path]}", path=path)
        head = path.split(".", 1)[0]
        module = next((m for m in self._modules if path == m or path.startswith(f"{m}.")), None)
        if (head != "dspy" and module is None) or any(part.startswith("_") for part in path.split(".")):
            raise NotAllowed(self._how_to_allow(path), path=path)
        near = difflib.get_close_matches(path, self._objects, 1, cutoff=0.7)
        hint = f"; did you mean `{near[0]}`?" if near else "; see `schema-gen coverage` for what there is"
        where = f"DSPy {dspy.__version__}" if module is None else f"the module `{module}`"
        message = f"`{path}` is not among the public names of {where}{hint}"
        raise NotFound(message, path=path, suggestion=near[0] if near else None)

    @staticmethod
    def _how_to_allow(path: str) -> str:
        if any(part.startswith("_") for part in path.split(".")):
            return f"`{path}` is private: names with a leading underscore cannot be reached"
        module = path.rsplit(".", 1)[0] if "." in path else "my_team.rag"
        return (
            f"`{path}` is outside of DSPy's public names and the modules that were allowed. To allow the "
            "public names that a module of your own defines, call "
            f'`Dspex::builder().allow_module("{module}")`'
        )


def _exports_of_dspy() -> Iterator[tuple[str, Any]]:
    found: dict[int, Any] = {}
    for package in PACKAGES:
        module = importlib.import_module(package)
        for name, value in sorted(vars(module).items()):
            if not name.startswith("_") and _is_public(value):
                found[id(value)] = value
                yield f"{package}.{name}", value
    for package, name in _UNEXPORTED:
        value = getattr(importlib.import_module(package), name)
        found[id(value)] = value
    for value in found.values():
        # Where it is defined: what errors, states and documentation call it.
        yield f"{value.__module__}.{value.__qualname__}", value


def _is_public(value: Any) -> bool:
    if not isinstance(value, _CALLABLE):
        return False
    home = getattr(value, "__module__", None) or ""
    parts = [*home.split("."), *getattr(value, "__qualname__", "_").split(".")]
    return parts[0] == "dspy" and not any(part.startswith("_") or part == "<locals>" for part in parts)


def _names_of(module_name: str) -> dict[str, Any]:
    """The public names that a module of the user defines itself."""
    module = importlib.import_module(module_name)
    public = [(name, value) for name, value in vars(module).items() if not name.startswith("_")]
    tools = {name for name, value in public if isinstance(value, dspy.Tool)}
    imported = _imported_names(module) if tools else set()
    return {
        f"{module_name}.{name}": value
        for name, value in public
        if ((inspect.isclass(value) or inspect.isfunction(value)) and value.__module__ == module_name)
        or (name in tools and name not in imported)
        or _is_callable_of(value, module_name)
    }


def _is_callable_of(value: Any, module_name: str) -> bool:
    """Whether it is an object, with a call, of a class that the module itself defines."""
    kind = type(value)
    return (
        kind.__module__ == module_name
        and callable(value)
        and not isinstance(value, (type, dspy.Module, dspy.Tool))
    )


def _imported_names(module: Any) -> set[str]:
    """The names that a module has from others. A tool does not say where it was made."""
    try:
        tree = ast.parse(inspect.getsource(module))
    except (OSError, TypeError, SyntaxError):
        return set()
    return {alias.asname or alias.name for node in _imports(tree) for alias in node.names}


def _imports(node: ast.AST) -> Iterator[ast.Import | ast.ImportFrom]:
    """The imports of a module itself, in branches as well, but not those of its functions and classes."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.Import, ast.ImportFrom)):
            yield child
        elif not isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield from _imports(child)


def _preference(item: tuple[str, Any]) -> tuple[int, int, str]:
    """Shorter paths first; of the same length, those that end in the object's own name."""
    path, value = item
    return path.count("."), path.rsplit(".", 1)[1] != getattr(value, "__name__", ""), path
