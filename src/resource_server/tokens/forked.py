"""What a forked child must not inherit: locks that a thread of its parent held, threads that it does not have, verdicts.

A server that loads the application before it forks (gunicorn --preload) copies the memory of one thread only.
"""

import inspect
import itertools
import os
import weakref
from collections.abc import Callable

__all__ = ["on_fork"]

# By a number, so that threads may add to them and take from them at the same time without a lock.
_methods: dict[int, "weakref.ReferenceType[Callable[[], None]]"] = {}
_numbers = itertools.count()


def on_fork(method: Callable[[], None]) -> None:
    """Call a bound method, or a function of a module, in every child that this process forks, as long as its object lives. It must take no lock."""
    number = next(_numbers)

    def forget(_reference: object, pop: Callable[[int, None], object] = _methods.pop) -> None:
        pop(number, None)

    reference = weakref.WeakMethod if inspect.ismethod(method) else weakref.ref
    _methods[number] = reference(method, forget)


def _forked() -> None:
    for known in list(_methods.values()):
        method = known()
        if method is not None:
            method()


if hasattr(os, "register_at_fork"):  # not on Windows, where nothing forks
    os.register_at_fork(after_in_child=_forked)
