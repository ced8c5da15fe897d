"""A logout token -> whose session ended (OpenID Connect Back-Channel Logout 1.0 section 2.6).

The rules of an access token that apply are those of `RULES`; the rules of logout tokens alone follow them.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

from resource_server.errors import InvalidLogoutToken
from resource_server.flow import Flow
from resource_server.reasons import LogoutReason
from resource_server.tokens.issuers import Issuer
from resource_server.tokens.jws import UnverifiedToken, parse, verify_signature
from resource_server.tokens.policy import ClaimNames, Policy
from resource_server.tokens.rules import RULES, Rule, claimed_issuer

__all__ = ["LOGOUT_RULES", "LogoutToken", "verify_logout_token"]

LOGOUT_EVENT: Final = "http://schemas.openid.net/event/backchannel-logout"
MAX_NAME_CHARACTERS = 512
_SPECIFICATION = "OpenID Connect Back-Channel Logout 1.0 section"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class LogoutToken:
    """The verified claims of a logout token; at least one of `subject` and `session` is there."""

    issuer: str
    subject: str | None
    session: str | None
    jti: str
    issued_at: float
    expires_at: float


def verify_logout_token(
    token: str, find_issuer: Callable[[str], Flow[Issuer]], now: Callable[[], float]
) -> Flow[LogoutToken]:
    """Verify a logout token, as a flow for `run` or `arun`. `now` is in seconds since 1970.

    Raises AuthorizationError: InvalidToken, InvalidLogoutToken, or Unavailable if no verdict was reached. Does not
    judge whether the token was used before.
    """
    unverified = parse(token)
    issuer = yield from find_issuer(claimed_issuer(unverified))
    policy = _policy(issuer.policy)
    _judge(unverified, policy, now())
    header = unverified.unverified_header
    keys = yield from issuer.keys.find(header.get("kid"), header["alg"])
    _judge(unverified, policy, now())  # the fetch may have taken seconds
    verify_signature(unverified, keys)
    claims = unverified.unverified_claims
    return LogoutToken(
        issuer=policy.issuer,
        subject=claims.get("sub"),
        session=claims.get("sid"),
        jti=claims["jti"],
        issued_at=claims["iat"],
        expires_at=claims["exp"],
    )


def _policy(policy: Policy) -> Policy:
    """The policy for an issuer's logout tokens. They are for a client, whose names the settings give (section 2.4)."""
    return replace(
        policy,
        audience=policy.logout_audience,
        # An explicit type is recommended, not required (section 2.4).
        token_types=("logout+jwt", "jwt"),
        claim_names=ClaimNames(),
    )


def _judge(token: UnverifiedToken, policy: Policy, now: float) -> None:
    for rule in LOGOUT_RULES:
        rule.check(token, policy, now)


def _times(token: UnverifiedToken, policy: Policy, now: float) -> None:
    # `iat` says up to when tokens are revoked, so it is compulsory here; `exp` is by a rule of its own.
    if token.unverified_claims.get("iat") is None:
        raise InvalidLogoutToken(LogoutReason.LOGOUT_IAT_MISSING)


def _event(token: UnverifiedToken, policy: Policy, now: float) -> None:
    events: Any = token.unverified_claims.get("events")
    if not isinstance(events, dict) or not isinstance(events.get(LOGOUT_EVENT), dict):
        raise InvalidLogoutToken(LogoutReason.LOGOUT_EVENT_MISSING)


def _nonce(token: UnverifiedToken, policy: Policy, now: float) -> None:
    # It would be an ID token that passes for a logout token.
    if "nonce" in token.unverified_claims:
        raise InvalidLogoutToken(LogoutReason.LOGOUT_NONCE_PRESENT)


def _names(token: UnverifiedToken, policy: Policy, now: float) -> None:
    claims = token.unverified_claims
    subject, session = claims.get("sub"), claims.get("sid")
    if subject is None and session is None:
        raise InvalidLogoutToken(LogoutReason.LOGOUT_SUBJECT_MISSING)
    if subject is not None:
        _RULE["subject"].check(token, policy, now)
    if session is not None and not _is_name(session):
        raise InvalidLogoutToken(LogoutReason.LOGOUT_SID_MALFORMED)


def _jti(token: UnverifiedToken, policy: Policy, now: float) -> None:
    if not _is_name(token.unverified_claims.get("jti")):
        raise InvalidLogoutToken(LogoutReason.LOGOUT_JTI_MALFORMED)


def _is_name(value: object) -> bool:
    return isinstance(value, str) and 1 <= len(value) <= MAX_NAME_CHARACTERS


_RULE: Final = {rule.name: rule for rule in RULES}
# An access token's rules about scopes, clients, kinds and proofs say nothing about a logout token.
_SHARED: Final = (
    "header extensions",
    "algorithm",
    "token type",
    "key identifier",
    "issuer",
    "expiry",
    "not before",
    "issued at",
    "audience",
)
LOGOUT_RULES: Final = (
    *(_RULE[name] for name in _SHARED),
    Rule(name="time of logout", source=f"{_SPECIFICATION} 2.4", check=_times),
    Rule(name="logout event", source=f"{_SPECIFICATION} 2.6 step 6", check=_event),
    Rule(name="no nonce", source=f"{_SPECIFICATION} 2.6 step 7", check=_nonce),
    Rule(name="subject or session", source=f"{_SPECIFICATION} 2.6 step 5", check=_names),
    Rule(name="token identifier", source=f"{_SPECIFICATION} 2.4", check=_jti),
)
