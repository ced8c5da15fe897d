"""How and when the person has signed in: `acr` and `auth_time` (RFC 9470)."""

import time
from dataclasses import dataclass
from typing import Any, Final

from resource_server.plain_texts import plain_text
from resource_server.reasons import StepUpReason
from resource_server.requirements.requirement import Operation, Requirement
from resource_server.requirements.rights import UNSET, given, is_scope
from resource_server.requirements.shortfall import Shortfall
from resource_server.tokens.access_token import AccessToken

__all__ = ["AuthenticationContext"]

# The clocks of issuer and API may differ by as much as CLOCK_SKEW_SECONDS may be: a later sign-in is no date.
_AHEAD_SECONDS: Final = 300
_MAX_AGE_SECONDS: Final = 10**9  # some thirty years


@dataclass(frozen=True, slots=True, init=False, repr=False)
class AuthenticationContext(Requirement):
    """A sign-in in one of the authentication contexts (`acr`), no longer ago than `max_age_seconds` (`auth_time`).

    Name every accepted context, the preferred one first: no context is known to include another. Without it the answer
    is 401 `insufficient_user_authentication`, so that the client lets the person sign in anew. Raises ValueError without
    a context and an age, and TypeError for an age that is None.
    """

    acr: tuple[str, ...]
    max_age_seconds: int | None

    def __init__(self, *acr: str, max_age_seconds: int = UNSET) -> None:
        age = given("max_age_seconds", max_age_seconds)
        if not acr and age is None:
            raise ValueError("name at least one authentication context, or max_age_seconds")
        if not all(map(is_scope, acr)):
            raise ValueError("an authentication context is printable ASCII without space, quote or backslash")
        if age is not None and (type(age) is not int or not 0 < age <= _MAX_AGE_SECONDS):
            raise ValueError(f"max_age_seconds is a whole number, 1 to {_MAX_AGE_SECONDS}")
        object.__setattr__(self, "acr", tuple(map(plain_text, acr)))
        object.__setattr__(self, "max_age_seconds", age)

    @property
    def words(self) -> str:
        parts = []
        if self.acr:
            parts.append(f"a sign-in with {' or '.join(f'`{value}`' for value in self.acr)}")
        if self.max_age_seconds is not None:
            parts.append(f"a sign-in in the last {self.max_age_seconds} s")
        return " and ".join(parts)

    def holds(self, token: AccessToken, operation: Operation) -> bool | None:
        values = (self._has_context(token), self._is_recent(token))
        return False if False in values else None if None in values else True

    def ways(self, token: AccessToken | None, operation: Operation) -> tuple[Shortfall, ...]:
        if token is None:
            return (Shortfall(is_narrowed=True),)
        has_context, is_recent = self._has_context(token), self._is_recent(token)
        reason = None
        if not has_context:
            reason = StepUpReason.AUTHENTICATION_CONTEXT_MISSING
        elif not is_recent:
            reason = StepUpReason.AUTHENTICATION_TOO_OLD
        # Named also where they are met: the next sign-in must not lose them.
        return (Shortfall(step_up=reason, acr_values=self.acr, max_age=self.max_age_seconds, is_narrowed=True),)

    def _has_context(self, token: AccessToken) -> bool | None:
        if not self.acr:
            return True
        value = token.claims.get("acr")
        return value in self.acr if isinstance(value, str) else None

    def _is_recent(self, token: AccessToken) -> bool | None:
        if self.max_age_seconds is None:
            return True
        signed_in: Any = token.claims.get("auth_time")
        # Python counts with True, so the type is compared.
        if type(signed_in) not in (int, float):
            return None
        # Compared without arithmetic on the claim: a signed number may be too large for a float.
        now = time.time()
        return None if signed_in > now + _AHEAD_SECONDS else bool(signed_in >= now - self.max_age_seconds)

    def __repr__(self) -> str:
        age = [] if self.max_age_seconds is None else [f"max_age_seconds={self.max_age_seconds}"]
        return f"AuthenticationContext({', '.join([*map(repr, self.acr), *age])})"
