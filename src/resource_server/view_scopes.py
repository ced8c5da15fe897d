"""The scopes that the views of the project demand, for the metadata of the resource. No request is judged by them."""

from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache
from typing import Any

from django.urls import URLResolver, get_resolver

from resource_server.marks import declared, noted_on_class, noted_on_function
from resource_server.requirements import Requirement
from resource_server.rest_views import is_rest_class
from resource_server.url_callbacks import callbacks, ninja_operations

__all__ = ["demanded_scopes"]


def demanded_scopes() -> tuple[str, ...]:
    """The scopes of the root URLconf's views, sorted: of guards, permission classes and django-ninja's operations."""
    return _demanded(get_resolver())


@lru_cache(maxsize=4)
def _demanded(_resolver: URLResolver) -> tuple[str, ...]:
    # For each resolver anew: Django makes another one if ROOT_URLCONF changes.
    found: set[str] = set()
    for callback in callbacks():
        with suppress(Exception):  # anything can be a view
            found.update(_of_callback(callback))
    return tuple(sorted(found))


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
        marks += [right for right in rights if isinstance(right, Requirement)]
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
