"""The URI that a proof is for, in the form to compare (RFC 9449 section 4.3 check 9, RFC 3986 sections 6.2.2 and 6.2.3)."""

import re
from urllib.parse import unquote_to_bytes

__all__ = ["comparable"]

_DEFAULT_PORTS = {"http": "80", "https": "443"}
# Printable ASCII without the backslash, which browsers read as a slash.
_URI = re.compile(
    r"(?P<scheme>[Hh][Tt][Tt][Pp][Ss]?)://(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.\-_~%!$&'()*+,;=]+)(?::(?P<port>[0-9]{0,5}))?"
    r"(?P<path>/[!-\[\]-~]*)?"
)
_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_DOTS = {b".", b".."}


def comparable(uri: str) -> tuple[str, str, str, bytes]:
    """Scheme, host, port and path of an http or https URI; two URIs of one resource have equal ones.

    Scheme and host are in lower case, the default port is left out, dot segments are removed. The path is decoded, as
    Django decodes the path of a request, and case-sensitive. Query and fragment are left out. Raises ValueError for
    anything else, such as user information, a relative reference or a broken percent-encoding.
    """
    bare = uri.partition("#")[0].partition("?")[0]
    parts = _URI.fullmatch(bare)
    if parts is None or _PERCENT.search(bare):
        raise ValueError("not an http or https URI")
    scheme, port = parts["scheme"].lower(), parts["port"] or ""
    port = str(int(port)) if port else ""
    host = unquote_to_bytes(parts["host"]).decode("ascii", "replace").lower()
    return scheme, host, "" if port == _DEFAULT_PORTS[scheme] else port, _path(parts["path"] or "/")


def _path(path: str) -> bytes:
    # Decoded before the dot segments are removed: `%2e` is a dot (RFC 3986 section 6.2.2.3).
    kept: list[bytes] = []
    segments = [unquote_to_bytes(segment) for segment in path.split("/")[1:]]
    for segment in segments:
        if segment == b"..":
            del kept[-1:]
        elif segment != b".":
            kept.append(segment)
    # A dot segment at the end leaves its slash.
    if segments[-1] in _DOTS:
        kept.append(b"")
    return b"/" + b"/".join(kept)
