"""The addresses that may be fetched, and the names that an issuer may have (RFC 3986 section 2, RFC 8414 section 2)."""

import ipaddress
import re
import socket  # noqa: TID251 - it reads numbers here, and opens nothing
from collections.abc import Container
from urllib.parse import urlsplit

__all__ = ["address_problem", "is_on_this_machine", "issuer_problem", "name_problem"]

MAX_URL_CHARACTERS = 2000

# RFC 3986 section 2: the characters of a URL. Two parsers may read any other character in two ways.
_URL = re.compile(r"[A-Za-z0-9:/?#\[\]@!$&'()*+,;=%._~-]+")
# Control characters and lone surrogates.
_NOT_IN_A_NAME = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")

_TRANSLATED = ipaddress.IPv6Network("64:ff9b::/96")
# Not link-local, unlike the address that other clouds use.
_METADATA_OF_AWS = ipaddress.IPv6Address("fd00:ec2::254")


def address_problem(url: object, *, http_on_loopback: bool, http_hosts: Container[str] = ()) -> str | None:
    """Return why an address must not be fetched, in lower-case words; None if it may.

    `http_on_loopback` admits http on this machine, `http_hosts` at the hosts with these names, in lower case.
    Does not resolve the name: the server that holds the certificate of an https name is the server that was meant.
    """
    if (
        not isinstance(url, str)
        or len(url) > MAX_URL_CHARACTERS
        or not url.isascii()
        or any(character <= " " for character in url)
    ):
        return "is not a URL"
    try:
        parts = urlsplit(url)
        host, _port = parts.hostname, parts.port
    except ValueError:
        return "is not a URL"
    if parts.scheme not in ("http", "https") or not url.startswith(f"{parts.scheme}://"):
        return "has no scheme https"
    if not host:
        return "has no host"
    if parts.username is not None or parts.password is not None:
        return "holds a user name or a password"
    if parts.fragment or url.endswith("#"):
        return "holds a fragment"
    if parts.scheme == "http" and host not in http_hosts and not (http_on_loopback and _is_loopback(host)):
        return "is http, which is for loopback and DEVELOPMENT_HTTP while DEBUG is on or tests run"
    # A percent sign in a host is decoded by some parsers and not by others.
    if _URL.fullmatch(url) is None or "%" in host:
        return "has characters that no URL has"
    return None


def issuer_problem(issuer: object, *, http_on_loopback: bool, http_hosts: Container[str] = ()) -> str | None:
    """Return why an issuer cannot have metadata, in lower-case words; None if it can.

    RFC 8414 section 2: an https URL with a host, without query and fragment. `address_problem` adds its own limits: at
    most 2000 characters, no user name, a port in range.
    """
    problem = address_problem(issuer, http_on_loopback=http_on_loopback, http_hosts=http_hosts)
    if problem is None and isinstance(issuer, str) and "?" in issuer:
        problem = "has a query"
    return problem


def name_problem(issuer: object) -> str | None:
    """Return why a text cannot be the name of an issuer from which nothing is fetched; None if it can.

    RFC 7519 section 4.1.1: any string. Control characters are refused, as they are in a token.
    """
    if not isinstance(issuer, str) or not issuer or len(issuer) > MAX_URL_CHARACTERS:
        return "is not text of 1 to 2000 characters"
    return "has control characters" if _NOT_IN_A_NAME.search(issuer) else None


def is_on_this_machine(host: str) -> bool:
    """Return whether a host is named as loopback, link-local (the metadata services of clouds) or no host at all.

    Does not resolve names other than localhost; `fetch` looks at the addresses that it connects to.
    """
    host = host.rstrip(".")
    if host == "localhost" or host.endswith(".localhost"):
        return True
    address = _numeric(host.partition("%")[0])
    if address is None:
        return False
    if isinstance(address, ipaddress.IPv6Address):
        if address == _METADATA_OF_AWS:
            return True
        # ::ffff:127.0.0.1, 2002:7f00:1:: and 64:ff9b::7f00:1 lead to 127.0.0.1 (RFC 4291, 3056 and 6052).
        translated = ipaddress.IPv4Address(address.packed[-4:]) if address in _TRANSLATED else None
        address = address.ipv4_mapped or address.sixtofour or translated or address
    return address.is_loopback or address.is_link_local or address.is_unspecified or address.is_multicast


def _numeric(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        pass
    try:
        # 127.1, 0x7f000001 and 2130706433 are other spellings of 127.0.0.1.
        return ipaddress.IPv4Address(socket.inet_aton(host))
    except (OSError, ValueError):
        return None


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
