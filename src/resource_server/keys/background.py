"""Later calls beside the requests, which refresh key sets ahead of their end.

One daemon thread waits for the time of all calls, and starts with the first. Each call then has a thread of its own, so
that an issuer that hangs delays no other. If no thread can be started, the call waits for one. A forked child starts
without calls: the next request that needs one plans it again.
"""

import heapq
import itertools
import logging
import threading
from collections.abc import Callable
from typing import TypeAlias

from resource_server.clocks import steady
from resource_server.forks import WeakMethod, on_fork, weak_method

__all__ = ["Background", "Later", "background"]

logger = logging.getLogger("resource_server")

# Calls at one time. More wait for their turn, which comes soon: a refresh takes 5 s at most.
MAX_CALLS = 16
AGAIN_SECONDS = 1.0

Later: TypeAlias = Callable[[float, Callable[[], None]], None]


class Background:
    """The planned calls of one process, soonest first."""

    _changed: threading.Condition
    _places: threading.BoundedSemaphore
    _calls: list[tuple[float, int, WeakMethod]]
    _thread: threading.Thread | None

    def __init__(self) -> None:
        self._numbers = itertools.count()
        self._reset()
        on_fork(self._reset)

    def later(self, seconds: float, method: Callable[[], None]) -> None:
        """Call a bound method after `seconds`, in a thread of its own, unless its object is gone by then.

        Raises nothing. Does not promise the call: see above for forks and threads.
        """
        entry = (steady() + seconds, next(self._numbers), weak_method(method))
        try:
            with self._changed:
                heapq.heappush(self._calls, entry)
                if self._thread is None:
                    thread = threading.Thread(target=self._wait, name="resource-server-background", daemon=True)
                    thread.start()
                    self._thread = thread
                self._changed.notify()
        except RuntimeError:  # the call is made once a thread can be started for a later one
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
                while not calls or (pause := calls[0][0] - steady()) > 0:
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
                # No thread can be started now, as at the shutdown of the interpreter.
                places.release()
                with changed:
                    heapq.heappush(calls, (steady() + AGAIN_SECONDS, number, method))

    def _call(self, method: WeakMethod, places: threading.BoundedSemaphore) -> None:
        try:
            call = method()
            if call is not None:
                call()
        except Exception:  # a thread has no caller that could log it
            logger.exception("a call in the background failed")
        finally:
            places.release()


background = Background()
