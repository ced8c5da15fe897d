"""The clocks, read at each call: a test that moves the time (freezegun, time-machine) moves this package too."""

import time
from collections.abc import Callable
from typing import Protocol

__all__ = ["Clocks", "steady", "time_of_day"]

# A longer step is no passing of time: frozen time has begun or ended.
_LONGEST_STEP_SECONDS = 365 * 24 * 3600


class Clocks(Protocol):
    """The time of day in seconds since 1970, and a clock that never goes back. The module `time` is one."""

    def time(self) -> float: ...

    def monotonic(self) -> float: ...


def time_of_day() -> float:
    """The time in seconds since 1970."""
    return time.time()


class _SteadyClock:
    """`time.monotonic`, which also never goes back when a test freezes the time, moves it back or lets it go on.

    freezegun replaces `time.monotonic` by a function that starts elsewhere. This clock stands still at such a change,
    and goes on from there. Else what was planned within a test would be due years later in the next one.
    """

    def __init__(self) -> None:
        # As attributes: freezegun replaces the names of modules.
        self._real = self._read = time.monotonic
        self._ahead = 0.0
        self._last = 0.0

    def __call__(self) -> float:
        read = time.monotonic
        now = read() + self._ahead
        if read is not self._real or read is not self._read:
            return self._moved(read, now)
        self._last = now
        return now

    def _moved(self, read: Callable[[], float], now: float) -> float:
        # Some threads, such as a waiting one, are shown the real clock meanwhile.
        if read is not self._real and abs(now - self._ahead - self._real()) < 1:
            return self._last
        self._read = read
        if not 0 <= now - self._last < _LONGEST_STEP_SECONDS:
            self._ahead += self._last - now
            now = self._last
        self._last = now
        return now


steady = _SteadyClock()
