"""The ways into a view of REST framework, from its guards and permissions, for the API's description and for `explain`.

Needs no request.
"""

import dis
from collections.abc import Iterable, Iterator
from functools import cache, lru_cache, reduce
from inspect import isfunction
from itertools import pairwise
from operator import and_
from types import FunctionType
from typing import Any, Final

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

from resource_server.access import ANYONE, Access, Credentials, Way, both, either, neither, of_requirement
from resource_server.marks import declared, noted, noted_on_class, noted_on_function
from resource_server.requirements import AnyToken, Operation, Or, Requirement
from resource_server.requirements.shortfall import Shortfall

__all__ = ["access_of", "demands_of"]

_PLAIN: Final = (IsAuthenticated, IsAuthenticatedOrReadOnly)


def access_of(view: APIView, method: str, outside: Iterable[Requirement] = ()) -> Access:
    """The ways into a method of a view. `outside` are the requirements of guards around `as_view()`."""
    operation = Operation(method=method, action=getattr(view, "action", None))
    guards = [of_requirement(guard, operation) for guard in _guards(view, method, outside)]
    permissions = [_of_permission(permission, operation) for permission in view.get_permissions()]
    return reduce(both, [*permissions, *guards], ANYONE)


def demands_of(view: APIView, method: str, outside: Iterable[Requirement] = ()) -> tuple[Requirement | str, ...]:
    """The demands of a method of a view. A text names a permission that is not made of requirements."""
    operation = Operation(method=method, action=getattr(view, "action", None))
    permissions = [each for permission in view.get_permissions() for each in _demands(permission, operation)]
    return tuple(dict.fromkeys((*permissions, *_guards(view, method, outside))))


def _guards(view: APIView, method: str, outside: Iterable[Requirement]) -> tuple[Requirement, ...]:
    view_class: Any = type(view)  # to mypy, a class of the stubs is not hashable
    on_class, on_handler = _of_class(view_class, getattr(view, "action", None) or method.lower())
    return tuple(dict.fromkeys((*outside, *on_class, *declared(view), *on_handler)))


# Guards stand on a class when it is defined. Permissions are asked each time, because they can depend on the request.
@lru_cache(maxsize=1024)
def _of_class(view: type[APIView], handler: str) -> tuple[tuple[Requirement, ...], tuple[Requirement, ...]]:
    """The requirements of the guards on a class, and on the method that serves an action or an HTTP method."""
    if handler == "head" and not hasattr(view, handler):
        handler = "get"  # as Django's `View.setup` serves it
    return noted_on_class(view, "dispatch", "initial"), tuple(_of_handler(view, handler))


def _of_handler(view: type[APIView], name: str) -> Iterator[Requirement]:
    pending: list[object] = [getattr(view, name, None)]
    seen: set[object] = set()
    while pending:
        handler = pending.pop()
        if handler in seen:
            continue
        seen.add(handler)
        yield from noted_on_function(handler)
        # A generic view calls `list`, `create` and so on, and `partial_update` calls `update`.
        if isfunction(handler) and handler.__module__.startswith(("rest_framework.", "adrf.")):
            pending += filter(isfunction, (getattr(view, name, None) for name in _called_on_self(handler)))


@cache  # of the few handlers of REST framework and adrf
def _called_on_self(function: FunctionType) -> tuple[str, ...]:
    """The names that a method reads from `self`. The built-in `list` is not among them."""
    return tuple(
        str(second.argval)
        for first, second in pairwise(dis.get_instructions(function))
        if first.argval == "self" and second.opname in {"LOAD_ATTR", "LOAD_METHOD"}
    )


def _of_permission(permission: Any, operation: Operation) -> Access:
    if isinstance(permission, AND):
        return both(*_operands(permission, operation))
    if isinstance(permission, OR):
        return either(*_operands(permission, operation))
    if isinstance(permission, NOT):
        return neither(_of_permission(permission.op1, operation))  # type: ignore[attr-defined] # not in the stubs
    if requirements := noted(permission):
        return reduce(both, (of_requirement(each, operation) for each in requirements))
    kind = type(permission)
    if kind is AllowAny or (kind is IsAuthenticatedOrReadOnly and operation.method in SAFE_METHODS):
        return ANYONE
    return Access(
        ways=(Way(credentials=Credentials.ANY, judged=kind not in _PLAIN),),
        text=f"`{kind.__name__}`",
        lacking=(Shortfall(is_narrowed=kind not in _PLAIN),),
    )


def _demands(permission: Any, operation: Operation) -> list[Requirement | str]:
    access = _of_permission(permission, operation)
    if access == ANYONE:
        return []
    if isinstance(permission, AND):
        return [each for side in _sides(permission) for each in _demands(side, operation)]
    if isinstance(permission, OR):
        sides = [_demands(side, operation) for side in _sides(permission)]
        if not all(sides):
            return []  # one of the two admits anyone
        rights = [[each for each in side if isinstance(each, Requirement)] for side in sides]
        return [Or(tuple(reduce(and_, side) for side in rights))] if sides == rights else [access.text]
    if requirements := noted(permission):
        return [*requirements]
    # A token is an authenticated user to REST framework.
    return [AnyToken()] if type(permission) in _PLAIN else [access.text]


def _operands(permission: Any, operation: Operation) -> tuple[Access, Access]:
    first, second = _sides(permission)
    return _of_permission(first, operation), _of_permission(second, operation)


def _sides(permission: Any) -> tuple[Any, Any]:
    return permission.op1, permission.op2
