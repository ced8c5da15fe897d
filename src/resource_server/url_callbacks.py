"""The views of the root URLconf, for the system checks and the metadata. Raises nothing."""

from collections.abc import Iterator
from contextlib import suppress
from inspect import unwrap
from typing import Any

from django.urls import URLPattern, URLResolver, get_resolver

__all__ = ["callbacks", "ninja_operations"]


def callbacks() -> Iterator[Any]:
    """Each view, as its URL pattern has it. A URLconf that cannot be loaded is skipped: Django itself reports it."""
    pending: list[Any] = []
    with suppress(Exception):
        pending = [get_resolver()]
    seen: set[int] = set()
    while pending:
        pattern = pending.pop(0)
        if isinstance(pattern, URLPattern):
            yield pattern.callback
        elif isinstance(pattern, URLResolver):
            with suppress(Exception):
                inside = pattern.url_patterns
                if id(inside) not in seen:  # one that is included twice, or in itself
                    seen.add(id(inside))
                    pending = [*inside, *pending]


def ninja_operations(callback: Any) -> Iterator[Any]:
    """The operations of a view of django-ninja, a function that holds its PathView in its closure."""
    for cell in getattr(unwrap(callback), "__closure__", None) or ():
        with suppress(ValueError):  # the cell is still empty
            yield from getattr(cell.cell_contents, "operations", ())
