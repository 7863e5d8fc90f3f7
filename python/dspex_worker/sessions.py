"""The session of the call that Python code runs in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from dspex_worker.variable_errors import NoSession
from dspex_worker.variables import Variables


class Session:
    """A session of the host, for as long as one call runs."""

    def __init__(self, id: str, variables: Variables, tools: Callable[[], Mapping[str, Any]]) -> None:
        # The id that the host's program gave it.
        self.id = id
        self.variables = variables
        self._tools = tools

    @property
    def tools(self) -> Mapping[str, Any]:
        """The tools of the session, as `dspy.Tool`s by name: those of the host, and those of Python."""
        return self._tools()

    def __repr__(self) -> str:
        return f"<dspex_worker.Session {self.id!r}>"


def session() -> Session:
    """The session of the running call: from a module's `forward` or `aforward`, a tool, a metric, and from
    the threads that DSPy starts for them.

    Ask in each call; a session that was kept from an earlier one refuses its use. Raises `NoSession` outside
    of a call, and in a call without a session.
    """
    # Here, so that `import dspex_worker` alone does not import DSPy.
    from dspex_worker.lm import running_call
    from dspex_worker.variable_wire import Exchange

    call = running_call()
    if call is None:
        raise NoSession(
            "there is no running call, so there is no session: ask for it within `forward`, a tool or a "
            "metric; a thread of your own keeps the call if it is started with "
            "`contextvars.copy_context().run`"
        )
    if not call.session:
        raise NoSession(
            "this call has no session; in Rust, make the instance in one (`.create(&session)`) and call that"
        )
    return Session(call.session, Variables(Exchange(call)), call.tools)
