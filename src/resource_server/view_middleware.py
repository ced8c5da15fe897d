"""Lets the views of a guarded plain class ask Django's own view middleware themselves.

Two of Django's middlewares judge a view before anything of it runs: `CsrfViewMiddleware`, which a request with a bearer
token does not need, and `LoginRequiredMiddleware`, which would redirect it. So the views of a guarded class are exempt
from both. Such a view first asks them itself, unless a guard decides for this request.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache, wraps
from inspect import isawaitable
from types import SimpleNamespace
from typing import Any

from asgiref.sync import iscoroutinefunction, sync_to_async
from django.conf import settings
from django.core.exceptions import MiddlewareNotUsed
from django.http import HttpRequest, HttpResponseBase
from django.middleware.csrf import CsrfViewMiddleware
from django.utils.decorators import classonlymethod
from django.utils.module_loading import import_string
from django.views.decorators import csrf

from resource_server import authentication
from resource_server.admission import has_browser_credential
from resource_server.errors import AuthorizationError
from resource_server.requirements import Requirement
from resource_server.responses import error_response, keep_private
from resource_server.rest_views import is_rest_class

__all__ = ["ask_in_view"]


class _CsrfExempt:
    """True if the view itself asks `CsrfViewMiddleware`; False without it, so that `csrf_protect` protects the view."""

    def __bool__(self) -> bool:
        return any(isinstance(each, CsrfViewMiddleware) for each in _view_middleware(tuple(settings.MIDDLEWARE)))


class _LoginRequired:
    """False if the view itself asks `LoginRequiredMiddleware`; True without it, for the project's own middleware."""

    def __bool__(self) -> bool:
        return not any(hasattr(each, "handle_no_permission") for each in _view_middleware(tuple(settings.MIDDLEWARE)))


_MARKS = {"csrf_exempt": _CsrfExempt(), "login_required": _LoginRequired()}


def ask_in_view(owner: type[Any]) -> None:
    """Let the views of a class ask Django's middleware themselves, for requests that no guard decides. Idempotent."""
    own = vars(owner).get("as_view")
    if getattr(own, "asks_middleware", False):
        return

    def as_view(cls: Any, *args: Any, **kwargs: Any) -> Any:
        make = super(owner, cls).as_view if own is None else own.__get__(None, cls)
        view = make(*args, **kwargs)
        return view if is_rest_class(cls) or hasattr(view, "asks_middleware") else _asking(view, cls)

    asking: Any = classonlymethod(as_view)
    asking.asks_middleware = True
    owner.as_view = asking
    _keep_405_unstored(owner)


def _keep_405_unstored(owner: type[Any]) -> None:
    """Let a method that a class lacks be answered with `no-store` (RFC 9110 section 15.5.6), which no guard sees."""
    own = vars(owner).get("http_method_not_allowed")

    def http_method_not_allowed(self: Any, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        refuse = super(owner, self).http_method_not_allowed if own is None else own.__get__(self, type(self))
        response = refuse(request, *args, **kwargs)
        return _unstored_later(response, request) if isawaitable(response) else _unstored(response, request)

    owner.http_method_not_allowed = http_method_not_allowed


def _unstored(response: Any, request: HttpRequest) -> Any:
    if isinstance(response, HttpResponseBase):
        keep_private(response, request)
    return response


async def _unstored_later(response: Any, request: HttpRequest) -> Any:
    return _unstored(await response, request)


def _asking(view: Callable[..., Any], view_class: type[Any]) -> Callable[..., Any]:
    asking: Any
    if iscoroutinefunction(view):

        @wraps(view)
        async def asking_async(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
            if middleware := _view_middleware(tuple(settings.MIDDLEWARE)):
                refusal = await sync_to_async(_refusal)(middleware, view_class, request, args, kwargs)
                if refusal is not None:
                    return refusal
            response = view(request, *args, **kwargs)
            return await response if isawaitable(response) else response

        asking = asking_async
    else:

        @wraps(view)
        def asking_sync(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
            if middleware := _view_middleware(tuple(settings.MIDDLEWARE)):
                refusal = _refusal(middleware, view_class, request, args, kwargs)
                if refusal is not None:
                    return refusal
            return view(request, *args, **kwargs)

        asking = asking_sync
    asking.asks_middleware = True
    for name, mark in _MARKS.items():
        vars(asking).setdefault(name, mark)  # a mark of the project stays
    return asking  # type: ignore[no-any-return] # Any takes the marks


def _refusal(
    middleware: tuple[Any, ...], view_class: type[Any], request: HttpRequest, args: Any, kwargs: Mapping[str, Any]
) -> HttpResponseBase | None:
    """The answer that refuses a request before its view runs, or None: of the guards, else of the middleware.

    A token that the guards accept needs no login. It needs no CSRF token either, unless a credential that browsers send
    by themselves came with it.
    """
    requirements = _requirements(view_class, str(request.method))
    try:
        for requirement in requirements:
            authentication.authorize(request, requirement, admits=False)
    except AuthorizationError as error:
        return error_response(error, request)
    spares_csrf = bool(requirements) and not has_browser_credential(request)
    marks = SimpleNamespace(**_marks_of_the_project(view_class, request))
    for each in middleware:
        if spares_csrf if isinstance(each, CsrfViewMiddleware) else requirements:
            continue
        refusal: HttpResponseBase | None = each.process_view(request, marks, args, kwargs)
        if refusal is not None:
            return refusal
    return None


def _requirements(view_class: type[Any], method: str) -> tuple[Requirement, ...]:
    """The requirements of the guards on a class and on its bases, and on the method that serves a request."""
    name = method.lower()
    if name == "head" and not hasattr(view_class, "head"):
        name = "get"
    guarded = [vars(base).get("dispatch") for base in view_class.__mro__]
    found = (item for each in (*guarded, getattr(view_class, name, None)) for item in getattr(each, "requirements", ()))
    return tuple(item for item in found if isinstance(item, Requirement))


def _marks_of_the_project(view_class: type[Any], request: HttpRequest) -> dict[str, Any]:
    """The marks that the project set on a view for the middleware to read, without our own."""
    marks = dict(vars(view_class.dispatch))
    match = getattr(request, "resolver_match", None)
    callback = match.func if match is not None else None
    while callback is not None:
        noted = getattr(callback, "__dict__", {})
        marks |= {name: value for name, value in noted.items() if value not in _MARKS.values()}
        if getattr(callback, "__globals__", None) is vars(
            csrf
        ):  # `csrf_exempt` sets its mark, then copies ours over it
            marks["csrf_exempt"] = True
        callback = getattr(callback, "__wrapped__", None)
    return marks


@lru_cache(maxsize=4)
def _view_middleware(paths: tuple[str, ...]) -> tuple[Any, ...]:
    """The two middlewares among those of MIDDLEWARE, subclasses included."""
    from django.contrib.auth.middleware import LoginRequiredMiddleware  # imports models

    found = []
    for middleware in map(import_string, paths):
        if isinstance(middleware, type) and issubclass(middleware, CsrfViewMiddleware | LoginRequiredMiddleware):
            try:
                found.append(middleware(_no_response))
            except MiddlewareNotUsed:
                continue
    return tuple(found)


def _no_response(_request: HttpRequest) -> HttpResponseBase:
    raise AssertionError("only process_view is called")
