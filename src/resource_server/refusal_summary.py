"""Counts refusals, and logs how many there were: for each reason at once, then at most once a minute.

Python shows warnings of loggers that nothing configures, so a project without LOGGING finds out too. The reasons are a
closed set, so memory is bounded.
"""

import logging
import math
import threading
import time
from collections.abc import Callable

from resource_server.errors import AuthorizationError, reasons
from resource_server.forks import on_fork
from resource_server.keys.background import Later, background
from resource_server.reasons import Reason

__all__ = ["RefusalSummary", "summary"]

logger = logging.getLogger(__name__)

WINDOW_SECONDS = 60
_STATUSES = {reason: leaf.status for reason, leaf in reasons().items()}


class RefusalSummary:
    """The refusals of one process that the log does not have yet. Threads may share one; only refusals take its lock."""

    _lock: threading.Lock
    _counted: dict[Reason, tuple[float, int]]  # when the next line may be, and how many refusals wait for it

    def __init__(self, *, clock: Callable[[], float] = time.monotonic, later: Later = background.later) -> None:
        self._clock = clock
        self._later = later
        self._reset()
        on_fork(self._reset)

    def count(self, error: AuthorizationError) -> None:
        """Count a refusal. Logs it if its reason has had no line for a minute."""
        reason, now = error.reason, self._clock()
        with self._lock:
            next_at, number = self._counted.get(reason, (-math.inf, 0))
            number += 1
            is_due = now >= next_at
            self._counted[reason] = (now + WINDOW_SECONDS, 0) if is_due else (next_at, number)
        if is_due:
            self._write(reason, number)

    def flush(self) -> None:
        """Log the refusals that have waited for a minute. For the background."""
        now = self._clock()
        with self._lock:
            due = {reason: number for reason, (next_at, number) in self._counted.items() if number and now >= next_at}
            self._counted.update(dict.fromkeys(due, (now + WINDOW_SECONDS, 0)))
        for reason, number in due.items():
            self._write(reason, number)

    def _write(self, reason: Reason, number: int) -> None:
        status, requests = _STATUSES[reason], "1 request" if number == 1 else f"{number} requests"
        logger.warning(
            "%s answered %d, %s: %s", requests, status, reason, reason.remedy, extra={"reason": reason, "count": number}
        )
        # Without this, the end of a burst would wait for the next refusal.
        self._later(WINDOW_SECONDS, self.flush)

    def _reset(self) -> None:
        """Start anew in a forked child: the parent reports what it has counted."""
        self._lock = threading.Lock()
        self._counted = {}


summary = RefusalSummary()
