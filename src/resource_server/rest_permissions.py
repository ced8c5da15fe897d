"""A requirement -> a permission class of REST framework, and the answer of a view that it refuses.

REST framework imports this module while it defines APIView, if its settings name our class: so no import of its views.
"""

from typing import TYPE_CHECKING, Any, NoReturn

from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from resource_server.errors import Rejected
from resource_server.requirements import Requirement
from resource_server.rest_authorization import auth, judges_objects, operation_of, require
from resource_server.tokens.access_token import AccessToken

if TYPE_CHECKING:
    from rest_framework.views import APIView

__all__ = ["permission_class"]


def permission_class(requirement: Requirement) -> type[BasePermission]:
    """The permission class of a requirement. It returns True or False; the view's denial explains the refusal."""

    class RequirementPermission(BasePermission):
        requirements = (requirement,)  # for the API's description

        def has_permission(self, request: Request, view: "APIView") -> bool:
            try:
                requirement.check(request.auth)
            except Rejected:
                token = auth(request)
                if isinstance(token, AccessToken):
                    operation = operation_of(request)
                    if requirement.holds(token, operation) is True:
                        return True
                    if judges_objects(view, request) and requirement.can_hold(token, operation):
                        return True
                _explain(view, requirement)
                return False
            return True

        # REST framework's `~` negates this one too, so BasePermission's True would refuse every object.
        def has_object_permission(self, request: Request, view: "APIView", obj: Any) -> bool:
            token = auth(request)
            if isinstance(token, AccessToken) and requirement.holds(token, operation_of(request, obj)) is True:
                return True
            _explain(view, requirement, obj)
            return False

    return RequirementPermission


def _explain(view: "APIView", requirement: Requirement, target: object = None) -> None:
    # A permission returns True or False, and only the view learns whether `|` found another way. So this view object,
    # which serves this request alone, gets the answer for the case that it refuses.
    denied: Any = view.permission_denied
    if isinstance(denied, _Denial):
        denied.requirement, denied.target = requirement, target
    else:
        view.permission_denied = _Denial(view, requirement, target)  # type: ignore[method-assign]


class _Denial:
    """The `permission_denied` of a view whose requirement was not met."""

    def __init__(self, view: "APIView", requirement: Requirement, target: object) -> None:
        self.requirement = requirement
        self.target = target
        self._view = view
        self._views_own = view.permission_denied

    def __call__(self, request: Request, message: str | None = None, code: str | None = None) -> NoReturn:
        if message is None and code is None and _answers(self._view, request):
            require(request, self.requirement, self.target)
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
