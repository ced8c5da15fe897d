"""Django REST Framework: the authentication class, and the permission classes for scopes.

The authentication class verifies the token; everything else reads `request.auth`.
"""

from collections.abc import Mapping
from typing import Any

from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from resource_server.owned_objects import owned_objects
from resource_server.requirements import AnyScope, AnyToken, Requirement, Scopes, requirement_of, requirement_of_scopes
from resource_server.rest_authentication import AccessTokenAuthentication, AuthorizationFailed
from resource_server.rest_authorization import arequire, auth, operation_of, reads_tokens_first, require
from resource_server.rest_permissions import permission_class
from resource_server.tokens.access_token import AccessToken

__all__ = [
    "AccessTokenAuthentication",
    "AuthorizationFailed",
    "RequirementMixin",
    "Requires",
    "RequiresAnyScope",
    "RequiresScope",
    "arequire",
    "reads_tokens_first",
    "require",
]


def Requires(declared: Requirement | str | Mapping[str, Requirement | str]) -> type[BasePermission]:  # noqa: N802 - makes a class
    """A permission class: the token meets the requirement, scopes in one text, or one of these per method or action.

    Composes with `&`, `|` and `~` of REST framework, whose `~` also admits callers without a token; compose the
    requirements instead to demand one. An `Owner` is judged for each object that the view gets. So a request is admitted
    to a view that gets one object, by `get_object`, or that filters its queryset, by `RequirementMixin`.
    """
    return permission_class(requirement_of(declared))


def RequiresScope(*scopes: str) -> type[BasePermission]:  # noqa: N802 - as above
    """A permission class: the token has all of the scopes; see `Requires`."""
    return permission_class(Scopes(scopes))


def RequiresAnyScope(*scopes: str) -> type[BasePermission]:  # noqa: N802 - as above
    """A permission class: the token has at least one of the scopes; see `Requires`."""
    return permission_class(AnyScope(scopes))


# A view or ViewSet with one `requirement`, for all actions or per action: `{"list": "read:orders", ...}`.
#
# Stands before the class of REST framework. Checked beside `permission_classes`, whatever `get_permissions` returns.
# With an `Owner`, the queryset is reduced to what the caller owns. Without a requirement the view refuses; but
# `required_scopes` and `required_alternate_scopes` are understood as in django-oauth-toolkit.
# A comment, because drf-spectacular gives the docstring of a base class to the views that have none.
class RequirementMixin:
    requirement: Any = ~AnyToken()
    filters_queryset = True
    _permission: type[BasePermission]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        names = ("required_scopes", "required_alternate_scopes")
        if "requirement" not in vars(cls) and not vars(cls).keys().isdisjoint(names):
            cls.requirement = requirement_of_scopes(*(getattr(cls, name, None) for name in names))
        cls.requirement = requirement_of(cls.requirement)
        cls._permission = permission_class(cls.requirement)
        for base in cls.__mro__:
            if base is RequirementMixin:
                break
            if base.__module__.startswith(("rest_framework.", "adrf.")):
                raise TypeError(f"{cls.__name__}: RequirementMixin stands before {base.__name__}")

    def check_permissions(self: Any, request: Request) -> None:
        super().check_permissions(request)  # type: ignore[misc] # of the view beside it
        if not self._permission_of_view().has_permission(request, self):
            self.permission_denied(request)

    def check_object_permissions(self: Any, request: Request, obj: Any) -> None:
        super().check_object_permissions(request, obj)  # type: ignore[misc] # as above
        if not self._permission_of_view().has_object_permission(request, self, obj):
            self.permission_denied(request)

    def _permission_of_view(self: Any) -> BasePermission:
        if self.requirement is self._permission.requirements[0]:
            return self._permission()  # type: ignore[no-any-return] # made with the class
        return Requires(self.requirement)()  # of `as_view(requirement=...)`, or set after the class was made

    def filter_queryset(self: Any, queryset: Any) -> Any:
        return self._filter_owned(super().filter_queryset(queryset))  # type: ignore[misc] # as above

    async def afilter_queryset(self: Any, queryset: Any) -> Any:
        return self._filter_owned(await super().afilter_queryset(queryset))  # type: ignore[misc] # of adrf

    def _filter_owned(self: Any, queryset: Any) -> Any:
        token = auth(self.request)
        if not isinstance(token, AccessToken):
            return queryset.none()
        return owned_objects(queryset, requirement_of(self.requirement), token, operation_of(self.request))
