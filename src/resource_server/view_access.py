"""The ways into a view of REST framework, from its guards and permissions, for the API's description.

`&`, `|` and the requirements of guards become alternatives; each is enough by itself. Conditions that alternatives
cannot express (`~`, another permission beside `|`) stand in `Access.text`. Needs no request.
"""

import dis
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import cache, reduce
from inspect import isfunction
from itertools import pairwise
from types import FunctionType
from typing import Any

from rest_framework.permissions import (
    AND,
    NOT,
    OR,
    SAFE_METHODS,
    AllowAny,
    IsAuthenticated,
    IsAuthenticatedOrReadOnly,
)
from rest_framework.views import APIView

from resource_server.marks import noted, noted_on_class, noted_on_function
from resource_server.requirements import AnyScope, Requirement

__all__ = ["Access", "Credentials", "Way", "access_of"]

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
    """All ways in. `exact` is False if only `text` is complete; `demands` is True with a requirement of ours."""

    ways: tuple[Way, ...]
    text: str
    scopes: tuple[str, ...] = ()
    exact: bool = True
    demands: bool = False
    is_choice: bool = False


_ANYONE = Access(ways=(Way(),), text="anyone")


def access_of(view: APIView, method: str, outside: Iterable[Requirement] = ()) -> Access:
    """The ways into a method of a view. `outside` are the requirements of guards around `as_view()`."""
    guards = dict.fromkeys((*outside, *noted_on_class(type(view), "dispatch", "initial"), *_of_handler(view, method)))
    permissions = [_of_permission(permission, method) for permission in view.get_permissions()]
    return reduce(_both, [*permissions, *map(_of_requirement, guards)], _ANYONE)


def _of_handler(view: APIView, method: str) -> Iterator[Requirement]:
    pending: list[object] = [getattr(type(view), getattr(view, "action", None) or method.lower(), None)]
    seen: set[object] = set()
    while pending:
        handler = pending.pop()
        if handler in seen:
            continue
        seen.add(handler)
        yield from noted_on_function(handler)
        # A generic view calls `list`, `create` and so on, and `partial_update` calls `update`.
        if isfunction(handler) and handler.__module__.startswith(("rest_framework.", "adrf.")):
            pending += filter(isfunction, (getattr(type(view), name, None) for name in _called_on_self(handler)))


@cache  # of the few handlers of REST framework and adrf; a challenge needs them again and again
def _called_on_self(function: FunctionType) -> tuple[str, ...]:
    """The names that a method reads from `self`. The built-in `list` is not among them."""
    return tuple(
        str(second.argval)
        for first, second in pairwise(dis.get_instructions(function))
        if first.argval == "self" and second.opname in {"LOAD_ATTR", "LOAD_METHOD"}
    )


def _of_permission(permission: Any, method: str) -> Access:
    if isinstance(permission, AND):
        return _both(*_operands(permission, method))
    if isinstance(permission, OR):
        return _either(*_operands(permission, method))
    if isinstance(permission, NOT):
        return _neither(_of_permission(permission.op1, method))  # type: ignore[attr-defined] # not in the stubs
    if requirements := noted(permission):
        return reduce(_both, map(_of_requirement, requirements))
    kind = type(permission)
    if kind is AllowAny or (kind is IsAuthenticatedOrReadOnly and method in SAFE_METHODS):
        return _ANYONE
    is_plain = kind in {IsAuthenticated, IsAuthenticatedOrReadOnly}
    return Access(ways=(Way(credentials=Credentials.ANY, judged=not is_plain),), text=f"`{kind.__name__}`")


def _operands(permission: Any, method: str) -> tuple[Access, Access]:
    return _of_permission(permission.op1, method), _of_permission(permission.op2, method)


def _of_requirement(requirement: Requirement) -> Access:
    scopes = requirement.scopes
    any_scope = isinstance(requirement, AnyScope)
    alternatives = [(scope,) for scope in scopes] if any_scope else [scopes]
    named = [f"scope `{scope}`" for scope in scopes] or ["an access token"]
    return Access(
        ways=tuple(Way(scopes=alternative, credentials=Credentials.TOKEN) for alternative in alternatives),
        text=(" or " if any_scope else " and ").join(named),
        scopes=scopes,
        demands=True,
        is_choice=any_scope and len(scopes) > 1,
    )


def _both(first: Access, second: Access) -> Access:
    if _ANYONE in (first, second):
        return second if first == _ANYONE else first
    exact = first.exact and second.exact
    if len(first.ways) * len(second.ways) <= MAX_WAYS:
        ways = [_joined(one, other) for one in first.ways for other in second.ways]
    else:
        least = Way(credentials=min(way.credentials for way in second.ways), judged=True)
        ways, exact = [_joined(way, least) for way in first.ways], False
    return Access(
        ways=_shortest(ways),
        text=" and ".join(f"({access.text})" if access.is_choice else access.text for access in (first, second)),
        scopes=(*first.scopes, *second.scopes),
        exact=exact,
        demands=first.demands or second.demands,
    )


def _either(first: Access, second: Access) -> Access:
    ways = (*first.ways, *second.ways)
    return Access(
        ways=_shortest(ways),
        text=f"{first.text} or {second.text}",
        scopes=(*first.scopes, *second.scopes),
        exact=first.exact and second.exact and not any(way.judged for way in ways),
        demands=first.demands or second.demands,
        is_choice=True,
    )


def _neither(access: Access) -> Access:
    # The rest may be no request, or any without credentials: an alternative can only list what a request must have.
    return Access(ways=(Way(judged=True),), text=f"not ({access.text})", exact=False, demands=access.demands)


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
