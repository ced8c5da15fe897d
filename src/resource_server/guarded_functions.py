"""Guards function views and methods: a wrapper that requires the right, then calls what it wraps."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from asgiref.sync import iscoroutinefunction
from django.http import HttpRequest

from resource_server.refusal import arefusal, avary, refusal, vary
from resource_server.requirements import Requirement
from resource_server.rest_views import is_rest_class, is_rest_request, rest

__all__ = ["guard_function"]


def guard_function(view: Callable[..., Any], requirement: Requirement) -> Callable[..., Any]:
    """Guard a function view, or a method: the request is the first argument, or the second after `self`."""
    instance = _instance(view)
    rest_class = getattr(view, "cls", type(instance))
    is_rest = is_rest_class(rest_class)
    admits = not is_rest or rest().reads_tokens_first(rest_class, getattr(view, "initkwargs", {}))
    guarded: Any
    # The bound `dispatch` of an async view is not a coroutine function.
    if iscoroutinefunction(view) or getattr(instance, "view_is_async", False):

        @wraps(view)
        async def guarded_async(*args: Any, **kwargs: Any) -> Any:
            request = _request(view, args, kwargs)
            refused = await arefusal(request, requirement, is_rest=is_rest, admits=admits)
            return refused or await avary(view(*args, **kwargs), request)

        guarded = guarded_async
    else:

        @wraps(view)
        def guarded_sync(*args: Any, **kwargs: Any) -> Any:
            request = _request(view, args, kwargs)
            refused = refusal(request, requirement, is_rest=is_rest, admits=admits)
            return refused or vary(view(*args, **kwargs), request)

        guarded = guarded_sync
    guarded.csrf_exempt, guarded.login_required = True, False  # Django's own marks on a view
    # For the API's description, which is made without a request. No request is judged by it.
    guarded.requirements = (*getattr(view, "requirements", ()), requirement)
    return guarded  # type: ignore[no-any-return] # Any takes the marks


def _request(view: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    candidates = (*args[:2], kwargs.get("request"))
    for candidate in candidates:
        if isinstance(candidate, HttpRequest):
            return candidate
    for candidate in candidates:
        if is_rest_request(candidate):
            return candidate
    raise TypeError(f"a guarded view was called without a request: {getattr(view, '__qualname__', view)}")


def _instance(view: Any) -> Any:
    """The view object of a bound method, as `method_decorator` passes it; None for a function."""
    while view is not None:
        instance = getattr(getattr(view, "func", view), "__self__", None)
        if hasattr(instance, "http_method_names"):
            return instance
        view = getattr(view, "__wrapped__", None)
    return None
