"""The lifeline by itself: each way in which a process learns that its host has gone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from zygote_host import PATIENCE_S

PYTHON = Path(__file__).resolve().parent.parent.parent

# argv: the lifeline's descriptor, what the system is like, what the process does then.
PROGRAM = """
import fcntl, os, re, sys, time
from dspex_worker import lifeline

fd, system, then = int(sys.argv[1]), sys.argv[2], sys.argv[3]
if system == "without F_SETSIG":
    del fcntl.F_SETSIG
elif system == "refuses F_SETSIG":
    real = fcntl.fcntl
    def refuse(fd, command, *args):
        if command == fcntl.F_SETSIG:
            raise OSError(22, "Invalid argument")
        return real(fd, command, *args)
    fcntl.fcntl = refuse
elif system == "without /proc":
    opened = os.open
    def without_proc(path, *args):
        if str(path).startswith("/proc"):
            raise FileNotFoundError(path)
        return opened(path, *args)
    os.open = without_proc
lifeline.arm(fd, may_start_thread=then != "no thread")
print("armed", flush=True)
if then == "stuck":
    re.match(r"(a+)+$", "a" * 60 + "b")
time.sleep(600)
"""


def start(lifeline: int, system: str = "linux", then: str = "sleep") -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(lifeline), system, then],
        pass_fds=[lifeline],
        stdout=subprocess.PIPE,
        cwd=PYTHON,
    )


def armed(process: subprocess.Popen[bytes]) -> None:
    assert process.stdout is not None
    with process.stdout:
        assert process.stdout.readline() == b"armed\n"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has F_SETSIG")
@pytest.mark.parametrize("system", ["linux", "without /proc"])
@pytest.mark.parametrize("then", ["sleep", "stuck", "no thread"])
def test_the_kernel_kills_a_process_whose_lifeline_is_cut(system: str, then: str) -> None:
    read, write = os.pipe()
    process = start(read, system, then)
    os.close(read)
    armed(process)
    os.close(write)
    assert process.wait(PATIENCE_S) == -signal.SIGKILL


@pytest.mark.parametrize("system", ["without F_SETSIG", "refuses F_SETSIG"])
def test_a_thread_ends_a_process_whose_lifeline_is_cut(system: str) -> None:
    read, write = os.pipe()
    process = start(read, system)
    os.close(read)
    armed(process)
    os.close(write)
    assert process.wait(PATIENCE_S) == 0


def test_a_process_whose_host_went_before_it_was_ready_ends_at_once() -> None:
    read, write = os.pipe()
    os.close(write)
    process = start(read)
    os.close(read)
    assert process.wait(PATIENCE_S) == 0
    assert process.stdout is not None
    with process.stdout:
        assert process.stdout.read() == b""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux reopens a pipe by /proc")
def test_processes_that_were_given_the_same_pipe_all_end_with_it() -> None:
    read, write = os.pipe()
    processes = [start(read) for _ in range(3)]
    os.close(read)
    for process in processes:
        armed(process)
    os.close(write)
    assert [process.wait(PATIENCE_S) for process in processes] == [-signal.SIGKILL] * 3
