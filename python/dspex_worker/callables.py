"""Parameters, results and fields: what Python says of them, and what is known without it."""

from __future__ import annotations

import dataclasses
import inspect
import json
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import dspy
import pydantic

from dspex_worker import codec, roles, untold
from dspex_worker.docstrings import argument_docs, doc_of
from dspex_worker.type_ir import ANY, Type, TypeReader, is_known, union

# Names that annotations of DSPy use, and only type checkers import.
_NAMES: Mapping[str, Any] = {
    "Signature": dspy.Signature,
    "Module": dspy.Module,
    "Example": dspy.Example,
    "Prediction": dspy.Prediction,
    "LM": dspy.LM,
    "BaseLM": dspy.BaseLM,
    "dspy": dspy,
}


class CallableReader:
    """Describes what is called, and the data of classes.

    `name_of` tells the public path of a class or function.
    """

    def __init__(self, name_of: Callable[[Any], str | None]) -> None:
        self._name_of = name_of
        self._types = TypeReader(name_of, _NAMES)

    def callable(
        self, function: Any, *, skip_first: bool, told: Mapping[str, str], owner: type | None = None
    ) -> dict[str, Any]:
        """What a function takes and returns; `told` is what is known of it, `owner` the class of a method."""
        doc = doc_of(function)
        try:
            signature = _unbound(function) if skip_first else inspect.signature(function)
        except (TypeError, ValueError):
            return {"async": False, "params": [], "params_extra": True, "returns": ANY, "doc": doc}
        parameters, extra = self.parameters(signature, function.__module__, argument_docs(doc), told)
        return {
            "async": inspect.iscoroutinefunction(function),
            "params": parameters,
            "params_extra": extra,
            "returns": self.read(
                signature.return_annotation, function.__module__, told.get(untold.RETURN), owner
            ),
            "doc": doc,
        }

    def read(self, annotation: Any, module: str, told: str | None = None, owner: type | None = None) -> Type:
        """The type of an annotation; where it says nothing, what is known without it."""
        empty = annotation is inspect.Parameter.empty
        found = ANY if empty else self._types.read(annotation, module)
        if is_known(found) or told is None:
            return found
        if told == untold.SELF:
            return ANY if owner is None else self._types.read(owner, module)
        return self._types.read(told, "dspy")

    def parameters(
        self,
        signature: inspect.Signature,
        module: str,
        docs: Mapping[str, str],
        told: Mapping[str, str] = MappingProxyType({}),
    ) -> tuple[list[dict[str, Any]], bool]:
        """The parameters of a signature, and whether it takes any other keyword."""
        described = []
        extra = False
        for name, parameter in signature.parameters.items():
            if parameter.kind in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL):
                extra = extra or parameter.kind is parameter.VAR_KEYWORD
                continue
            described.append(self._parameter(name, parameter, module, docs.get(name, ""), told.get(name)))
        return described, extra

    def _parameter(
        self, name: str, parameter: inspect.Parameter, module: str, doc: str, told: str | None
    ) -> dict[str, Any]:
        required = parameter.default is parameter.empty
        annotation = parameter.annotation
        if annotation is parameter.empty:
            annotation = roles.PARAMETER_TYPES.get(name, Any if required else type(parameter.default))
            if not required and parameter.default is None:
                annotation = roles.PARAMETER_TYPES.get(name, Any)
        kind = self.read(annotation, module, told)
        described = {
            "name": name,
            "role": roles.role_of(name),
            "required": required,
            "type": kind,
            "doc": doc,
        }
        if not required:
            if parameter.default is None:
                # Pythons before 3.11 read `x: int = None` as an option; the others have to be told.
                described["type"] = union([kind, {"k": "none"}])
            described["default"] = self.default(parameter.default)
        return described

    def default(self, value: Any) -> dict[str, Any]:
        try:
            return {"json": json.loads(json.dumps(value, allow_nan=False))}
        except (TypeError, ValueError):
            pass
        if inspect.isclass(value) or inspect.isfunction(value):
            return {"py": self._name_of(value) or f"{value.__module__}.{value.__qualname__}"}
        return {"repr": codec.safe_repr(value)}

    def fields(self, cls: Any) -> list[dict[str, Any]]:
        """The fields of a type's JSON form: those of a model of pydantic or of a dataclass."""
        if dataclasses.is_dataclass(cls):
            return [self._field_of_dataclass(cls, field) for field in dataclasses.fields(cls)]
        if not issubclass(cls, pydantic.BaseModel):
            return []
        told, docs = untold.of_method(cls, "__init__"), argument_docs(doc_of(cls))
        described = []
        for name, info in cls.model_fields.items():
            annotation = Any if info.annotation is None else info.annotation
            field = {
                "name": name,
                "role": "value",
                "required": info.is_required(),
                "type": self.read(annotation, cls.__module__, told.get(name), cls),
                "doc": info.description or docs.get(name, ""),
            }
            if not info.is_required():
                field["default"] = self.default(info.get_default(call_default_factory=False))
            described.append(field)
        return described

    def _field_of_dataclass(self, cls: Any, field: dataclasses.Field[Any]) -> dict[str, Any]:
        required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        described = {
            "name": field.name,
            "role": "value",
            "required": required,
            "type": self._types.read(field.type, cls.__module__),
            "doc": argument_docs(doc_of(cls)).get(field.name, ""),
        }
        if field.default is not dataclasses.MISSING:
            described["default"] = self.default(field.default)
        return described


def _unbound(function: Any) -> inspect.Signature:
    """The signature without the first parameter, which the binding gives."""
    signature = inspect.signature(function)
    return signature.replace(parameters=list(signature.parameters.values())[1:])
