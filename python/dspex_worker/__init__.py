"""The Python side of dspex: a zygote and asyncio workers that run the real DSPy for a Rust host.

* `zygote`, `cli`, `lifeline`: how the processes start, and how they never outlive their host.
* `carrier`: the two ways that messages travel, framed unix sockets and gRPC.
* `servicer`: the life of calls, the same for both carriers.
* `engine`: DSPy itself.

Modules, tools and metrics that dspex runs use `session()` and what comes with it, and `trace()`; all else is
the worker's own.
"""

from dspex_worker.sessions import Session, session
from dspex_worker.tool_errors import ToolNotFound
from dspex_worker.tracing import Trace, continue_trace, trace
from dspex_worker.variable_errors import (
    InvalidSpec,
    InvalidValue,
    NoSession,
    QuotaExceeded,
    SessionClosed,
    ValueTooLarge,
    VariableError,
    VariableExists,
    VariableNotFound,
    VariablesUnavailable,
    VersionConflict,
    Violation,
    WouldBlock,
)
from dspex_worker.variables import Description, Variables, Versioned

__all__ = [
    "PROTOCOL",
    "Description",
    "InvalidSpec",
    "InvalidValue",
    "NoSession",
    "QuotaExceeded",
    "Session",
    "SessionClosed",
    "ToolNotFound",
    "Trace",
    "ValueTooLarge",
    "VariableError",
    "VariableExists",
    "VariableNotFound",
    "Variables",
    "VariablesUnavailable",
    "VersionConflict",
    "Versioned",
    "Violation",
    "WouldBlock",
    "__version__",
    "continue_trace",
    "session",
    "trace",
]

__version__ = "0.1.0"

# The version of the messages in proto/dspex/v1/worker.proto. The host refuses another one.
PROTOCOL = 3
