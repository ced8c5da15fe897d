"""What a forked child must not inherit: locks that a thread of its parent held, threads that it does not have, verdicts.

A server that loads the application before it forks (gunicorn --preload) copies the memory of one thread only.
"""

import os
import weakref
from collections.abc import Callable

__all__ = ["on_fork"]

_methods: list["weakref.WeakMethod[Callable[[], None]]"] = []


def on_fork(method: Callable[[], None]) -> None:
    """Call a bound method in every child that this process forks, as long as its object lives. It must take no lock."""
    _methods[:] = [known for known in _methods if known() is not None]
    _methods.append(weakref.WeakMethod(method))


def _forked() -> None:
    for known in _methods:
        method = known()
        if method is not None:
            method()


if hasattr(os, "register_at_fork"):  # not on Windows, where nothing forks
    os.register_at_fork(after_in_child=_forked)
