"""Why an address cannot be listened on, and what to do about it: gRPC itself does not say."""

from __future__ import annotations

import errno
import os
import socket
from pathlib import Path

# Of `sockaddr_un`, without its final zero.
_LONGEST_PATH = 107


def is_served(path: str) -> bool:
    """Whether somebody listens at a socket in the file system, which gRPC would take away without a word."""
    with socket.socket(socket.AF_UNIX) as tried:
        try:
            tried.connect(path)
        except OSError:
            return False
        return True


def problem_of(address: str) -> str:
    """The likely reason why `unix:/path` or `HOST:PORT` is refused, with the next step."""
    if address.startswith("unix:"):
        return _problem_of_path(Path(address.removeprefix("unix:")))
    host, _, port = address.rpartition(":")
    try:
        (family, kind, protocol, _, at), *_ = socket.getaddrinfo(
            host.strip("[]"), int(port), type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        with socket.socket(family, kind, protocol) as tried:
            tried.bind(at)
    except socket.gaierror:
        return f"the name {host} is not known here; name an address of this machine"
    except OSError as exc:
        return _NEXT.get(exc.errno or 0, str(exc.strerror or exc))
    return "it was in use a moment ago; try again"


_NEXT = {
    errno.EADDRINUSE: "another process listens there; end it, or choose another port (0: any that is free)",
    errno.EADDRNOTAVAIL: "it is no address of this machine; name one of its own, or 0.0.0.0 for all",
    errno.EACCES: "this user may not listen there; choose a port above 1023",
}


def _problem_of_path(path: Path) -> str:
    if len(os.fsencode(path)) > _LONGEST_PATH:
        return f"the path of a unix socket has at most {_LONGEST_PATH} bytes; choose a shorter one"
    if not path.parent.is_dir():
        return f"{path.parent} is no directory; make it first (`mkdir -p -m 700 {path.parent}`)"
    if not os.access(path.parent, os.W_OK | os.X_OK):
        return f"this user may not write to {path.parent}; choose a directory of its own"
    if path.exists() and not path.is_socket():
        return f"there is something else than a socket at {path}; choose another path"
    return "another process listens there; end it, or choose another path"
