"""Guards on a plain view class or on single methods of it, beside Django's own middleware.

Two of Django's middlewares judge a view before anything of it runs: `CsrfViewMiddleware`, which a request with a bearer
token does not need, and `LoginRequiredMiddleware`, which would redirect it. So the views of a guarded class are exempt
from both, and the first thing that they do is to ask them, unless the guard has the say for this request.
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
from resource_server.errors import AuthorizationError
from resource_server.requirements import Requirement

__all__ = ["GuardedMethod", "is_rest_class", "open_the_walls"]


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
        if not is_rest_class(owner):
            open_the_walls(owner)

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        return self.function.__get__(instance, owner)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.function(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.function, name)


class _CsrfExempt:
    """True while `CsrfViewMiddleware` is asked by the view itself, so that `csrf_protect` protects a view without it."""

    def __bool__(self) -> bool:
        return any(isinstance(wall, CsrfViewMiddleware) for wall in _walls(tuple(settings.MIDDLEWARE)))


class _LoginNotRequired:
    """False while `LoginRequiredMiddleware` is asked by the view itself; a wall of the project's own is left standing."""

    def __bool__(self) -> bool:
        return not any(hasattr(wall, "handle_no_permission") for wall in _walls(tuple(settings.MIDDLEWARE)))


_MARKS = {"csrf_exempt": _CsrfExempt(), "login_required": _LoginNotRequired()}


def open_the_walls(owner: type[Any]) -> None:
    """Let the views of a class ask Django's middleware themselves, where a guard does not decide. Idempotent."""
    own = vars(owner).get("as_view")
    if getattr(own, "opens_the_walls", False):
        return

    def as_view(cls: Any, *args: Any, **kwargs: Any) -> Any:
        make = super(owner, cls).as_view if own is None else own.__get__(None, cls)
        view = make(*args, **kwargs)
        return view if is_rest_class(cls) or hasattr(view, "asks_the_walls") else _asking(view, cls)

    opened: Any = classonlymethod(as_view)
    opened.opens_the_walls = True
    owner.as_view = opened


def _asking(view: Callable[..., Any], view_class: type[Any]) -> Callable[..., Any]:
    asking: Any
    if iscoroutinefunction(view):

        @wraps(view)
        async def asking_async(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
            if walls := _walls(tuple(settings.MIDDLEWARE)):
                refusal = await sync_to_async(_refusal)(walls, view_class, request, args, kwargs)
                if refusal is not None:
                    return refusal
            response = view(request, *args, **kwargs)
            return await response if isawaitable(response) else response

        asking = asking_async
    else:

        @wraps(view)
        def asking_sync(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
            if walls := _walls(tuple(settings.MIDDLEWARE)):
                refusal = _refusal(walls, view_class, request, args, kwargs)
                if refusal is not None:
                    return refusal
            return view(request, *args, **kwargs)

        asking = asking_sync
    asking.asks_the_walls = True
    for name, mark in _MARKS.items():
        vars(asking).setdefault(name, mark)  # the project's own mark stays
    return asking  # type: ignore[no-any-return] # Any takes the marks


def _refusal(
    walls: tuple[Any, ...], view_class: type[Any], request: HttpRequest, args: Any, kwargs: Mapping[str, Any]
) -> HttpResponseBase | None:
    """The answer that refuses a request before its view runs, or None: the guards' where they decide, else the walls'.

    A token that the guards accept needs no login, and no CSRF token unless a credential came with it that browsers send
    by themselves.
    """
    requirements = _requirements(view_class, str(request.method))
    try:
        for requirement in requirements:
            authentication.authorize(request, requirement, admits=False)
    except AuthorizationError as error:
        return authentication.error_response(error)
    spares_csrf = bool(requirements) and not authentication.has_browser_credential(request)
    marks = SimpleNamespace(**_marks_of_the_project(view_class, request))
    for wall in walls:
        if spares_csrf if isinstance(wall, CsrfViewMiddleware) else requirements:
            continue
        refusal: HttpResponseBase | None = wall.process_view(request, marks, args, kwargs)
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
    """What the project has noted on a view for the walls to read, without our own marks."""
    marks = dict(vars(view_class.dispatch))
    match = getattr(request, "resolver_match", None)
    callback = match.func if match is not None else None
    while callback is not None:
        noted = getattr(callback, "__dict__", {})
        marks |= {name: value for name, value in noted.items() if value not in _MARKS.values()}
        if getattr(callback, "__globals__", None) is vars(csrf):  # `csrf_exempt` sets its mark before it copies ours
            marks["csrf_exempt"] = True
        callback = getattr(callback, "__wrapped__", None)
    return marks


@lru_cache(maxsize=4)
def _walls(paths: tuple[str, ...]) -> tuple[Any, ...]:
    from django.contrib.auth.middleware import LoginRequiredMiddleware  # imports models

    walls = []
    for middleware in map(import_string, paths):
        if isinstance(middleware, type) and issubclass(middleware, CsrfViewMiddleware | LoginRequiredMiddleware):
            try:
                walls.append(middleware(_no_response))
            except MiddlewareNotUsed:
                continue
    return tuple(walls)


def _no_response(_request: HttpRequest) -> HttpResponseBase:
    raise AssertionError("only process_view is called")
