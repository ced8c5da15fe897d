"""The scopes that the views of a resource demand, for its metadata. No request is judged by them."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from functools import lru_cache
from typing import Any

from django.urls import URLResolver, get_resolver, get_script_prefix

from resource_server.marks import declared, noted_on_class, noted_on_function
from resource_server.protected_resource import ProtectedResource, resource_of
from resource_server.requirements import Requirement
from resource_server.rest_views import is_rest_class
from resource_server.url_callbacks import Place, ninja_operations, placed_callbacks

__all__ = ["demanded_scopes"]


def demanded_scopes(resources: Sequence[ProtectedResource], resource: ProtectedResource) -> tuple[str, ...]:
    """The scopes of the views at the addresses of one of the resources, sorted.

    They are those of guards, permission classes and django-ninja's operations in the root URLconf. A view at addresses of
    several resources counts for each of them.
    """
    return _demanded(get_resolver(), get_script_prefix(), tuple(resources))[resource]


@lru_cache(maxsize=4)
def _demanded(
    _resolver: URLResolver, script_prefix: str, resources: tuple[ProtectedResource, ...]
) -> dict[ProtectedResource, tuple[str, ...]]:
    # For each resolver anew: Django makes another one if ROOT_URLCONF changes.
    found: dict[ProtectedResource, set[str]] = {resource: set() for resource in resources}
    for callback, places in placed_callbacks(script_prefix):
        with suppress(Exception):  # anything can be a view
            scopes = set(_of_callback(callback))
            for resource in _resources_at(places, resources) if scopes else ():
                found[resource] |= scopes
    return {resource: tuple(sorted(scopes)) for resource, scopes in found.items()}


def _resources_at(places: Iterable[Place], resources: tuple[ProtectedResource, ...]) -> set[ProtectedResource]:
    """The resources that requests for a view may be for."""
    # What follows an open place can go on in the same segment: a path of its own, which begins no resource.
    paths = [place.path if place.variable is None else f"{place.path}\0" for place in places]
    found = {resource for path in paths if (resource := resource_of(resources, path)) is not None}
    return found | {each for each in resources if any(place.may_begin(each.path) for place in places)}


def _of_callback(callback: Any) -> Iterator[str]:
    marks = list(noted_on_function(callback))
    view = getattr(callback, "cls", None) or getattr(callback, "view_class", None)
    if is_rest_class(view):
        yield from _of_rest_view(callback)
    elif isinstance(view, type):
        marks += [*declared(view), *noted_on_class(view, "dispatch", *getattr(view, "http_method_names", ()))]
    for operation in ninja_operations(callback):
        marks += noted_on_function(operation.view_func)
        rights = (getattr(auth, "requirement", None) for auth in operation.auth_callbacks)
        # The first decides: a token that it refuses is not left to the others.
        marks += [right for right in rights if isinstance(right, Requirement)][:1]
    for mark in marks:
        yield from mark.all_scopes


def _of_rest_view(callback: Any) -> Iterator[str]:
    from resource_server.view_access import access_of

    actions = getattr(callback, "actions", None) or {name: name for name in callback.cls.http_method_names}
    for method, action in actions.items():
        # As `as_view` makes it, so that the permissions of an action are those that its requests meet.
        view = callback.cls(**getattr(callback, "initkwargs", {}))
        view.request, view.args, view.kwargs, view.action = None, (), {}, action
        with suppress(Exception):  # permissions that need a request
            yield from access_of(view, method.upper()).scopes
