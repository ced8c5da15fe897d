"""Finds the requirements that guards note on views, for the API's description and the system checks.

No request is judged by these notes.
"""

from collections.abc import Iterator
from contextlib import suppress
from types import FunctionType
from typing import Any

from resource_server.requirements import Requirement, requirement_of

__all__ = ["declared", "noted", "noted_on_class", "noted_on_function"]


def noted(marked: object) -> tuple[Requirement, ...]:
    """The requirements noted on one object itself: a guarded function, or a permission class."""
    found = getattr(marked, "requirements", ())
    return tuple(item for item in found if isinstance(item, Requirement)) if isinstance(found, list | tuple) else ()


def declared(view: object) -> tuple[Requirement, ...]:
    """The requirement that `drf.RequirementMixin` enforces on a view or a class of views. An `@action` may set a text."""
    if noted(getattr(view, "_permission", None)):  # made by the mixin; a view of others may have a `requirement` too
        with suppress(TypeError, ValueError):  # a mistake, which each request meets
            return (requirement_of(getattr(view, "requirement", None)),)
    return ()


def noted_on_function(view: object) -> tuple[Requirement, ...]:
    """The requirements of a function; without any, those of the functions that it wraps or holds in its closure.

    `@api_view` keeps its function only in a closure, and so does a decorator without `functools.wraps`.
    """
    found: list[Requirement] = []
    pending, seen = [view], set()
    while pending:
        function = pending.pop()
        if id(function) in seen:
            continue
        seen.add(id(function))
        own = noted(function)
        found += own
        if not own:
            pending += _inside(function)
    return tuple(dict.fromkeys(found))


def noted_on_class(view: type[Any], *names: str) -> tuple[Requirement, ...]:
    """The requirements of the methods with these names, in all base classes: the guards of a class call `super()`."""
    found = (
        requirement
        for base in view.__mro__
        for name in names
        for requirement in noted_on_function(vars(base).get(name))
    )
    return tuple(dict.fromkeys(found))


def _inside(view: object) -> Iterator[object]:
    if not isinstance(view, FunctionType):
        return
    yield getattr(view, "__wrapped__", None)
    for cell in view.__closure__ or ():
        try:
            enclosed = cell.cell_contents
        except ValueError:  # the cell is still empty
            continue
        if isinstance(enclosed, FunctionType):
            yield enclosed
