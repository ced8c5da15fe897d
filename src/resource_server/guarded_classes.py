"""Guards view classes: a subclass that requires the right, then calls `super()`."""

import dis
import types
from functools import wraps
from inspect import isfunction
from itertools import pairwise
from typing import Any, cast

from django.http import HttpRequest

from resource_server.refusal import arefusal, avary, refusal, vary
from resource_server.requirements import Requirement
from resource_server.rest_views import is_rest_class, rest
from resource_server.view_middleware import ask_in_view

__all__ = ["guard_class"]


def guard_class(view: type[Any], requirement: Requirement) -> type[Any]:
    """A guarded subclass of a view class. The class itself stays as it is, and so does its method resolution order.

    Raises TypeError for a class that is not a view, that refuses subclasses, or that calls `super()` by its own name.
    """
    is_rest = is_rest_class(view)
    if not is_rest and not hasattr(view, "dispatch"):
        raise TypeError(
            f"a guard cannot stand on {view.__name__}, which is not a view class: it has no dispatch method"
        )
    _refuse_super_by_name(view)

    guarded: Any = None  # the functions below refer to the class, which is made from them

    def initial(self: Any, request: Any, *args: Any, **kwargs: Any) -> None:
        super(guarded, self).initial(request, *args, **kwargs)
        rest().require(request, requirement)

    def dispatch(self: Any, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        if getattr(self, "view_is_async", False):
            return dispatch_async(self, request, *args, **kwargs)
        refused = refusal(request, requirement)
        return refused or vary(super(guarded, self).dispatch(request, *args, **kwargs), request)

    async def dispatch_async(self: Any, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        refused = await arefusal(request, requirement)
        return refused or await avary(super(guarded, self).dispatch(request, *args, **kwargs), request)

    hook: Any = wraps(view.initial)(initial) if is_rest else wraps(view.dispatch)(dispatch)
    hook.requirements = (requirement,)
    guarded = _subclass(view, hook)
    if not is_rest:
        ask_in_view(guarded)
    return cast("type[Any]", guarded)


def _subclass(view: type[Any], hook: Any) -> Any:
    """The subclass that overrides one method and otherwise passes for the class itself."""
    members = {
        hook.__name__: hook,
        "__module__": view.__module__,
        "__qualname__": view.__qualname__,
        "__doc__": view.__doc__,
    }
    try:
        return types.new_class(view.__name__, (view,), exec_body=lambda namespace: namespace.update(members))
    except Exception as error:
        raise TypeError(
            f"a guard makes a subclass, which {view.__name__} refuses: guard {view.__name__}.as_view()"
        ) from error


def _refuse_super_by_name(view: type[Any]) -> None:
    """Raise TypeError for `super(View, self)` in a class being decorated: `View` will be the guarded subclass."""
    for function in filter(isfunction, vars(view).values()):
        for first, second in pairwise(dis.get_instructions(function)):
            if (first.argval, second.argval) == ("super", view.__name__) and not _is_bound(function, view):
                raise TypeError(
                    f"a guarded class calls super() without arguments: {function.__qualname__} names the class"
                )


def _is_bound(function: types.FunctionType, view: type[Any]) -> bool:
    """Whether the name of a class is bound to that class where the function was defined."""
    names = function.__code__.co_freevars
    if view.__name__ not in names or function.__closure__ is None:
        return function.__globals__.get(view.__name__) is view
    try:
        return function.__closure__[names.index(view.__name__)].cell_contents is view
    except ValueError:  # the cell is still empty
        return False
