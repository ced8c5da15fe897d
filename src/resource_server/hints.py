"""A refusal -> a hint for the developer: what the token has, what the settings accept, and the remedy of the reason.

Reads the token once more, so a refusal pays for it only where someone reads the hint: with DEBUG on, or with a log at
level DEBUG. Shows only issuer, audience, type, algorithm, key identifier and dates, each in printable ASCII and cut to
100 characters.
"""

from collections.abc import Mapping
from typing import Final

from resource_server.errors import AuthorizationError, Unavailable
from resource_server.reasons import Reason, TokenReason
from resource_server.server import current
from resource_server.tokens.credentials import Credentials
from resource_server.tokens.facts import MEMBERS, Fact, other_kind, seems_id_token, token_facts
from resource_server.tokens.jws import parse

__all__ = ["hint"]

# A reason -> the members that it compares. Other reasons have a remedy alone.
_COMPARED: Final[Mapping[Reason, tuple[str, ...]]] = {
    TokenReason.ALG_NOT_ALLOWED: ("alg",),
    TokenReason.TYP_NOT_ACCEPTED: ("typ",),
    TokenReason.KID_MALFORMED: ("kid",),
    TokenReason.KID_MISSING: ("kid", "alg"),
    TokenReason.KEY_UNKNOWN: ("kid", "alg"),
    TokenReason.SIGNATURE_INVALID: ("kid", "alg"),
    TokenReason.ISS_MISSING: ("iss",),
    TokenReason.ISS_MALFORMED: ("iss",),
    TokenReason.ISSUER_NOT_TRUSTED: ("iss",),
    TokenReason.AUD_MISSING: ("aud",),
    TokenReason.AUD_MALFORMED: ("aud",),
    TokenReason.AUDIENCE_NOT_ACCEPTED: ("aud",),
    TokenReason.EXP_MISSING: ("exp",),
    TokenReason.EXP_MALFORMED: ("exp",),
    TokenReason.TOKEN_EXPIRED: ("exp",),
    TokenReason.NBF_MALFORMED: ("nbf",),
    TokenReason.TOKEN_NOT_YET_VALID: ("nbf",),
    TokenReason.IAT_MALFORMED: ("iat",),
    TokenReason.TOKEN_ISSUED_IN_FUTURE: ("iat",),
}
# A member -> the setting, or the other thing, that it is compared with.
_EXPECTING: Final[Mapping[str, str]] = {
    "alg": "ALGORITHMS accepts",
    "typ": "TOKEN_TYPE accepts",
    "kid": "the issuer's keys are",
    "iss": "ISSUER is",
    "aud": "AUDIENCE accepts",
    "exp": "with CLOCK_SKEW_SECONDS it must be",
    "nbf": "with CLOCK_SKEW_SECONDS it must be",
    "iat": "with CLOCK_SKEW_SECONDS it must be",
}


def hint(error: AuthorizationError, credentials: Credentials | None) -> str:
    """The hint for a refusal, on one line. `credentials` are those that were refused, None for none.

    Raises nothing. Holds no token and no subject, but can name an internal address: not for callers in production.
    """
    sides = error.outcome if isinstance(error, Unavailable) else _sides(error.reason, credentials)
    return f"{sides}. {error.reason.remedy}" if sides else error.reason.remedy


def _sides(reason: Reason, credentials: Credentials | None) -> str:
    compared = _COMPARED.get(reason, ())
    if credentials is None or not (compared or reason == TokenReason.NOT_AN_ACCESS_TOKEN):
        return ""
    try:
        token, issuers = parse(credentials.unverified_token), current().verifier.issuers
    except AuthorizationError:
        return ""
    name = token.unverified_claims.get("iss")
    issuer = next((issuer for issuer in issuers if issuer.policy.issuer == name), None)
    if reason == TokenReason.NOT_AN_ACCESS_TOKEN:
        return other_kind(token, issuer.policy) if issuer is not None else ""
    facts = dict(zip(MEMBERS, token_facts(token, issuers, issuer), strict=True))
    sides = [_text(member, facts[member]) for member in compared]
    if reason == TokenReason.TYP_NOT_ACCEPTED and seems_id_token(token):
        sides.append("this seems to be an ID token, so change no setting: send the access token")
    return "; ".join(sides)


def _text(member: str, fact: Fact) -> str:
    text = f"this token has no {fact.name}" if fact.found == "absent" else f"this token's {fact.name} is {fact.found}"
    if fact.expected:
        text += f"; {_EXPECTING[member]} {fact.expected}"
    return f"{text}; it {fact.difference}" if fact.difference else text
