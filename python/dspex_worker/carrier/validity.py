"""From when until when a certificate is valid, read from its DER: Python's own `ssl` does not tell."""

from __future__ import annotations

import binascii
import ssl
from calendar import timegm
from dataclasses import dataclass
from time import strptime

_BEGIN = "-----BEGIN CERTIFICATE-----"
_END = "-----END CERTIFICATE-----"

_SEQUENCE = 0x30
_UTC_TIME = 0x17
_GENERALIZED_TIME = 0x18
_VERSION = 0xA0


class CertificateError(ValueError):
    """What is no certificate; the message goes on after the name of its file."""


@dataclass(frozen=True, slots=True)
class Validity:
    """Seconds since the epoch."""

    begins: float
    ends: float


def validity_of(pem: str) -> Validity:
    """Of the first certificate in a PEM text. Raises `CertificateError`."""
    start = pem.find(_BEGIN)
    end = pem.find(_END, start)
    if start < 0 or end < 0:
        raise CertificateError("holds no certificate in PEM")
    try:
        der = ssl.PEM_cert_to_DER_cert(pem[start : end + len(_END)])
        certificate = _contents(der, 0, _SEQUENCE)
        fields = _elements(_contents(certificate, 0, _SEQUENCE))
        # Version (where it is there), serial number, algorithm, issuer, validity.
        position = 4 if fields[0][0] == _VERSION else 3
        begins, ends = _elements(fields[position][1])[:2]
        return Validity(_moment(*begins), _moment(*ends))
    except (ValueError, IndexError, binascii.Error):
        raise CertificateError("holds a certificate that cannot be read") from None


def _element(data: bytes, at: int) -> tuple[int, bytes, int]:
    """The tag and contents of the element at a position, and the position after it."""
    tag, length, start = data[at], data[at + 1], at + 2
    if length & 0x80:
        count = length & 0x7F
        length = int.from_bytes(data[start : start + count], "big")
        start += count
    end = start + length
    if end > len(data):
        raise ValueError("cut off")
    return tag, data[start:end], end


def _contents(data: bytes, at: int, tag: int) -> bytes:
    found, contents, _ = _element(data, at)
    if found != tag:
        raise ValueError("another element")
    return contents


def _elements(data: bytes) -> list[tuple[int, bytes]]:
    elements, at = [], 0
    while at < len(data):
        tag, contents, at = _element(data, at)
        elements.append((tag, contents))
    return elements


def _moment(tag: int, contents: bytes) -> float:
    text = contents.decode("ascii")
    if tag == _UTC_TIME:
        text = ("19" if text[:2] >= "50" else "20") + text
    elif tag != _GENERALIZED_TIME:
        raise ValueError("no time")
    return float(timegm(strptime(text, "%Y%m%d%H%M%SZ")))
