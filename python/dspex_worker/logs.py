"""Where a worker's own words go: stderr, one line each, which the host turns into tracing events."""

from __future__ import annotations

import io
import logging
import os
import sys
import urllib.parse
from typing import TextIO

from dspex_worker import tracing
from dspex_worker.secrets import without_secrets


class LineFormatter(logging.Formatter):
    """`W dspex_worker.servicer: text`, with line ends escaped, an exception's traceback included.

    Within a call the name is followed by ` [session=.. trace=..]`, as far as there are such, percent-encoded.
    """

    def __init__(self) -> None:
        super().__init__("%(levelname).1s %(name)s%(dspex_call)s: %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        try:
            record.dspex_call = _of_call()
            line = super().format(record)
        except Exception as error:
            # Not what it would have said: nothing of that could be scrubbed.
            why = f"no text: {type(error).__name__}, from {record.module}, line {record.lineno}"
            line = f"{record.levelname:.1} {record.name}: ({why})"
        return without_secrets(line).replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r")


class _Lines(logging.StreamHandler[TextIO]):
    """Writes lines, or nothing."""

    def handleError(self, record: logging.LogRecord) -> None:
        """Does not print the record, as `logging` does, which would show what the formatter hides."""


def _of_call() -> str:
    """Which call a line belongs to, in the form that the host reads."""
    running = tracing.running()
    if running is None:
        return ""
    facts = []
    if running.session:
        facts.append(f"session={urllib.parse.quote(running.session)}")
    if running.trace is not None:
        facts.append(f"trace={running.trace.trace_id}")
    return f" [{' '.join(facts)}]" if facts else ""


def configure(level: str) -> None:
    """Sends all log records and warnings of this process to stderr."""
    handler = _Lines(sys.stderr)
    handler.setFormatter(LineFormatter())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.captureWarnings(True)


def stdout_to_stderr() -> None:
    """Prints of DSPy and of the user's modules become log lines; nothing of ours is ever on stdout."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A name in a foreign script must not end a call because of the locale. Done before a descriptor
            # is replaced: the stream asks for its position, which a file has and a pipe has not.
            stream.reconfigure(line_buffering=True, errors="backslashreplace")
    os.dup2(2, 1)


def adopt(stderr: int) -> None:
    """Makes `stderr` both standard outputs of this process, and closes the given descriptor.

    The streams of `sys` stay the same, since handlers may hold them.
    """
    flush()
    os.dup2(stderr, 2)
    os.dup2(stderr, 1)
    if stderr > 2:
        os.close(stderr)


def flush() -> None:
    """Before `os._exit`, which does not."""
    streams: tuple[TextIO, ...] = (sys.stdout, sys.stderr)
    for stream in streams:
        try:
            stream.flush()
        except (OSError, ValueError):
            pass
