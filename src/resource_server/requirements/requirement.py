"""Requirement, and how requirements compose: `&`, `|` and `~` in a logic of three values.

A requirement holds, does not hold, or cannot be judged (None): the claim is absent or malformed, or the request lacks a
fact. Only True admits a request, and `~` of None is None, so nothing that cannot be judged is a right (Kleene's logic).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from resource_server.requirements.shortfall import Shortfall
from resource_server.tokens.access_token import AccessToken

__all__ = ["NOWHERE", "And", "Assumed", "Not", "Operation", "Or", "Requirement"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """The facts of a request that a requirement may read beside the token.

    `method` is HTTP's, `action` that of a ViewSet, `arguments` those that the URL pattern captured, `user` the user of
    the token. `target` is the object that the request is about, None before it is known.
    """

    method: str | None = None
    action: str | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict)
    user: object = None
    target: object = None


NOWHERE: Final = Operation()


@dataclass(frozen=True, slots=True)
class Assumed:
    """The `target` of an operation whose object will be known later: whether the caller is taken for its owner."""

    is_owner: bool


class Requirement:
    """One right, or several composed. Immutable; equal requirements are equal objects, with an equal hash.

    `scopes` are those to ask the issuer for, without a token: of several ways in, those of the one that asks for the
    least. `all_scopes` are all that are named anywhere, `words` the requirement in words.
    """

    __slots__ = ()

    @property
    def scopes(self) -> tuple[str, ...]:
        return Shortfall.least(self.ways(None, NOWHERE)).scopes

    @property
    def all_scopes(self) -> tuple[str, ...]:
        return self.scopes

    @property
    def words(self) -> str:
        raise NotImplementedError

    @property
    def parts(self) -> tuple["Requirement", ...]:
        """The requirements that this one is composed of; none for a single right."""
        return ()

    def holds(self, token: AccessToken, operation: Operation) -> bool | None:
        """Whether the token gives the right; None if that cannot be judged. Raises nothing."""
        raise NotImplementedError

    def can_hold(self, token: AccessToken, operation: Operation) -> bool:
        """Whether the token gives the right for some object. The object must still be judged when it is known."""
        assumptions = (replace(operation, target=Assumed(is_owner=value)) for value in (True, False))
        return any(self.holds(token, assumed) is True for assumed in assumptions)

    def ways(self, token: AccessToken | None, operation: Operation) -> tuple[Shortfall, ...]:
        """The ways in, with the rights that the token lacks on each. Without a token, conditions count as fulfilled."""
        if token is None or self.holds(token, operation):
            return (Shortfall(is_narrowed=True),)
        if operation.target is None and self.can_hold(token, operation):
            return (Shortfall(undecided=(self.words,), is_narrowed=True),)
        return (Shortfall(others=(self.words,), is_narrowed=True),)

    def shortfall(self, token: AccessToken, operation: Operation) -> Shortfall:
        """The rights that the token lacks: those of the way in that asks least of the caller."""
        return Shortfall.least(self.ways(token, operation))

    def check(self, token: object, operation: Operation = NOWHERE) -> AccessToken:
        """The token, if it gives the right.

        Raises InsufficientScope if not, or if it is not a verified token, and InsufficientUserAuthentication if the
        person has only to sign in anew (RFC 9470). Without an `operation`, a requirement that reads one is refused.
        """
        if not isinstance(token, AccessToken):
            raise Shortfall.without_token(self.scopes)
        if self.holds(token, operation) is not True:
            raise self.shortfall(token, operation).error()
        return token

    def __and__(self, other: object) -> "Requirement":
        if not isinstance(other, Requirement):
            return NotImplemented
        return And((self, other))

    def __or__(self, other: object) -> "Requirement":
        if not isinstance(other, Requirement):
            return NotImplemented
        return Or((self, other))

    def __invert__(self) -> "Requirement":
        return Not(self)

    def __bool__(self) -> bool:
        # `Scopes("a") and Scopes("b")` would be the second alone.
        raise TypeError("requirements compose with & | ~, not with `and`, `or` and `not`")


@dataclass(frozen=True, slots=True, repr=False)
class _Composition(Requirement):
    """Two requirements or more. Raises ValueError for fewer, TypeError for anything else."""

    operands: tuple[Requirement, ...]

    def __post_init__(self) -> None:
        operands: object = self.operands
        if not isinstance(operands, tuple) or len(operands) < 2:
            raise ValueError("compose at least two requirements")
        for operand in operands:
            if not isinstance(operand, Requirement):
                raise TypeError(f"not a requirement: {operand!r}")

    @property
    def all_scopes(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(scope for each in self.operands for scope in each.all_scopes))

    @property
    def parts(self) -> tuple[Requirement, ...]:
        return self.operands


@dataclass(frozen=True, slots=True, repr=False)
class And(_Composition):
    """All of the requirements."""

    @property
    def words(self) -> str:
        return " and ".join(f"({each.words})" if isinstance(each, Or) else each.words for each in self.operands)

    def holds(self, token: AccessToken, operation: Operation) -> bool | None:
        values = [each.holds(token, operation) for each in self.operands]
        return False if False in values else None if None in values else True

    def ways(self, token: AccessToken | None, operation: Operation) -> tuple[Shortfall, ...]:
        return Shortfall.combined([each.ways(token, operation) for each in self.operands])

    def __repr__(self) -> str:
        return " & ".join(f"({each!r})" if isinstance(each, Or) else repr(each) for each in self.operands)


@dataclass(frozen=True, slots=True, repr=False)
class Or(_Composition):
    """At least one of the requirements."""

    @property
    def words(self) -> str:
        return " or ".join(each.words for each in self.operands)

    def holds(self, token: AccessToken, operation: Operation) -> bool | None:
        values = [each.holds(token, operation) for each in self.operands]
        return True if True in values else None if None in values else False

    def ways(self, token: AccessToken | None, operation: Operation) -> tuple[Shortfall, ...]:
        return tuple(way for each in self.operands for way in each.ways(token, operation))

    def __repr__(self) -> str:
        return " | ".join(repr(each) for each in self.operands)


@dataclass(frozen=True, slots=True, repr=False)
class Not(Requirement):
    """A verified token that the requirement certainly does not hold for. A missing claim is no certainty."""

    operand: Requirement

    def __post_init__(self) -> None:
        if not isinstance(self.operand, Requirement):
            raise TypeError(f"not a requirement: {self.operand!r}")

    @property
    def words(self) -> str:
        return f"not ({self.operand.words})"

    @property
    def parts(self) -> tuple[Requirement, ...]:
        return (self.operand,)

    def holds(self, token: AccessToken, operation: Operation) -> bool | None:
        value = self.operand.holds(token, operation)
        return None if value is None else not value

    def __repr__(self) -> str:
        return f"~({self.operand!r})" if isinstance(self.operand, And | Or) else f"~{self.operand!r}"
