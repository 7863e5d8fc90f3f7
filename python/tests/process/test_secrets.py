"""Keys that a worker holds show in no line of its log, whatever else goes wrong."""

from __future__ import annotations

import io
import logging
import sys
import threading
from collections.abc import Iterator

import pytest

from dspex_worker import errors, logs, secrets
from dspex_worker.secrets import keep_secret, without_secrets

KEY = "sk-very-secret-0123456789"


@pytest.fixture(autouse=True)
def no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secrets, "_kept", ())


@pytest.fixture
def stderr(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What the log, and `logging` of its own accord, writes."""
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    return stream


@pytest.fixture
def program(stderr: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> logging.Logger:
    """A logger with the worker's handler alone: those of the test runner raise what this is about."""
    with monkeypatch.context() as patched:
        root = logging.getLogger()
        patched.setattr(root, "handlers", [])
        patched.setattr(root, "level", root.level)
        logs.configure("INFO")
        logging.captureWarnings(False)
        (handler,) = root.handlers
    logger = logging.Logger("program")
    logger.addHandler(handler)
    return logger


@pytest.mark.parametrize("order", [1, -1])
def test_a_key_that_begins_another_one_leaves_no_tail_of_it(order: int) -> None:
    for key in [KEY, f"{KEY}-of-the-team", KEY[:8]][::order]:
        keep_secret(key)
    assert without_secrets(f"{KEY}-of-the-team, {KEY} and {KEY[:8]}") == "***, *** and ***"


def test_keys_may_come_while_lines_are_written(program: logging.Logger, stderr: io.StringIO) -> None:
    """Each line looks for thousands of keys, so that others come in the middle of it."""
    keep_secret(KEY)
    failed = []
    over = threading.Event()

    def learn() -> None:
        try:
            for number in range(3000):
                keep_secret(f"another-key-{number}")
        except Exception as error:
            failed.append(error)
        finally:
            over.set()

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        thread = threading.Thread(target=learn)
        thread.start()
        written = 0
        while not over.is_set():
            program.warning("the key is %s", KEY)
            written += 1
        thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert not failed
    assert len(secrets._kept) == 3001
    assert stderr.getvalue() == "W program: the key is ***\n" * written


class Untellable:
    def __str__(self) -> str:
        raise ValueError(f"no text for {KEY}")

    __repr__ = __str__


@pytest.mark.parametrize(
    ("template", "arguments", "error"),
    [("%d is a key", (KEY,), "TypeError"), ("%s", (Untellable(),), "ValueError"), (KEY, (1,), "TypeError")],
)
def test_a_line_that_cannot_be_made_does_not_show_what_it_is_made_of(
    program: logging.Logger, stderr: io.StringIO, template: str, arguments: tuple[object, ...], error: str
) -> None:
    keep_secret(KEY)
    program.warning(template, *arguments)
    assert stderr.getvalue().startswith(f"W program: (no text: {error}, from test_secrets, line ")
    assert stderr.getvalue().count("\n") == 1
    assert KEY not in stderr.getvalue()


def test_where_a_text_cannot_be_scrubbed_nothing_of_it_is_told(
    program: logging.Logger, stderr: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Keys(tuple[str, ...]):
        def __iter__(self) -> Iterator[str]:
            raise MemoryError

    monkeypatch.setattr(secrets, "_kept", Keys((KEY,)))
    program.warning("the key is %s", KEY)
    assert stderr.getvalue() == "***\n"
    try:
        raise ValueError(f"the key is {KEY}")
    except ValueError as problem:
        error = errors.to_error(problem)
    assert error.message == "***"
    assert KEY.encode() not in error.SerializeToString()


def test_a_line_that_cannot_be_written_is_not_printed_another_way(
    program: logging.Logger, stderr: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep_secret(KEY)
    (handler,) = program.handlers

    class Full(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError("no space left")

    assert isinstance(handler, logging.StreamHandler)
    handler.setStream(Full())
    program.warning("the key is %s", KEY)
    assert stderr.getvalue() == ""
