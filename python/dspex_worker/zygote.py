"""Imports DSPy once, warms and freezes it, and forks a worker whenever the host asks for one.

The host speaks to it over its standard input, a unix stream socket (see `control`):

    host -> zygote                                                 descriptors
    {"op": "init", "config": {..}, "carrier": "framed" | "grpc"}   lifeline
    {"op": "fork", "worker": "w0", "generation": 7}                framed: socket, lifeline, stderr
    {"op": "fork", "worker": .., "generation": .., "listen": ..}   grpc: lifeline, stderr
    {"op": "ping"}
    {"op": "exit"}

    zygote -> host
    {"op": "ready", "pid": .., "hello": {..}, "warm_ms": ..}
    {"op": "failed", "error": {"class": .., "message": .., "frames": [..]}}       the zygote ends with code 3
    {"op": "forked", "worker": .., "generation": .., "pid": ..}
    {"op": "exited", "worker": .., "generation": .., "pid": .., "code": .. | null, "signal": .. | null}
    {"op": "pong"}
    {"op": "finished"}                                             the zygote ends, as the host asked
    {"op": "refused", "request": {..}, "error": {..}}              a fork that did not happen

The zygote must have a single thread: a thread that holds a lock at the moment of a fork would leave it held
in the worker for ever.
"""

from __future__ import annotations

import gc
import logging
import os
import select
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

from dspex_worker import kin, lifeline, limits, logs, worker
from dspex_worker.config import ConfigError, WorkerConfig
from dspex_worker.control import Control
from dspex_worker.fragments import ProtocolViolation

log = logging.getLogger(__name__)

# What a dead worker was just starting is known when that has begun to run.
_LOOKS = 100
_LOOK_EVERY_MS = 20

# At the pool's end: so long for workers that are ending, whose lifelines the host has closed.
_FINISH_WITHIN_S = 0.5
_FINISH_EVERY_S = 0.002


def main() -> int:
    """Runs until the host says `exit` or hangs up; returns the exit code."""
    logs.stdout_to_stderr()
    logs.configure("INFO")
    try:
        control = _adopt_stdin()
    except OSError as exc:
        print(
            f"dspex_worker zygote: standard input has to be a unix socket to the host: {exc}", file=sys.stderr
        )
        return worker.EXIT_USAGE
    _own_session()
    # A Ctrl-C at the terminal is for the host, which then ends us.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        return _serve(control)
    except ProtocolViolation as exc:
        log.error("the host broke the control protocol: %s", exc)
        return worker.EXIT_PROTOCOL
    except ConnectionError:
        return worker.EXIT_OK  # the host is gone


def _serve(control: Control) -> int:
    zygote: Zygote | None = None
    while zygote is None:
        messages = control.read()
        if messages is None:
            return worker.EXIT_OK
        for message in messages:
            if zygote is not None:
                if not zygote.handle(message):
                    return worker.EXIT_OK
                continue
            if message["op"] != "init":
                raise ProtocolViolation(f"{message['op']!r} before init")
            (lifeline_fd,) = control.take_fds("lifeline")
            lifeline_fd = lifeline.arm(lifeline_fd, may_start_thread=False)
            try:
                zygote = Zygote.init(control, lifeline_fd, message)
            except (Exception, SystemExit) as exc:
                log.error("cannot start: %s", "".join(traceback.format_exception(exc)))
                control.write("failed", error=_describe(exc))
                return worker.EXIT_INIT
    return zygote.run()


class Zygote:
    """A warmed process and the workers it forked."""

    def __init__(
        self, control: Control, config: WorkerConfig, carrier: str, facts: Mapping[str, Any], lifeline_fd: int
    ) -> None:
        self._control = control
        self._config = config
        self._carrier = carrier
        self._facts = facts
        self._lifeline_fd = lifeline_fd
        # pid -> name, generation, and the mark of what it starts
        self._workers: dict[int, tuple[str, int, str]] = {}
        # So often it looks once more for what dead workers left.
        self._looks = 0
        self._wake_read, self._wake_write = os.pipe()
        for fd in (self._wake_read, self._wake_write):
            os.set_blocking(fd, False)
        signal.signal(signal.SIGCHLD, lambda signum, frame: None)
        signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)

    @classmethod
    def init(cls, control: Control, lifeline_fd: int, message: Mapping[str, Any]) -> Zygote:
        """Warms this process as the host's `init` says, and tells the host. Raises what hinders it."""
        started = time.monotonic()
        config = WorkerConfig.from_json(message.get("config", {}))
        carrier = message.get("carrier", "framed")
        if carrier not in ("framed", "grpc"):
            raise ConfigError(f"carrier: expected 'framed' or 'grpc', got {carrier!r}")
        logs.configure(config.log_level)
        facts = worker.prepare(config)
        worker.preload(carrier)
        gc.collect()
        gc.freeze()
        _require_single_thread()
        try:
            limits.prepare(config.limits)
        except ValueError as exc:
            raise ConfigError(f"limits: {exc}") from None
        kin.adopt(limits.prctl())
        zygote = cls(control, config, carrier, facts, lifeline_fd)
        warm_ms = round((time.monotonic() - started) * 1000, 1)
        control.write("ready", pid=os.getpid(), hello=facts, warm_ms=warm_ms)
        return zygote

    def run(self) -> int:
        poll = select.poll()
        poll.register(self._control.fileno(), select.POLLIN)
        poll.register(self._wake_read, select.POLLIN)
        while True:
            ready = {fd for fd, _ in poll.poll(_LOOK_EVERY_MS if self._looks else None)}
            if not ready:
                self._look_for_orphans()
            if self._wake_read in ready:
                self._reap()
            if self._control.fileno() in ready:
                messages = self._control.read()
                if messages is None:
                    return worker.EXIT_OK
                for message in messages:
                    if not self.handle(message):
                        return worker.EXIT_OK

    def handle(self, message: dict[str, Any]) -> bool:
        """Does what the host asks for. False: it asked for the end."""
        match message["op"]:
            case "fork":
                self._fork(message)
            case "ping":
                self._control.write("pong")
            case "exit":
                self._finish()
                return False
            case op:
                raise ProtocolViolation(f"{op!r} is no control message of this version")
        return True

    def _fork(self, request: dict[str, Any]) -> None:
        names = ("socket", "lifeline", "stderr") if self._carrier == "framed" else ("lifeline", "stderr")
        fds = self._control.take_fds(*names)
        try:
            config = WorkerConfig.from_json(
                {"worker": request.get("worker"), "generation": request.get("generation")}
            )
            listen = request.get("listen")
            if self._carrier == "grpc" and not isinstance(listen, str):
                raise ConfigError(f"listen: expected an address such as unix:/path, got {listen!r}")
            config = replace(self._config, worker=config.worker, generation=config.generation)
            mark = kin.new_mark()
            pid = os.fork()
        except (ConfigError, OSError) as exc:
            self._control.write("refused", request=request, error=_describe(exc))
            return
        else:
            if pid == 0:
                self._become_worker(config, fds, listen, mark)
        finally:
            for fd in fds:
                os.close(fd)
        self._workers[pid] = (config.worker, config.generation, mark)
        self._control.write("forked", worker=config.worker, generation=config.generation, pid=pid)

    def _become_worker(self, config: WorkerConfig, fds: list[int], listen: str | None, mark: str) -> NoReturn:
        """In the child: leaves everything of the zygote behind, serves, and never returns."""
        code = 1
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            _own_session()
            for fd in (self._wake_read, self._wake_write, self._lifeline_fd):
                os.close(fd)
            self._control.close()
            *sockets, own_lifeline, stderr = fds
            logs.adopt(stderr)
            lifeline.arm(own_lifeline, may_start_thread=True, of_group=True)
            limits.apply(config.limits)
            kin.bear(mark)
            worker.reseed()
            if listen is None:
                code = worker.serve_framed(config, self._facts, socket.socket(fileno=sockets[0]))
            else:
                code = worker.serve_grpc(config, self._facts, listen)
        except worker.SetupFailed as exc:
            code = worker.EXIT_INIT
            log.error("the worker cannot set up DSPy", exc_info=True)
            # The host tells the last line of a worker that ends with this code.
            log.critical("cannot start: %s", exc)
        except BaseException:
            log.critical("the worker ends", exc_info=True)
        finally:
            logs.flush()
            os._exit(code)

    def _finish(self) -> None:
        """The host closed the workers' lifelines: ends what they started and left, and waits for it."""
        give_up = time.monotonic() + _FINISH_WITHIN_S
        self._reap()
        while (self._workers or self._looks) and time.monotonic() < give_up:
            time.sleep(_FINISH_EVERY_S)
            self._reap()
        self._control.write("finished")

    def _reap(self) -> None:
        try:
            while os.read(self._wake_read, 4096):
                pass
        except BlockingIOError:
            pass
        while (pid := _ended_child()) is not None:
            if pid in self._workers:
                kin.kill_group(pid)
            _, status = os.waitpid(pid, 0)
            if pid not in self._workers:
                continue
            name, generation, _ = self._workers.pop(pid)
            by_signal = os.WTERMSIG(status) if os.WIFSIGNALED(status) else None
            code = os.WEXITSTATUS(status) if os.WIFEXITED(status) else None
            self._control.write(
                "exited", worker=name, generation=generation, pid=pid, code=code, signal=by_signal
            )
        self._looks = _LOOKS
        self._look_for_orphans()

    def _look_for_orphans(self) -> None:
        again = kin.kill_orphans(self._workers, {mark for _, _, mark in self._workers.values()})
        self._looks = self._looks - 1 if again else 0


def _ended_child() -> int | None:
    """A child that ended and is not reaped yet."""
    try:
        ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return None
    return ended.si_pid if ended is not None else None


def _adopt_stdin() -> Control:
    """Moves the control socket away from descriptor 0, which becomes /dev/null."""
    fd = os.dup(0)  # not inheritable
    try:
        sock = socket.socket(fileno=fd)
        if sock.family != socket.AF_UNIX or sock.type != socket.SOCK_STREAM:
            raise OSError("it is another kind of socket")
    except OSError:
        os.close(fd)
        raise
    sock.setblocking(True)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    return Control(sock)


def _own_session() -> None:
    """Away from the terminal's signals. The host may have done it already."""
    try:
        os.setsid()
    except PermissionError:
        pass


def _require_single_thread() -> None:
    tasks = Path("/proc/self/task")
    if tasks.is_dir():
        names = [_comm(task) for task in tasks.iterdir() if task.name != str(os.getpid())]
    else:
        names = [thread.name for thread in threading.enumerate() if thread is not threading.main_thread()]
    if names:
        python = ", ".join(t.name for t in threading.enumerate() if t is not threading.main_thread())
        raise RuntimeError(
            f"the zygote has {len(names)} thread(s) beside its own after importing the configured modules"
            f" ({', '.join(sorted(names))}; Python's: {python or 'none'}), so it cannot be forked:"
            " start threads on first use instead of on import"
        )


def _comm(task: Path) -> str:
    try:
        return (task / "comm").read_text().strip()
    except OSError:
        return task.name


def _describe(exc: BaseException) -> dict[str, Any]:
    """An error for the host. Frames name modules, never paths of the machine."""
    cls = type(exc)
    prefix = "" if cls.__module__ == "builtins" else f"{cls.__module__}."
    frames = [
        {"module": frame.f_globals.get("__name__", "?"), "function": frame.f_code.co_name, "line": line}
        for origin in (exc, exc.__cause__)
        if origin is not None
        for frame, line in traceback.walk_tb(origin.__traceback__)
        if not str(frame.f_globals.get("__name__", "")).startswith(("importlib", "_frozen_importlib"))
    ]
    return {"class": f"{prefix}{cls.__qualname__}", "message": str(exc), "frames": frames}
