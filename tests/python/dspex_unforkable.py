"""Works where it is imported, and breaks DSPy's setup in processes that are forked from there.

Libraries of GPUs can. Only while a file `break_forks` lies in one of the directories that modules are looked for in.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any, NoReturn

import dspy


def _fail(*_: Any, **__: Any) -> NoReturn:
    raise ImportError(f"{__name__}: libunforkable.so.1 cannot be used in a forked process")


def _in_child() -> None:
    if any(Path(place, "break_forks").exists() for place in sys.path):
        dspy.configure_cache = _fail


os.register_at_fork(after_in_child=_in_child)
