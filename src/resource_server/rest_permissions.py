"""A requirement -> a permission class of REST framework, and the answer of a view that it refuses.

REST framework imports this module while it defines APIView, if its settings name our class: so no import of its views.
"""

from collections.abc import Iterator
from functools import reduce
from operator import and_
from typing import TYPE_CHECKING, Any, NoReturn

from rest_framework.permissions import AND, NOT, OR, BasePermission
from rest_framework.request import Request

from resource_server.errors import Rejected
from resource_server.requirements import AnyToken, Requirement, Scopes
from resource_server.rest_authentication import challenged_scopes
from resource_server.rest_authorization import auth, judges_objects, operation_of, require
from resource_server.tokens.access_token import AccessToken

if TYPE_CHECKING:
    from rest_framework.views import APIView

__all__ = ["permission_class"]


def permission_class(requirement: Requirement) -> type[BasePermission]:
    """The permission class of a requirement. It returns True or False; the view's denial explains the refusal."""

    class RequirementPermission(_RequirementPermission):
        requirements = (requirement,)  # for the API's description

    return RequirementPermission


class _RequirementPermission(BasePermission):
    requirements: tuple[Requirement]

    def has_permission(self, request: Request, view: "APIView") -> bool:
        [requirement] = self.requirements
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
            self._explain(view)
            return False
        return True

    # REST framework's `~` negates this one too, so BasePermission's True would refuse every object.
    def has_object_permission(self, request: Request, view: "APIView", obj: Any) -> bool:
        token = auth(request)
        if isinstance(token, AccessToken) and self.requirements[0].holds(token, operation_of(request, obj)) is True:
            return True
        self._explain(view, obj)
        return False

    def _explain(self, view: "APIView", target: object = None) -> None:
        # A permission returns True or False, and only the view learns whether `|` found another way. So this view
        # object, which serves this request alone, gets the answer for the case that it refuses.
        denied: Any = view.permission_denied
        if isinstance(denied, _Denial):
            # For an object, REST framework's `|` asks for the permission without it too.
            denied.permission, denied.target = self, denied.target if target is None else target
        else:
            view.permission_denied = _Denial(view, self, target)  # type: ignore[method-assign]


class _Denial:
    """The `permission_denied` of a view one of whose requirements was not met; `permission` is the last of these."""

    def __init__(self, view: "APIView", permission: _RequirementPermission, target: object) -> None:
        self.permission = permission
        self.target = target
        self._view = view
        self._views_own = view.permission_denied

    def __call__(self, request: Request, message: str | None = None, code: str | None = None) -> NoReturn:
        target = self.target
        if message is None and code is None and _answers(self._view, request):
            requirement = self._refusing(request)
            if requirement is not None:
                require(request, requirement, target)
        self._views_own(request, message=message, code=code)
        raise AssertionError("permission_denied raises")

    def _refusing(self, request: Request) -> Requirement | None:
        """The requirement that refuses: of all permissions together, so that one challenge names all scopes.

        None if a permission of others refuses.
        """
        if request.successful_authenticator is None and not isinstance(auth(request), AccessToken):
            scopes = challenged_scopes(request)
            return Scopes(scopes) if scopes else AnyToken()
        last, target = self.permission, self.target
        try:
            permissions = self._view.get_permissions()
        except Exception:  # noqa: BLE001 - of the project, asked once more for a challenge that is right without it too
            return last.requirements[0]
        admitting = [(each, _admits(each, request, self._view, target)) for each in permissions]
        refusing = [each for each, admits in admitting if admits is False]
        if any(_requirement(each) is not None for each in refusing):
            judged = [_requirement(each) for each, admits in admitting if admits is not None]
            return reduce(and_, (each for each in judged if each is not None))
        # A permission of others decides too. REST framework asks permissions in turn, and denies at the first refusal.
        suspects = refusing or [each for each, admits in admitting if admits is None]
        is_of_view = not any(type(last) in _classes(each) for each in permissions)  # of a RequirementMixin
        return last.requirements[0] if is_of_view or any(type(last) in _classes(each) for each in suspects) else None


def _admits(permission: Any, request: Request, view: "APIView", target: object) -> bool | None:
    """Whether a permission admits the request, for an object if there is one; None if permissions of others decide."""
    if isinstance(permission, NOT):
        admits = _admits(permission.op1, request, view, target)  # type: ignore[attr-defined] # not in the stubs
        return None if admits is None else not admits
    if isinstance(permission, AND | OR):
        sides = {_admits(side, request, view, target) for side in _sides(permission)}
        decisive = isinstance(permission, OR)
        return decisive if decisive in sides else None if None in sides else not decisive
    if not isinstance(permission, _RequirementPermission):
        return None
    if target is None:
        return permission.has_permission(request, view)
    return permission.has_object_permission(request, view, target)


def _requirement(permission: Any) -> Requirement | None:
    """The requirement that a permission stands for: the readable ones of `&`, and of `|` only both together."""
    if isinstance(permission, AND | OR):
        first, second = map(_requirement, _sides(permission))
        if first is not None and second is not None:
            return first | second if isinstance(permission, OR) else first & second
        return None if isinstance(permission, OR) else first if second is None else second
    return permission.requirements[0] if isinstance(permission, _RequirementPermission) else None


def _classes(permission: Any) -> Iterator[type]:
    if isinstance(permission, AND | OR | NOT):
        for side in _sides(permission):
            yield from _classes(side)
    else:
        yield type(permission)


def _sides(permission: Any) -> list[Any]:
    return [getattr(permission, name) for name in ("op1", "op2") if hasattr(permission, name)]


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
