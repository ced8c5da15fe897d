"""A compact JWS -> its unverified parts, and the check of its signature (RFC 7515 sections 3.1 and 5.2).

`parse` reads bytes that anyone can have made; `verify_signature` is the step that makes them true. `rules.py` judges
header and claims in between. Nothing in a token is followed: `jwk`, `jku`, `x5u` and `x5c` are not read (RFC 8725
section 3.10).
"""

from binascii import a2b_base64
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from resource_server.errors import InvalidToken
from resource_server.keys.key_set import VerificationKey
from resource_server.reasons import TokenReason
from resource_server.strict_json import parse_object

__all__ = [
    "MAX_KNOWN_HEADER_CHARACTERS",
    "UnverifiedToken",
    "has_jws_form",
    "header_segment",
    "parse",
    "verify_signature",
]

# The tokens of an issuer have one header among them, so a thousand issuers fit, also while they rotate their keys.
MAX_KNOWN_HEADERS = 2048
MAX_KNOWN_HEADER_CHARACTERS = 512

# Header segments, in the alphabet of base64 -> the header that `parse` read in them. Only `verify_signature` adds one,
# so only the holder of an issuer's key can fill it or push another out. The rules judge the header of each token anew.
_known_headers: dict[bytes, Mapping[str, Any]] = {}


@dataclass(slots=True, kw_only=True, repr=False)
class UnverifiedToken:
    """A token that has the form of a JWT. Everything in it is the sender's word. `payload` is the JSON of the claims."""

    unverified_header: Mapping[str, Any]
    unverified_claims: dict[str, Any]
    signing_input: bytes
    signature: bytes
    payload: bytes = b""


def parse(token: str, known_headers: Mapping[bytes, Mapping[str, Any]] = _known_headers) -> UnverifiedToken:
    """The header, claims and signature of a JWS in compact serialisation (RFC 7515 section 3.1).

    `known_headers` are those that were read before, by their `header_segment`. Raises InvalidToken: `token_malformed`, `token_encrypted`, `header_malformed`, `payload_malformed`. Verifies
    nothing.
    """
    # A character beyond ASCII becomes a question mark, which no base64 has either.
    raw = token.encode("ascii", "replace")
    try:
        first_segment, payload_segment, signature_segment = raw.translate(_TO_BASE64).split(b".")
    except ValueError:
        is_encrypted = raw.count(b".") == 4  # RFC 7516 section 3.1
        raise InvalidToken(TokenReason.TOKEN_ENCRYPTED if is_encrypted else TokenReason.TOKEN_MALFORMED) from None
    header = known_headers.get(first_segment)
    try:
        header_bytes = _decode(first_segment) if header is None else b""
        payload, signature = _decode(payload_segment), _decode(signature_segment)
    except ValueError:
        raise InvalidToken(TokenReason.TOKEN_MALFORMED) from None
    return UnverifiedToken(
        unverified_header=_object(header_bytes, TokenReason.HEADER_MALFORMED) if header is None else header,
        unverified_claims=_object(payload, TokenReason.PAYLOAD_MALFORMED),
        signing_input=raw[: -len(signature_segment) - 1],
        signature=signature,
        payload=payload,
    )


def header_segment(token: UnverifiedToken) -> bytes:
    """The header as the token holds it, in the alphabet of base64."""
    return token.signing_input.partition(b".")[0].translate(_TO_BASE64)


def has_jws_form(token: str) -> bool:
    """Whether a token is to be read as a signed JWT: three parts, the first of which is a JSON object.

    Judges nothing: `parse` may refuse such a token. Any other token is opaque, an encrypted one too.
    """
    raw = token.encode("ascii", "replace")
    if raw.count(b".") != 2:
        return False
    segment = raw.partition(b".")[0].translate(_TO_BASE64)
    if segment in _known_headers:
        return True
    try:
        parse_object(_decode(segment))
    except ValueError:
        return False
    return True


def verify_signature(token: UnverifiedToken, keys: Iterable[VerificationKey]) -> None:
    """Verify that one of the keys signed the token.

    Raises InvalidToken (`signature_invalid`). Does not judge `kid`: the keys must be those that may have signed.
    """
    algorithm = token.unverified_header["alg"]
    for key in keys:
        try:
            key.verify(algorithm, token.signing_input, token.signature)
        except InvalidToken:
            continue
        if type(token.unverified_header) is not MappingProxyType:
            _know_header(token)
        return
    raise InvalidToken(TokenReason.SIGNATURE_INVALID)


def _know_header(token: UnverifiedToken) -> None:
    segment = header_segment(token)
    if len(segment) <= MAX_KNOWN_HEADER_CHARACTERS:
        # All at once: to take out the oldest needs a lock, and to stop here would be for ever.
        if len(_known_headers) >= MAX_KNOWN_HEADERS:
            _known_headers.clear()
        _known_headers[segment] = MappingProxyType(token.unverified_header)


def _decode(segment: bytes) -> bytes:
    # RFC 7515 section 2: base64url without padding. Only the one canonical form, or one token would have many
    # spellings: nothing outside the alphabet, and zeros in the bits that the last character has to spare.
    beyond = len(segment) & 3
    if beyond and segment[-1] not in _LAST_CHARACTERS[beyond]:
        raise ValueError("not canonical base64url")
    return a2b_base64(segment + _PADDING[beyond], strict_mode=True)


# What base64 knows and base64url does not becomes a character that neither knows.
_TO_BASE64 = bytes.maketrans(b"-_+/=", b"+/!!!")
_PADDING = (b"", b"", b"==", b"=")
# By the number of characters beyond a multiple of four; one alone is never enough for a byte.
_LAST_CHARACTERS = (b"", b"", b"AQgw", b"AEIMQUYcgkosw048")


def _object(document: bytes, reason: TokenReason) -> dict[str, Any]:
    try:
        return parse_object(document)
    except ValueError:
        raise InvalidToken(reason) from None
