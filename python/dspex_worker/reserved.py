"""Field names that DSPy cannot carry, although nothing says so until a call goes wrong.

`tests/engine/test_reserved_names.py` tries all of them, and every attribute of DSPy's classes, against DSPy.
"""

from __future__ import annotations

import keyword

# Attributes of a signature's class: pydantic or DSPy loses the field or fails on it.
EVERYWHERE = frozenset(
    {
        "fields",
        "input_fields",
        "instructions",
        "model_config",
        "model_dump",
        "model_dump_json",
        "model_validate",
        "model_validate_json",
        "model_validate_strings",
        "output_fields",
        "signature",
    }
)

# Keyword arguments that `Predict`, or the machinery around its call, takes for itself.
INPUTS = EVERYWHERE | {
    "completions",
    "config",
    "demos",
    "instance",
    "lm",
    "new_signature",
    "prediction",
    "self",
}

# Outputs are read by item, never by attribute: `items` or `copy` are as good as any name.
OUTPUTS = EVERYWHERE


def name_problem(name: object) -> str | None:
    """Why a text cannot be the name of any field, or None."""
    if not isinstance(name, str) or not name.isidentifier():
        return "not a valid name: use letters, digits and underscores, and no digit at the start"
    if keyword.iskeyword(name):
        return "a keyword of Python; choose another name"
    if name.startswith("_"):
        return "names with a leading underscore are private to DSPy; choose another name"
    return None
