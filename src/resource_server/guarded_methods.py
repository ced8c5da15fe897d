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
from django.utils.module_loading import import_string

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


_CSRF_EXEMPT, _NO_LOGIN = _CsrfExempt(), _NoLogin()


def _exempt(owner: type[Any]) -> None:
    own = vars(owner).get("dispatch")

    def dispatch(self: Any, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        proceed = super(owner, self).dispatch if own is None else own.__get__(self)
        if hasattr(getattr(self, str(request.method).lower(), None), "requirements"):
            return proceed(request, *args, **kwargs)
        if getattr(self, "view_is_async", False):
            return _ask_async(proceed, self, request, args, kwargs)
        return _ask(self, request, args, kwargs) or proceed(request, *args, **kwargs)

    if own is not None:
        wraps(own)(dispatch)
    marks: Any = dispatch
    marks.asks_for_unguarded, marks.csrf_exempt, marks.login_required = True, _CSRF_EXEMPT, _NO_LOGIN
    owner.dispatch = dispatch


def _ask(view: Any, request: HttpRequest, args: Any, kwargs: Mapping[str, Any]) -> HttpResponseBase | None:
    """The refusal of Django's own middleware, or None. It reads the marks on the view that the project has set."""
    match = getattr(request, "resolver_match", None)
    marks = vars(type(view).dispatch if match is None else match.func)
    callback = SimpleNamespace(
        **{name: value for name, value in marks.items() if not isinstance(value, _CsrfExempt | _NoLogin)}
    )
    for middleware in _middleware(tuple(settings.MIDDLEWARE)):
        refusal: HttpResponseBase | None = middleware.process_view(request, callback, args, kwargs)
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
