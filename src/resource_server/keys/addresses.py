"""The addresses that may be fetched, and the names that an issuer may have (RFC 3986 section 2, RFC 8414 section 2)."""

import ipaddress
import re
from urllib.parse import urlsplit

__all__ = ["address_problem", "is_on_this_machine", "issuer_problem"]

MAX_URL_CHARACTERS = 2000

# RFC 3986 section 2: the characters of a URL. Two parsers may read any other character in two ways.
_URL = re.compile(r"[A-Za-z0-9:/?#\[\]@!$&'()*+,;=%._~-]+")


def address_problem(url: object, *, http_on_loopback: bool) -> str | None:
    """Return why an address must not be fetched, in lower-case words; None if it may.

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
    if parts.scheme == "http" and not (http_on_loopback and _is_loopback(host)):
        return "is http, which is for loopback addresses while DEBUG is on"
    if _URL.fullmatch(url) is None:
        return "has characters that no URL has"
    return None


def issuer_problem(issuer: object, *, http_on_loopback: bool) -> str | None:
    """Return why a text cannot be the name of an issuer, in lower-case words; None if it can.

    RFC 8414 section 2: an https URL with a host, without query and fragment. `address_problem` adds its own limits: at
    most 2000 characters, no user name, a port in range. The settings and the names that tokens claim obey this one
    rule.
    """
    problem = address_problem(issuer, http_on_loopback=http_on_loopback)
    if problem is None and isinstance(issuer, str) and "?" in issuer:
        problem = "has a query"
    return problem


def is_on_this_machine(host: str) -> bool:
    """Return whether a host is named as loopback, link-local (the metadata services of clouds) or no host at all.

    Does not resolve names other than localhost; `fetch` looks at the address that it has connected to.
    """
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    # ::ffff:127.0.0.1 is another spelling of 127.0.0.1.
    address = getattr(address, "ipv4_mapped", None) or address
    return address.is_loopback or address.is_link_local or address.is_unspecified or address.is_multicast


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
