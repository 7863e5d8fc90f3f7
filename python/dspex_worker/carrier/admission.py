"""Who may speak to a worker that listens: hosts that show a token, before anything of theirs is read.

A token travels as the metadata `authorization: Bearer <token>` of each stream. The worker keeps digests
alone.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import grpc
import grpc.aio

log = logging.getLogger(__name__)

_METADATA = "authorization"
_SCHEME = "bearer "

# Refusals are told at most once in so many seconds: whoever knocks must not fill the log.
_TOLD_EVERY_S = 1.0


class Admission:
    """The hosts that a worker serves, by their tokens. With none, everybody who can connect is served."""

    def __init__(self, tokens: Mapping[str, str]) -> None:
        """`tokens`: a host's name to its token."""
        self._digests = {name: _digest(token) for name, token in tokens.items()}

    @property
    def open(self) -> bool:
        """No token is asked for."""
        return not self._digests

    def host_of(self, token: str) -> str | None:
        """Whose token it is. Takes as long for a token that is almost right as for any other one."""
        given = _digest(token)
        found = None
        for name, digest in self._digests.items():
            if hmac.compare_digest(given, digest):
                found = name
        return found


def _digest(token: str) -> bytes:
    # Of the same length for all, so that the comparison does not tell a token's length either.
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


class Gate(grpc.aio.ServerInterceptor):
    """Refuses every RPC, health checks included, whose metadata has no token of a host."""

    def __init__(self, admission: Admission) -> None:
        self._admission = admission
        self._refused = 0
        self._told = 0.0

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        details: grpc.HandlerCallDetails,
    ) -> Any:
        handler = await continuation(details)
        if handler is None or self._admission.open:
            return handler
        token = token_of(details.invocation_metadata)
        if token is not None and self._admission.host_of(token) is not None:
            return handler
        return _refusing(handler, self._problem(token))

    def _problem(self, token: str | None) -> str:
        self._refused += 1
        now = time.monotonic()
        if now - self._told >= _TOLD_EVERY_S:
            log.warning("refused %d request(s) without a token of a host", self._refused)
            self._refused, self._told = 0, now
        if token is None:
            return "the worker asks for a token and the host gave none: give it one of the worker's"
        return "the host's token is none of the worker's: give host and worker the same one"


def token_of(metadata: Any) -> str | None:
    """The token that a request shows."""
    for key, value in metadata or ():
        if key == _METADATA and isinstance(value, str) and value[: len(_SCHEME)].lower() == _SCHEME:
            return value[len(_SCHEME) :]
    return None


def _refusing(handler: Any, problem: str) -> Any:
    """What answers in the place of `handler`; no message of the request is read."""

    async def refuse(_request: object, context: grpc.aio.ServicerContext[Any, Any]) -> None:
        await context.abort(grpc.StatusCode.UNAUTHENTICATED, problem)

    if handler.request_streaming and handler.response_streaming:
        return grpc.stream_stream_rpc_method_handler(refuse)
    if handler.response_streaming:
        return grpc.unary_stream_rpc_method_handler(refuse)
    if handler.request_streaming:
        return grpc.stream_unary_rpc_method_handler(refuse)
    return grpc.unary_unary_rpc_method_handler(refuse)
