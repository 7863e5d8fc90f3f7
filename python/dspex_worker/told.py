"""What events and errors tell of any value: it informs, so it never fails."""

from __future__ import annotations

import json
from typing import Any


def json_of(body: object) -> bytes:
    try:
        return json.dumps(body, allow_nan=False, ensure_ascii=False, default=_opaque).encode()
    except (TypeError, ValueError, RecursionError):
        # NaN, a lone surrogate, a cycle: an event informs, so it goes out as what can be said of it.
        return json.dumps(_opaque(body)).encode()


def _opaque(value: object) -> dict[str, Any]:
    text = repr(value)[:1024].encode("utf-8", "replace").decode()
    return {"$dspex": ["opaque", {"type": type(value).__qualname__, "repr": text}]}


def text_of(exc: BaseException) -> str:
    try:
        return str(exc).encode("utf-8", "backslashreplace").decode()
    except Exception:
        return "an exception whose text cannot be made"
