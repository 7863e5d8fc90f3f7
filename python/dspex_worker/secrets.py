"""The keys that this process holds: no message and no line of its log shows one."""

from __future__ import annotations

import threading

# Too short ones would blank out ordinary words.
_SHORTEST = 6

# What stands in the place of a key.
HIDDEN = "***"

# The process's own, since its log is one too. Longest first: a key that begins another one would leave the
# rest of that. Replaced and never changed: whoever reads it goes on with what it was.
_kept: tuple[str, ...] = ()
_keeping = threading.Lock()


def keep_secret(value: str) -> None:
    """From now on, this value is replaced in every message and log line."""
    global _kept
    if len(value) >= _SHORTEST:
        with _keeping:
            if value not in _kept:
                _kept = tuple(sorted((*_kept, value), key=len, reverse=True))


def without_secrets(text: str) -> str:
    """The text; `HIDDEN` alone if what it holds cannot be told."""
    try:
        for secret in _kept:
            if secret in text:
                text = text.replace(secret, HIDDEN)
    except Exception:
        return HIDDEN  # out of memory: half of the text may still be raw
    return text
