"""What a token lacks of a requirement, and the error that says so (RFC 6750 section 3.1, RFC 9470 section 3)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import Final

from resource_server.errors import InsufficientScope, InsufficientUserAuthentication, Rejected
from resource_server.reasons import ScopeReason, StepUpReason

__all__ = ["Shortfall"]

# `(a | b) & (c | d) & ...` doubles with each operand.
_MAX_WAYS: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Shortfall:
    """The rights that a token lacks on one way in.

    `scopes` are all that the way needs; `missing` lack, and of `missing_any` one would do. `acr_values` and `max_age` are
    those that the way needs, `step_up` the reason why another sign-in must meet them. `others` are rights, in words, that
    the caller cannot ask for, and `undecided` those that depend on an object that is not known yet. `is_narrowed` is True
    if the way demands more than scopes, lacking or not.
    """

    scopes: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    missing_any: tuple[str, ...] = ()
    step_up: StepUpReason | None = None
    acr_values: tuple[str, ...] = ()
    max_age: int | None = None
    others: tuple[str, ...] = ()
    undecided: tuple[str, ...] = ()
    is_narrowed: bool = False

    @property
    def is_short(self) -> bool:
        """Whether anything lacks."""
        return bool(self.asks or self.others or self.undecided)

    @property
    def asks(self) -> int:
        """The number of things to ask the issuer for; another sign-in is one."""
        return len(self.missing) + bool(self.missing_any) + (self.step_up is not None)

    @property
    def is_shut(self) -> bool:
        """Whether scopes and another sign-in cannot open the way."""
        return bool(self.others) or (bool(self.undecided) and not self.asks)

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
            undecided=_joined(part.undecided for part in parts),
            is_narrowed=any(part.is_narrowed for part in parts),
        )

    @classmethod
    def combined(cls, parts: Sequence[Sequence["Shortfall"]]) -> tuple["Shortfall", ...]:
        """The ways through all of the parts; beyond 64, the least way through each part alone."""
        if prod(map(len, parts)) > _MAX_WAYS:
            parts = [(cls.least(ways),) for ways in parts]
        return tuple(map(cls.of_all, product(*parts)))

    @classmethod
    def least(cls, ways: Sequence["Shortfall"]) -> "Shortfall":
        """The way in that is open, else the one for which the caller must ask the issuer for the least.

        Of ways that ask for equally much, the first that is narrowed, because its scopes alone open nothing. A way that
        scopes and another sign-in cannot open comes last.
        """
        return min(ways, key=lambda way: (way.is_shut, way.asks, not way.is_narrowed))

    @staticmethod
    def without_token(scopes: tuple[str, ...]) -> InsufficientScope:
        """The error for a credential that is not a verified token, and so has no rights."""
        return InsufficientScope(ScopeReason.TOKEN_MISSING, scopes=scopes)

    def error(self) -> Rejected:
        """The refusal. It names no scopes if more scopes would not help, or a client would ask for them again and again."""
        if self.is_shut:
            return InsufficientScope(ScopeReason.RIGHT_MISSING, scopes=(), missing=(*self.others, *self.undecided))
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
