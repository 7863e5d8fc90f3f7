"""Why a session's variable could not be read or written. The host decides, and these carry its words."""

from __future__ import annotations

from typing import Any, TypedDict


class Violation(TypedDict):
    """A rule that a value breaks."""

    # `type`, or the name of a constraint.
    rule: str
    # Where in the value, as `[1].name`; empty for the value itself.
    path: str
    # The offending part, shortened.
    found: str
    # What the rule asks for.
    expected: str


class VariableError(Exception):
    """Something with a session or its variables did not work. The message says what, and often what to do."""

    __module__ = "dspex_worker"

    def __init__(self, message: str, **attributes: Any) -> None:
        super().__init__(message)
        # What the host said beside the message, such as the name of the variable.
        self.attributes: dict[str, Any] = attributes

    def __str__(self) -> str:
        # `KeyError`, a base of one of these, would quote it.
        return str(self.args[0])


class NoSession(VariableError, RuntimeError):
    """This code runs in no call, or in one without a session, or the call has ended."""

    __module__ = "dspex_worker"


class WouldBlock(VariableError, RuntimeError):
    """A synchronous form was used on the worker's event loop, which has to go on. Await its twin."""

    __module__ = "dspex_worker"


class VariableNotFound(VariableError, KeyError):
    """There is no variable of the name."""

    __module__ = "dspex_worker"


class VariableExists(VariableError):
    """There is a variable of the name already."""

    __module__ = "dspex_worker"


class VersionConflict(VariableError):
    """Somebody wrote the variable since. Nothing was written."""

    __module__ = "dspex_worker"

    @property
    def expected(self) -> int:
        """The version that the write was for."""
        return int(self.attributes["expected"])

    @property
    def found(self) -> int:
        """The version that the variable has."""
        return int(self.attributes["found"])


class InvalidValue(VariableError, ValueError):
    """The value breaks rules of the variable, or has no form that variables have. Nothing was written."""

    __module__ = "dspex_worker"

    @property
    def violations(self) -> list[Violation]:
        """The rules that are broken."""
        return list(self.attributes.get("violations", ()))


class InvalidSpec(VariableError, ValueError):
    """There is no such type, the constraints do not belong to it or make no sense, or the name is none."""

    __module__ = "dspex_worker"


class QuotaExceeded(VariableError):
    """The session may not hold so many variables or bytes. Nothing was written."""

    __module__ = "dspex_worker"


class ValueTooLarge(VariableError, ValueError):
    """The value is larger than what one message carries."""

    __module__ = "dspex_worker"


class SessionClosed(VariableError):
    """The session has expired or was deleted."""

    __module__ = "dspex_worker"


class VariablesUnavailable(VariableError):
    """The host does not serve variables to this call, or their store fails."""

    __module__ = "dspex_worker"
