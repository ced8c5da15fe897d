"""A compact JWT -> verified claims: parse, judge, verify (RFC 7515, RFC 7519, RFC 8725, RFC 9068).

`parse` reads bytes that anybody may have made. `judge` holds header and claims against the issuer's policy; it is
cheap and pure, and only ever refuses, so it comes before the key is looked for. `verify_signature` is the step that
makes them true. Nothing in a token is followed: `jwk`, `jku`, `x5u` and `x5c` are not read (RFC 8725 section 3.10).
"""

import re
from binascii import a2b_base64
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from resource_server.errors import InvalidToken
from resource_server.keys.key_set import VerificationKey
from resource_server.strict_json import parse_object
from resource_server.tokens.policy import ClaimNames, Policy, media_type

__all__ = ["UnverifiedToken", "judge", "parse", "verify_signature"]

MAX_KID_CHARACTERS = 512
# OpenID Connect Core section 2: a subject has at most 255 characters.
MAX_SUBJECT_CHARACTERS = 255
# The end of the year 9999: later dates overflow where they are shown.
MAX_DATE = 253_402_300_799
# The tokens of an issuer have one header among them, so a thousand issuers fit, also while they rotate their keys.
MAX_KNOWN_HEADERS = 2048
MAX_KNOWN_HEADER_CHARACTERS = 512

# Control characters have no place in a name, and NUL is an error in PostgreSQL.
_PRINTABLE = re.compile(r"[^\x00-\x1f\x7f-\x9f]+")
# What belongs to another kind of token alone: an ID token (OpenID Connect Core sections 2 and 3.1.3.6, 3.3.2.11), a
# logout or event token (RFC 8417).
_OTHER_KINDS = frozenset({"nonce", "at_hash", "c_hash", "s_hash", "events"})

# Header segments, in the alphabet of base64 -> what `parse` read in them, for it would read the same again. Only
# `verify_signature` puts one in, so that nobody without an issuer's key can fill it or push another out; what a policy
# says of the header is judged for each token anew.
_known_headers: dict[bytes, Mapping[str, Any]] = {}


@dataclass(slots=True, kw_only=True, repr=False)
class UnverifiedToken:
    """A token that has the form of a JWT. Everything in it is the sender's word. `payload` is the JSON of the claims."""

    unverified_header: Mapping[str, Any]
    unverified_claims: dict[str, Any]
    signing_input: bytes
    signature: bytes
    payload: bytes = b""

    def issuer(self) -> str:
        """The issuer that the token claims, to find its policy. Raises InvalidToken (`iss_missing`, `iss_malformed`)."""
        return _string(self.unverified_claims, "iss", "iss")


def parse(token: str) -> UnverifiedToken:
    """The header, claims and signature of a JWS in compact serialisation (RFC 7515 section 3.1).

    Raises InvalidToken: `token_malformed`, `token_encrypted`, `header_malformed`, `payload_malformed`. Verifies
    nothing.
    """
    # A character beyond ASCII becomes a question mark, which no base64 has either.
    raw = token.encode("ascii", "replace")
    segments = raw.translate(_TO_BASE64).split(b".")
    if len(segments) != 3:
        raise InvalidToken("token_encrypted" if len(segments) == 5 else "token_malformed")
    header_segment, payload_segment, signature_segment = segments
    header = _known_headers.get(header_segment)
    try:
        header_bytes = _decode(header_segment) if header is None else b""
        payload, signature = _decode(payload_segment), _decode(signature_segment)
    except ValueError:
        raise InvalidToken("token_malformed") from None
    return UnverifiedToken(
        unverified_header=_object(header_bytes, "header_malformed") if header is None else header,
        unverified_claims=_object(payload, "payload_malformed"),
        signing_input=raw[: -len(signature_segment) - 1],
        signature=signature,
        payload=payload,
    )


def judge(token: UnverifiedToken, policy: Policy, now: float) -> None:
    """Refuse a token that the policy could not accept whoever signed it. `now` is in seconds since 1970.

    Raises InvalidToken, see the table in `errors.py`; a reason names a claim as the RFC does, whatever the policy
    calls it. Does not verify the signature, and does not judge scopes.
    """
    typ = _judge_header(token.unverified_header, policy)
    claims = token.unverified_claims
    # RFC 7519 section 4.1.1: compared exactly, no normalising.
    if claims.get("iss") != policy.issuer:
        _string(claims, "iss", "iss")
        raise InvalidToken("issuer_not_trusted")
    _judge_dates(claims, policy.clock_skew_seconds, now)
    _judge_audience(claims, policy)
    _judge_names(claims, policy.claim_names)
    if typ == "jwt":
        _refuse_other_kinds(claims)
    # RFC 7800 section 3: a bound token is good only with its proof; as a bearer token it may be a stolen one.
    if "cnf" in claims:
        raise InvalidToken("proof_not_supported")


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
    raise InvalidToken("signature_invalid")


def _know_header(token: UnverifiedToken) -> None:
    segment = token.signing_input.partition(b".")[0].translate(_TO_BASE64)
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


def _object(document: bytes, reason: str) -> dict[str, Any]:
    try:
        return parse_object(document)
    except ValueError:
        raise InvalidToken(reason) from None


def _judge_header(header: Mapping[str, Any], policy: Policy) -> str:
    """Refuse a header that the policy does not admit. The media type that it has, where none is written `jwt`."""
    # RFC 7515 section 4.1.11: an extension that is not understood must be refused, and we understand none; b64: RFC
    # 7797; zip: RFC 7516.
    if "crit" in header or "b64" in header or "zip" in header:
        raise InvalidToken("header_not_supported")
    # RFC 8725 section 3.1: the verifier says which algorithms there are, the token only names one of them.
    if header.get("alg") not in policy.algorithms:
        raise InvalidToken("alg_not_allowed")
    # RFC 9068 section 4, RFC 8725 section 3.11: an explicit type keeps one kind of token from passing for another.
    typ = header.get("typ", "jwt")
    typ = media_type(typ) if isinstance(typ, str) else ""
    if typ not in policy.token_types:
        raise InvalidToken("typ_not_accepted")
    kid = header.get("kid", "none")
    if not isinstance(kid, str) or not 1 <= len(kid) <= MAX_KID_CHARACTERS:
        raise InvalidToken("kid_malformed")
    return typ


def _judge_dates(claims: dict[str, Any], skew: int, now: float) -> None:
    # RFC 7519 section 4.1.4: not on or after exp. Section 4.1.5: not before nbf.
    if "exp" not in claims:
        raise InvalidToken("exp_missing")
    if now >= _date(claims["exp"], "exp") + skew:
        raise InvalidToken("token_expired")
    if "nbf" in claims and now < _date(claims["nbf"], "nbf") - skew:
        raise InvalidToken("token_not_yet_valid")
    if "iat" in claims and now < _date(claims["iat"], "iat") - skew:
        raise InvalidToken("token_issued_in_future")


def _judge_audience(claims: dict[str, Any], policy: Policy) -> None:
    # RFC 7519 section 4.1.3, RFC 9068 section 4.
    name = policy.claim_names.audience
    if name not in claims:
        raise InvalidToken("aud_missing")
    audience = claims[name]
    if isinstance(audience, str):
        audience = [audience]
    if not _is_strings(audience) or not audience:
        raise InvalidToken("aud_malformed")
    for member in audience:
        if member in policy.audience:
            return
    raise InvalidToken("audience_not_accepted")


def _judge_names(claims: dict[str, Any], names: ClaimNames) -> None:
    if len(_string(claims, names.subject, "sub")) > MAX_SUBJECT_CHARACTERS:
        raise InvalidToken("sub_malformed")
    for name in names.client_id:
        if name in claims and not _is_printable(claims[name]):
            raise InvalidToken("client_id_malformed")
    if "jti" in claims and not _is_printable(claims["jti"]):
        raise InvalidToken("jti_malformed")
    # RFC 9068 section 2.2.3.
    for name in names.scope:
        if name in claims and not (isinstance(claims[name], str) or _is_strings(claims[name])):
            raise InvalidToken("scope_malformed")


def _refuse_other_kinds(claims: dict[str, Any]) -> None:
    # A token without a type of its own may be any kind, so what belongs to another kind alone betrays it, and so do
    # the words of Cognito and of Keycloak for it.
    if (
        not _OTHER_KINDS.isdisjoint(claims)
        or claims.get("token_use", "access") != "access"
        or claims.get("typ", "Bearer") != "Bearer"
    ):
        raise InvalidToken("not_an_access_token")


def _string(claims: dict[str, Any], name: str, claim: str) -> str:
    """The value of the claim that stands under the name. Raises InvalidToken (`<claim>_missing`, `<claim>_malformed`)."""
    if name not in claims:
        raise InvalidToken(f"{claim}_missing")
    value = claims[name]
    if not _is_printable(value):
        raise InvalidToken(f"{claim}_malformed")
    text: str = value
    return text


def _is_printable(value: object) -> bool:
    # `isprintable` admits less than we do, except for the empty string; it is much faster, and nearly always enough.
    return isinstance(value, str) and value != "" and (value.isprintable() or _PRINTABLE.fullmatch(value) is not None)


def _is_strings(value: object) -> bool:
    # In one step of the interpreter, where a generator is one for each member.
    return isinstance(value, list) and _STRING.issuperset(map(type, value))


_STRING = frozenset({str})


def _date(value: Any, claim: str) -> float:
    # RFC 7519 section 2: NumericDate is a JSON number; True is none, though Python counts with it.
    if type(value) not in (int, float) or not 0 <= value <= MAX_DATE:
        raise InvalidToken(f"{claim}_malformed")
    seconds: float = value
    return seconds
