"""A host that answers callbacks about variables from a dictionary.

It holds values against nothing: the rules are the host's own, and tested there.
"""

from __future__ import annotations

import asyncio
import fnmatch
import json
import threading
from typing import Any

from dspex_worker.host import HostError
from dspex_worker.proto import worker_pb2 as pb

from fake_host import Answer, FakeHost

PAGE = 3


def refusal(code: str, message: str, **attributes: Any) -> HostError:
    told = json.dumps({"code": code, **attributes}).encode()
    return HostError(pb.Error(kind=pb.Error.KIND_CALLBACK, message=message, attributes=told))


class VariableHost(FakeHost):
    def __init__(self, answer: Answer | str | None = None) -> None:
        super().__init__(answer)
        # Name -> what a read answers, and the version.
        self.held: dict[str, tuple[pb.Payload, int]] = {}
        self.specs: dict[str, dict[str, Any]] = {}
        self.asked: list[dict[str, Any]] = []
        self.asked_from: set[int] = set()
        # What the next question is refused with.
        self.refuse: HostError | None = None
        self._revision = 0

    def put(self, name: str, value: Any, kind: str = "float") -> None:
        self._set(name, pb.Payload(json=json.dumps({"type": kind, "value": value}).encode()))
        self.specs[name] = {"type": kind}

    async def exchange(self, kind: int, name: str, payload: pb.Payload) -> pb.Payload:
        await asyncio.sleep(0)
        return self._serve(kind, name, payload)

    def exchange_blocking(self, kind: int, name: str, payload: pb.Payload) -> pb.Payload:
        self.check_cancelled()
        return self._serve(kind, name, payload)

    def _serve(self, kind: int, name: str, payload: pb.Payload) -> pb.Payload:
        assert kind == pb.Callback.KIND_VARIABLE
        # As on the wire: what arrives is a copy.
        payload = pb.Payload.FromString(payload.SerializeToString())
        asked = json.loads(payload.json)
        self.asked.append(asked)
        self.asked_from.add(threading.get_ident())
        if self.refuse is not None:
            refused, self.refuse = self.refuse, None
            raise refused
        answer: dict[str, Any] | pb.Payload = getattr(self, f"_{asked['op']}")(name, asked, payload)
        return answer if isinstance(answer, pb.Payload) else pb.Payload(json=json.dumps(answer).encode())

    def _read(self, name: str, asked: dict[str, Any], payload: pb.Payload) -> pb.Payload:
        held, version = self._found(name)
        document = {**json.loads(held.json), "version": version}
        return pb.Payload(json=json.dumps(document).encode(), attachments=held.attachments)

    def _update(self, name: str, asked: dict[str, Any], payload: pb.Payload) -> dict[str, Any]:
        self._expect(name, asked)
        return {"version": self._set(name, payload)}

    def _create(self, name: str, asked: dict[str, Any], payload: pb.Payload) -> dict[str, Any]:
        if name in self.held:
            raise refusal("exists", f"there is a variable `{name}` already", variable=name)
        self.specs[name] = asked["spec"]
        return {"version": self._set(name, payload)}

    def _delete(self, name: str, asked: dict[str, Any], payload: pb.Payload) -> dict[str, Any]:
        self._expect(name, asked)
        del self.held[name]
        self._revision += 1
        return {"version": self._revision}

    def _describe(self, name: str, asked: dict[str, Any], payload: pb.Payload) -> dict[str, Any]:
        _, version = self._found(name)
        return {"name": name, "spec": self.specs[name], "version": version, "spec_version": 1, "bytes": 8}

    def _list(self, name: str, asked: dict[str, Any], payload: pb.Payload) -> dict[str, Any]:
        glob, after = asked.get("glob", "*"), asked.get("after", "")
        names = sorted(n for n in self.held if n > after and fnmatch.fnmatch(n, glob))
        return {"names": names[:PAGE], "more": len(names) > PAGE}

    def _found(self, name: str) -> tuple[pb.Payload, int]:
        if name not in self.held:
            raise refusal("not_found", f"there is no variable `{name}`", variable=name)
        return self.held[name]

    def _expect(self, name: str, asked: dict[str, Any]) -> None:
        _, found = self._found(name)
        expected = asked.get("if_version")
        if expected not in (None, found):
            message = f"the variable `{name}` has the version {found} by now, not {expected}"
            raise refusal("conflict", message, variable=name, expected=expected, found=found)

    def _set(self, name: str, payload: pb.Payload) -> int:
        self._revision += 1
        self.held[name] = (payload, self._revision)
        return self._revision
