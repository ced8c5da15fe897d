"""Django REST Framework: the authentication class, the permission classes, and our errors as DRF's.

In DRF the authentication class verifies the token, and everything else reads `request.auth`.
"""

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NoReturn

from django.http import HttpRequest
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import APIException
from rest_framework.permissions import BasePermission
from rest_framework.request import ForcedAuthentication, Request

from resource_server import authentication, server
from resource_server.challenge import body, challenge, headers
from resource_server.errors import AuthorizationError, InsufficientScope, Unavailable
from resource_server.requirements import AnyScope, Requirement, Scopes
from resource_server.tokens.access_token import AccessToken

if TYPE_CHECKING:
    # DRF imports this module while it defines APIView, where its settings name our class.
    from rest_framework.views import APIView

__all__ = [
    "AccessTokenAuthentication",
    "AuthorizationFailed",
    "RequiresAnyScope",
    "RequiresScope",
    "arequire",
    "reads_tokens_first",
    "require",
]

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
    views that admit anyone. To migrate from another bearer scheme, `leaves_foreign_credentials = True` in a subclass
    leaves credentials that are not a JWT, or whose issuer is not listed, to the classes after it; a request whose
    credentials no class knows is then anonymous.
    """

    leaves_foreign_credentials = False

    def authenticate(self, request: Request | HttpRequest) -> authentication.Authenticated | None:
        """The user and the token; None without bearer credentials. Raises AuthorizationFailed."""
        if not isinstance(request, Request):
            return self._authenticate(request)
        view = request.parser_context.get("view")
        headers = getattr(view, "headers", None)
        if headers is not None:
            # DRF adds these headers to its answer. Caches keep answers by what they vary on (RFC 9110 section 12.5.5).
            headers["Vary"] = f"{headers['Vary']}, Authorization" if "Vary" in headers else "Authorization"
        authenticated = self._authenticate(request._request)
        if authenticated is None:
            self._lead_the_challenge(view)
        return authenticated

    def _authenticate(self, request: HttpRequest) -> authentication.Authenticated | None:
        try:
            return authentication.authenticate(request, leave_foreign=self.leaves_foreign_credentials)
        except AuthorizationError as error:
            raise AuthorizationFailed(error) from error

    def authenticate_header(self, request: Request | HttpRequest) -> str:
        return challenge(server.realm())

    def _lead_the_challenge(self, view: Any) -> None:
        # DRF asks the first class for the challenge, and answers 403 where that has none, as SessionAuthentication.
        # On this view object, which serves this request alone, ours is put first; the authenticators of the request
        # are made already, so nothing is authenticated in another order.
        classes = getattr(view, "authentication_classes", ())
        if type(self) in classes:
            view.authentication_classes = sorted(classes, key=lambda cls: cls is not type(self))


def RequiresScope(*scopes: str) -> type[BasePermission]:  # noqa: N802 - makes a class, and stands where one is named
    """A permission class: the token has all of the scopes. Composes with `&`, `|` and `~`; `~` also admits callers without a token."""
    return _permission(Scopes(scopes))


def RequiresAnyScope(*scopes: str) -> type[BasePermission]:  # noqa: N802 - as above
    """A permission class: the token has at least one of the scopes."""
    return _permission(AnyScope(scopes))


def require(request: Request, requirement: Requirement) -> None:
    """Demand a right of what the authentication classes verified. Raises AuthorizationFailed."""
    try:
        authentication.authorize(request._request, requirement, credential=_credential(request))
    except AuthorizationError as error:
        raise AuthorizationFailed(error) from error


async def arequire(request: Request, requirement: Requirement) -> None:
    """`require` for async handlers."""
    try:
        await authentication.aauthorize(request._request, requirement, credential=_credential(request))
    except AuthorizationError as error:
        raise AuthorizationFailed(error) from error


def reads_tokens_first(view: Any, initkwargs: Mapping[str, Any]) -> bool:
    """Whether a view class asks our class before those that would take over the user that a guard outside has set."""
    classes = initkwargs.get("authentication_classes", view.authentication_classes)
    first = next(iter(classes), AccessTokenAuthentication)
    return isinstance(first, type) and issubclass(first, AccessTokenAuthentication)


def _credential(request: Request) -> object:
    """What the authentication classes have authenticated the request with; None where they have found nothing."""
    if isinstance(_auth(request), AccessToken):
        return request.auth
    authenticators = request.authenticators or ()
    ours_or_forced = AccessTokenAuthentication | ForcedAuthentication  # the second is of REST framework's tests
    if not any(isinstance(authenticator, ours_or_forced) for authenticator in authenticators):
        logger.error("%r demands a scope, and none of its authentication classes reads access tokens", request.path)
    return request.successful_authenticator if authenticators else request


def _auth(request: Request) -> object:
    """`request.auth`, which SessionAuthentication leaves empty when it takes over the user that a middleware of ours has set."""
    if not isinstance(request.auth, AccessToken):
        found = authentication.admitted(request._request)
        if found is not None and found[0] is request.user:
            request.auth = found[1]
    return request.auth


def _permission(requirement: Requirement) -> type[BasePermission]:
    class ScopePermission(BasePermission):
        requirements = (requirement,)  # for the API's description

        def has_permission(self, request: Request, view: "APIView") -> bool:
            try:
                requirement.check(request.auth)
            except InsufficientScope:
                if request.auth is None and _auth(request) is not None:
                    return self.has_permission(request, view)
                _explain(view, requirement)
                return False
            return True

        # DRF's `~` negates this one too, so it cannot be left at BasePermission's True.
        def has_object_permission(self, request: Request, view: "APIView", obj: Any) -> bool:
            return self.has_permission(request, view)

    return ScopePermission


def _explain(view: "APIView", requirement: Requirement) -> None:
    # A permission answers yes or no, and only the view learns whether `|` found another way. So this view object,
    # which serves this request alone, is given the answer, should it come to that.
    denied: Any = view.permission_denied
    if isinstance(denied, _Denial):
        denied.requirement = requirement
    else:
        view.permission_denied = _Denial(view, requirement)  # type: ignore[method-assign]


class _Denial:
    """The `permission_denied` of a view whose requirement was not met."""

    def __init__(self, view: "APIView", requirement: Requirement) -> None:
        self.requirement = requirement
        self._view = view
        self._ours = view.permission_denied

    def __call__(self, request: Request, message: str | None = None, code: str | None = None) -> NoReturn:
        if message is None and code is None and _is_in_earnest(self._view, request):
            require(request, self.requirement)
        self._ours(request, message=message, code=code)
        raise AssertionError("permission_denied raises")


def _is_in_earnest(view: "APIView", request: Request) -> bool:
    # A schema asks views that do not serve the request, and `OPTIONS` and the browsable API ask about other methods:
    # their requests are answered, so nothing was refused.
    return (
        request.parser_context.get("view") is view
        and request.method == request._request.method
        and not getattr(view, "swagger_fake_view", False)  # drf-spectacular makes a request for each view
    )
