"""The ways in that a requirement leaves open, for the description of an API.

`&`, `|` and scopes become alternatives; each is enough by itself. Conditions that alternatives cannot express (`~`, a
role, another permission beside `|`) stand in `Access.text`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import reduce

from resource_server.requirements import (
    And,
    AnyScope,
    AnyToken,
    Operation,
    Or,
    PerAction,
    PerMethod,
    Requirement,
    Scopes,
)
from resource_server.requirements.shortfall import Shortfall

__all__ = ["ANYONE", "Access", "Credentials", "Way", "both", "either", "neither", "of_requirement"]

# `(a | b) & (c | d) & ...` doubles with each operand.
MAX_WAYS = 64


class Credentials(IntEnum):
    NONE = 0
    ANY = 1
    TOKEN = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One way in: all of the scopes, with these credentials. `judged` is True if a permission decides too."""

    scopes: tuple[str, ...] = ()
    credentials: Credentials = Credentials.NONE
    judged: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """All ways in. `exact` is False if only `text` is complete; `demands` is True with a requirement of ours.

    `scopes` are all that are named; `lacking` is the shortfall of a caller without a token on each way.
    """

    ways: tuple[Way, ...]
    text: str
    lacking: tuple[Shortfall, ...]
    scopes: tuple[str, ...] = ()
    exact: bool = True
    demands: bool = False
    is_choice: bool = False

    @property
    def challenged(self) -> tuple[str, ...]:
        """The scopes that a challenge names to a caller without a token: those of the way that asks for the least."""
        return Shortfall.least(self.lacking).scopes


ANYONE = Access(ways=(Way(),), text="anyone", lacking=(Shortfall(),))


def of_requirement(requirement: Requirement, operation: Operation) -> Access:
    """The ways in that a requirement leaves open for an operation."""
    if isinstance(requirement, PerAction | PerMethod):
        chosen = requirement.chosen(operation)
        # An operation that is not declared is refused: no alternative is enough.
        return _of_right(requirement) if chosen is None else of_requirement(chosen, operation)
    if isinstance(requirement, And):
        return reduce(both, [of_requirement(part, operation) for part in requirement.parts])
    if isinstance(requirement, Or):
        return reduce(either, [of_requirement(part, operation) for part in requirement.parts])
    return _of_right(requirement)


def _of_right(requirement: Requirement) -> Access:
    scopes = requirement.scopes
    any_scope = isinstance(requirement, AnyScope)
    alternatives = [(scope,) for scope in scopes] if any_scope else [scopes]
    # Only scopes can be listed; the token must have any other right too.
    judged = not isinstance(requirement, Scopes | AnyScope | AnyToken)
    return Access(
        ways=tuple(Way(scopes=each, credentials=Credentials.TOKEN, judged=judged) for each in alternatives),
        text=requirement.words,
        lacking=requirement.ways(None, Operation()),
        scopes=scopes,
        exact=not judged,
        demands=True,
        is_choice=any_scope and len(scopes) > 1,
    )


def both(first: Access, second: Access) -> Access:
    """The ways in if both must admit the request."""
    if ANYONE in (first, second):
        return second if first == ANYONE else first
    exact = first.exact and second.exact
    if len(first.ways) * len(second.ways) <= MAX_WAYS:
        ways = [_joined(one, other) for one in first.ways for other in second.ways]
    else:
        least = Way(credentials=min(way.credentials for way in second.ways), judged=True)
        ways, exact = [_joined(way, least) for way in first.ways], False
    return Access(
        ways=_shortest(ways),
        text=" and ".join(f"({access.text})" if access.is_choice else access.text for access in (first, second)),
        lacking=Shortfall.combined((first.lacking, second.lacking)),
        scopes=(*first.scopes, *second.scopes),
        exact=exact,
        demands=first.demands or second.demands,
    )


def either(first: Access, second: Access) -> Access:
    """The ways in if one of the two is enough."""
    ways = (*first.ways, *second.ways)
    return Access(
        ways=_shortest(ways),
        text=f"{first.text} or {second.text}",
        lacking=(*first.lacking, *second.lacking),
        scopes=(*first.scopes, *second.scopes),
        exact=first.exact and second.exact and not any(way.judged for way in ways),
        demands=first.demands or second.demands,
        is_choice=True,
    )


def neither(access: Access) -> Access:
    """The ways in for a permission that must not admit the request, which may then lack credentials."""
    # The rest may be no request, or any without credentials: an alternative can only list what a request must have.
    return Access(
        ways=(Way(judged=True),),
        text=f"not ({access.text})",
        lacking=(Shortfall(is_narrowed=True),),
        exact=False,
        demands=access.demands,
    )


def _joined(one: Way, other: Way) -> Way:
    return Way(
        scopes=tuple(dict.fromkeys((*one.scopes, *other.scopes))),
        credentials=max(one.credentials, other.credentials),
        judged=one.judged or other.judged,
    )


def _shortest(ways: Sequence[Way]) -> tuple[Way, ...]:
    """The ways, without any that demands more than another."""
    kept: list[Way] = []
    for way in dict.fromkeys(ways):
        if not any(_includes(other, way) for other in kept):
            kept = [other for other in kept if not _includes(way, other)]
            kept.append(way)
    return tuple(kept)


def _includes(wider: Way, way: Way) -> bool:
    """Whether every request that may take `way` may take `wider` too."""
    return not wider.judged and wider.credentials <= way.credentials and set(wider.scopes) <= set(way.scopes)
