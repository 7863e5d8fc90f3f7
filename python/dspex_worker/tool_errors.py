"""What code of Python is told about tools."""

from __future__ import annotations


class ToolNotFound(KeyError):
    """The session has no tool of that name."""

    __module__ = "dspex_worker"

    def __str__(self) -> str:
        # `KeyError` would quote it.
        return str(self.args[0])
