"""The file with the tokens of the hosts that a worker serves."""

from __future__ import annotations

import re
from pathlib import Path

# Half of what `openssl rand -hex 32` gives: shorter ones can be guessed.
SHORTEST = 32

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class TokenFileError(ValueError):
    """A file that no worker can start with; the message names the line, and no token."""


def read_tokens(path: Path) -> dict[str, str]:
    """Names of hosts to their tokens.

    One host a line, as `name:token` or the token alone; empty lines and those that begin with # do not count.
    """
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as exc:
        raise TokenFileError(f"cannot read {path}: {exc}") from None
    tokens: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        where = f"{path}, line {number}"
        name, separator, token = line.rpartition(":")
        name, token = (name.strip() if separator else f"line {number}"), token.strip()
        if separator and not _NAME.fullmatch(name):
            raise TokenFileError(f"{where}: expected name:token, a name of letters, digits, dots and dashes")
        if len(token) < SHORTEST:
            raise TokenFileError(
                f"{where}: a token of {len(token)} characters can be guessed, {SHORTEST} are the least;"
                " make one with `openssl rand -hex 32`"
            )
        if not token.isascii() or not token.isprintable() or " " in token:
            raise TokenFileError(f"{where}: a token is made of visible ASCII characters, without spaces")
        if name in tokens:
            raise TokenFileError(f"{where}: the host {name} is there twice")
        if token in tokens.values():
            raise TokenFileError(f"{where}: another host has the same token")
        tokens[name] = token
    if not tokens:
        raise TokenFileError(
            f"{path} is empty; put a line `name:token` for each host into it,"
            f' e.g. `echo "my-host:$(openssl rand -hex 32)" > {path}`'
        )
    return tokens
