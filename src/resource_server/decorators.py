"""Guards for views of every kind: `requires`, `requires_scope`, `requires_any_scope` and `requires_token`.

A guard wraps the function or the class that it is given, and runs where it stands among the other decorators. On a
plain Django view it verifies the token and sets `request.user` and `request.auth`. Inside Django REST Framework it
reads what the authentication class verified, and refuses if no class reads tokens.
"""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar, cast, overload

from resource_server.guarded_classes import guard_class
from resource_server.guarded_functions import guard_function
from resource_server.guarded_methods import GuardedMethod, is_http_method
from resource_server.requirements import AnyScope, AnyToken, Requirement, Scopes, requirement_of

__all__ = ["requires", "requires_any_scope", "requires_scope", "requires_token"]

View = TypeVar("View", bound=Callable[..., Any])


def requires(declared: Requirement | str | Mapping[str, Requirement | str]) -> Callable[[View], View]:
    """Admit only requests whose verified access token meets the requirement; see `requires_scope` for the answers.

    `declared` is a Requirement, scopes in one text with spaces, or a dict with one of these for each HTTP method
    (`{"GET": "read", "POST": "write"}`) or for each action of a ViewSet. A method that is not named is refused.
    """
    if callable(declared):
        raise TypeError("@requires needs its requirement, for any token write @requires_token")
    return _decorator(requirement_of(declared))


def requires_scope(*scopes: str) -> Callable[[View], View]:
    """Admit only requests whose verified access token has all of the scopes.

    Without a token the answer is 401, without a scope 403 with a challenge that names the scopes (RFC 6750 section 3).
    A session or a password has no scopes. Raises, when the view is defined, ValueError without a scope or for a value
    that cannot be one, and TypeError for an object that cannot be guarded. A guarded plain view is exempt from the CSRF
    check, because a browser does not send a bearer token by itself, and from `LoginRequiredMiddleware`.
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

    Works bare (`@requires_token`) or called (`@requires_token()`).
    """
    decorate: Callable[[Any], Any] = _decorator(AnyToken())
    return decorate if view is None else decorate(view)


def _refuse_bare(name: str, scopes: tuple[object, ...]) -> None:
    if any(callable(scope) for scope in scopes):
        raise TypeError(f'@{name} needs its scopes: write @{name}("read:orders"); for any token write @requires_token')


def _decorator(requirement: Requirement) -> Callable[[View], View]:
    def decorate(view: View) -> View:
        if isinstance(view, type):
            return cast("View", guard_class(view, requirement))
        if isinstance(view, staticmethod | classmethod) or not callable(view):
            raise TypeError(
                f"a guard stands on a view, not on {view!r}: guard the function, the class or View.as_view()"
            )
        if isinstance(view, GuardedMethod):
            return cast("View", GuardedMethod(guard_function(view.function, requirement)))
        guarded = guard_function(view, requirement)
        return cast("View", GuardedMethod(guarded) if is_http_method(view) else guarded)

    return decorate
