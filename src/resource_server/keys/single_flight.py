"""One attempt at a time, shared by the threads that need its outcome."""

import threading
from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["SingleFlight"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Flight:
    """An attempt in flight."""

    started_at: float
    is_over: threading.Event


class SingleFlight:
    """Lets one thread at a time make an attempt. Reading `ended` and `is_busy` takes no lock.

    `ended` counts the attempts that have ended, failed ones included. A caller reads it before the state that it
    judges: an attempt that ends in between has brought newer state, and the caller's own attempt is not made. `clock`
    never goes back.
    """

    _lock: threading.Lock
    _flight: _Flight | None

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.ended = 0
        self.reset()

    @property
    def is_busy(self) -> bool:
        """Whether an attempt is in flight."""
        return self._flight is not None

    def attempt(self, call: Callable[[], None], *, ended: int, join_seconds: float) -> None:
        """Make the call, unless an attempt has ended since `ended` was read, or one is in flight.

        Waits for an attempt in flight until it is `join_seconds` old, counted from its start: late callers wait less.
        Raises what the call raises.
        """
        with self._lock:
            if self.ended != ended:
                return
            flight = self._flight
            if is_mine := flight is None:
                flight = self._flight = _Flight(started_at=self._clock(), is_over=threading.Event())
        if not is_mine:
            left = join_seconds - (self._clock() - flight.started_at)
            flight.is_over.wait(max(left, 0))
            return
        try:
            call()
        finally:
            # Counted at the end: callers that come during the flight have read the count before it, and join.
            with self._lock:
                self.ended += 1
                self._flight = None
            flight.is_over.set()

    def reset(self) -> None:
        """Start anew in a forked child: without a lock or a flight of another thread of the parent."""
        self._lock = threading.Lock()
        self._flight = None
