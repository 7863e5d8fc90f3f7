"""The public names that introspection leaves out, each with the reason: nothing is lost without a word."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dspy

from dspex_worker.catalogue import Catalogue

_REDIRECTS = "importing it redirects the file descriptors of the process"
_PATH = re.compile(r"\s*(?:\(/[^\s)]+\)|(?<=\s)/[^\s)]+)")


def unreached(catalogue: Catalogue) -> tuple[dict[str, str], dict[str, str]]:
    """Names of DSPy that cannot be reached, and modules of DSPy that were skipped; both with the reasons.

    Imports all public modules of DSPy, so it belongs into a worker, never into the process that workers are
    forked from.
    """
    unsupported = dict(catalogue.denied())
    skipped: dict[str, str] = {}
    known = {id(value) for _, value in catalogue.items()} | {
        id(value) for value in catalogue.denied_objects()
    }
    for module in _modules(list(dspy.__path__), "dspy", skipped):
        for name, value in sorted(vars(module).items()):
            own = getattr(value, "__module__", None) == module.__name__
            if own and _is_public(name, value) and id(value) not in known:
                known.add(id(value))
                unsupported[f"{module.__name__}.{name}"] = (
                    "no package of DSPy exports it; "
                    f'`Dspex::builder().allow_module("{module.__name__}")` reaches it untyped'
                )
    return dict(sorted(unsupported.items())), dict(sorted(skipped.items()))


def _is_public(name: str, value: Any) -> bool:
    return not name.startswith("_") and (inspect.isclass(value) or inspect.isfunction(value))


def _modules(paths: list[str], prefix: str, skipped: dict[str, str]) -> Iterator[Any]:
    """The public modules below a package, in order of names; what cannot be imported goes to `skipped`."""
    for found in sorted(pkgutil.iter_modules(paths), key=lambda info: info.name):
        name = f"{prefix}.{found.name}"
        if found.name.startswith("_"):
            continue
        if _redirects(Path(getattr(found.module_finder, "path", "")), found):
            skipped[name] = _REDIRECTS
            continue
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                module = importlib.import_module(name)
        except Exception as error:
            text = _PATH.sub("", (str(error).splitlines() or [""])[0])
            skipped[name] = f"it cannot be imported: {type(error).__name__}: {text}"
            continue
        yield module
        if found.ispkg:
            yield from _modules(list(module.__path__), name, skipped)


def _redirects(folder: Path, found: pkgutil.ModuleInfo) -> bool:
    """Whether the import alone calls `os.dup2`."""
    path = folder / found.name / "__init__.py" if found.ispkg else folder / f"{found.name}.py"
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except (OSError, SyntaxError, ValueError):
        return False
    statements = [
        node
        for node in tree.body
        if not isinstance(node, (ast.FunctionDef, ast.ClassDef, ast.AsyncFunctionDef))
    ]
    return any(
        isinstance(node, ast.Attribute) and node.attr == "dup2"
        for statement in statements
        for node in ast.walk(statement)
    )
