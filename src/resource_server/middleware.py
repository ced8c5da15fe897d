"""`AccessTokenMiddleware`: verifies a bearer token before any view runs.

In MIDDLEWARE it stands after `AuthenticationMiddleware`, whose user it replaces, and before the middleware that reads
`request.user`.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.http import HttpRequest, HttpResponseBase
from django.urls import resolve

from resource_server.admission import admit, has_browser_credential
from resource_server.authentication import aauthenticate, authenticate
from resource_server.challenge import REFUSALS
from resource_server.errors import AuthorizationError
from resource_server.responses import error_response, keep_private, vary_by_token

__all__ = ["AccessTokenMiddleware"]


class AccessTokenMiddleware:
    """Sets `request.user`, `request.auser` and `request.auth` from a bearer token; refuses a bad token at once.

    A request without bearer credentials passes unchanged. A request that a token authenticates needs no CSRF token,
    unless it also has a credential that browsers send by themselves: a session cookie, or a `REMOTE_USER` of the
    server. In a subclass, `leaves_foreign_credentials = True` leaves bearer credentials that are not a JWT, or whose
    issuer is not listed, to the views, as in `AccessTokenAuthentication`. The metadata document (RFC 9728) is answered
    whatever the token is. A refusal of any view (401, 403, 405, 503) is `no-store` unless the view says otherwise. Does
    not require a token: guards and permissions do.
    """

    leaves_foreign_credentials = False

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self.get_response = get_response
        self._is_async = iscoroutinefunction(get_response)
        if self._is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        if self._is_async:
            return self._acall(request)
        try:
            authenticated = authenticate(request, leave_foreign=self.leaves_foreign_credentials)
        except AuthorizationError as error:
            if not _is_public(request):
                return error_response(error, request)
            authenticated = None
        if authenticated is not None:
            admit(request, *authenticated)
            _spare_csrf_check(request)
        return _vary(self.get_response(request), request, has_token=authenticated is not None)

    async def _acall(self, request: HttpRequest) -> HttpResponseBase:
        try:
            authenticated = await aauthenticate(request, leave_foreign=self.leaves_foreign_credentials)
        except AuthorizationError as error:
            if not _is_public(request):
                return error_response(error, request)
            authenticated = None
        if authenticated is not None:
            admit(request, *authenticated)
            _spare_csrf_check(request)
        return _vary(await self.get_response(request), request, has_token=authenticated is not None)


def _is_public(request: HttpRequest) -> bool:
    """Whether a view reads no token by itself: a client with an old token reads the metadata to get a new one."""
    try:
        return getattr(resolve(request.path_info).func, "reads_no_token", False) is True
    except Exception:  # noqa: BLE001 - the URLconf of a project may raise anything, and nothing is public then
        return False


def _spare_csrf_check(request: HttpRequest) -> None:
    if not has_browser_credential(request):
        # The mark that CsrfViewMiddleware sets on a request that it has checked.
        request.csrf_processing_done = True  # type: ignore[attr-defined] # Django's own mark on a request


def _vary(response: HttpResponseBase, request: HttpRequest, *, has_token: bool) -> HttpResponseBase:
    # Any view may read `request.user`, so each answer depends on the header.
    vary_by_token(response)
    if has_token or response.status_code in REFUSALS:
        keep_private(response, request)
    return response
