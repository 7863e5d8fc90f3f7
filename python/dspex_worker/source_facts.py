"""What only the source of a class or function tells: deprecations, and packages imported on first use.

Nothing is run. Where there is no source, nothing is known.
"""

from __future__ import annotations

import ast
import functools
import importlib.metadata
import inspect
import re
import sys
import textwrap
from collections.abc import Iterator
from typing import Any

_SINCE = re.compile(r"\.\. deprecated::\s*(\S+)")
_REMOVAL = re.compile(r"remov(?:ed|al) in (?:DSPy )?v?(\d+(?:\.\d+)*)")
_INSTEAD = re.compile(r"\b[Uu]se `{0,2}([A-Za-z_][\w.]*\w)|([A-Za-z_][\w.]*) is the preferred replacement")
_EXPERIMENTAL = re.compile(r"^\s*Experimental: This \w+ may change or be removed", re.MULTILINE)
_EXTRA = re.compile(r"""^([\w.-]+).*;.*\bextra\s*==\s*["']([\w-]+)["']""")
_TOOLING = frozenset({"dev", "test-extras"})


def deprecation_of(value: Any, doc: str) -> dict[str, str] | None:
    """`{"since", "removal", "use"}`, as far as DSPy says, of something that is deprecated itself.

    A warning about a single argument stands within a condition, and does not count.
    """
    since = _SINCE.search(doc)
    target = vars(value).get("__init__") if inspect.isclass(value) else value
    warning = _unconditional_warning(target) if target is not None else None
    if since is None and warning is None:
        return None
    text = warning or doc[since.start() :] if since is not None else warning or ""
    removal, instead = _REMOVAL.search(text), _INSTEAD.search(text)
    found = {
        "since": since[1] if since else None,
        "removal": removal[1] if removal else None,
        "use": (instead[1] or instead[2]) if instead else None,
    }
    return {key: told for key, told in found.items() if told}


def is_experimental(doc: str) -> bool:
    """Whether DSPy's own decorator put its notice into the documentation."""
    return _EXPERIMENTAL.search(doc) is not None


def extras_of(cls: type) -> list[str]:
    """The extras of DSPy that the class imports when it is used."""
    packages = _extras()
    module = _tree(sys.modules.get(cls.__module__))
    own = _tree(cls)
    if module is None or own is None:
        return []
    # Names of the module that stand for a package: `np = require("numpy")`, or a function that imports it.
    lazy: dict[str, str] = {}
    for node in getattr(module, "body", []):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call) and node.value.args:
            argument = node.value.args[0]
            if getattr(node.value.func, "id", "") == "require" and isinstance(argument, ast.Constant):
                lazy.update({t.id: str(argument.value) for t in node.targets if isinstance(t, ast.Name)})
        elif isinstance(node, ast.FunctionDef):
            for package in _imports(node):
                lazy[node.name] = package
    used = {lazy[node.id] for node in ast.walk(own) if isinstance(node, ast.Name) and node.id in lazy}
    return sorted({packages[package] for package in used | set(_imports(own)) if package in packages})


@functools.cache
def _extras() -> dict[str, str]:
    """DSPy's extras by the package that each of them brings."""
    found: dict[str, str] = {}
    for requirement in importlib.metadata.requires("dspy") or []:
        match = _EXTRA.match(requirement)
        if match is not None and match[2] not in _TOOLING:
            found[re.split(r"[<>=!~\[; ]", match[1])[0].replace("-", "_")] = match[2]
    return found


def _imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.split(".")[0]


def _tree(value: Any) -> ast.AST | None:
    if value is None:
        return None
    try:
        return ast.parse(textwrap.dedent(inspect.getsource(value)))
    except (OSError, TypeError, SyntaxError):
        return None


def _unconditional_warning(function: Any) -> str | None:
    """The text of a `DeprecationWarning` that every call of the function raises."""
    tree = _tree(inspect.unwrap(getattr(function, "__func__", function)))
    bodies = [node.body for node in getattr(tree, "body", []) if isinstance(node, ast.FunctionDef)]
    for statement in bodies[0] if bodies else []:
        call = getattr(statement, "value", None)
        if (
            isinstance(call, ast.Call)
            and getattr(call.func, "attr", "") == "warn"
            and any(getattr(argument, "id", "") == "DeprecationWarning" for argument in call.args)
            and isinstance(call.args[0], ast.Constant)
        ):
            return str(call.args[0].value)
    return None
