"""The answer of an introspection endpoint -> claims (RFC 7662 section 2.2, RFC 9701 section 5).

An answer that cannot be understood or believed is no verdict. An answer about an active token is completed with what
RFC 7662 leaves out, so that the rules for a JWT can judge it.
"""

import json
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from typing import Any, Final

from resource_server.errors import InvalidToken, Unavailable
from resource_server.keys.answer import Answer
from resource_server.keys.document import parse_document
from resource_server.keys.fetch_outcome import status_outcome
from resource_server.reasons import TokenReason, UnavailableReason
from resource_server.tokens.introspection_policy import MAX_CACHE_SECONDS, IntrospectionPolicy
from resource_server.tokens.jws import UnverifiedToken
from resource_server.tokens.policy import Policy, media_type, without_nulls
from resource_server.tokens.rules import RULES

__all__ = [
    "SIGNED_TYPE",
    "IntrospectionAnswer",
    "active_token",
    "judge_signed",
    "judging_policy",
    "members_of",
    "parse_members",
    "signed_members",
]

SIGNED_TYPE: Final = "application/token-introspection+jwt"

# RFC 6749 section 5.2, for a client that is not known, may not ask, or has proved nothing.
_REFUSALS = frozenset({"invalid_client", "unauthorized_client", "access_denied"})
# RFC 7662 section 2.2 means the types of RFC 6749 section 7.1. Some issuers name the kind of token in its place.
_ACCESS_TOKEN_TYPES = frozenset({"bearer", "dpop", "access_token", "urn:ietf:params:oauth:token-type:access_token"})
# RFC 7662 section 2.2: a member that is not known is left out. Some issuers send an empty text or list instead. Not
# `username`, which a person may choose: without it the token would be a machine's.
_EMPTY_IF_UNKNOWN = frozenset({"iss", "sub", "aud", "client_id", "jti", "token_type"})
_ACCESS_TOKEN_USES = frozenset({"access_token", "access"})


@dataclass(frozen=True, slots=True, kw_only=True)
class IntrospectionAnswer:
    """The members of an answer about an active token, None if the token is not active.

    `asked_at` is when the issuer was asked, in seconds since 1970: the answer may be as old as the question.
    """

    members: dict[str, Any] | None = field(repr=False)
    asked_at: float

    def life_seconds(self, active_seconds: float) -> float:
        """How long an answer about an active token may be kept, in seconds from the question: `active_seconds` at most.

        RFC 7662 section 4: not beyond the `exp` in it, without any skew. Later the issuer is asked anew.
        """
        expires_at: Any = (self.members or {}).get("exp")
        # Compared first: a number of 400 digits cannot be subtracted from. Python counts with True.
        if type(expires_at) not in (int, float) or expires_at >= self.asked_at + active_seconds:
            return active_seconds
        return 0.0 if expires_at <= self.asked_at else float(expires_at - self.asked_at)


def members_of(answer: Answer) -> bytes:
    """The body of an answer that holds members. Raises Unavailable.

    `introspection_refused`: the issuer does not accept the credentials of this API (some say so with an empty body);
    `fetch_status`: any other status than 200. Some issuers say of an unknown token that it is not active with a status
    of an error: that is a verdict.
    """
    if 400 <= answer.status < 500 and _is_inactive(answer.body):
        return answer.body
    error = _error(answer.body)
    if answer.status in (401, 403) or error in _REFUSALS or (answer.status == 200 and not answer.body.strip()):
        said = f", {error}" if error in _REFUSALS else "" if answer.body.strip() else " with an empty body"
        raise Unavailable(
            UnavailableReason.INTROSPECTION_REFUSED,
            retry_after=answer.retry_after,
            outcome=f"{status_outcome(answer.status)}{said}",
        )
    if answer.status != 200:
        raise Unavailable(
            UnavailableReason.FETCH_STATUS, retry_after=answer.retry_after, outcome=status_outcome(answer.status)
        )
    return answer.body


def parse_members(body: bytes) -> dict[str, Any] | None:
    """The members of an unsigned answer, None if the token is not active. Raises Unavailable (`document_malformed`)."""
    try:
        members = parse_document(body)
    except ValueError:
        raise Unavailable(UnavailableReason.DOCUMENT_MALFORMED, outcome="not a JSON object") from None
    return _if_active(members)


def judge_signed(token: UnverifiedToken, policy: Policy, now: float) -> None:
    """Refuse a signed answer whose header, or whose date, no good answer has (RFC 9701 section 5).

    Raises InvalidToken. Does not verify the signature.
    """
    judging = replace(policy, token_types=(media_type(SIGNED_TYPE),))
    for rule in RULES:
        if rule.is_of_header:
            rule.check(token, judging, now)
    if token.unverified_claims.get("iss") != policy.issuer:
        raise InvalidToken(TokenReason.ISSUER_NOT_TRUSTED)
    issued_at: Any = token.unverified_claims.get("iat")
    if type(issued_at) not in (int, float):
        raise InvalidToken(TokenReason.IAT_MALFORMED)
    # An older one may be a recording of what was true before a revocation.
    if not -policy.clock_skew_seconds <= now - issued_at <= MAX_CACHE_SECONDS + policy.clock_skew_seconds:
        raise InvalidToken(TokenReason.TOKEN_EXPIRED)


def signed_members(claims: dict[str, Any], names: Collection[str]) -> dict[str, Any] | None:
    """The members in a signed answer whose signature is verified, None if the token is not active.

    `names` are those of this API: its client and its audience. Raises InvalidToken (`audience_not_accepted`) for an
    answer to another one, and Unavailable (`document_malformed`).
    """
    audience, members = claims.get("aud"), claims.get("token_introspection")
    if not any(name in names for name in (audience if isinstance(audience, list) else [audience])):
        raise InvalidToken(TokenReason.AUDIENCE_NOT_ACCEPTED)
    if not isinstance(members, dict):
        raise Unavailable(UnavailableReason.DOCUMENT_MALFORMED, outcome="token_introspection is not a JSON object")
    return _if_active(members)


def judging_policy(policy: Policy) -> Policy:
    """The policy for answers: that of the issuer's JWTs, without claims that its JWTs alone have.

    The subject of a machine may be its client (RFC 7662 section 2.2 requires no `sub`); a person has a subject. Without
    `sub` nothing else tells a machine: a person may choose the value of another claim, such as the name of a client.
    """
    names = policy.claim_names
    clients = tuple(name for name in names.client_id if name != names.subject)
    return replace(
        policy,
        access_token_claims=frozenset(),
        kind_claims=tuple(each for each in policy.kind_claims if each[0] != "token_use"),  # see `_judge_type`
        is_machine=lambda claims, subject, client_id: "sub" in claims and policy.is_machine(claims, subject, client_id),
        claim_names=replace(names, client_as_subject=names.client_as_subject or clients),
    )


def active_token(answer: IntrospectionAnswer, policy: Policy, asked: IntrospectionPolicy) -> UnverifiedToken:
    """The active token of an answer in the form that the rules judge; `policy` is a `judging_policy`.

    An answer that names no issuer is of the one that was asked. Raises InvalidToken: `token_inactive`,
    `not_an_access_token`, `proof_not_supported` for a DPoP token without its key. Judges no claim.
    """
    if answer.members is None:
        raise InvalidToken(TokenReason.TOKEN_INACTIVE)
    claims = {"iss": policy.issuer, **_without_empty(without_nulls(answer.members))}
    _judge_type(claims)
    if "aud" in asked.may_lack:
        claims.setdefault(policy.claim_names.audience, policy.audience[0])
    if "exp" in asked.may_lack:
        claims.setdefault("exp", answer.asked_at + MAX_CACHE_SECONDS)
    return UnverifiedToken(unverified_header={}, unverified_claims=claims, signing_input=b"", signature=b"")


def _without_empty(members: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if name not in _EMPTY_IF_UNKNOWN or value not in ("", [])}


def _judge_type(members: dict[str, Any]) -> None:
    kind, use = members.get("token_type"), members.get("token_use")
    # A refresh token can be active too.
    if kind is not None and not (isinstance(kind, str) and kind.lower() in _ACCESS_TOKEN_TYPES):
        raise InvalidToken(TokenReason.NOT_AN_ACCESS_TOKEN)
    if use is not None and not (isinstance(use, str) and use in _ACCESS_TOKEN_USES):
        raise InvalidToken(TokenReason.NOT_AN_ACCESS_TOKEN)
    # RFC 9449 section 6.2: without its key the token would pass as a bearer token.
    if isinstance(kind, str) and kind.lower() == "dpop" and members.get("cnf") is None:
        raise InvalidToken(TokenReason.PROOF_NOT_SUPPORTED)


def _if_active(members: dict[str, Any]) -> dict[str, Any] | None:
    active = members.get("active")
    if not isinstance(active, bool):
        raise Unavailable(UnavailableReason.DOCUMENT_MALFORMED, outcome="active is not a boolean")
    try:
        json.dumps(members)
    except ValueError:
        # Python writes no integer of more than some thousand digits, and answers are written to be shared.
        raise Unavailable(UnavailableReason.DOCUMENT_MALFORMED, outcome="a number is too long") from None
    return members if active else None


def _error(body: bytes) -> object:
    error = _members(body).get("error")
    return error if isinstance(error, str) else None


def _is_inactive(body: bytes) -> bool:
    members = _members(body)
    return members.get("active") is False and "error" not in members


def _members(body: bytes) -> dict[str, Any]:
    try:
        return parse_document(body)
    except ValueError:
        return {}
