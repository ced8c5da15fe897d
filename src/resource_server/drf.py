"""Django REST Framework: the authentication class, the permission classes, and our errors as DRF's.

In DRF the authentication class verifies the token, and everything else reads `request.auth`.
"""

import logging
from typing import TYPE_CHECKING, Any

from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import APIException
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from resource_server import authentication, server
from resource_server.challenge import body, challenge, headers
from resource_server.errors import AuthorizationError, InsufficientScope, NoCredentials, Unavailable
from resource_server.requirements import AnyScope, Requirement, Scopes
from resource_server.tokens.flow import run

if TYPE_CHECKING:
    # DRF imports this module while it defines APIView, where its settings name our class.
    from rest_framework.views import APIView

__all__ = ["AccessTokenAuthentication", "AuthorizationFailed", "RequiresAnyScope", "RequiresScope", "require"]

logger = logging.getLogger("resource_server")


class AuthorizationFailed(APIException):
    """One of our errors in DRF's words. `error` is the AuthorizationError.

    Not an AuthenticationFailed, which DRF turns into 403 where another authentication class stands first.
    """

    def __init__(self, error: AuthorizationError) -> None:
        super().__init__(body(error), code=error.reason)
        self.error = error
        self.status_code = error.status
        # DRF's exception handler makes the headers from these two.
        self.auth_header = headers(server.realm(), error).get("WWW-Authenticate")
        self.wait = error.retry_after if isinstance(error, Unavailable) else None


class AccessTokenAuthentication(BaseAuthentication):
    """Bearer access tokens (RFC 6750 section 2.1): `request.user`, and `request.auth` as an AccessToken.

    Requests without a bearer token are left to the other authentication classes. A bad token is refused, also on
    views that admit anyone.
    """

    def authenticate(self, request: Request) -> authentication.Authenticated | None:
        http_request = request._request
        try:
            authenticated = authentication.remembered(http_request) or run(authentication.authenticate(http_request))
        except AuthorizationError as error:
            raise AuthorizationFailed(error) from error
        if authenticated is None:
            self._lead_the_challenge(request)
        return authenticated

    def authenticate_header(self, request: Request) -> str:
        return challenge(server.realm())

    def _lead_the_challenge(self, request: Request) -> None:
        # DRF asks the first class for the challenge, and answers 403 where that has none, as SessionAuthentication.
        # On this view object, which serves this request alone, ours is put first; the authenticators of the request
        # are made already, so nothing is authenticated in another order.
        view = request.parser_context.get("view")
        classes = getattr(view, "authentication_classes", ())
        if view is not None and type(self) in classes:
            view.authentication_classes = sorted(classes, key=lambda cls: cls is not type(self))


def RequiresScope(*scopes: str) -> type[BasePermission]:  # noqa: N802 - makes a class, and stands where one is named
    """A permission class: the token has all of the scopes. Composes with `&`, `|` and `~`; `~` also admits callers without a token."""
    return _permission(Scopes(scopes))


def RequiresAnyScope(*scopes: str) -> type[BasePermission]:  # noqa: N802 - as above
    """A permission class: the token has at least one of the scopes."""
    return _permission(AnyScope(scopes))


def require(request: Request, requirement: Requirement) -> None:
    """Demand a right of what the authentication classes verified. Raises AuthorizationFailed."""
    if not any(isinstance(authenticator, AccessTokenAuthentication) for authenticator in request.authenticators or ()):
        logger.error("%r demands a scope, and none of its authentication classes reads access tokens", request.path)
    token = request.auth
    try:
        if request.authenticators and not request.successful_authenticator:
            missing = NoCredentials("credentials_missing")
            run(authentication.report(request._request, missing))
            raise missing
        run(authentication.demand(request._request, requirement, token))
    except AuthorizationError as error:
        raise AuthorizationFailed(error) from error


def _permission(requirement: Requirement) -> type[BasePermission]:
    class ScopePermission(BasePermission):
        requirements = (requirement,)  # for the API's description

        def has_permission(self, request: Request, view: "APIView") -> bool:
            try:
                requirement.check(request.auth)
            except InsufficientScope:
                _explain(view, requirement)
                return False
            return True

        # DRF's `~` negates this one too, so it cannot be left at BasePermission's True.
        def has_object_permission(self, request: Request, view: "APIView", obj: Any) -> bool:
            return self.has_permission(request, view)

    return ScopePermission


def _explain(view: "APIView", requirement: Requirement) -> None:
    # A permission answers yes or no, and only the view learns whether `|` found another way. So this view object,
    # which serves this request alone, is told how to say no, should it come to that.
    ours = view.permission_denied

    def permission_denied(request: Request, message: str | None = None, code: str | None = None) -> None:
        if message is None and code is None:
            require(request, requirement)
        ours(request, message=message, code=code)

    view.permission_denied = permission_denied  # type: ignore[method-assign, assignment]
