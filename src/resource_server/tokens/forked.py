"""What a forked child must not inherit: locks that a thread of its parent held, threads that it does not have, verdicts.

A server that loads the application before it forks (gunicorn --preload) copies the memory of one thread only.
"""

import os
import weakref
from collections.abc import Callable
from typing import Any

__all__ = ["on_fork"]

# Threads may add to it at the same time, and none is lost.
_methods: "weakref.WeakKeyDictionary[object, Callable[[Any], None]]" = weakref.WeakKeyDictionary()


def on_fork(method: Callable[[], None]) -> None:
    """Call a bound method, one of each object, in every child that this process forks, as long as the object lives. It must take no lock."""
    bound: Any = method
    _methods[bound.__self__] = bound.__func__


def _forked() -> None:
    for owner, function in list(_methods.items()):
        function(owner)


if hasattr(os, "register_at_fork"):  # not on Windows, where nothing forks
    os.register_at_fork(after_in_child=_forked)
