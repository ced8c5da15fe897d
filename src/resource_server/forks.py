"""Calls in each forked child, to drop the state that it must not inherit: held locks, threads, verdicts.

A server that loads the application before it forks (gunicorn --preload) copies the memory of all threads, but runs only
the one that has forked.
"""

import itertools
import os
import weakref
from collections.abc import Callable
from typing import TypeAlias

__all__ = ["WeakMethod", "on_fork", "weak_method"]

WeakMethod: TypeAlias = Callable[[], Callable[[], None] | None]

_numbers = itertools.count()
_methods: dict[int, WeakMethod] = {}


def weak_method(method: Callable[[], None]) -> WeakMethod:
    """Return a reference that gives the bound method while its object lives, then None. A plain function lives for ever.

    `weakref.WeakMethod` has a callback, which runs and fails while the interpreter shuts down.
    """
    if not hasattr(method, "__self__"):
        return lambda: method
    owner, function = weakref.ref(method.__self__), method.__func__  # type: ignore[attr-defined] # a bound method's

    def living() -> Callable[[], None] | None:
        found = owner()
        return None if found is None else function.__get__(found)

    return living


def on_fork(method: Callable[[], None]) -> None:
    """Call a bound method or a function in each child that this process forks. It must take no lock."""
    # Threads may be here at once, so each step is atomic.
    for number, known in list(_methods.items()):
        if known() is None:
            _methods.pop(number, None)
    _methods[next(_numbers)] = weak_method(method)


def _forked() -> None:
    for known in list(_methods.values()):
        method = known()
        if method is not None:
            method()


if hasattr(os, "register_at_fork"):  # Windows has no fork
    os.register_at_fork(after_in_child=_forked)
