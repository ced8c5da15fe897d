"""What a token claims beside what the settings expect, for people to read: the members that the rules compare.

Names no person and no scope, and holds no token. Nothing here is verified, and nothing decides.
"""

import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import product
from typing import Any, Final

from resource_server.tokens.issuers import Issuer
from resource_server.tokens.jws import UnverifiedToken
from resource_server.tokens.policy import Policy, without_nulls

__all__ = [
    "MEMBERS",
    "MEMBERS_OF_HEADER",
    "Fact",
    "dated",
    "only_policy",
    "other_kind",
    "seems_id_token",
    "shown",
    "token_facts",
]

# A forged claim can have thousands of characters.
MAX_SHOWN_CHARACTERS = 100
_DATES = ("exp", "nbf", "iat")
_OF_ID_TOKENS: Final = frozenset({"nonce", "at_hash", "c_hash", "s_hash"})
MEMBERS_OF_HEADER: Final = ("alg", "typ", "kid")
MEMBERS: Final = (*MEMBERS_OF_HEADER, "iss", "aud", *_DATES)
"""The members of a token that have a fact, in this order. The claim of the audience can have another name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """A value that the token claims and the one that the settings expect, in printable ASCII, 100 characters at most.

    `found` is unverified, and `absent` if the token has no such member. `expected` is empty if no policy is known.
    `difference` says what little an issuer or audience that is not accepted differs by; empty if there is more to it.
    """

    name: str
    found: str
    expected: str
    difference: str = ""


def token_facts(
    token: UnverifiedToken | None, issuers: Iterable[Issuer], issuer: Issuer | None = None
) -> tuple[Fact, ...]:
    """The facts about a token, one for each of MEMBERS. `issuer` is the one that it claims, None if that is not trusted."""
    if token is None:
        return ()
    issuers = tuple(issuers)
    policy = issuer.policy if issuer is not None else only_policy(issuers)
    audience = policy.claim_names.audience if policy is not None else "aud"
    names = [policy.issuer] if policy is not None else [each.policy.issuer for each in issuers if each.is_listed]
    compared = {"iss": names, audience: policy.audience if policy is not None else ()}
    expected = {name: _listed(values) for name, values in compared.items()}
    if policy is not None:
        expected |= _expected(policy, issuer)
    header, claims = token.unverified_header, token.unverified_claims
    if policy is not None:
        claims = policy.claim_names.resolve(claims)
    named = (*((name, header) for name in MEMBERS_OF_HEADER), *((name, claims) for name in ("iss", audience, *_DATES)))
    return tuple(
        Fact(
            name=name,
            found=_cut(_found(name, members)),
            expected=_cut(expected.get(name, "")),
            difference=_difference(members.get(name), compared.get(name, ())),
        )
        for name, members in named
    )


def only_policy(issuers: Iterable[Issuer]) -> Policy | None:
    """The policy of the only issuer, to judge a token of an unknown issuer by; None if there are several."""
    issuers = tuple(issuers)
    return issuers[0].policy if len(issuers) == 1 and issuers[0].is_listed else None


def other_kind(token: UnverifiedToken, policy: Policy) -> str:
    """What shows that a token is not an access token, in words without values; empty if nothing does."""
    claims = without_nulls(policy.claim_names.resolve(token.unverified_claims))
    if policy.access_token_claims and policy.access_token_claims.isdisjoint(claims):
        names = _listed(sorted(policy.access_token_claims))
        return f"this token has none of the claims {names}, and an access token has one"
    for name, kind in policy.kind_claims:
        if claims.get(name, kind) != kind:
            return f"this token has the claim {name!r}, " + (
                "as no access token has" if kind is None else f"which is {kind!r} in an access token"
            )
    if foreign := sorted(policy.foreign_claims.intersection(claims)):
        return f"this token has {_listed(foreign)}, as an ID or logout token has"
    return "this token is a person's, and those of PROVIDER are machines'" if policy.machines_only else ""


def shown(value: object) -> str:
    """A value that a client has sent, in printable ASCII, 100 characters at most."""
    return _cut(ascii(value))


def dated(value: object) -> str:
    """`shown` for a number of seconds since 1970: the day follows it."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        with suppress(ArithmeticError, OSError, ValueError):  # beyond the dates that this machine has
            return f"{value!r} ({_day(value)})"
    return shown(value)


def seems_id_token(token: UnverifiedToken) -> bool:
    """Whether a token has the type of any JWT and claims of ID tokens, and does not say that it is an access token."""
    claims = token.unverified_claims
    typ = token.unverified_header.get("typ", "JWT")
    # Keycloak's access tokens may have a nonce too, and a claim `typ` that names their kind.
    return typ == "JWT" and claims.get("typ") != "Bearer" and not _OF_ID_TOKENS.isdisjoint(without_nulls(claims))


def _expected(policy: Policy, issuer: Issuer | None) -> dict[str, str]:
    key_set = issuer.keys.key_set if issuer is not None else None
    kids = [key.kid for key in key_set.keys if key.kid is not None] if key_set is not None else []
    earliest, latest = (_day(time.time() + skew) for skew in (-policy.clock_skew_seconds, policy.clock_skew_seconds))
    return {
        "alg": _listed(policy.algorithms),
        "typ": _listed(policy.token_types),
        "kid": _listed(kids),
        "exp": f"after {earliest}",
        "nbf": f"not after {latest}",
        "iat": f"not after {latest}",
    }


def _difference(found: object, expected: Sequence[str]) -> str:
    values = [value for value in (found if isinstance(found, list) else [found]) if isinstance(value, str)]
    if not any(value in expected for value in values):
        for one, other in product(values, expected):
            if one.rstrip("/") == other.rstrip("/"):
                return "differs only by the slash at the end"
            if one.casefold() == other.casefold():
                return "differs only by upper and lower case"
            if "://" in one and one.partition("://")[2] == other.partition("://")[2]:
                return "differs only by the scheme"
    return ""


def _found(name: str, members: Mapping[str, Any]) -> str:
    if name not in members:
        return "absent"
    # Printable ASCII: a forged claim must not move the cursor or the colours of a terminal.
    return dated(members[name]) if name in _DATES else ascii(members[name])


def _listed(values: Iterable[str]) -> str:
    return " ".join(map(ascii, values))


def _day(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _cut(text: str) -> str:
    return text if len(text) <= MAX_SHOWN_CHARACTERS else f"{text[: MAX_SHOWN_CHARACTERS - 3]}..."
