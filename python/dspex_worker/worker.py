"""What runs in a worker process, whether it was forked from a zygote or started by an operator."""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import importlib
import logging
import os
import random
import signal
import socket
import sys
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, cast

from dspex_worker import tracing
from dspex_worker.call import cancelled
from dspex_worker.carrier.framed import FramedCarrier
from dspex_worker.config import WorkerConfig
from dspex_worker.proto import worker_pb2 as pb
from dspex_worker.servicer import Engine, Servicer

if TYPE_CHECKING:  # a framed worker has no use for gRPC
    from dspex_worker.carrier.admission import Admission
    from dspex_worker.carrier.tls import ServerTls

log = logging.getLogger(__name__)

EXIT_OK = 0
EXIT_USAGE = 2
EXIT_INIT = 3
EXIT_PROTOCOL = 4
EXIT_STUCK = 5

# How long cancelled calls get to end when the host has gone.
_LAST_WORDS_S = 0.1


class SetupFailed(Exception):
    """DSPy, or what the worker needs of the user's modules, cannot be set up: no worker can serve."""


class EngineModule(Protocol):
    """`dspex_worker.engine`, which imports DSPy: only on demand."""

    Engine: Callable[[WorkerConfig], Engine]

    def warm(self, config: WorkerConfig) -> None: ...

    def hello(self, config: WorkerConfig) -> dict[str, Any]: ...


def _engine() -> EngineModule:
    return cast(EngineModule, importlib.import_module("dspex_worker.engine"))


def _make_engine(config: WorkerConfig) -> Engine:
    try:
        return _engine().Engine(config)
    except (Exception, SystemExit) as exc:
        raise SetupFailed(f"{type(exc).__name__}: {exc}") from exc


def prepare(config: WorkerConfig) -> dict[str, Any]:
    """Imports and warms everything that all workers share; returns the engine's facts for `Hello`.

    Whatever it raises means that no worker can start: a module that is missing, a DSPy that does not import.
    """
    # OpenBLAS starts its threads when numpy is imported, and a process with threads cannot be forked.
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    # DSPy must not fetch a price list over the network.
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
    # Behind the directory of this package, before the installed packages, as PYTHONPATH would be.
    sys.path[1:1] = [path for path in config.python_path if path not in sys.path]
    engine = _engine()
    tracing.prepare()
    for module in config.modules:
        try:
            importlib.import_module(module)
        except Exception as exc:
            problem = f"cannot import the configured module {module!r}: {type(exc).__name__}: {exc}"
            raise ImportError(f"{problem}; {_next_step(module, exc)}", name=module) from exc
    engine.warm(config)
    return engine.hello(config)


def _next_step(module: str, problem: Exception) -> str:
    """What whoever configured the module can do about it."""
    if not isinstance(problem, ModuleNotFoundError):
        return "its own code, or what it imports, raises that: import it in the same environment to see more"
    if problem.name and module.partition(".")[0] == problem.name.partition(".")[0]:
        return "check the name given to `allow_module`, and give the module's directory with `python_path`"
    return f"add the package of {problem.name!r} to the environment's lock"


def preload(carrier: str) -> None:
    """Imports what every worker of this carrier needs, so that forked ones have it already."""
    with contextlib.suppress(ImportError):
        importlib.import_module("uvloop")
    if carrier == "grpc":
        importlib.import_module("dspex_worker.carrier.grpc_carrier")


@dataclass(frozen=True)
class Bounds:
    """How long a worker waits for its calls, in seconds. The defaults leave it to the host to end it."""

    # After SIGTERM, until they are cancelled.
    grace_s: float = 30.0
    # After their cancellation, until the worker ends without them; None: for ever.
    cancel_grace_s: float | None = None
    # While they keep it from doing anything else; 0: for ever.
    patience_s: float = 0.0


def serve_framed(config: WorkerConfig, facts: Mapping[str, Any], sock: socket.socket) -> int:
    """Serves the host at the other end of `sock` until it hangs up or drains us; returns the exit code.

    Raises `SetupFailed`.
    """
    return _run(_framed(config, facts, sock))


def serve_grpc(
    config: WorkerConfig,
    facts: Mapping[str, Any],
    listen: str,
    *,
    announce: Callable[[str], None] = lambda address: None,
    bounds: Bounds = Bounds(),
    admission: Admission | None = None,
    tls: ServerTls | None = None,
) -> int:
    """Serves gRPC at `listen` until a drain or SIGTERM; returns the exit code.

    `announce` is given the bound address. `admission`: the hosts that are served; without it the one that has
    the configuration's token. A SIGTERM lets running calls end for the grace of `bounds`, a second one
    cancels them. A call that goes on after its cancellation for longer than `bounds` allow has the effect of
    SIGTERM, and is not waited for. Raises `SetupFailed`.
    """
    return _run(_grpc(config, facts, listen, announce, bounds, admission, tls))


def reseed() -> None:
    """Forked workers must not draw the same random numbers."""
    random.seed()
    numpy_random = sys.modules.get("numpy.random")
    if numpy_random is not None:
        numpy_random.seed()


async def _framed(config: WorkerConfig, facts: Mapping[str, Any], sock: socket.socket) -> int:
    servicer = Servicer(config, _make_engine(config), facts)
    carrier = FramedCarrier(servicer)
    await servicer.loop.create_unix_connection(lambda: carrier, sock=sock)
    either: set[asyncio.Future[Any]] = {carrier.closed, servicer.drained}
    await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
    if servicer.drained.done():
        carrier.close()
    violation = await carrier.closed
    # Whatever still runs was cancelled when the connection was lost.
    servicer.drain()
    await asyncio.wait({servicer.drained}, timeout=_LAST_WORDS_S)
    return EXIT_OK if violation is None else EXIT_PROTOCOL


async def _grpc(
    config: WorkerConfig,
    facts: Mapping[str, Any],
    listen: str,
    announce: Callable[[str], None],
    bounds: Bounds,
    admission: Admission | None,
    tls: ServerTls | None,
) -> int:
    # Imported here: a framed worker has no use for the 20 MB.
    from dspex_worker.carrier.grpc_carrier import GrpcCarrier

    servicer = Servicer(config, _make_engine(config), facts)
    carrier = GrpcCarrier(servicer, admission, tls)
    address = await carrier.start(listen)
    verdict = cancelled(pb.Cancel.REASON_SHUTDOWN)
    ending = terminated = False
    code = EXIT_OK

    def end() -> None:
        nonlocal ending
        if not ending:
            ending = True
            servicer.loop.call_later(bounds.grace_s, servicer.abort_calls, verdict)
            servicer.drain()

    def terminate() -> None:
        nonlocal terminated
        if terminated:
            servicer.abort_calls(verdict)
        terminated = True
        end()

    def end_as_stuck() -> None:
        nonlocal code
        if not ending:
            # Also where the call ends after all: nobody asked for this end.
            code = EXIT_STUCK
        end()

    servicer.loop.add_signal_handler(signal.SIGTERM, terminate)
    if bounds.cancel_grace_s is not None:
        servicer.end_if_stuck(bounds.cancel_grace_s, end_as_stuck)
    if bounds.patience_s:
        _watch_the_loop(servicer.loop, bounds.patience_s)
    announce(address)
    await servicer.drain_started.wait()
    await carrier.drain_announced()
    await servicer.drained
    if servicer.stuck:
        code = EXIT_STUCK
    # Ends as soon as all hosts have what was sent; a busy machine may need a while for that.
    await carrier.stop(grace=10.0)
    return code


def _watch_the_loop(loop: asyncio.AbstractEventLoop, patience_s: float) -> None:
    """Ends the process, with the stacks of its threads on stderr, when the loop did not run for so long.

    The thread that does it is C's and needs no lock of the interpreter: nothing in Python can hold it up.
    """
    faulthandler.dump_traceback_later(patience_s, exit=True)
    loop.call_later(patience_s / 4, _watch_the_loop, loop, patience_s)


def _run(main: Coroutine[Any, Any, int]) -> int:
    """Runs `main` on a new loop. The process is expected to `os._exit`: threads of calls may be left."""
    faulthandler.enable()
    loop = _new_loop()
    asyncio.set_event_loop(loop)
    return loop.run_until_complete(main)


def _new_loop() -> asyncio.AbstractEventLoop:
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()
