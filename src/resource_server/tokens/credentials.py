"""The Authorization header -> the access token in it, or none (RFC 6750 section 2.1, RFC 9449 section 7.1).

Only this header is read: a token in the query or the body (RFC 6750 sections 2.2 and 2.3) ends up in logs and
histories. Only the alphabet and the size of the token are judged here.
"""

import re
from dataclasses import dataclass, field

from resource_server.errors import InvalidRequest, InvalidToken
from resource_server.reasons import RequestReason, TokenReason

__all__ = ["MAX_TOKEN_CHARACTERS", "Credentials", "is_dpop", "parse_authorization", "parse_token"]

MAX_TOKEN_CHARACTERS = 16 * 1024

# RFC 9110 section 5.6.2: the scheme is a token. What follows is judged only if the scheme is Bearer or DPoP.
_SCHEME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]*")
_USUAL = re.compile(r"(?:Bearer|(DPoP)) ([A-Za-z0-9._~+/-]+=*)")
# RFC 6750 section 2.1: credentials = "Bearer" 1*SP b64token. RFC 9449 section 7.1: "DPoP" 1*SP token68, which is the same.
_B64TOKEN = re.compile(r" +([A-Za-z0-9._~+/-]+=*)")
_BARE_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")


@dataclass(slots=True, kw_only=True)  # not frozen, which would take three times as long to make
class Credentials:
    """An access token as it was sent: not verified, and not in the repr. `is_dpop` says that the scheme is DPoP."""

    unverified_token: str = field(repr=False)
    is_dpop: bool = False


def parse_authorization(header: str | None) -> Credentials | None:
    """The access token in an Authorization header; None if the header is absent, blank or of another scheme.

    Raises InvalidToken (`credentials_malformed`, `token_too_large`) and InvalidRequest (`credentials_repeated`:
    servers join repeated headers with a comma). Does not check that the token is a JWT.
    """
    if not header:
        return None
    # The form that nearly all clients send.
    if (usual := _USUAL.fullmatch(header)) is not None and len(header) <= MAX_TOKEN_CHARACTERS:
        return Credentials(unverified_token=usual[2], is_dpop=usual[1] is not None)
    header = header.strip(" \t")
    scheme = _SCHEME.match(header)
    name = scheme[0].lower() if scheme is not None else ""
    if scheme is None or name not in ("bearer", "dpop"):
        return None
    rest = header[scheme.end() :]
    if len(rest) > MAX_TOKEN_CHARACTERS + 1:
        raise InvalidToken(TokenReason.TOKEN_TOO_LARGE)
    if "," in rest:
        raise InvalidRequest(RequestReason.CREDENTIALS_REPEATED)
    token = _B64TOKEN.fullmatch(rest)
    if token is None:
        raise InvalidToken(TokenReason.CREDENTIALS_MALFORMED)
    return Credentials(unverified_token=token[1], is_dpop=name == "dpop")


def is_dpop(header: object) -> bool:
    """Whether the scheme of an Authorization header is DPoP (RFC 9449 section 7.1)."""
    text = header.decode("latin-1") if isinstance(header, bytes) else str(header)
    scheme = _SCHEME.match(text.strip(" \t"))
    return scheme is not None and scheme[0].lower() == "dpop"


def parse_token(token: object) -> Credentials:
    """The bearer token of a caller that has no header.

    Raises InvalidToken (`token_malformed`, `token_too_large`) for anything but a `b64token` (RFC 6750 section 2.1).
    Does not check that it is a JWT.
    """
    if isinstance(token, str) and len(token) > MAX_TOKEN_CHARACTERS:
        raise InvalidToken(TokenReason.TOKEN_TOO_LARGE)
    if not isinstance(token, str) or _BARE_TOKEN.fullmatch(token) is None:
        raise InvalidToken(TokenReason.TOKEN_MALFORMED)
    return Credentials(unverified_token=token)
