"""The command line: `zygote` for the host, `serve` for an operator."""

from __future__ import annotations

import argparse
import ipaddress
import logging
import os
import sys
from pathlib import Path

from dspex_worker import __version__

_DESCRIPTION = "The Python side of dspex: runs DSPy for a Rust host."
_YEAR_S = 365 * 24 * 3600


class UsageError(Exception):
    """Options that do not go together; the message says what to change."""


def main(argv: list[str] | None = None) -> int:
    """Runs the command that `argv` names; returns the exit code of the process."""
    parser = argparse.ArgumentParser(prog="dspex_worker", description=_DESCRIPTION)
    parser.add_argument("--version", action="version", version=f"dspex_worker {__version__}")
    commands = parser.add_subparsers(dest="command", required=True)
    arguments = sys.argv[1:] if argv is None else argv
    if arguments and arguments[0].startswith("--listen"):
        arguments = ["serve", *arguments]
    commands.add_parser("zygote", help="fork workers for a host, whose control socket is the standard input")
    _add_serve(commands.add_parser("serve", help="serve gRPC to any host, until SIGTERM"))
    options = parser.parse_args(arguments)
    if options.command == "zygote":
        from dspex_worker import zygote

        return zygote.main()
    try:
        return _serve(options)
    except UsageError as exc:
        print(f"dspex_worker serve: {exc}", file=sys.stderr)
        return 2


def _add_serve(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--listen", required=True, metavar="ADDRESS", help="unix:/path or HOST:PORT; port 0: any that is free"
    )
    parser.add_argument(
        "--token-file",
        type=Path,
        metavar="FILE",
        help="the hosts that are served: one a line, as name:token or the token alone",
    )
    parser.add_argument(
        "--tls-cert", type=Path, metavar="FILE", help="the worker's certificate in PEM; with the two below"
    )
    parser.add_argument("--tls-key", type=Path, metavar="FILE", help="its key in PEM")
    parser.add_argument(
        "--tls-client-ca",
        type=Path,
        metavar="FILE",
        help="the authority in PEM whose certificates hosts must show",
    )
    parser.add_argument(
        "--allow-unencrypted",
        action="store_true",
        help="listen for other machines without TLS, on a network that nobody else can read",
    )
    parser.add_argument(
        "--max-message-bytes",
        type=int,
        metavar="BYTES",
        help="the largest message in either direction (default: 64 MiB)",
    )
    parser.add_argument(
        "--module",
        action="append",
        default=[],
        metavar="NAME",
        help="a module of your own that hosts may call; repeatable",
    )
    parser.add_argument(
        "--python-path",
        action="append",
        default=[],
        metavar="DIR",
        help="where to look for modules; repeatable",
    )
    parser.add_argument(
        "--port-file", type=Path, metavar="FILE", help="is given the bound address, atomically"
    )
    parser.add_argument("--name", default="serve", help="what the worker calls itself in Hello")
    parser.add_argument(
        "--sync-threads",
        type=int,
        default=8,
        metavar="N",
        help="concurrent calls of modules without an async form",
    )
    parser.add_argument(
        "--grace",
        type=seconds,
        default=30.0,
        metavar="SECONDS",
        help="how long SIGTERM lets running calls end (default: 30)",
    )
    parser.add_argument(
        "--cancel-grace",
        type=seconds,
        default=5.0,
        metavar="SECONDS",
        help="how long a cancelled call may go on before the worker takes no new ones, and ends itself"
        " after all others (default: 5)",
    )
    parser.add_argument(
        "--heartbeat-patience",
        type=seconds,
        default=30.0,
        metavar="SECONDS",
        help="how long code may keep the worker from answering anything, before it ends itself"
        " (default: 30; 0: for ever)",
    )
    for limit, what in (
        ("--memory-bytes", "private memory that the worker may write to"),
        ("--open-files", "files that the worker may have open, sockets included"),
        ("--user-processes", "processes and threads that the user may have, all programs together"),
    ):
        parser.add_argument(
            limit, type=int, metavar="N", help=f"{what} (default: as many as there may be now)"
        )
    parser.add_argument(
        "--debuggable",
        action="store_true",
        help="let debuggers and profilers of the same user look into the worker, where keys are in memory",
    )
    parser.add_argument("--log-level", default="INFO", choices=("DEBUG", "INFO", "WARNING", "ERROR"))


def seconds(text: str) -> float:
    seconds = float(text)
    if not 0 <= seconds <= _YEAR_S:
        raise argparse.ArgumentTypeError(f"{text} s are not between 0 and a year")
    return seconds


def _serve(options: argparse.Namespace) -> int:
    from dspex_worker import limits, logs, worker
    from dspex_worker.config import ConfigError, WorkerConfig

    tls = _tls(options)
    tokens = _tokens(options.token_file)
    _check_address(options.listen, tls=tls is not None, tokens=bool(tokens), plain=options.allow_unencrypted)
    try:
        config = WorkerConfig.from_json(
            {
                "modules": options.module,
                "python_path": [str(Path(path).resolve()) for path in options.python_path],
                "sync_threads": options.sync_threads,
                "worker": options.name,
                "log_level": options.log_level,
                "limits": {
                    "memory_bytes": options.memory_bytes,
                    "open_files": options.open_files,
                    "user_processes": options.user_processes,
                    "debuggable": options.debuggable,
                },
                **({"max_message_bytes": limit} if (limit := options.max_message_bytes) is not None else {}),
            }
        )
    except ConfigError as exc:
        raise UsageError(str(exc)) from None
    logs.stdout_to_stderr()
    logs.configure(config.log_level)
    try:
        facts = worker.prepare(config)
        worker.preload("grpc")
    except (ImportError, ConfigError) as exc:
        print(f"dspex_worker serve: {exc}", file=sys.stderr)
        return worker.EXIT_INIT
    try:
        limits.prepare(config.limits)
    except ValueError as exc:
        raise UsageError(f"--memory-bytes: {exc}") from None
    # As workers of a pool: keys will be in the memory of this process.
    limits.apply(config.limits)

    from dspex_worker.carrier.admission import Admission
    from dspex_worker.carrier.grpc_carrier import BindError
    from dspex_worker.carrier.tls import ServerTls, TlsError

    def announce(address: str) -> None:
        if options.port_file is not None:
            try:
                _write_atomically(options.port_file, f"{address}\n")
            except OSError as exc:
                problem = f"--port-file: cannot write {options.port_file}: {exc.strerror}"
                raise worker.SetupFailed(f"{problem}; name a file in a directory of your own") from None
        print(f"dspex_worker serves at {address}", file=sys.stderr, flush=True)
        if tls is None and not tokens and not options.listen.startswith("unix:"):
            logging.getLogger(__name__).warning(
                "every user of this machine may call this worker: pass --token-file, or use a unix socket"
            )

    code = worker.EXIT_INIT
    try:
        server_tls = ServerTls(*tls) if tls is not None else None
        if server_tls is not None:
            server_tls.check()
        code = worker.serve_grpc(
            config,
            facts,
            options.listen,
            announce=announce,
            bounds=worker.Bounds(options.grace, options.cancel_grace, options.heartbeat_patience),
            admission=Admission(tokens),
            tls=server_tls,
        )
    except TlsError as exc:
        print(f"dspex_worker serve: {exc} (`dspex certs` makes and renews such files)", file=sys.stderr)
    except (BindError, worker.SetupFailed) as exc:
        print(f"dspex_worker serve: {exc}", file=sys.stderr)
    except Exception:
        # Told here, because nobody is told anything after `os._exit`.
        logging.getLogger(__name__).exception("the worker cannot go on")
    finally:
        logs.flush()
        # Threads of cancelled calls would be waited for at a normal end.
        os._exit(code)


def _tokens(path: Path | None) -> dict[str, str]:
    from dspex_worker.tokens import TokenFileError, read_tokens

    if path is None:
        return {}
    try:
        return read_tokens(path)
    except TokenFileError as exc:
        raise UsageError(f"--token-file: {exc}") from None


def _tls(options: argparse.Namespace) -> tuple[Path, Path, Path] | None:
    given = {
        "--tls-cert": options.tls_cert,
        "--tls-key": options.tls_key,
        "--tls-client-ca": options.tls_client_ca,
    }
    missing = [name for name, path in given.items() if path is None]
    if len(missing) == len(given):
        return None
    if missing:
        raise UsageError(f"{', '.join(missing)}: missing; TLS needs {', '.join(given)} together")
    if options.listen.startswith("unix:"):
        raise UsageError("--tls-cert: a unix socket needs no TLS; its owner alone can connect to it")
    return options.tls_cert, options.tls_key, options.tls_client_ca


def _check_address(listen: str, *, tls: bool, tokens: bool, plain: bool) -> None:
    if listen.startswith("unix:"):
        if len(listen) == len("unix:"):
            raise UsageError("--listen: unix: needs a path, as in unix:/run/dspex/worker.sock")
        return
    host, separator, port = listen.rpartition(":")
    if not separator or not host or not port.isdigit() or int(port) > 65535:
        raise UsageError(f"--listen: expected unix:/path or HOST:PORT, got {listen!r}")
    if tls or _is_loopback(host):
        return
    if not plain:
        raise UsageError(
            f"--listen: {host} can be reached from other machines, and without TLS keys and tokens could"
            " be read on the way: pass --tls-cert, --tls-key and --tls-client-ca (`dspex certs init` makes"
            " them), or listen on 127.0.0.1 or a unix socket"
        )
    if not tokens:
        raise UsageError(
            f"--listen: {host} can be reached from other machines, and without a token anyone there could run"
            " code in this worker: pass --token-file"
        )


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False  # a name, which may stand for anything


def _write_atomically(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(text)
    temporary.replace(path)
