"""What a forked child must not inherit: locks that a thread of its parent held, threads that it does not have, verdicts.

A server that loads the application before it forks (gunicorn --preload) copies the memory of one thread only.
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
    """A way back to a bound method as long as its object lives, and to None after; a plain function lives for ever.

    Unlike `weakref.WeakMethod` it has no callback, which would run, and complain, while the interpreter shuts down.
    """
    if not hasattr(method, "__self__"):
        return lambda: method
    owner, function = weakref.ref(method.__self__), method.__func__  # type: ignore[attr-defined] # a bound method's

    def living() -> Callable[[], None] | None:
        found = owner()
        return None if found is None else function.__get__(found)

    return living


def on_fork(method: Callable[[], None]) -> None:
    """Call a bound method, or a function, in every child that this process forks. It must take no lock."""
    # Threads come here beside one another, so each step is one that none of them can come between.
    for number, known in list(_methods.items()):
        if known() is None:
            _methods.pop(number, None)
    _methods[next(_numbers)] = weak_method(method)


def _forked() -> None:
    for known in list(_methods.values()):
        method = known()
        if method is not None:
            method()


if hasattr(os, "register_at_fork"):  # not on Windows, where nothing forks
    os.register_at_fork(after_in_child=_forked)
