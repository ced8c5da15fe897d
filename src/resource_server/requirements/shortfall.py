"""What a token lacks of a requirement, and the error that says so (RFC 6750 section 3.1, RFC 9470 section 3)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from resource_server.errors import InsufficientScope, InsufficientUserAuthentication, Rejected
from resource_server.reasons import ScopeReason, StepUpReason

__all__ = ["Shortfall"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shortfall:
    """The rights that a token lacks on one way in.

    `scopes` are all that the way needs; `missing` lack, and of `missing_any` one would do. `acr_values` and `max_age` are
    those that the way needs, `step_up` the reason why another sign-in must meet them. `others` are rights, in words, that
    the caller cannot ask for.
    """

    scopes: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    missing_any: tuple[str, ...] = ()
    step_up: StepUpReason | None = None
    acr_values: tuple[str, ...] = ()
    max_age: int | None = None
    others: tuple[str, ...] = ()

    @property
    def is_short(self) -> bool:
        """Whether anything lacks."""
        return bool(self.missing or self.missing_any or self.others) or self.step_up is not None

    @classmethod
    def of_all(cls, parts: Sequence["Shortfall"]) -> "Shortfall":
        """All of the shortfalls together."""
        ages = [part.max_age for part in parts if part.max_age is not None]
        return cls(
            scopes=_joined(part.scopes for part in parts),
            missing=_joined(part.missing for part in parts),
            missing_any=next((part.missing_any for part in parts if part.missing_any), ()),
            step_up=next((part.step_up for part in parts if part.step_up is not None), None),
            acr_values=_common([part.acr_values for part in parts if part.acr_values]),
            max_age=min(ages, default=None),
            others=_joined(part.others for part in parts),
        )

    @classmethod
    def least(cls, ways: Sequence["Shortfall"]) -> "Shortfall":
        """The way in that is open; else the first for which other scopes or another sign-in are enough; else the first."""
        return min(ways, key=lambda way: (bool(way.others), way.is_short))

    @staticmethod
    def without_token(scopes: tuple[str, ...]) -> InsufficientScope:
        """The error for a credential that is not a verified token, and so has no rights."""
        return InsufficientScope(ScopeReason.TOKEN_MISSING, scopes=scopes)

    def error(self) -> Rejected:
        """The refusal. It names no scopes if more scopes would not help, or a client would ask for them again and again."""
        if self.others:
            return InsufficientScope(ScopeReason.RIGHT_MISSING, scopes=(), missing=self.others)
        if self.missing:
            return InsufficientScope(ScopeReason.SCOPE_MISSING, scopes=self.scopes, missing=self.missing)
        if self.missing_any:
            return InsufficientScope(ScopeReason.SCOPE_MISSING_ANY, scopes=self.scopes, missing=self.missing_any)
        if self.step_up is not None:
            return InsufficientUserAuthentication(self.step_up, acr_values=self.acr_values, max_age=self.max_age)
        # The function of a claim gave two answers: the first one refused.
        return InsufficientScope(ScopeReason.RIGHT_MISSING, scopes=())


def _joined(parts: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(item for part in parts for item in part))


def _common(parts: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    """The values that all of the lists have, in the order of the first; the first list if there are none."""
    if not parts:
        return ()
    return tuple(value for value in parts[0] if all(value in part for part in parts)) or parts[0]
