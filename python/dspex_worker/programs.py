"""What a program of the user takes and answers: a module is built once, and its predictors are looked at.

The types come from annotations: those of the predictors' signatures, and those of the parameters of
`forward`. Which outputs a call has is read from the source of `forward`, as far as it is plain there: it
returns what a predictor answered, or a `dspy.Prediction` of named parts.
"""

from __future__ import annotations

import ast
import dataclasses
import enum
import inspect
import textwrap
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import dspy
import pydantic
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from dspex_worker import roles
from dspex_worker.docstrings import schema_without_docs
from dspex_worker.surface import constructor, is_async_module
from dspex_worker.type_ir import ADDRESS

Field = dict[str, Any]
Fields = dict[str, Field]

_CALLS = frozenset({"acall", "forward", "aforward", "__call__"})


def describe_program(cls: type, name_of: Callable[[Any], str | None]) -> dict[str, Any]:
    """`{"predictors", "program"}` of a module of the user, or `{"predictors_unknown": reason}`.

    Runs the constructor, so it belongs into a worker.
    """
    try:
        parameters = inspect.signature(constructor(cls)).parameters.values()
    except (TypeError, ValueError):
        parameters = {}.values()
    needed = [
        p.name for p in parameters if p.default is p.empty and p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)
    ]
    if needed:
        names = ", ".join(f"`{name}`" for name in needed)
        return {"predictors_unknown": f"its constructor needs {names}; give them defaults to have types"}
    try:
        with dspy.context(lm=None), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = cls()
    except Exception as error:
        text = (str(error).splitlines() or [""])[0]
        return {"predictors_unknown": f"its constructor raises {type(error).__name__}: {text}"}
    reader = _Reader(name_of)
    entry = _entry(cls)
    inputs = {} if entry is None else reader.parameters(entry)
    outputs = reader.outputs(program)
    return {
        "predictors": [
            {"name": name, **_signature(reader, predictor.signature)}
            for name, predictor in program.named_predictors()
        ],
        "program": {
            "inputs": None if inputs is None else list(inputs.values()),
            "outputs": None if outputs is None else list(outputs.values()),
        },
    }


def describe_value(cls: type) -> dict[str, Any]:
    """What a class of the user that is no program says of its fields.

    `{"signature": {"instructions", "inputs", "outputs"}}` of a signature, `{"value": JSON Schema}` of a class
    whose instances are data, else nothing.
    """
    if issubclass(cls, dspy.Signature):
        return {"signature": _signature(_Reader(lambda _: None), cls)}
    data = (
        issubclass(cls, (pydantic.BaseModel, enum.Enum))
        or dataclasses.is_dataclass(cls)
        # `TypedDict` of `typing` and of `typing_extensions`, which do not know each other.
        or hasattr(cls, "__required_keys__")
    )
    schema, _ = read_schema(cls) if data else (True, None)
    return {} if schema is True else {"value": schema}


def abi_of_program(described: Mapping[str, Any]) -> dict[str, Any]:
    """What a caller depends on: names, schemas and defaults; no instructions and descriptions.

    Nothing where nothing could be found out.
    """
    if "predictors" not in described:
        return {}
    program = described["program"]
    return {
        "predictors": [
            {"name": p["name"], "inputs": _abi(p["inputs"]), "outputs": _abi(p["outputs"])}
            for p in described["predictors"]
        ],
        "program": {side: _abi(program[side]) for side in ("inputs", "outputs")},
    }


def _abi(fields: list[Field] | None) -> list[Field] | None:
    if fields is None:
        return None
    return [
        {
            **{key: value for key, value in f.items() if key not in ("desc", "untyped")},
            "schema": schema_without_docs(f["schema"]),
        }
        for f in fields
    ]


def json_schema(annotation: Any) -> Any:
    """The JSON Schema of the values of an annotation; True where anything goes or nothing is known."""
    return read_schema(annotation)[0]


def read_schema(annotation: Any) -> tuple[Any, str | None]:
    """The JSON Schema of the values of an annotation, and why it is none where it is True."""
    if annotation is inspect.Parameter.empty:
        return True, "Python does not annotate it"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            schema = pydantic.TypeAdapter(annotation).json_schema(schema_generator=_SchemaWithNames)
    except Exception as error:
        text = (str(error).splitlines() or [""])[0].split(". ")[0].rstrip(".")
        return True, f"`{_shown(annotation)}` has no JSON Schema ({type(error).__name__}: {text})"
    if not schema:
        return True, f"Python annotates it as `{_shown(annotation)}`"
    return schema, None


def _shown(annotation: Any) -> str:
    if inspect.isclass(annotation) and not hasattr(annotation, "__args__"):
        return annotation.__qualname__
    return ADDRESS.sub("", repr(annotation)).replace("typing.", "").replace("`", "'")


def _with_name(schema: JsonSchemaValue, cls: Any) -> JsonSchemaValue:
    generic = getattr(cls, "__pydantic_generic_metadata__", {}).get("origin")
    # A parametrised class is of the module that asked for it, says pydantic; what it is made of is elsewhere.
    # Two keys, as a qualified name has dots of its own.
    module = (generic or cls).__module__
    schema["x-python"] = f"{module}.{cls.__qualname__}"
    schema["x-python-module"] = module
    return schema


class _SchemaWithNames(GenerateJsonSchema):
    """JSON Schemas that tell of which Python class each of their parts is."""

    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        return _with_name(super().model_schema(schema), schema["cls"])

    def dataclass_schema(self, schema: core_schema.DataclassSchema) -> JsonSchemaValue:
        return _with_name(super().dataclass_schema(schema), schema["cls"])

    def typed_dict_schema(self, schema: core_schema.TypedDictSchema) -> JsonSchemaValue:
        described = super().typed_dict_schema(schema)
        return _with_name(described, schema["cls"]) if "cls" in schema else described

    def enum_schema(self, schema: core_schema.EnumSchema) -> JsonSchemaValue:
        return _with_name(super().enum_schema(schema), schema["cls"])


def _signature(reader: _Reader, signature: Any) -> dict[str, Any]:
    return {
        "instructions": signature.instructions,
        "inputs": list(reader.fields(signature.input_fields).values()),
        "outputs": list(reader.fields(signature.output_fields).values()),
    }


def _entry(cls: Any) -> Any:
    return cls.aforward if is_async_module(cls) else getattr(cls, "forward", None)


def _field(name: str, desc: str | None, annotation: Any) -> Field:
    schema, untyped = read_schema(annotation)
    field = {"name": name, "desc": desc, "schema": schema}
    return field if untyped is None else {**field, "untyped": untyped}


class _Reader:
    def __init__(self, name_of: Callable[[Any], str | None]) -> None:
        self._name_of = name_of

    def fields(self, fields: Mapping[str, Any]) -> Fields:
        """The fields of one side of a signature."""
        found = {}
        for name, info in fields.items():
            desc = (info.json_schema_extra or {}).get("desc")
            # DSPy's stand-in for a missing description.
            found[name] = _field(name, None if desc == f"${{{name}}}" else desc, info.annotation)
        return found

    def parameters(self, entry: Any) -> Fields | None:
        """The parameters of `forward`; None where it takes anything."""
        from dspex_worker.validate import type_hints

        hints = type_hints(entry)
        found: Fields = {}
        for name, parameter in list(inspect.signature(entry).parameters.items())[1:]:
            if parameter.kind in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL):
                return None
            required = parameter.default is parameter.empty
            field = {**_field(name, None, hints.get(name, parameter.empty)), "required": required}
            if not required:
                try:
                    field["default"] = {
                        "json": pydantic.TypeAdapter(Any).dump_python(parameter.default, mode="json")
                    }
                except Exception:
                    field["default"] = {"repr": type(parameter.default).__qualname__}
            found[name] = field
        return found

    def outputs(self, module: Any, depth: int = 0) -> Fields | None:
        """What a call of a module answers; None where nobody can tell."""
        if depth > 8:
            return None
        name = self._name_of(type(module)) or ""
        if isinstance(module, dspy.Predict):
            return self.fields(module.signature.output_fields)
        facts = roles.FACTS.get(name)
        if facts is not None:
            held = getattr(module, "signature", None)
            if held is None and isinstance(module, dspy.ChainOfThought):
                return self.fields(module.predict.signature.output_fields)
            if held is None or not facts.from_signature:
                return None
            extra = {o.name: _field(o.name, o.doc or None, o.annotation) for o in facts.extra_outputs}
            return {**extra, **self.fields(held.output_fields)}
        entry = _entry(type(module))
        return None if entry is None else _Returns(self, module, entry, depth).read()


class _Returns(ast.NodeVisitor):
    """Reads what a `forward` returns from its source."""

    def __init__(self, reader: _Reader, module: Any, entry: Any, depth: int) -> None:
        self._reader = reader
        self._module = module
        self._entry = entry
        self._depth = depth
        # What is known of local names: one value, or None once two differ.
        self._locals: dict[str, Fields | None] = {}
        self._inputs = reader.parameters(entry) or {}
        self._returned: list[Fields | None] = []
        self._self = ""

    def read(self) -> Fields | None:
        try:
            tree = ast.parse(textwrap.dedent(inspect.getsource(inspect.unwrap(self._entry))))
        except (OSError, TypeError, SyntaxError):
            return None
        function = tree.body[0]
        if not isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef)) or not function.args.args:
            return None
        self._self = function.args.args[0].arg
        for statement in function.body:
            self.visit(statement)
        first = self._returned[0] if self._returned else None
        return first if all(returned == first for returned in self._returned) else None

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        """A function within has returns of its own."""

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        """As above."""

    def visit_Lambda(self, node: ast.Lambda) -> None:
        """As above."""

    def visit_Assign(self, node: ast.Assign) -> None:
        fields = self._fields_of(node.value)
        for target in node.targets:
            for name in ast.walk(target):
                if isinstance(name, ast.Name):
                    known = self._locals.get(name.id, fields)
                    plain = isinstance(target, ast.Name) and known == fields
                    self._locals[name.id] = fields if plain else None

    def visit_Return(self, node: ast.Return) -> None:
        self._returned.append(None if node.value is None else self._fields_of(node.value))

    def _fields_of(self, node: ast.expr) -> Fields | None:
        """The outputs of an expression that gives a prediction."""
        if isinstance(node, ast.Await):
            return self._fields_of(node.value)
        if isinstance(node, ast.Name):
            return self._locals.get(node.id)
        if not isinstance(node, ast.Call):
            return None
        function = node.func
        if isinstance(function, ast.Attribute) and function.attr in _CALLS:
            function = function.value
        named = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
        if named == "Prediction" and not node.args and all(k.arg is not None for k in node.keywords):
            return {k.arg: self._part(k.arg, k.value) for k in node.keywords if k.arg is not None}
        owner = function.value if isinstance(function, ast.Attribute) else None
        if not isinstance(owner, ast.Name) or owner.id != self._self:
            return None
        module = getattr(self._module, named, None)
        return self._reader.outputs(module, self._depth + 1) if isinstance(module, dspy.Module) else None

    def _part(self, name: str, node: ast.expr) -> Field:
        """A named part of a prediction: with a type where it is an output or an input as it is."""
        if isinstance(node, ast.Attribute):
            of = self._fields_of(node.value)
            if of is not None and node.attr in of:
                return {**of[node.attr], "name": name}
        if isinstance(node, ast.Name) and node.id in self._inputs and node.id not in self._locals:
            known = self._inputs[node.id]
            return {"name": name, "desc": None, **{k: known[k] for k in ("schema", "untyped") if k in known}}
        return {
            "name": name,
            "desc": None,
            "schema": True,
            "untyped": "`forward` computes it, and its source does not tell the type",
        }
