"""Calls that are made later, beside the requests: how key sets are refreshed ahead of their end.

One daemon thread waits for all of them, and starts with the first; each call then has a thread of its own, so that an
issuer that hangs holds up no other. Where no thread can be had (at the shutdown of the interpreter) a call waits for
one, and a child that was just forked has no calls: the next request that needs one asks again.
"""

import heapq
import itertools
import logging
import threading
import time
from collections.abc import Callable
from typing import TypeAlias

from resource_server.forks import WeakMethod, on_fork, weak_method

__all__ = ["Background", "Later", "background"]

logger = logging.getLogger("resource_server")

# Refreshes at one time; more wait their turn, which with a refresh of 5 s at the most comes soon.
MAX_CALLS = 16
AGAIN_SECONDS = 1.0

Later: TypeAlias = Callable[[float, Callable[[], None]], None]


class Background:
    """The calls of one process that are still to be made, soonest first."""

    _changed: threading.Condition
    _places: threading.BoundedSemaphore
    _calls: list[tuple[float, int, WeakMethod]]
    _thread: threading.Thread | None

    def __init__(self) -> None:
        self._numbers = itertools.count()
        self._reset()
        on_fork(self._reset)

    def later(self, seconds: float, method: Callable[[], None]) -> None:
        """Call a bound method in so many seconds, in a thread of its own. Its object may be gone by then: that ends it.

        Raises nothing.
        """
        entry = (time.monotonic() + seconds, next(self._numbers), weak_method(method))
        try:
            with self._changed:
                heapq.heappush(self._calls, entry)
                if self._thread is None:
                    thread = threading.Thread(target=self._wait, name="resource-server-background", daemon=True)
                    thread.start()
                    self._thread = thread
                self._changed.notify()
        except RuntimeError:  # it is made when a thread can be had for a later one
            logger.debug("no background thread can be started")

    def _reset(self) -> None:
        self._changed = threading.Condition()
        self._places = threading.BoundedSemaphore(MAX_CALLS)
        self._calls = []
        self._thread = None

    def _wait(self) -> None:
        changed, calls, places = self._changed, self._calls, self._places
        while True:
            with changed:
                while not calls or (pause := calls[0][0] - time.monotonic()) > 0:
                    changed.wait(pause if calls else None)
                _due, number, method = heapq.heappop(calls)
            if method() is None:
                continue
            places.acquire()
            try:
                threading.Thread(
                    target=self._call, args=(method, places), name="resource-server-refresh", daemon=True
                ).start()
            except RuntimeError:
                # The machine has no thread to spare now.
                places.release()
                with changed:
                    heapq.heappush(calls, (time.monotonic() + AGAIN_SECONDS, number, method))

    def _call(self, method: WeakMethod, places: threading.BoundedSemaphore) -> None:
        try:
            call = method()
            if call is not None:
                call()
        except Exception:  # a thread has nobody above it who could tell
            logger.exception("a call in the background failed")
        finally:
            places.release()


background = Background()
