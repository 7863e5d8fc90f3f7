"""JSON of the wire <-> Python values.

What JSON cannot hold travels as an object with the single key `$dspex` (see proto/dspex/v1/worker.proto).
Both directions have a fast path for plain data: orjson alone, guarded by checks that cost a scan of the
bytes.
"""

from __future__ import annotations

import base64
import binascii
import dataclasses
import datetime
import decimal
import difflib
import enum
import json
import math
import pathlib
import re
import reprlib
import sys
import uuid
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NoReturn

import orjson
import pydantic

TAG = "$dspex"
_TAG_BYTES = b"$dspex"

# Containers within containers, in both directions.
MAX_DEPTH = 64

# The integers that JSON numbers hold on both sides of the wire: those of i64 and u64.
INT_MIN, INT_MAX = -(2**63), 2**64 - 1

# Digits of a tagged integer. Below Python's own limit for reading them.
MAX_DIGITS = 4000

# How much of an object's `repr` an opaque marker carries.
MAX_REPR = 300

_DIGITS = re.compile(rf"-?[0-9]{{1,{MAX_DIGITS}}}", re.ASCII)
_CONTAINERS = (dict, list, tuple, set, frozenset, str, bytes, int)
_SHORT = reprlib.Repr()
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")
_PLAIN = orjson.OPT_PASSTHROUGH_SUBCLASS | orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_DATACLASS
# Python's parser also reads what orjson refuses: lone surrogates. NaN and Infinity it must not read.
_decode_slowly: Callable[[str], Any] = json.JSONDecoder(
    parse_constant=lambda name: _refuse(f"{name} is not JSON; send {{'{TAG}': ['float', ..]}}")
).decode


class CodecError(ValueError):
    """Bytes or values that the wire does not allow; the message says what and where."""


def _refuse(message: str) -> NoReturn:
    raise CodecError(message)


# ----------------------------------------------------------------------------------------------------
# decoding


def loads(data: bytes) -> Any:
    """The value of a JSON document, with `$dspex` objects resolved.

    Raises `CodecError` for what is not JSON, for unknown or broken tags, and for more than `MAX_DEPTH`
    levels.
    """
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        value = _loads_slowly(data, error)
    if data.count(b"[") + data.count(b"{") > MAX_DEPTH:
        _check_depth(value)
    # The second: a document may spell any character of the key as an escape.
    if _TAG_BYTES in data or b"\\u00" in data:
        return _untag(value)
    return value


def loads_object(data: bytes, what: str) -> dict[str, Any]:
    """As `loads`, for a document that has to be an object. No bytes are an empty one."""
    value = loads(data) if data else {}
    if not isinstance(value, dict):
        raise CodecError(f"{what}: expected a JSON object, got {describe(value)}")
    return value


def _loads_slowly(data: bytes, error: orjson.JSONDecodeError) -> Any:
    if b"\\u" in data or b"\\U" in data:
        try:
            return _decode_slowly(data.decode("utf-8"))
        except CodecError:
            raise
        except (ValueError, RecursionError):
            pass
    raise CodecError(f"not a JSON document: {error}") from None


def _check_depth(value: Any) -> None:
    level = [value]
    for _ in range(MAX_DEPTH):
        inner: list[Any] = []
        for item in level:
            if type(item) is dict:
                inner.extend(v for v in item.values() if type(v) is dict or type(v) is list)
            elif type(item) is list:
                inner.extend(v for v in item if type(v) is dict or type(v) is list)
        if not inner:
            return
        level = inner
    raise CodecError(f"the document is nested deeper than {MAX_DEPTH} levels")


def _untag(value: Any) -> Any:
    if type(value) is list:
        return [_untag(item) for item in value]
    if type(value) is not dict:
        return value
    if len(value) == 1 and TAG in value:
        return _resolve(value[TAG])
    return {key: _untag(item) for key, item in value.items()}


def _resolve(pair: Any) -> Any:
    if type(pair) is not list or len(pair) != 2 or type(pair[0]) is not str:
        raise CodecError(f"a '{TAG}' object has to hold a pair of a kind and its value, got {describe(pair)}")
    kind, body = pair
    resolver = _RESOLVERS.get(kind)
    if resolver is None:
        raise CodecError(f"'{TAG}' of the unknown kind {kind!r}; known are {', '.join(sorted(_RESOLVERS))}")
    try:
        return resolver(body)
    except CodecError:
        raise
    except (TypeError, ValueError, KeyError, binascii.Error) as error:
        raise CodecError(f"'{TAG}' of kind {kind!r} holds a broken value: {error}") from None


def _resolve_int(body: Any) -> int:
    if not isinstance(body, str) or _DIGITS.fullmatch(body) is None:
        raise CodecError(
            f"'{TAG}' of kind 'int' needs up to {MAX_DIGITS} decimal digits, got {describe(body)}"
        )
    return int(body)


def _resolve_object(body: Any) -> dict[str, Any]:
    if type(body) is not dict:
        raise CodecError(f"'{TAG}' of kind 'object' needs an object, got {describe(body)}")
    return {key: _untag(item) for key, item in body.items()}


def _resolve_opaque(body: Any) -> Any:
    kind = body.get("type") if isinstance(body, dict) else None
    raise CodecError(f"an opaque value ({kind or 'unknown'}) cannot be sent back to the worker")


_RESOLVERS: Mapping[str, Callable[[Any], Any]] = {
    "float": lambda body: {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}[body],
    "int": _resolve_int,
    "bytes": lambda body: base64.b64decode(body, validate=True),
    "str": lambda body: base64.b64decode(body, validate=True).decode("utf-8", "surrogatepass"),
    "object": _resolve_object,
    "opaque": _resolve_opaque,
}


# ----------------------------------------------------------------------------------------------------
# encoding


def dumps(value: Any) -> bytes:
    """The JSON document of a value. Never fails: what cannot be told becomes an opaque marker."""
    try:
        data = orjson.dumps(value, option=_PLAIN)
    except TypeError:
        # Something that orjson does not know, or refuses: big integers, surrogates, other keys than strings.
        return orjson.dumps(to_wire(value))
    if _TAG_BYTES in data or (b"null" in data and _has_nonfinite(value)):
        return orjson.dumps(to_wire(value))
    if data.count(b"[") + data.count(b"{") > MAX_DEPTH:
        return orjson.dumps(to_wire(value))
    return data


def _has_nonfinite(value: Any) -> bool:
    """Whether there is a NaN or an infinity, which orjson writes as null."""
    pending = [value]
    while pending:
        item = pending.pop()
        kind = type(item)
        if kind is float:
            if not math.isfinite(item):
                return True
        elif kind is dict:
            pending.extend(item.values())
        elif kind is list or kind is tuple:
            pending.extend(item)
        elif kind not in _SCALARS:
            # An enum's value, for one.
            return True
    return False


_SCALARS = frozenset({str, int, bool, type(None)})


def to_wire(value: Any) -> Any:
    """The same value in terms of JSON alone, with tags where they are needed."""
    return _Encoder().encode(value, 0)


class _Encoder:
    """One walk over a value.

    `_open` holds the containers above the current one, by identity: cycles end there.
    """

    __slots__ = ("_open",)

    def __init__(self) -> None:
        self._open: set[int] = set()

    def encode(self, value: Any, depth: int) -> Any:
        kind = type(value)
        if kind is str:
            return _text(value)
        if value is None or kind is bool:
            return value
        if kind is int:
            return _integer(value)
        if kind is float:
            return _number(value)
        return self._container(value, depth)

    def _container(self, value: Any, depth: int) -> Any:
        if depth >= MAX_DEPTH or id(value) in self._open:
            return opaque(value)
        self._open.add(id(value))
        try:
            return self._inner(value, depth + 1)
        except RecursionError:
            return opaque(value)
        finally:
            self._open.discard(id(value))

    def _inner(self, value: Any, depth: int) -> Any:
        if isinstance(value, dict):
            return self._mapping(value, depth)
        if isinstance(value, (list, tuple)):
            return [self.encode(item, depth) for item in value]
        if isinstance(value, (set, frozenset)):
            return [self.encode(item, depth) for item in _ordered(value)]
        if isinstance(value, (bytes, bytearray, memoryview)):
            return {TAG: ["bytes", base64.b64encode(value).decode("ascii")]}
        if isinstance(value, enum.Enum):
            return self.encode(value.value, depth)
        if isinstance(value, str):
            return _text(str.__str__(value))
        if isinstance(value, int):
            return _integer(int(value))
        if isinstance(value, float):
            return _number(float(value))
        plain = _plain_form(value)
        if plain is not _NO_FORM:
            return self.encode(plain, depth)
        return opaque(value)

    def _mapping(self, value: Mapping[Any, Any], depth: int) -> Any:
        result: dict[str, Any] = {}
        for key, item in value.items():
            name = _key(key)
            if name is None or name in result:
                # No text says what this key is, or two keys would become one: neither may be lost silently.
                return opaque(value)
            result[name] = self.encode(item, depth)
        if len(result) == 1 and TAG in result:
            return {TAG: ["object", result]}
        return result


def _text(value: str) -> Any:
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        return {TAG: ["str", base64.b64encode(value.encode("utf-8", "surrogatepass")).decode("ascii")]}
    return value


def _integer(value: int) -> Any:
    if INT_MIN <= value <= INT_MAX:
        return value
    digits = _digits(value)
    return opaque(value) if digits is None else {TAG: ["int", digits]}


def _digits(value: int) -> str | None:
    """Decimal digits, or nothing where there are more of them than the wire allows."""
    return str(value) if value.bit_length() < 13_000 else None


def _number(value: float) -> Any:
    if math.isfinite(value):
        return value
    return {TAG: ["float", "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"]}


def _key(key: Any) -> str | None:
    """The name that a dictionary's key has in JSON, as Python's own `json` writes it."""
    if isinstance(key, enum.Enum):
        key = key.value
    if isinstance(key, str):
        return str.__str__(key).encode("utf-8", "backslashreplace").decode("utf-8")
    if key is None:
        return "null"
    if isinstance(key, bool):
        return "true" if key else "false"
    if isinstance(key, int):
        return _digits(int(key))
    if isinstance(key, float):
        return repr(float(key))
    if isinstance(key, (uuid.UUID, datetime.date, datetime.time, decimal.Decimal, pathlib.PurePath)):
        return str(key)
    return None


def _ordered(items: Iterable[Any]) -> list[Any]:
    """The members of a set in an order that does not depend on hashing, where they can be compared."""
    members = list(items)
    try:
        members.sort()
    except Exception:
        members.sort(key=safe_repr)
    return members


_NO_FORM = object()


def _plain_form(value: Any) -> Any:
    """What an object holds, in terms the encoder knows; `_NO_FORM` if it is not plain data."""
    if isinstance(value, type):
        return _NO_FORM
    dspy_form = _dspy_form(value)
    if dspy_form is not _NO_FORM:
        return dspy_form
    if isinstance(value, pydantic.BaseModel):
        return raw_fields(value)
    if isinstance(value, (datetime.datetime, datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, datetime.timedelta):
        return value.total_seconds()
    if isinstance(value, (decimal.Decimal, uuid.UUID, pathlib.PurePath)):
        return str(value)
    if dataclasses.is_dataclass(value):
        return {field.name: getattr(value, field.name, None) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, (type({}.keys()), type({}.values()), type({}.items()))):
        return list(value)
    return _numpy_form(value)


def raw_fields(model: pydantic.BaseModel) -> dict[str, Any]:
    """The fields of a model as they are.

    The dump of five of DSPy's types is prompt text, which cannot be read back.
    """
    held = {name: getattr(model, name, None) for name in type(model).model_fields}
    return {**held, **(model.__pydantic_extra__ or {})}


def _dspy_form(value: Any) -> Any:
    dspy = sys.modules.get("dspy")
    if dspy is None:
        return _NO_FORM
    if isinstance(value, dspy.Example):
        # Never by attribute: a field named `items` or `copy` is hidden by the method of that name.
        return value._store
    if isinstance(value, dspy.Reasoning):
        return value.content
    if isinstance(value, dspy.Tool):
        return {"name": value.name, "desc": value.desc, "args": value.args}
    return _NO_FORM


def _numpy_form(value: Any) -> Any:
    numpy = sys.modules.get("numpy")
    if numpy is None:
        return _NO_FORM
    if isinstance(value, numpy.generic):
        item = value.item()
        return _NO_FORM if isinstance(item, numpy.generic) else item
    if isinstance(value, numpy.ndarray) and value.dtype.kind in "biufSU":
        return value.tolist()
    return _NO_FORM


def opaque(value: Any) -> dict[str, Any]:
    """The marker of a value that has no form on the wire."""
    return {TAG: ["opaque", {"type": qualified_name(type(value)), "repr": safe_repr(value)}]}


def qualified_name(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def safe_repr(value: Any) -> str:
    """A short `repr` without addresses, that never raises and holds valid Unicode alone."""
    try:
        # Containers may be huge, and are told in part; objects tell what they want.
        text = _SHORT.repr(value) if isinstance(value, _CONTAINERS) else repr(value)
    except Exception as error:
        text = f"<{type(value).__name__} whose repr raises {type(error).__name__}>"
    text = _ADDRESS.sub("", text).encode("utf-8", "backslashreplace").decode("utf-8")
    return text if len(text) <= MAX_REPR else text[: MAX_REPR - 1] + "…"


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that somebody who wrote `name` most likely meant."""
    return next(iter(difflib.get_close_matches(name, list(known), 1)), None)


def describe(value: Any) -> str:
    """A value in the words of JSON, for messages: its type, and itself where it is short."""
    if value is None:
        return "null"
    names: tuple[tuple[type, str], ...] = (
        (bool, "a boolean"),
        (int, "an integer"),
        (float, "a number"),
        (str, "a string"),
        (bytes, "bytes"),
        (dict, "an object"),
        (list, "an array"),
    )
    for kind, name in names:
        if isinstance(value, kind):
            return name
    return qualified_name(type(value))
