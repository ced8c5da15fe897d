"""Requires a right of a request of Django REST Framework, whose authentication classes have verified the token."""

import logging
from collections.abc import Mapping
from typing import Any

from rest_framework.request import ForcedAuthentication, Request

from resource_server import authentication
from resource_server.admission import admitted
from resource_server.errors import AuthorizationError
from resource_server.requirements import Requirement
from resource_server.rest_answers import finish_answer
from resource_server.rest_authentication import AccessTokenAuthentication, AuthorizationFailed
from resource_server.tokens.access_token import AccessToken

__all__ = ["arequire", "auth", "reads_tokens_first", "require"]

logger = logging.getLogger("resource_server")


def require(request: Request, requirement: Requirement) -> None:
    """Require a right of the token that the authentication classes verified. Raises AuthorizationFailed."""
    try:
        authentication.authorize(request._request, requirement, credential=_credential(request))
    except AuthorizationError as error:
        raise _failed(request, error) from error


async def arequire(request: Request, requirement: Requirement) -> None:
    """`require` for async handlers."""
    try:
        await authentication.aauthorize(request._request, requirement, credential=_credential(request))
    except AuthorizationError as error:
        raise _failed(request, error) from error


def _failed(request: Request, error: AuthorizationError) -> AuthorizationFailed:
    if (view := request.parser_context.get("view")) is not None:
        finish_answer(view)  # also for a view whose authentication classes are all of others
    return AuthorizationFailed(error, request)


def reads_tokens_first(view: Any, initkwargs: Mapping[str, Any]) -> bool:
    """Whether a view class asks our authentication class before one that takes over the user of an outer guard."""
    classes = initkwargs.get("authentication_classes", view.authentication_classes)
    first = next(iter(classes), AccessTokenAuthentication)
    return isinstance(first, type) and issubclass(first, AccessTokenAuthentication)


def auth(request: Request) -> object:
    """`request.auth`, with the token of our middleware where SessionAuthentication took over its user without it."""
    if not isinstance(request.auth, AccessToken):
        found = admitted(request._request)
        if found is not None and found[0] is request.user:
            request.auth = found[1]
    return request.auth


def _credential(request: Request) -> object:
    """The credential that authenticated a request; None if the authentication classes found none."""
    if isinstance(auth(request), AccessToken):
        return request.auth
    authenticators = request.authenticators or ()
    ours_or_forced = AccessTokenAuthentication | ForcedAuthentication  # REST framework's tests set the second
    if not any(isinstance(authenticator, ours_or_forced) for authenticator in authenticators):
        logger.error("%r demands a scope, and none of its authentication classes reads access tokens", request.path)
    return request.successful_authenticator if authenticators else request
