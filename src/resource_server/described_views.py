"""The views that drf-spectacular describes, each with the guards that stand only on its URL pattern.

Importing this module registers it.
"""

import sys
from functools import lru_cache
from types import new_class
from typing import Any

from drf_spectacular.extensions import OpenApiViewExtension
from rest_framework.views import APIView

from resource_server.marks import noted_on_class, noted_on_function
from resource_server.requirements import Requirement
from resource_server.rest_authentication import AccessTokenAuthentication
from resource_server.view_access import access_of

__all__ = ["GuardedView"]


class GuardedView(OpenApiViewExtension):  # type: ignore[no-untyped-call] # registers by being defined
    """Adds to a described view the guards that stand only on its URL pattern, around `@api_view` and `as_view()`."""

    target_class = "rest_framework.views.APIView"
    match_subclasses = True
    priority = sys.maxsize  # drf-spectacular asks only one extension, so this one asks the others

    def view_replacement(self) -> type[APIView]:
        others = [other for other in OpenApiViewExtension._registry if other is not type(self)]  # noqa: SLF001
        matching = [other for other in others if other._matches(self.target)]  # noqa: SLF001
        first = max(matching, key=lambda other: other.priority, default=None)
        view: Any = self.target if first is None else first(self.target_callback).view_replacement()
        on_class = noted_on_class(view, "dispatch", "initial")
        outside = tuple(item for item in noted_on_function(self.target_callback) if item not in on_class)
        classes = self.target_callback.initkwargs.get("authentication_classes", view.authentication_classes)
        if not outside and any(isinstance(cls, type) and issubclass(cls, AccessTokenAuthentication) for cls in classes):
            replacement: type[APIView] = view
            return replacement
        return _with_guards(view, outside)


@lru_cache(maxsize=1024)
def _with_guards(view: Any, outside: tuple[Requirement, ...]) -> type[APIView]:
    # Cached: the same guards give the same class, because drf-spectacular counts classes to find a common path prefix.
    def get_authenticators(self: Any) -> list[Any]:
        found = list(super(guarded, self).get_authenticators())
        # drf-spectacular also asks before the view has a request.
        if self.request is None or any(isinstance(item, AccessTokenAuthentication) for item in found):
            return found
        demands = access_of(self, self.request.method, outside).demands
        return [AccessTokenAuthentication(), *found] if demands else found

    members = {
        "__doc__": view.__doc__,
        "__module__": view.__module__,
        "__qualname__": view.__qualname__,
        "guards_outside": outside,
        "get_authenticators": get_authenticators,
    }
    try:
        guarded: type[APIView] = new_class(
            view.__name__, (view,), exec_body=lambda namespace: namespace.update(members)
        )
    except Exception:  # noqa: BLE001 - a class may refuse subclasses with any error; it is then described as it is
        return view  # type: ignore[no-any-return] # drf-spectacular's own is untyped
    return guarded
