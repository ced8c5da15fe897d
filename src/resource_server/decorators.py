"""Guards for views of every kind: `requires_scope`, `requires_any_scope` and `requires_token`.

A guard wraps the function or the class that it is given, and runs where it stands among the other decorators. On a
plain Django view it verifies the token and sets `request.user` and `request.auth`; inside Django REST Framework it
reads what the authentication class verified, and refuses where no class reads tokens.
"""

import dis
import types
from collections.abc import Callable
from functools import cache, wraps
from inspect import isawaitable, isfunction
from itertools import pairwise
from typing import Any, TypeVar, cast, overload

from asgiref.sync import iscoroutinefunction
from django.http import HttpRequest, HttpResponseBase
from django.utils.cache import patch_vary_headers

from resource_server import authentication
from resource_server.authentication import UNREAD
from resource_server.errors import AuthorizationError
from resource_server.guarded_methods import GuardedMethod, is_rest_class, open_the_walls
from resource_server.requirements import AnyScope, AnyToken, Requirement, Scopes

__all__ = ["requires_any_scope", "requires_scope", "requires_token"]

View = TypeVar("View", bound=Callable[..., Any])

_HTTP_METHODS = frozenset({"get", "post", "put", "patch", "delete", "head", "options", "trace"})


def requires_scope(*scopes: str) -> Callable[[View], View]:
    """Admit only requests whose verified access token has all of the scopes.

    Without a token the answer is 401, without a scope 403 with a challenge that names the scopes (RFC 6750 section 3).
    A session or a password has no scopes. Raises, when the view is defined, ValueError for no scope or for what cannot
    be one, and TypeError for what cannot be guarded. A guarded plain view is exempt from the CSRF check, because a
    browser does not send a bearer token by itself, and from `LoginRequiredMiddleware`.
    """
    _refuse_bare("requires_scope", scopes)
    return _decorator(Scopes(scopes))


def requires_any_scope(*scopes: str) -> Callable[[View], View]:
    """Admit only requests whose verified access token has at least one of the scopes; see `requires_scope`."""
    _refuse_bare("requires_any_scope", scopes)
    return _decorator(AnyScope(scopes))


@overload
def requires_token(view: View, /) -> View: ...
@overload
def requires_token() -> Callable[[View], View]: ...
def requires_token(view: Any = None, /) -> Any:
    """Admit only requests with a verified access token, whatever its scopes; see `requires_scope`.

    Stands bare (`@requires_token`) or called (`@requires_token()`).
    """
    decorate: Callable[[Any], Any] = _decorator(AnyToken())
    return decorate if view is None else decorate(view)


def _refuse_bare(name: str, scopes: tuple[object, ...]) -> None:
    if any(callable(scope) for scope in scopes):
        raise TypeError(f'@{name} needs its scopes: write @{name}("read:orders"); for any token write @requires_token')


def _decorator(requirement: Requirement) -> Callable[[View], View]:
    def decorate(view: View) -> View:
        if isinstance(view, type):
            return cast("View", _guard_class(view, requirement))
        if isinstance(view, staticmethod | classmethod) or not callable(view):
            raise TypeError(
                f"a guard stands on a view, not on {view!r}: guard the function, the class or View.as_view()"
            )
        if isinstance(view, GuardedMethod):
            return cast("View", GuardedMethod(_guard_function(view.function, requirement)))
        guarded = _guard_function(view, requirement)
        return cast("View", GuardedMethod(guarded) if _is_http_method(view) else guarded)

    return decorate


def _is_http_method(view: Callable[..., Any]) -> bool:
    """Whether a function stands in the body of a class as `get`, `post` and so on."""
    owner, _, name = getattr(view, "__qualname__", "").rpartition(".")
    return isfunction(view) and name in _HTTP_METHODS and bool(owner) and not owner.endswith("<locals>")


def _guard_function(view: Callable[..., Any], requirement: Requirement) -> Callable[..., Any]:
    """Guard a function view, or a method: the request is the first argument, or the second after `self`."""
    instance = _instance(view)
    rest_class = getattr(view, "cls", type(instance))
    is_rest = is_rest_class(rest_class)
    admits = not is_rest or _rest().reads_tokens_first(rest_class, getattr(view, "initkwargs", {}))
    guarded: Any
    if iscoroutinefunction(view) or getattr(instance, "view_is_async", False):  # `dispatch` is no coroutine function

        @wraps(view)
        async def guarded_async(*args: Any, **kwargs: Any) -> Any:
            refusal = await _arefusal(_request(view, args, kwargs), requirement, is_rest=is_rest, admits=admits)
            return refusal or await _vary_later(view(*args, **kwargs))

        guarded = guarded_async
    else:

        @wraps(view)
        def guarded_sync(*args: Any, **kwargs: Any) -> Any:
            refusal = _refusal(_request(view, args, kwargs), requirement, is_rest=is_rest, admits=admits)
            return refusal or _vary(view(*args, **kwargs))

        guarded = guarded_sync
    _mark(guarded, (*getattr(view, "requirements", ()), requirement))
    return guarded  # type: ignore[no-any-return] # Any takes the marks


def _guard_class(view: type[Any], requirement: Requirement) -> type[Any]:
    """A subclass that asks first: the class itself stays as it is, and whatever else is in the class hierarchy runs too."""
    is_rest = is_rest_class(view)
    if not is_rest and not hasattr(view, "dispatch"):
        raise TypeError(
            f"a guard cannot stand on {view.__name__}, which is not a view class: it has no dispatch method"
        )
    _refuse_super_by_name(view)

    guarded: Any = None  # the class is made around these functions

    def initial(self: Any, request: Any, *args: Any, **kwargs: Any) -> None:
        super(guarded, self).initial(request, *args, **kwargs)
        _rest().require(request, requirement)

    def dispatch(self: Any, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        if getattr(self, "view_is_async", False):
            return dispatch_async(self, request, *args, **kwargs)
        refusal = _refusal(request, requirement)
        return refusal or _vary(super(guarded, self).dispatch(request, *args, **kwargs))

    async def dispatch_async(self: Any, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        refusal = await _arefusal(request, requirement)
        return refusal or await _vary_later(super(guarded, self).dispatch(request, *args, **kwargs))

    hook: Any = wraps(view.initial)(initial) if is_rest else wraps(view.dispatch)(dispatch)
    hook.requirements = (requirement,)
    members = {
        hook.__name__: hook,
        "__module__": view.__module__,
        "__qualname__": view.__qualname__,
        "__doc__": view.__doc__,
    }
    try:
        guarded = types.new_class(view.__name__, (view,), exec_body=lambda namespace: namespace.update(members))
    except Exception as error:
        raise TypeError(
            f"a guard makes a subclass, which {view.__name__} refuses: guard {view.__name__}.as_view()"
        ) from error
    if not is_rest:
        open_the_walls(guarded)
    return cast("type[Any]", guarded)


def _refusal(
    request: Any, requirement: Requirement, *, is_rest: bool = False, admits: bool = True
) -> HttpResponseBase | None:
    """The answer that refuses a request, or None. Inside REST framework the refusal is an exception."""
    if not isinstance(request, HttpRequest):
        _rest().require(request, requirement)
        return None
    try:
        credential = _other_credential(request, getattr(request, "user", None), admits) if is_rest else UNREAD
        authentication.authorize(request, requirement, credential=credential, admits=admits)
    except AuthorizationError as error:
        return authentication.error_response(error)
    return None


async def _arefusal(
    request: Any, requirement: Requirement, *, is_rest: bool = False, admits: bool = True
) -> HttpResponseBase | None:
    if not isinstance(request, HttpRequest):
        await _rest().arequire(request, requirement)
        return None
    try:
        credential = UNREAD
        if is_rest:
            user = await request.auser() if hasattr(request, "auser") else None
            credential = _other_credential(request, user, admits)
        await authentication.aauthorize(request, requirement, credential=credential, admits=admits)
    except AuthorizationError as error:
        return authentication.error_response(error)
    return None


def _other_credential(request: HttpRequest, user: object, reads_tokens_first: bool) -> object:
    """What a view of REST framework, guarded from outside, finds before a token: the session, or what a test forces."""
    if "HTTP_AUTHORIZATION" in request.META and reads_tokens_first:
        return UNREAD
    forced = getattr(request, "_force_auth_token", None) or getattr(request, "_force_auth_user", None)
    return forced or (user if getattr(user, "is_authenticated", False) else UNREAD)


def _request(view: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    candidates = (*args[:2], kwargs.get("request"))
    for candidate in candidates:
        if isinstance(candidate, HttpRequest):
            return candidate
    for candidate in candidates:
        # A request of REST framework, told from a view that keeps Django's request under the same name.
        if isinstance(getattr(candidate, "_request", None), HttpRequest) and hasattr(candidate, "authenticators"):
            return candidate
    raise TypeError(f"a guarded view was called without a request: {getattr(view, '__qualname__', view)}")


def _instance(view: Any) -> Any:
    """The view object whose bound method this is, as `method_decorator` brings it; None for a function."""
    while view is not None:
        instance = getattr(getattr(view, "func", view), "__self__", None)
        if hasattr(instance, "http_method_names"):
            return instance
        view = getattr(view, "__wrapped__", None)
    return None


def _refuse_super_by_name(view: type[Any]) -> None:
    """Raise TypeError for `super(View, self)` in a class that is being decorated: the name will be the guarded subclass."""
    for function in filter(isfunction, vars(view).values()):
        for first, second in pairwise(dis.get_instructions(function)):
            if (first.argval, second.argval) == ("super", view.__name__) and not _is_bound(function, view):
                raise TypeError(
                    f"a guarded class calls super() without arguments: {function.__qualname__} names the class"
                )


def _is_bound(function: types.FunctionType, view: type[Any]) -> bool:
    """Whether the name of a class stands for that class already where the function was defined."""
    names = function.__code__.co_freevars
    if view.__name__ not in names or function.__closure__ is None:
        return function.__globals__.get(view.__name__) is view
    try:
        return function.__closure__[names.index(view.__name__)].cell_contents is view
    except ValueError:  # the cell is still empty
        return False


@cache
def _rest() -> Any:
    from resource_server import drf  # only a request of DRF leads here, and only the first one imports

    return drf


def _vary(response: Any) -> Any:
    # Caches keep answers by what they vary on (RFC 9110 section 12.5.5). What else a view returns is its framework's.
    if isinstance(response, HttpResponseBase):
        patch_vary_headers(response, ["Authorization"])
    elif isawaitable(response):
        return _vary_later(response)
    return response


async def _vary_later(response: Any) -> Any:
    return _vary(await response if isawaitable(response) else response)


def _mark(guarded: Any, requirements: tuple[Requirement, ...]) -> None:
    guarded.csrf_exempt, guarded.login_required = True, False  # Django's own marks on a view
    # For the API's description, which is made without a request; no request is judged by it.
    guarded.requirements = requirements
