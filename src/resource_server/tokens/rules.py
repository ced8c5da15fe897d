"""The rules that an access token must meet, in order: each with its name and its source (RFC 7515, 7519, 8725, 9068).

`RULES` is the one list: the rules of the header, then those of the claims. `judge` runs it until a rule refuses;
`explain.py` runs all of it. A rule reads unverified values and only ever refuses, so the rules come before the key is
looked for. A reason names a claim as the RFC does, whatever the policy calls it. An optional claim that is null is
absent, and a claim that no rule needs is not judged.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final, TypeAlias

from resource_server.errors import InvalidToken
from resource_server.reasons import TokenReason
from resource_server.tokens.jws import UnverifiedToken
from resource_server.tokens.policy import Policy, media_type, without_nulls

__all__ = ["RULES", "Rule", "claimed_issuer", "judge", "judge_claims", "named"]

MAX_KID_CHARACTERS = 512
# OpenID Connect Core section 2: a subject has at most 255 characters.
MAX_SUBJECT_CHARACTERS = 255
# The end of the year 9999: later dates overflow where they are shown.
MAX_DATE = 253_402_300_799

# Control characters have no place in a name, and NUL is an error in PostgreSQL.
_PRINTABLE = re.compile(r"[^\x00-\x1f\x7f-\x9f]+")
_STRING = frozenset({str})
# RFC 7638, RFC 8705 section 3.1: the base64url of a SHA-256 digest.
_THUMBPRINT = re.compile(r"[A-Za-z0-9_-]{43}")
# The members of `cnf` whose proof can be verified (RFC 9449 section 6.1, RFC 8705 section 3.1).
_CONFIRMATION_METHODS = frozenset({"jkt", "x5t#S256"})
# RFC 7519 section 2: a NumericDate is a JSON number. Python counts with True, so the type is compared.
_NUMBERS = (int, float)

# Raises InvalidToken, else returns nothing. The last argument is the time in seconds since 1970.
Check: TypeAlias = Callable[[UnverifiedToken, Policy, float], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule: what it is about, where it is written, and its check.

    A rule of the header (`is_of_header`) reads the header and the policy alone, so it need not run again for a header
    that has passed under the same policy.
    """

    name: str
    source: str
    check: Check
    is_of_header: bool = False


def judge(token: UnverifiedToken, policy: Policy, now: float) -> None:
    """Refuse a token that the policy cannot accept, whatever its signature. `now` is in seconds since 1970.

    If the policy's claim names are not plain, the token is one that `named` returned. Raises InvalidToken with the
    reason of the first rule that refuses. Does not verify the signature or a proof, and does not judge scopes.
    """
    for check in _HEADER_CHECKS:
        check(token, policy, now)
    judge_claims(token, policy, now)


def judge_claims(token: UnverifiedToken, policy: Policy, now: float) -> None:
    """`judge` without the rules of the header, for a token whose header has passed under this policy."""
    for check in _CLAIM_CHECKS:
        check(token, policy, now)


def named(token: UnverifiedToken, policy: Policy) -> UnverifiedToken:
    """The token with each claim under the policy's name for it, as the rules read it."""
    return replace(token, unverified_claims=policy.claim_names.resolve(token.unverified_claims))


def claimed_issuer(token: UnverifiedToken) -> str:
    """The issuer that the token claims, to find its policy. Raises InvalidToken (`iss_missing`, `iss_malformed`)."""
    issuer: Any = token.unverified_claims.get("iss")
    if not _is_printable(issuer):
        missing = "iss" not in token.unverified_claims
        raise InvalidToken(TokenReason.ISS_MISSING if missing else TokenReason.ISS_MALFORMED)
    name: str = issuer
    return name


def _extensions(token: UnverifiedToken, policy: Policy, now: float) -> None:
    # An extension that is not understood must be refused, and none is understood here.
    header = token.unverified_header
    if "crit" in header or "b64" in header or "zip" in header:
        raise InvalidToken(TokenReason.HEADER_NOT_SUPPORTED)


def _algorithm(token: UnverifiedToken, policy: Policy, now: float) -> None:
    # The policy says which algorithms there are; the token only names one of them.
    if token.unverified_header.get("alg") not in policy.algorithms:
        raise InvalidToken(TokenReason.ALG_NOT_ALLOWED)


def _type(token: UnverifiedToken, policy: Policy, now: float) -> None:
    # An explicit type keeps one kind of token from passing for another.
    if _media_type(token) not in policy.token_types:
        raise InvalidToken(TokenReason.TYP_NOT_ACCEPTED)


def _key_id(token: UnverifiedToken, policy: Policy, now: float) -> None:
    kid = token.unverified_header.get("kid", "none")
    if not isinstance(kid, str) or not 1 <= len(kid) <= MAX_KID_CHARACTERS:
        raise InvalidToken(TokenReason.KID_MALFORMED)


def _issuer(token: UnverifiedToken, policy: Policy, now: float) -> None:
    # Compared exactly, without normalising.
    if token.unverified_claims.get("iss") != policy.issuer:
        claimed_issuer(token)
        raise InvalidToken(TokenReason.ISSUER_NOT_TRUSTED)


def _expiry(token: UnverifiedToken, policy: Policy, now: float) -> None:
    claims = token.unverified_claims
    if "exp" not in claims:
        raise InvalidToken(TokenReason.EXP_MISSING)
    expires_at = claims["exp"]
    if type(expires_at) not in _NUMBERS or not 0 <= expires_at <= MAX_DATE:
        raise InvalidToken(TokenReason.EXP_MALFORMED)
    # Not on or after `exp`.
    if now >= expires_at + policy.clock_skew_seconds:
        raise InvalidToken(TokenReason.TOKEN_EXPIRED)


def _not_before(token: UnverifiedToken, policy: Policy, now: float) -> None:
    claims = token.unverified_claims
    if "nbf" not in claims:
        return
    starts_at = claims["nbf"]
    if starts_at is None:
        return
    if type(starts_at) not in _NUMBERS or not 0 <= starts_at <= MAX_DATE:
        raise InvalidToken(TokenReason.NBF_MALFORMED)
    if now < starts_at - policy.clock_skew_seconds:
        raise InvalidToken(TokenReason.TOKEN_NOT_YET_VALID)


def _issued_at(token: UnverifiedToken, policy: Policy, now: float) -> None:
    claims = token.unverified_claims
    if "iat" not in claims:
        return
    issued_at = claims["iat"]
    if issued_at is None:
        return
    if type(issued_at) not in _NUMBERS or not 0 <= issued_at <= MAX_DATE:
        raise InvalidToken(TokenReason.IAT_MALFORMED)
    if now < issued_at - policy.clock_skew_seconds:
        raise InvalidToken(TokenReason.TOKEN_ISSUED_IN_FUTURE)


def _audience(token: UnverifiedToken, policy: Policy, now: float) -> None:
    claims, name = token.unverified_claims, policy.claim_names.audience
    if name not in claims:
        raise InvalidToken(TokenReason.AUD_MISSING)
    audience = claims[name]
    if isinstance(audience, str):
        audience = (audience,)
    elif not audience or not _is_strings(audience):
        raise InvalidToken(TokenReason.AUD_MALFORMED)
    for member in audience:
        if member in policy.audience:
            return
    raise InvalidToken(TokenReason.AUDIENCE_NOT_ACCEPTED)


def _subject(token: UnverifiedToken, policy: Policy, now: float) -> None:
    claims, name = token.unverified_claims, policy.claim_names.subject
    if name not in claims:
        raise InvalidToken(TokenReason.SUB_MISSING)
    subject = claims[name]
    if not _is_printable(subject) or len(subject) > MAX_SUBJECT_CHARACTERS:
        raise InvalidToken(TokenReason.SUB_MALFORMED)


def _client_id(token: UnverifiedToken, policy: Policy, now: float) -> None:
    claims = token.unverified_claims
    for name in policy.claim_names.client_id:
        if name in claims and (client_id := claims[name]) is not None:
            if not _is_printable(client_id):
                raise InvalidToken(TokenReason.CLIENT_ID_MALFORMED)
            return  # the others do not count


def _scope(token: UnverifiedToken, policy: Policy, now: float) -> None:
    claims = token.unverified_claims
    for name in policy.claim_names.scope:
        if name in claims and (scopes := claims[name]) is not None:
            if not (isinstance(scopes, str) or _is_strings(scopes)):
                raise InvalidToken(TokenReason.SCOPE_MALFORMED)
            return  # as above


def _kind(token: UnverifiedToken, policy: Policy, now: float) -> None:
    # A token without a type of its own can be of any kind; claims that other kinds alone have tell it.
    if token.unverified_header.get("typ") == "at+jwt" or _media_type(token) != "jwt":
        return
    claims = token.unverified_claims
    if None in claims.values():
        claims = without_nulls(claims)
    if not policy.foreign_claims.isdisjoint(claims) and _is_foreign(claims, policy):
        raise InvalidToken(TokenReason.NOT_AN_ACCESS_TOKEN)
    if policy.access_token_claims and policy.access_token_claims.isdisjoint(claims):
        raise InvalidToken(TokenReason.NOT_AN_ACCESS_TOKEN)
    for name, kind in policy.kind_claims:
        if not _is_kind(claims, name, kind, policy):
            raise InvalidToken(TokenReason.NOT_AN_ACCESS_TOKEN)
    if policy.machines_only and not _is_machine(claims, policy):
        raise InvalidToken(TokenReason.NOT_AN_ACCESS_TOKEN)


def _confirmation(token: UnverifiedToken, policy: Policy, now: float) -> None:
    # As a bearer token it may be a stolen one, so a method that cannot be verified refuses it.
    claims = token.unverified_claims
    if "cnf" not in claims:
        return
    confirmation = claims["cnf"]
    # An empty `cnf` names no holder.
    if not isinstance(confirmation, dict) or not confirmation:
        raise InvalidToken(TokenReason.CNF_MALFORMED)
    if not _CONFIRMATION_METHODS.issuperset(confirmation) or (policy.dpop == "off" and "jkt" in confirmation):
        raise InvalidToken(TokenReason.PROOF_NOT_SUPPORTED)
    if not all(isinstance(value, str) and _THUMBPRINT.fullmatch(value) for value in confirmation.values()):
        raise InvalidToken(TokenReason.CNF_MALFORMED)


RULES: Final = (
    Rule(
        name="header extensions",
        source="RFC 7515 section 4.1.11, RFC 7797, RFC 7516",
        check=_extensions,
        is_of_header=True,
    ),
    Rule(name="algorithm", source="RFC 8725 section 3.1", check=_algorithm, is_of_header=True),
    Rule(name="token type", source="RFC 9068 section 4, RFC 8725 section 3.11", check=_type, is_of_header=True),
    Rule(name="key identifier", source="RFC 7515 section 4.1.4", check=_key_id, is_of_header=True),
    Rule(name="issuer", source="RFC 7519 section 4.1.1, RFC 9068 section 4", check=_issuer),
    Rule(name="expiry", source="RFC 7519 section 4.1.4, RFC 9068 section 4", check=_expiry),
    Rule(name="not before", source="RFC 7519 section 4.1.5", check=_not_before),
    Rule(name="issued at", source="RFC 7519 section 4.1.6", check=_issued_at),
    Rule(name="audience", source="RFC 7519 section 4.1.3, RFC 9068 section 4", check=_audience),
    Rule(name="subject", source="RFC 9068 section 2.2", check=_subject),
    Rule(name="client", source="RFC 9068 section 2.2", check=_client_id),
    Rule(name="scope", source="RFC 9068 section 2.2.3", check=_scope),
    Rule(name="kind of token", source="RFC 8725 section 3.12", check=_kind),
    Rule(name="confirmation", source="RFC 7800 section 3", check=_confirmation),
)
_HEADER_CHECKS: Final = tuple(rule.check for rule in RULES if rule.is_of_header)
_CLAIM_CHECKS: Final = tuple(rule.check for rule in RULES if not rule.is_of_header)


def _media_type(token: UnverifiedToken) -> str:
    # RFC 7519 section 5.1: `typ` is optional.
    typ = token.unverified_header.get("typ", "jwt")
    return media_type(typ) if isinstance(typ, str) else ""


def _is_kind(claims: dict[str, Any], name: str, kind: str | None, policy: Policy) -> bool:
    found = claims.get(name, kind)
    return found == kind or ("cnf" in claims and found in policy.bound_kinds)


def _is_foreign(claims: dict[str, Any], policy: Policy) -> bool:
    # An issuer that says in the token what it is may add the nonce to its access tokens, as Keycloak does.
    names_its_kind = any(
        kind is not None and name in claims and _is_kind(claims, name, kind, policy)
        for name, kind in policy.kind_claims
    )
    return not names_its_kind or policy.foreign_claims.intersection(claims) != {"nonce"}


def _is_machine(claims: dict[str, Any], policy: Policy) -> bool:
    names = policy.claim_names
    client_id = next((claims[name] for name in names.client_id if name in claims), None)
    return policy.is_machine(claims, str(claims.get(names.subject)), client_id)


def _is_printable(value: object) -> bool:
    # `isprintable` is stricter, except for the empty string; it is much faster and nearly always enough.
    return isinstance(value, str) and value != "" and (value.isprintable() or _PRINTABLE.fullmatch(value) is not None)


def _is_strings(value: object) -> bool:
    # In one step of the interpreter, where a generator is one for each member.
    return isinstance(value, list) and _STRING.issuperset(map(type, value))
