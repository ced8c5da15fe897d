"""The answer of a guard: a refusal in place of the view's answer; `Vary` and `Cache-Control` on the answer of the view."""

from inspect import isawaitable
from typing import Any

from django.http import HttpRequest, HttpResponseBase

from resource_server import authentication
from resource_server.authentication import UNREAD
from resource_server.errors import AuthorizationError
from resource_server.requirements import Requirement
from resource_server.responses import error_response, keep_private, vary_by_token
from resource_server.rest_views import rest

__all__ = ["arefusal", "avary", "refusal", "vary"]


def refusal(
    request: Any, requirement: Requirement, *, is_rest: bool = False, admits: bool = True
) -> HttpResponseBase | None:
    """The answer that refuses a request, or None. Raises AuthorizationFailed for a request of REST framework.

    `is_rest` is True for a guard around a view of REST framework; `admits` is False if that view sets the user by
    itself.
    """
    if not isinstance(request, HttpRequest):
        rest().require(request, requirement)
        return None
    try:
        credential = _other_credential(request, getattr(request, "user", None), admits) if is_rest else UNREAD
        authentication.authorize(request, requirement, credential=credential, admits=admits)
    except AuthorizationError as error:
        return error_response(error, request)
    return None


async def arefusal(
    request: Any, requirement: Requirement, *, is_rest: bool = False, admits: bool = True
) -> HttpResponseBase | None:
    """`refusal` for async views."""
    if not isinstance(request, HttpRequest):
        await rest().arequire(request, requirement)
        return None
    try:
        credential = UNREAD
        if is_rest:
            user = await request.auser() if hasattr(request, "auser") else None
            credential = _other_credential(request, user, admits)
        await authentication.aauthorize(request, requirement, credential=credential, admits=admits)
    except AuthorizationError as error:
        return error_response(error, request)
    return None


def vary(response: Any, request: Any) -> Any:
    """The answer of a guarded view to a request, with `Vary: Authorization` and `Cache-Control`.

    Values other than Django's responses are left as they are: the view's framework makes the response from them.
    """
    if isinstance(response, HttpResponseBase):
        vary_by_token(response)
        keep_private(response, request)
    elif isawaitable(response):
        return avary(response, request)
    return response


async def avary(response: Any, request: Any) -> Any:
    """`vary` for an answer that may have to be awaited."""
    return vary(await response if isawaitable(response) else response, request)


def _other_credential(request: HttpRequest, user: object, reads_tokens_first: bool) -> object:
    """The credential that a view of REST framework finds before a token: a session, or one that a test forces."""
    if "HTTP_AUTHORIZATION" in request.META and reads_tokens_first:
        return UNREAD
    forced = getattr(request, "_force_auth_token", None) or getattr(request, "_force_auth_user", None)
    return forced or (user if getattr(user, "is_authenticated", False) else UNREAD)
