"""The issuers and keys that are trusted now, for people to read, and why a refresh failed."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from math import isfinite
from typing import Any

from resource_server.clocks import steady, time_of_day
from resource_server.errors import Unavailable
from resource_server.flow import run
from resource_server.reasons import UnavailableReason
from resource_server.server import current
from resource_server.tokens.issuers import Issuer

__all__ = ["TrustedIssuer", "TrustedKey", "trusted_issuers"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustedKey:
    """A key that verifies tokens now. `since` is when this process first had it; None for a key from the settings."""

    kid: str | None
    kty: str
    algorithms: tuple[str, ...]
    thumbprint: str | None
    since: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustedIssuer:
    """The keys of one issuer that are trusted now, and the policy for its tokens.

    `metadata` is None if the keys are not discovered; `error` is the reason of a failed refresh,
    `outcome` names the address and says how the attempt ended, and `next_attempt` is when the next may be. The keys are
    current until `current_until`. If the issuer is down then, they stay trusted until `trusted_until`. Both are None for keys
    from the settings, which do not expire.
    """

    issuer: str
    audience: tuple[str, ...]
    algorithms: tuple[str, ...]
    token_types: tuple[str, ...]
    keys: tuple[TrustedKey, ...]
    metadata: Mapping[str, Any] | None
    error: UnavailableReason | None
    outcome: str
    next_attempt: datetime | None
    current_until: datetime | None
    trusted_until: datetime | None


def trusted_issuers(*others: str) -> tuple[TrustedIssuer, ...]:
    """The issuers that are trusted now, with their keys.

    They are those listed, those that the project's function was asked for lately, and `others`.
    Fetches keys that are not known yet. Raises Unavailable if the settings are invalid, and InvalidToken if one of
    `others` is not trusted. Does not check whether an issuer can be reached now.
    """
    verifier = current().verifier
    for issuer in others:
        run(verifier.issuer(issuer))
    return tuple(_trusted(issuer) for issuer in verifier.issuers)


def _trusted(issuer: Issuer) -> TrustedIssuer:
    policy, keys = issuer.policy, issuer.keys
    try:
        trusted, error, outcome = run(keys.current()), keys.failure, keys.outcome
    except Unavailable as unavailable:
        trusted, error, outcome = None, unavailable.reason, unavailable.outcome

    def day(clock: float) -> datetime:
        return datetime.fromtimestamp(time_of_day() + clock - steady(), UTC)

    fetched = trusted is not None and policy.key_source.key_set is None
    return TrustedIssuer(
        issuer=policy.issuer,
        audience=policy.audience,
        algorithms=policy.algorithms,
        token_types=policy.token_types,
        keys=tuple(
            TrustedKey(
                kid=key.kid,
                kty=key.kty,
                algorithms=tuple(sorted(key.algorithms & set(policy.algorithms))),
                thumbprint=key.thumbprint,
                since=day(trusted.since[key.kid, key.thumbprint]) if fetched else None,
            )
            for key in trusted.keys.keys
        )
        if trusted is not None
        else (),
        metadata=trusted.metadata if trusted is not None else None,
        error=error,
        outcome=outcome,
        next_attempt=day(keys.retry_at) if error is not None and isfinite(keys.retry_at) else None,
        current_until=day(trusted.current_until) if trusted is not None and fetched else None,
        trusted_until=day(keys.ends_at) if fetched else None,
    )
