"""A correction of DSPy: lists that an agent observes.

`dspy.ReAct` shows a model as text what tools answered. A list is numbered item by item, and each item is
taken for a text: in DSPy 3.4.1 a number ends the whole call with a `TypeError`, and an object is shown as
Python writes it. Here an item that is no text is shown as JSON, as DSPy shows an object that is no item.
"""

from __future__ import annotations

import json
from typing import Any

import dspy
from dspy.adapters import utils

from dspex_worker.correction import CHECKED_VERSION

_original = utils._format_input_list_field_value


def install() -> bool:
    """Installs it. False where DSPy has another version than the one that was checked."""
    if dspy.__version__ != CHECKED_VERSION:
        return False
    utils._format_input_list_field_value = _numbered
    return True


def _numbered(value: list[Any]) -> str:
    return str(_original([item if isinstance(item, str) else _as_json(item) for item in value]))


def _as_json(item: Any) -> str:
    jsonable = utils.serialize_for_json(item)
    return jsonable if isinstance(jsonable, str) else json.dumps(jsonable, ensure_ascii=False)
