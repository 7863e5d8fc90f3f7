"""The keys that this process holds: no message and no line of its log shows one."""

from __future__ import annotations

# Too short ones would blank out ordinary words.
_SHORTEST = 6

# The process's own, since its log is one too.
_kept: set[str] = set()


def keep_secret(value: str) -> None:
    """From now on, this value is replaced in every message and log line."""
    if len(value) >= _SHORTEST:
        _kept.add(value)


def without_secrets(text: str) -> str:
    for secret in _kept:
        if secret in text:
            text = text.replace(secret, "***")
    return text
