"""Django REST Framework: the authentication class, and the permission classes for scopes.

The authentication class verifies the token; everything else reads `request.auth`.
"""

from typing import TYPE_CHECKING, Any, NoReturn

from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from resource_server.errors import InsufficientScope
from resource_server.requirements import AnyScope, Requirement, Scopes
from resource_server.rest_authentication import AccessTokenAuthentication, AuthorizationFailed
from resource_server.rest_authorization import arequire, auth, reads_tokens_first, require

if TYPE_CHECKING:
    # REST framework imports this module while it defines APIView, if its settings name our class.
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


def RequiresScope(*scopes: str) -> type[BasePermission]:  # noqa: N802 - makes a class, and stands where one is named
    """A permission class: the token has all of the scopes.

    Composes with `&`, `|` and `~`; `~` also admits callers without a token.
    """
    return _permission(Scopes(scopes))


def RequiresAnyScope(*scopes: str) -> type[BasePermission]:  # noqa: N802 - as above
    """A permission class: the token has at least one of the scopes."""
    return _permission(AnyScope(scopes))


def _permission(requirement: Requirement) -> type[BasePermission]:
    class ScopePermission(BasePermission):
        requirements = (requirement,)  # for the API's description

        def has_permission(self, request: Request, view: "APIView") -> bool:
            try:
                requirement.check(request.auth)
            except InsufficientScope:
                if request.auth is None and auth(request) is not None:
                    return self.has_permission(request, view)
                _explain(view, requirement)
                return False
            return True

        # REST framework's `~` negates this one too, so BasePermission's True would refuse every object.
        def has_object_permission(self, request: Request, view: "APIView", obj: Any) -> bool:
            return self.has_permission(request, view)

    return ScopePermission


def _explain(view: "APIView", requirement: Requirement) -> None:
    # A permission returns True or False, and only the view learns whether `|` found another way. So this view object,
    # which serves this request alone, gets the answer for the case that it refuses.
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
        self._views_own = view.permission_denied

    def __call__(self, request: Request, message: str | None = None, code: str | None = None) -> NoReturn:
        if message is None and code is None and _answers(self._view, request):
            require(request, self.requirement)
        self._views_own(request, message=message, code=code)
        raise AssertionError("permission_denied raises")


def _answers(view: "APIView", request: Request) -> bool:
    """Whether a refusal by the view is the answer to the request.

    A schema asks views that do not serve the request, and `OPTIONS` and the browsable API ask about other methods.
    These requests are answered whatever the permissions say, so nothing is refused.
    """
    return (
        request.parser_context.get("view") is view
        and request.method == request._request.method
        and not getattr(view, "swagger_fake_view", False)  # drf-spectacular makes a request for each view
    )
