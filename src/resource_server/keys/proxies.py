"""The proxy of the environment for an address: HTTPS_PROXY, HTTP_PROXY and NO_PROXY, also in lower case.

The variables are read at each fetch. The name in lower case counts first; set to nothing, it turns the other off.
"""

import base64
import errno
import ipaddress
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from resource_server.keys.addresses import is_on_this_machine

__all__ = ["Proxy", "proxy_for"]

_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True, kw_only=True)
class Proxy:
    """A proxy's URL without credentials, and the headers that hold them."""

    url: str
    headers: Mapping[str, str] = field(repr=False)


def proxy_for(url: str) -> Proxy | None:
    """Return the proxy for an address; None if it is fetched directly, as each address on this machine or its link is.

    Raises OSError if the variable does not name an http or https proxy; the message holds no credentials. Does not
    resolve the host.
    """
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or _PORTS[parts.scheme]
    value = _variable(f"{parts.scheme}_proxy")
    if not value or is_on_this_machine(host) or _is_exempt(host.rstrip("."), port, _variable("no_proxy")):
        return None
    return _parse(value, f"{parts.scheme}_proxy".upper())


def _variable(name: str) -> str:
    # In a CGI program the client sets HTTP_PROXY, by a header `Proxy` (CVE-2016-5385).
    if name == "http_proxy" and "REQUEST_METHOD" in os.environ:
        return ""
    return os.environ.get(name, os.environ.get(name.upper(), "")).strip()


def _parse(value: str, variable: str) -> Proxy:
    fault = f"{variable} is not the address of an http or https proxy"
    try:
        parts = urlsplit(value if "://" in value else f"http://{value}")
        host, port = parts.hostname, parts.port
    except ValueError:
        raise OSError(errno.EINVAL, fault) from None
    if not host or parts.scheme not in _PORTS:
        raise OSError(errno.EINVAL, fault)
    headers = {}
    if parts.username is not None:
        credentials = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        headers["Proxy-Authorization"] = (
            f"Basic {base64.b64encode(credentials.encode('utf-8', 'surrogateescape')).decode()}"
        )
    return Proxy(
        url=f"{parts.scheme}://{f'[{host}]' if ':' in host else host}:{port or _PORTS[parts.scheme]}", headers=headers
    )


def _is_exempt(host: str, port: int, no_proxy: str) -> bool:
    return any(_covers(entry, host, port) for entry in no_proxy.lower().replace(",", " ").split())


def _covers(entry: str, host: str, port: int) -> bool:
    """Whether an entry of NO_PROXY is `*`, or a domain, an address or a network that holds the host, with its port if any."""
    name, colon, digits = entry.rpartition(":")
    if colon and digits.isdecimal() and (":" not in name or name.endswith("]")):
        if digits.lstrip("0") != str(port):
            return False
        entry = name
    if entry == "*":
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        domain = entry.removeprefix("*").strip(".")
        return bool(domain) and f".{host}".endswith(f".{domain}")
    try:
        return address in ipaddress.ip_network(entry.strip("[]"), strict=False)
    except ValueError:
        return False
