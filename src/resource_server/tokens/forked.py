"""What a forked child must not inherit: locks that a thread of its parent held, threads that it does not have, verdicts.

A server that loads the application before it forks (gunicorn --preload) copies the memory of one thread only.
"""

import itertools
import os
import weakref
from collections.abc import Callable

__all__ = ["on_fork"]

_numbers = itertools.count()
_methods: dict[int, "weakref.WeakMethod[Callable[[], None]]"] = {}


def on_fork(method: Callable[[], None]) -> None:
    """Call a bound method in every child that this process forks, as long as its object lives. It must take no lock."""
    # Threads come here beside one another, so each step is one that none of them can come between.
    for number, known in list(_methods.items()):
        if known() is None:
            _methods.pop(number, None)
    _methods[next(_numbers)] = weakref.WeakMethod(method)


def _forked() -> None:
    for known in list(_methods.values()):
        method = known()
        if method is not None:
            method()


if hasattr(os, "register_at_fork"):  # not on Windows, where nothing forks
    os.register_at_fork(after_in_child=_forked)
