"""Guards on single methods of a plain view class, beside methods without one.

Two of Django's middlewares judge a view as a whole, before a method is chosen: `CsrfViewMiddleware`, which a request
with a bearer token does not need, and `LoginRequiredMiddleware`, which would redirect it. So a class with a guarded
method is exempt from both, and its `dispatch` asks them for the methods that have no guard.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache, wraps
from inspect import isawaitable
from types import SimpleNamespace
from typing import Any

from asgiref.sync import sync_to_async
from django.conf import settings
from django.http import HttpRequest, HttpResponseBase
from django.middleware.csrf import CsrfViewMiddleware
from django.utils.decorators import classonlymethod
from django.utils.module_loading import import_string
from django.views.decorators import csrf

__all__ = ["GuardedMethod", "is_rest_class"]


def is_rest_class(view: object) -> bool:
    """Whether a class is REST framework's APIView, judged by what is used of it, so that DRF need not be installed."""
    return isinstance(view, type) and hasattr(view, "initial") and hasattr(view, "perform_authentication")


class GuardedMethod:
    """A guarded function in the body of a class. When the class is made, the function takes its place there."""

    __slots__ = ("__dict__", "function")

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        # One dict for both: what another decorator notes on this object is on the function too.
        self.__dict__ = function.__dict__
        self.__dict__.update(__doc__=function.__doc__, __module__=function.__module__)

    def __set_name__(self, owner: type[Any], name: str) -> None:
        setattr(owner, name, self.function)
        if not is_rest_class(owner) and not hasattr(vars(owner).get("dispatch"), "asks_for_unguarded"):
            _exempt(owner)

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        return self.function.__get__(instance, owner)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.function(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.function, name)


class _CsrfExempt:
    """True while `CsrfViewMiddleware` is in MIDDLEWARE, so that `csrf_protect` protects a view without it."""

    def __bool__(self) -> bool:
        return any(isinstance(middleware, CsrfViewMiddleware) for middleware in _middleware(tuple(settings.MIDDLEWARE)))


class _NoLogin:
    """False, and told apart from the False that the project sets by `login_not_required`."""

    def __bool__(self) -> bool:
        return False


_MARKS = {"csrf_exempt": _CsrfExempt(), "login_required": _NoLogin()}


def _exempt(owner: type[Any]) -> None:
    """Give a class a `dispatch` that asks, and an `as_view` whose views bear the marks that Django's middleware reads."""
    own = {name: vars(owner).get(name) for name in ("dispatch", "as_view")}

    def dispatch(self: Any, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        proceed = super(owner, self).dispatch if own["dispatch"] is None else own["dispatch"].__get__(self)
        if hasattr(getattr(self, str(request.method).lower(), None), "requirements"):
            return proceed(request, *args, **kwargs)
        if getattr(self, "view_is_async", False):
            return _ask_async(proceed, self, request, args, kwargs)
        return _ask(self, request, args, kwargs) or proceed(request, *args, **kwargs)

    def as_view(cls: Any, *args: Any, **kwargs: Any) -> Any:
        make = super(owner, cls).as_view if own["as_view"] is None else own["as_view"].__get__(None, cls)
        view = make(*args, **kwargs)
        for name, mark in _MARKS.items():
            vars(view).setdefault(name, mark)  # the project's own mark stays
        return view

    if own["dispatch"] is not None:
        wraps(own["dispatch"])(dispatch)
    dispatch.asks_for_unguarded = True  # type: ignore[attr-defined] # seen when a second method is guarded
    owner.dispatch, owner.as_view = dispatch, classonlymethod(as_view)


def _ask(view: Any, request: HttpRequest, args: Any, kwargs: Mapping[str, Any]) -> HttpResponseBase | None:
    """The refusal of Django's own middleware, or None. It reads the marks that the project has set on the view."""
    marks = dict(vars(type(view).dispatch))
    match = getattr(request, "resolver_match", None)
    callback = match.func if match is not None else None
    while callback is not None:
        marks |= {name: value for name, value in vars(callback).items() if value not in _MARKS.values()}
        if getattr(callback, "__globals__", None) is vars(csrf):  # `csrf_exempt` sets its mark before it copies ours
            marks["csrf_exempt"] = True
        callback = getattr(callback, "__wrapped__", None)
    for middleware in _middleware(tuple(settings.MIDDLEWARE)):
        refusal: HttpResponseBase | None = middleware.process_view(request, SimpleNamespace(**marks), args, kwargs)
        if refusal is not None:
            return refusal
    return None


async def _ask_async(
    proceed: Callable[..., Any], view: Any, request: HttpRequest, args: Any, kwargs: Mapping[str, Any]
) -> Any:
    refusal = await sync_to_async(_ask)(view, request, args, kwargs)
    if refusal is not None:
        return refusal
    response = proceed(request, *args, **kwargs)
    return await response if isawaitable(response) else response


@lru_cache(maxsize=4)
def _middleware(paths: tuple[str, ...]) -> tuple[Any, ...]:
    from django.contrib.auth.middleware import LoginRequiredMiddleware  # imports models

    found = [import_string(path) for path in paths]
    return tuple(
        middleware(_no_response)
        for middleware in found
        if isinstance(middleware, type) and issubclass(middleware, CsrfViewMiddleware | LoginRequiredMiddleware)
    )


def _no_response(_request: HttpRequest) -> HttpResponseBase:
    raise AssertionError("only process_view is called")
