"""A correction of DSPy: what its agents show a model of an exception.

`ReAct` and `ReActV2` show the traceback, with the paths of the machine: of functions of a user's program, and
of their own tools `finish` and `submit`, where the model gives those other arguments than they take. Here
they show what the exception says.
"""

from __future__ import annotations

import dspy
from dspy.predict import react, react_v2

from dspex_worker.correction import CHECKED_VERSION
from dspex_worker.errors import scrub

# What a model is told of one exception.
MAX_MESSAGE = 2000


def install() -> bool:
    """Installs it. False where DSPy has another version than the one that was checked."""
    if dspy.__version__ != CHECKED_VERSION:
        return False
    for module in (react, react_v2):
        module.format_error_for_lm = _told
    return True


def message_for_model(error: BaseException) -> str:
    """What an exception says, without where it came from."""
    try:
        text = str(error)
    except Exception:
        text = ""
    text = scrub(text.split("Traceback (most recent call last)", 1)[0]).strip()[:MAX_MESSAGE]
    kind = type(error).__name__
    return f"{kind}: {text}" if text else kind


def _told(error: BaseException, *, traceback_frames: int = 0) -> str:
    return message_for_model(error)
