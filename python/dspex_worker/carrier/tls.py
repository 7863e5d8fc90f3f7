"""TLS of a worker that listens: its own certificate, and the authority of those that hosts must show."""

from __future__ import annotations

import contextlib
import logging
import ssl
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

from dspex_worker.carrier.validity import CertificateError, Validity, validity_of

log = logging.getLogger(__name__)

# Told at the start when less is left of the certificate.
_SOON_S = 14 * 24 * 3600


class TlsError(ValueError):
    """Files that no worker can serve TLS with; the message names the option and the file."""


@dataclass(frozen=True, slots=True)
class ServerTls:
    """PEM files: the worker's certificate (with what stands between it and the authority), its key, and the
    authority that signs the certificates of hosts."""

    certificate: Path
    key: Path
    client_ca: Path

    def credentials(self) -> Any:
        """What a gRPC server listens with: hosts without a certificate of the authority are refused.

        The files are read again when they changed, so that a renewed certificate needs no restart. Raises
        `TlsError`.
        """
        self.check()
        seen = self._stamps()

        def changed() -> Any:
            nonlocal seen
            stamps = self._stamps()
            if stamps == seen or None in stamps:
                return None
            seen = stamps
            try:
                self.check()
                configuration = self._configuration()
            except (OSError, TlsError) as exc:
                log.error("the new certificate is not used: %s", exc)
                return None
            log.info("serves with the new certificate in %s", self.certificate)
            return configuration

        return grpc.dynamic_ssl_server_credentials(
            self._configuration(), changed, require_client_authentication=True
        )

    def check(self) -> None:
        """Refuses what would let every handshake fail. Raises `TlsError`."""
        _read("--tls-key", self.key)
        validity = _validity("--tls-cert", self.certificate)
        _validity("--tls-client-ca", self.client_ca)
        if validity.ends - time.time() < _SOON_S:
            days = int((validity.ends - time.time()) // 86400)
            log.warning("the certificate in %s expires in %d day(s); renew it", self.certificate, days)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        try:
            # An encrypted key would be asked for at the terminal.
            context.load_cert_chain(self.certificate, self.key, password=_no_password)
        except ssl.SSLError as exc:
            why = "is not the key of the certificate" if "MISMATCH" in str(exc) else f"cannot be used: {exc}"
            raise TlsError(f"--tls-key: {self.key} {why}") from None
        with contextlib.suppress(OSError):
            if self.key.stat().st_mode & 0o077:
                log.warning("%s can be read by others than its owner; `chmod 600` it", self.key)

    def _configuration(self) -> Any:
        pair = (self.key.read_bytes(), self.certificate.read_bytes())
        return grpc.ssl_server_certificate_configuration([pair], self.client_ca.read_bytes())

    def _stamps(self) -> tuple[int | None, ...]:
        return tuple(_stamp(path) for path in (self.certificate, self.key, self.client_ca))


def _no_password() -> str:
    return ""


def _stamp(path: Path) -> int | None:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return None


def _read(option: str, path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as exc:
        raise TlsError(f"{option}: cannot read {path}: {exc.strerror}") from None


def _validity(option: str, path: Path) -> Validity:
    try:
        validity = validity_of(_read(option, path).decode("ascii", "replace"))
    except CertificateError as exc:
        raise TlsError(f"{option}: {path} {exc}") from None
    now = time.time()
    if validity.ends <= now:
        raise TlsError(f"{option}: the certificate in {path} expired on {_day(validity.ends)}; renew it")
    if validity.begins > now:
        day = _day(validity.begins)
        raise TlsError(f"{option}: the certificate in {path} is valid from {day} on; is the clock right?")
    return validity


def _day(moment: float) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(moment))
