"""A compact JWT -> verified claims: parse, judge, verify (RFC 7515, RFC 7519, RFC 8725, RFC 9068).

`parse` reads bytes that anybody may have made. `judge` holds header and claims against the issuer's policy; it is
cheap and pure, and only ever refuses, so it comes before the key is looked for. `verify_signature` is the step that
makes them true. Nothing in a token is followed: `jwk`, `jku`, `x5u` and `x5c` are not read (RFC 8725 section 3.10).
"""

import base64
import binascii
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from joserfc.jws import JWSRegistry

from resource_server.errors import InvalidToken
from resource_server.tokens.access_token import CLIENT_CLAIMS
from resource_server.tokens.keys import VerificationKey
from resource_server.tokens.policy import ALGORITHMS, Policy, media_type
from resource_server.tokens.strict_json import parse_object

__all__ = ["UnverifiedToken", "judge", "parse", "verify_signature"]

MAX_KID_CHARACTERS = 512
# OpenID Connect Core section 2: a subject has at most 255 characters.
MAX_SUBJECT_CHARACTERS = 255
# The end of the year 9999: later dates overflow where they are shown.
MAX_DATE = 253_402_300_799

# Control characters have no place in a name, and NUL is an error in PostgreSQL.
_PRINTABLE = re.compile(r"[^\x00-\x1f\x7f-\x9f]+")
_VERIFIERS = {name: JWSRegistry.algorithms[name] for name in ALGORITHMS}


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class UnverifiedToken:
    """A token that has the form of a JWT. Everything in it is the sender's word."""

    unverified_header: dict[str, Any]
    unverified_claims: dict[str, Any]
    signing_input: bytes
    signature: bytes

    def issuer(self) -> str:
        """The issuer that the token claims, to find its policy. Raises InvalidToken (`iss_missing`, `iss_malformed`)."""
        return _string(self.unverified_claims, "iss")


def parse(token: str) -> UnverifiedToken:
    """The header, claims and signature of a JWS in compact serialisation (RFC 7515 section 3.1).

    Raises InvalidToken: `token_malformed`, `token_encrypted`, `header_malformed`, `payload_malformed`. Verifies
    nothing.
    """
    segments = token.split(".")
    if len(segments) == 5:
        raise InvalidToken("token_encrypted")
    if len(segments) != 3:
        raise InvalidToken("token_malformed")
    try:
        header, payload, signature = map(_decode, segments)
    except ValueError:
        raise InvalidToken("token_malformed") from None
    return UnverifiedToken(
        unverified_header=_object(header, "header_malformed"),
        unverified_claims=_object(payload, "payload_malformed"),
        signing_input=token[: token.rindex(".")].encode("ascii"),
        signature=signature,
    )


def judge(token: UnverifiedToken, policy: Policy, now: float) -> None:
    """Refuse a token that the policy could not accept whoever signed it. `now` is in seconds since 1970.

    Raises InvalidToken, see the table in `errors.py`. Does not verify the signature, and does not judge scopes.
    """
    _judge_header(token.unverified_header, policy)
    claims = token.unverified_claims
    # RFC 7519 section 4.1.1: compared exactly, no normalising.
    if _string(claims, "iss") != policy.issuer:
        raise InvalidToken("issuer_not_trusted")
    _judge_dates(claims, policy.clock_skew_seconds, now)
    _judge_audience(claims, policy)
    _judge_names(claims)
    if media_type(token.unverified_header.get("typ", "jwt")) == "jwt":
        _refuse_other_tokens(claims)
    # RFC 7800 section 3: a bound token is good only with its proof; as a bearer token it may be a stolen one.
    if "cnf" in claims:
        raise InvalidToken("proof_not_supported")


def verify_signature(token: UnverifiedToken, keys: Iterable[VerificationKey]) -> None:
    """Verify that one of the keys signed the token; each must already be bound to its `alg`.

    Raises InvalidToken (`signature_invalid`).
    """
    verifier = _VERIFIERS[token.unverified_header["alg"]]
    for key in keys:
        try:
            if verifier.verify(token.signing_input, token.signature, key.key):
                return
        except Exception:  # noqa: BLE001, S112 - whatever a forged signature provokes in the library, it is not valid
            continue
    raise InvalidToken("signature_invalid")


def _decode(segment: str) -> bytes:
    # RFC 7515 section 2: base64url without padding. Only the one canonical form, or one token would have many
    # spellings.
    raw = segment.encode("ascii")
    decoded = binascii.a2b_base64(raw.translate(_TO_BASE64) + b"=" * (-len(raw) % 4))
    if base64.urlsafe_b64encode(decoded).rstrip(b"=") != raw:
        raise ValueError("not canonical base64url")
    return decoded


_TO_BASE64 = bytes.maketrans(b"-_", b"+/")


def _object(document: bytes, reason: str) -> dict[str, Any]:
    try:
        return parse_object(document)
    except ValueError:
        raise InvalidToken(reason) from None


def _judge_header(header: dict[str, Any], policy: Policy) -> None:
    # RFC 7515 section 4.1.11: an extension that is not understood must be refused, and we understand none; b64: RFC
    # 7797; zip: RFC 7516.
    if "crit" in header or "b64" in header or "zip" in header:
        raise InvalidToken("header_not_supported")
    # RFC 8725 section 3.1: the verifier says which algorithms there are, the token only names one of them.
    if header.get("alg") not in policy.algorithms:
        raise InvalidToken("alg_not_allowed")
    # RFC 9068 section 4, RFC 8725 section 3.11: an explicit type keeps one kind of token from passing for another.
    typ = header.get("typ", "jwt")
    if not isinstance(typ, str) or media_type(typ) not in policy.token_types:
        raise InvalidToken("typ_not_accepted")
    kid = header.get("kid")
    if "kid" in header and not (isinstance(kid, str) and 1 <= len(kid) <= MAX_KID_CHARACTERS):
        raise InvalidToken("kid_malformed")


def _judge_dates(claims: dict[str, Any], skew: int, now: float) -> None:
    # RFC 7519 section 4.1.4: not on or after exp. Section 4.1.5: not before nbf.
    if "exp" not in claims:
        raise InvalidToken("exp_missing")
    if now >= _date(claims, "exp") + skew:
        raise InvalidToken("token_expired")
    if "nbf" in claims and now < _date(claims, "nbf") - skew:
        raise InvalidToken("token_not_yet_valid")
    if "iat" in claims and now < _date(claims, "iat") - skew:
        raise InvalidToken("token_issued_in_future")


def _judge_audience(claims: dict[str, Any], policy: Policy) -> None:
    # RFC 7519 section 4.1.3, RFC 9068 section 4.
    if "aud" not in claims:
        raise InvalidToken("aud_missing")
    audience = claims["aud"]
    if isinstance(audience, str):
        audience = [audience]
    if not _is_strings(audience) or not audience:
        raise InvalidToken("aud_malformed")
    if not any(name in policy.audience for name in audience):
        raise InvalidToken("audience_not_accepted")


def _judge_names(claims: dict[str, Any]) -> None:
    if len(_string(claims, "sub")) > MAX_SUBJECT_CHARACTERS:
        raise InvalidToken("sub_malformed")
    if any(name in claims and not _is_printable(claims[name]) for name in CLIENT_CLAIMS):
        raise InvalidToken("client_id_malformed")
    if "jti" in claims and not _is_printable(claims["jti"]):
        raise InvalidToken("jti_malformed")
    # RFC 9068 section 2.2.3; `scp` is Okta's and Entra ID's name for it.
    for name in ("scope", "scp"):
        if name in claims and not (isinstance(claims[name], str) or _is_strings(claims[name])):
            raise InvalidToken("scope_malformed")


def _refuse_other_tokens(claims: dict[str, Any]) -> None:
    # A token without a type of its own may be any kind, so what belongs to another kind alone betrays it: an ID token
    # (OpenID Connect Core sections 2 and 3.1.3.6, 3.3.2.11), a logout or event token (RFC 8417), and the words of
    # Cognito and of Keycloak for it.
    if (
        any(name in claims for name in ("nonce", "at_hash", "c_hash", "s_hash", "events"))
        or claims.get("token_use", "access") != "access"
        or claims.get("typ", "Bearer") != "Bearer"
    ):
        raise InvalidToken("not_an_access_token")


def _string(claims: dict[str, Any], name: str) -> str:
    if name not in claims:
        raise InvalidToken(f"{name}_missing")
    value = claims[name]
    if not _is_printable(value):
        raise InvalidToken(f"{name}_malformed")
    text: str = value
    return text


def _is_printable(value: object) -> bool:
    return isinstance(value, str) and _PRINTABLE.fullmatch(value) is not None


def _is_strings(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(member, str) for member in value)


def _date(claims: dict[str, Any], name: str) -> float:
    # RFC 7519 section 2: NumericDate is a JSON number; True is none, though Python counts with it.
    value = claims[name]
    if type(value) not in (int, float) or not 0 <= value <= MAX_DATE:
        raise InvalidToken(f"{name}_malformed")
    seconds: float = value
    return seconds
