"""The ways into a view of REST framework, from its guards and permissions, for the API's description.

Needs no request.
"""

import dis
from collections.abc import Iterable, Iterator
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

from resource_server.access import ANYONE, Access, Credentials, Way, both, either, neither, of_requirement
from resource_server.marks import declared, noted, noted_on_class, noted_on_function
from resource_server.requirements import Operation, Requirement
from resource_server.requirements.shortfall import Shortfall

__all__ = ["access_of"]


def access_of(view: APIView, method: str, outside: Iterable[Requirement] = ()) -> Access:
    """The ways into a method of a view. `outside` are the requirements of guards around `as_view()`."""
    operation = Operation(method=method, action=getattr(view, "action", None))
    on_class = (*noted_on_class(type(view), "dispatch", "initial"), *declared(view))
    guards = dict.fromkeys((*outside, *on_class, *_of_handler(view, method)))
    permissions = [_of_permission(permission, operation) for permission in view.get_permissions()]
    return reduce(both, [*permissions, *(of_requirement(guard, operation) for guard in guards)], ANYONE)


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
    is_plain = kind in {IsAuthenticated, IsAuthenticatedOrReadOnly}
    return Access(
        ways=(Way(credentials=Credentials.ANY, judged=not is_plain),),
        text=f"`{kind.__name__}`",
        lacking=(Shortfall(is_narrowed=not is_plain),),
    )


def _operands(permission: Any, operation: Operation) -> tuple[Access, Access]:
    return _of_permission(permission.op1, operation), _of_permission(permission.op2, operation)
