"""`requires_scope` and `requires_any_scope` for views of every kind.

On a plain Django view, function or class, sync or async, the decorator verifies the token itself and sets
`request.user` and `request.auth`. In Django REST Framework it reads what the authentication class verified, and
refuses where none did. It never reads an unverified token.
"""

from collections.abc import Callable
from functools import cache, wraps
from inspect import isawaitable, iscoroutinefunction
from typing import Any, TypeVar, cast

from django.http import HttpRequest, HttpResponseBase, JsonResponse
from django.utils.cache import patch_vary_headers

from resource_server import authentication, server
from resource_server.challenge import body, headers
from resource_server.errors import AuthorizationError, NoCredentials
from resource_server.requirements import AnyScope, Requirement, Scopes
from resource_server.tokens.access_token import AccessToken
from resource_server.tokens.flow import Flow, arun, run

__all__ = ["requires_any_scope", "requires_scope"]

View = TypeVar("View", bound=Callable[..., Any])


def requires_scope(*scopes: str) -> Callable[[View], View]:
    """Admit only requests whose verified access token has all of the scopes.

    Without a token: 401; without a scope: 403, with a challenge that names the scopes (RFC 6750 section 3). A session
    or a password has no scopes. Raises ValueError, when the view is defined, for no scope or for what cannot be one.
    A plain Django view so decorated is exempt from the CSRF check, because a bearer token is sent by the caller and
    never by the browser alone.
    """
    return _decorator(Scopes(scopes))


def requires_any_scope(*scopes: str) -> Callable[[View], View]:
    """Admit only requests whose verified access token has at least one of the scopes; see `requires_scope`."""
    return _decorator(AnyScope(scopes))


def _decorator(requirement: Requirement) -> Callable[[View], View]:
    def decorate(view: View) -> View:
        if isinstance(view, type):
            return cast("View", _guard_class(view, requirement))
        if _is_rest_class(getattr(view, "cls", None)):
            return cast("View", _guard_rest_view(view, requirement))
        return cast("View", _guard_function(view, requirement))

    return decorate


def _guard_function(view: Callable[..., Any], requirement: Requirement) -> Callable[..., Any]:
    """Guard a function view or a method: the request is the first argument, or the second after `self`."""
    if iscoroutinefunction(view):

        @wraps(view)
        async def guarded_async(*args: Any, **kwargs: Any) -> Any:
            request = _request(view, args, kwargs)
            if not isinstance(request, HttpRequest):
                _require_in_rest(request, requirement)
                return await view(*args, **kwargs)
            refusal = await arun(_enter(request, requirement))
            return refusal or _vary(await view(*args, **kwargs))

        return _marked(guarded_async, view, requirement)

    @wraps(view)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        request = _request(view, args, kwargs)
        if not isinstance(request, HttpRequest):
            _require_in_rest(request, requirement)
            return view(*args, **kwargs)
        return run(_enter(request, requirement)) or _vary(view(*args, **kwargs))

    return _marked(guarded, view, requirement)


def _guard_class(view: type[Any], requirement: Requirement) -> type[Any]:
    if _is_rest_class(view):
        initial = view.initial

        @wraps(initial)
        def guarded_initial(self: Any, request: Any, *args: Any, **kwargs: Any) -> None:
            initial(self, request, *args, **kwargs)
            _require_in_rest(request, requirement)

        view.initial = _marked(guarded_initial, initial, requirement)
        return view
    if not hasattr(view, "dispatch"):
        raise TypeError(f"requires_scope: {view.__name__} is no view class, for it has no dispatch method")
    dispatch = _as_coroutine_function(view.dispatch) if getattr(view, "view_is_async", False) else view.dispatch
    view.dispatch = _guard_function(dispatch, requirement)
    return view


def _as_coroutine_function(dispatch: Callable[..., Any]) -> Callable[..., Any]:
    # Django's dispatch is a plain function that returns the coroutine of an async handler.
    @wraps(dispatch)
    async def dispatched(*args: Any, **kwargs: Any) -> Any:
        response = dispatch(*args, **kwargs)
        return await response if isawaitable(response) else response

    return dispatched


def _guard_rest_view(view: Any, requirement: Requirement) -> Callable[..., Any]:
    """Guard what `@api_view` or `as_view()` of DRF returned, through a class of its own: the original may serve elsewhere, unguarded."""
    guarded = type(view.cls.__name__, (view.cls,), {"__doc__": view.cls.__doc__, "__module__": view.cls.__module__})
    actions = (view.actions,) if hasattr(view, "actions") else ()
    as_view: Callable[..., Callable[..., Any]] = _guard_class(guarded, requirement).as_view
    return as_view(*actions, **view.initkwargs)


def _is_rest_class(view: object) -> bool:
    """Whether a class is DRF's APIView, told by what is used of it, so that DRF need not be installed."""
    return isinstance(view, type) and hasattr(view, "initial") and hasattr(view, "perform_authentication")


def _request(view: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    for candidate in (*args[:2], kwargs.get("request")):
        if isinstance(candidate, HttpRequest) or isinstance(getattr(candidate, "_request", None), HttpRequest):
            return candidate
    raise TypeError(f"requires_scope: {view.__qualname__} was called without a request")


def _enter(request: HttpRequest, requirement: Requirement) -> Flow[JsonResponse | None]:
    """Authenticate a plain Django request and demand the right; the answer that refuses it, or None."""
    try:
        # An outer decorator has verified this token already.
        token = getattr(request, "auth", None)
        if not isinstance(token, AccessToken):
            authenticated = authentication.remembered(request) or (yield from authentication.authenticate(request))
            if authenticated is None:
                missing = NoCredentials("credentials_missing")
                yield from authentication.report(request, missing)
                raise missing
            _set_user(request, *authenticated)
            token = authenticated[1]
        yield from authentication.demand(request, requirement, token)
    except AuthorizationError as error:
        return _vary(JsonResponse(body(error), status=error.status, headers=headers(server.realm(), error)))
    return None


def _set_user(request: Any, user: Any, token: AccessToken) -> None:
    async def auser() -> Any:
        return user

    # All three, or an async view would find the session's person beside this token.
    request.user, request.auser, request.auth = user, auser, token


def _require_in_rest(request: Any, requirement: Requirement) -> None:
    _rest_require()(request, requirement)


@cache
def _rest_require() -> Callable[..., None]:
    from resource_server.drf import require  # only a request of DRF leads here, and only the first one imports

    return require


Response = TypeVar("Response", bound=HttpResponseBase)


def _vary(response: Response) -> Response:
    # Django's cache middleware keeps answers by what they vary on (RFC 9110 section 12.5.5).
    patch_vary_headers(response, ["Authorization"])
    return response


def _marked(guarded: Callable[..., Any], view: Any, requirement: Requirement) -> Callable[..., Any]:
    guarded.csrf_exempt = True  # type: ignore[attr-defined] # Django's own mark on a view
    # For the API's description, which is made without a request; no request is judged by it.
    guarded.requirements = (*getattr(view, "requirements", ()), requirement)  # type: ignore[attr-defined]
    return guarded
