"""The user and the token that an edge has found for a request, kept on the request as `user`, `auser` and `auth`."""

from typing import Any, TypeAlias

from django.conf import settings
from django.http import HttpRequest

from resource_server.tokens.access_token import AccessToken

__all__ = ["ADMITTED", "Authenticated", "admit", "admitted", "has_browser_credential", "remember"]

Authenticated: TypeAlias = tuple[Any, AccessToken]

# The attribute of a request that keeps the user and the token, so that a second edge does not look again.
ADMITTED = "_resource_server_admitted"


def admit(request: HttpRequest, user: Any, token: AccessToken) -> None:
    """Set the result of `authenticate` as `user`, `auser` and `auth` of the request."""

    async def auser() -> Any:
        return user

    # All three, or an async view would find the session's user beside this token.
    target: Any = request
    target.user, target.auser, target.auth = user, auser, token
    remember(request, (user, token))


def admitted(request: HttpRequest) -> Authenticated | None:
    """The user and the token that an edge has found for this request, even if a framework has set others since."""
    found: _Admitted | None = request.__dict__.get(ADMITTED)
    return found.authenticated if found is not None and found.header == request.META.get("HTTP_AUTHORIZATION") else None


def has_browser_credential(request: HttpRequest) -> bool:
    """Whether the request has a credential that browsers send by themselves: a session cookie, or the server's REMOTE_USER."""
    return settings.SESSION_COOKIE_NAME in request.COOKIES or bool(request.META.get("REMOTE_USER"))


def remember(request: HttpRequest, authenticated: Authenticated) -> None:
    """Keep the result of `authenticate` for the next edge, and set no user: a framework sets it by itself."""
    vars(request)[ADMITTED] = _Admitted(request.META.get("HTTP_AUTHORIZATION"), authenticated)


class _Admitted:
    """The user and the token of a request, and the header that they were found in. The repr shows none of them."""

    __slots__ = ("authenticated", "header")

    def __init__(self, header: object, authenticated: Authenticated) -> None:
        self.header = header
        self.authenticated = authenticated
