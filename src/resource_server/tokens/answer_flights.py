"""One question at a time about each token, shared by the threads that need its answer."""

import logging
import threading
import traceback
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from resource_server.errors import Unavailable
from resource_server.forks import on_fork
from resource_server.keys.document import FETCH_SECONDS
from resource_server.reasons import UnavailableReason
from resource_server.tokens.introspection_answer import IntrospectionAnswer

__all__ = ["AnswerFlights"]

logger = logging.getLogger("resource_server")

# A question that began this recently is not asked again, by requests that came meanwhile and by those after a failure.
REUSE_SECONDS = 1.0
MAX_FLIGHTS = 1000
JOIN_SECONDS = FETCH_SECONDS + 1


@dataclass(slots=True, kw_only=True, eq=False)
class _Flight:
    """A question, and its answer or the reason why there is none."""

    started_at: float
    is_over: threading.Event = field(default_factory=threading.Event)
    answer: IntrospectionAnswer | None = None
    failure: tuple[UnavailableReason, int, str] = (UnavailableReason.FETCH_FAILED, 1, "")


class AnswerFlights:
    """Lets one thread ask about a token while the others wait. A forked child starts empty.

    `clock` never goes back. An answer serves for `reuse_seconds` at most, 0 for the threads that wait for it alone.
    """

    def __init__(self, clock: Callable[[], float], *, reuse_seconds: float) -> None:
        self._clock = clock
        self._reuse_seconds = min(REUSE_SECONDS, reuse_seconds)
        self._reset()
        on_fork(self._reset)

    def ask(self, key: bytes, call: Callable[[], IntrospectionAnswer]) -> IntrospectionAnswer:
        """The answer of `call` about the token with this digest. Raises Unavailable, and nothing else."""
        flight, is_mine = self._join(key)
        if is_mine:
            self._fly(flight, call)
        elif not flight.is_over.wait(JOIN_SECONDS):
            raise Unavailable(UnavailableReason.FETCH_TIMEOUT)
        if flight.answer is None:
            reason, retry_after, outcome = flight.failure
            # A new error for each thread: no frame of another one hangs on it.
            raise Unavailable(reason, retry_after=retry_after, outcome=outcome)
        return flight.answer

    def _fly(self, flight: _Flight, call: Callable[[], IntrospectionAnswer]) -> None:
        try:
            flight.answer = call()
        except Unavailable as error:
            flight.failure = (error.reason, error.retry_after, error.outcome)
        except Exception as error:
            # An error report must not show the token.
            traceback.clear_frames(error.__traceback__)
            logger.exception("a token could not be introspected")
        finally:
            flight.is_over.set()

    def _join(self, key: bytes) -> tuple[_Flight, bool]:
        now = self._clock()
        with self._lock:
            flights = self._flights
            flight = flights.get(key)
            if flight is not None and not (flight.is_over.is_set() and now - flight.started_at >= self._life(flight)):
                return flight, False
            flights.pop(key, None)
            flight = flights[key] = _Flight(started_at=now)
            while len(flights) > MAX_FLIGHTS or now - next(iter(flights.values())).started_at >= 2 * JOIN_SECONDS:
                flights.popitem(last=False)
            return flight, True

    def _life(self, flight: _Flight) -> float:
        return REUSE_SECONDS if flight.answer is None else flight.answer.life_seconds(self._reuse_seconds)

    def _reset(self) -> None:
        self._lock = threading.Lock()
        self._flights: OrderedDict[bytes, _Flight] = OrderedDict()
