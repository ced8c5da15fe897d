"""The client's certificate in a header of a proxy -> its SHA-256 digest (RFC 8705 section 3.1, RFC 9440 section 2.2).

A reader takes the value of one header and returns the digest of the DER form of the certificate. It raises ValueError
for anything but one certificate in its form. Whether the proxy may be believed is not judged here.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network
from typing import Final
from urllib.parse import unquote, unquote_plus

__all__ = ["READERS", "CertificateReader", "CertificateSource", "digest_of_der", "digest_of_pem", "thumbprint"]

# Chains of certificates in ALB's header are the longest.
MAX_HEADER_CHARACTERS: Final = 64 * 1024
_BYTE_SEQUENCE = re.compile(r":([A-Za-z0-9+/]+={0,2}):")  # RFC 8941 section 3.3.5
_PEM = re.compile(r"-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----\s*")
# As encoders for forms write it, such as those of Java and Go.
_BEGIN_WITH_PLUS = "-----BEGIN+CERTIFICATE-----"
_XFCC_PAIR = re.compile(r'([A-Za-z]+)=("(?:[^"\\]|\\.)*"|[^",;]*)(;|$)')
_HEX_DIGEST = re.compile(r"[0-9a-fA-F]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateReader:
    """Reads the header of one kind of proxy: its usual name, and the function for its value."""

    header: str
    digest: Callable[[str], bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateSource:
    """Where the client's certificate is: `server`, or the name of a reader and the header that it reads.

    The header is believed if the request comes from one of `proxies`; with `trusts_unix_sockets` also from a socket
    without an address. `meta_key` is the header's name in `HttpRequest.META`.
    """

    reader: str
    meta_key: str = ""
    proxies: tuple[IPv4Network | IPv6Network, ...] = ()
    trusts_unix_sockets: bool = False


def thumbprint(digest: bytes) -> str:
    """The `x5t#S256` of a certificate with this digest (RFC 8705 section 3.1)."""
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def digest_of_der(certificate: bytes) -> bytes:
    """The digest of a certificate in DER form."""
    return hashlib.sha256(certificate).digest()


def digest_of_pem(text: str) -> bytes:
    """The digest of the first certificate in PEM text, which is the client's; its chain follows. Raises ValueError."""
    first = _PEM.match(text)
    if first is None or _PEM.sub("", text):
        raise ValueError("not PEM text of certificates")
    return _digest("".join(first[1].split()))


def _rfc9440(value: str) -> bytes:
    found = _BYTE_SEQUENCE.fullmatch(_bounded(value).strip(" \t"))
    if found is None:
        raise ValueError("not a byte sequence between colons")
    return _digest(found[1])


def _escaped_pem(value: str) -> bytes:
    # A plus sign belongs to the base64, unless it stands for a space: then the one of the base64 is `%2B`.
    decode = unquote_plus if value.startswith(_BEGIN_WITH_PLUS) else unquote
    return digest_of_pem(decode(_bounded(value)))


def _traefik(value: str) -> bytes:
    # Without the delimiters and line breaks of PEM; the chain follows after a comma.
    return _digest(unquote(_bounded(value)).partition(",")[0])


def _envoy(value: str) -> bytes:
    # One element, whose pairs are joined by semicolons. Another element is one that the client may have sent.
    position, found, text = 0, [], _bounded(value)
    while position < len(text):
        pair = _XFCC_PAIR.match(text, position)
        if pair is None:
            raise ValueError("not one element of X-Forwarded-Client-Cert")
        if pair[1].lower() == "hash":
            found.append(pair[2].strip('"'))
        position = pair.end()
    if len(found) != 1 or _HEX_DIGEST.fullmatch(found[0]) is None:
        raise ValueError("not one hash")
    return bytes.fromhex(found[0])


READERS: Final[Mapping[str, CertificateReader]] = {
    "rfc9440": CertificateReader(header="Client-Cert", digest=_rfc9440),
    "nginx": CertificateReader(header="X-SSL-Client-Cert", digest=_escaped_pem),
    "envoy": CertificateReader(header="X-Forwarded-Client-Cert", digest=_envoy),
    "aws_alb": CertificateReader(header="X-Amzn-Mtls-Clientcert-Leaf", digest=_escaped_pem),
    "traefik": CertificateReader(header="X-Forwarded-Tls-Client-Cert", digest=_traefik),
}


def _bounded(value: str) -> str:
    if len(value) > MAX_HEADER_CHARACTERS:
        raise ValueError("too long")
    return value


def _digest(base64_text: str) -> bytes:
    try:
        der = base64.b64decode(base64_text, validate=True)
    except binascii.Error:
        raise ValueError("not base64") from None
    # Any bytes may be hashed, but an empty certificate is a header that says nothing.
    if not der:
        raise ValueError("no certificate")
    return digest_of_der(der)
