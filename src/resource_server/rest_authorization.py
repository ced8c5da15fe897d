"""Requires a right of a request of Django REST Framework, whose authentication classes have verified the token."""

import logging
from collections.abc import Mapping
from typing import Any

from rest_framework.request import ForcedAuthentication, Request

from resource_server import authentication
from resource_server.admission import admitted
from resource_server.errors import AuthorizationError
from resource_server.requirements import Operation, Requirement
from resource_server.rest_answers import finish_answer
from resource_server.rest_authentication import AccessTokenAuthentication, AuthorizationFailed
from resource_server.tokens.access_token import AccessToken

__all__ = ["arequire", "auth", "judges_objects", "operation_of", "reads_tokens_first", "require"]

# RFC 9110 section 9.2.1. The constant of REST framework is in its permissions, which this module must not import.
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

logger = logging.getLogger("resource_server")


def require(request: Request, requirement: Requirement, target: object = None) -> None:
    """Require a right of the token that the authentication classes verified, for an object if there is one.

    Raises AuthorizationFailed.
    """
    try:
        authentication.authorize(
            request._request,
            requirement,
            credential=_credential(request),
            operation=operation_of(request, target),
        )
    except AuthorizationError as error:
        raise _failed(request, error) from error


async def arequire(request: Request, requirement: Requirement, target: object = None) -> None:
    """`require` for async handlers."""
    try:
        await authentication.aauthorize(
            request._request,
            requirement,
            credential=_credential(request),
            operation=operation_of(request, target),
        )
    except AuthorizationError as error:
        raise _failed(request, error) from error


def _failed(request: Request, error: AuthorizationError) -> AuthorizationFailed:
    if (view := request.parser_context.get("view")) is not None:
        finish_answer(view)  # also for a view whose authentication classes are all of others
    return AuthorizationFailed(error, request)


def operation_of(request: Request, target: object = None) -> Operation:
    """The facts of a request that requirements read, as REST framework knows them.

    For OPTIONS and its browsable pages, REST framework asks about other methods than that of the HTTP request.
    """
    context = request.parser_context
    view = context.get("view")
    # For a request that REST framework makes up, `view.action` is still that of the real one.
    actions = getattr(view, "action_map", None) or {}
    return Operation(
        method=request.method,
        action=actions.get(str(request.method).lower(), getattr(view, "action", None)),
        arguments=context.get("kwargs") or {},
        user=request.user,
        target=target,
    )


def judges_objects(view: Any, request: Request) -> bool:
    """Whether the objects of a request will be judged or filtered: by `get_object`, or by the queryset of our mixin.

    A request that makes an object has none to judge.
    """
    lookup = getattr(view, "lookup_url_kwarg", None) or getattr(view, "lookup_field", None)
    if not hasattr(view, "get_object"):
        return False  # not a generic view: nothing asks for its objects
    if lookup is not None and lookup in view.kwargs:
        return True
    return bool(getattr(view, "filters_queryset", False)) and request.method in _SAFE_METHODS


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
