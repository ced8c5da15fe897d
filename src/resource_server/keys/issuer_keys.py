"""One issuer: the keys that it has now, and the refreshes that keep them current (RFC 8414, RFC 9111).

Nothing is fetched before the first token that deserves it. After that the background renews the set ahead of its end
(`refresh_schedule.py`). One refresh is in flight at a time, and the requests that need it share its outcome. Only a
successful refresh replaces a key set: a failed one loses no key, and a key that a successful one lacks is gone.
"""

import logging
import math
import random
import threading
from collections.abc import Callable
from functools import partial

from resource_server.errors import InvalidToken, Unavailable
from resource_server.flow import Blocking, Flow
from resource_server.forks import on_fork
from resource_server.keys import refresh_schedule, unknown_kids
from resource_server.keys.background import Later
from resource_server.keys.discovery import Discovery, Found
from resource_server.keys.document import FETCH_SECONDS, Fetch
from resource_server.keys.events import KeyEvent, OutageReporter
from resource_server.keys.key_set import KeySet, VerificationKey
from resource_server.keys.key_source import KeySource
from resource_server.keys.refresh_schedule import Action, RefreshSchedule
from resource_server.keys.single_flight import SingleFlight
from resource_server.keys.trusted_set import TrustedSet, kids_lacking, trusted_set
from resource_server.keys.unknown_kids import UnknownKids
from resource_server.reasons import TokenReason, UnavailableReason
from resource_server.stamp import Stamp

__all__ = ["IssuerKeys"]

logger = logging.getLogger("resource_server")

# Not the module's own generator: a project may seed that one, and would then see it move in the background.
_chance = random.SystemRandom()


class IssuerKeys:
    """The keys of one issuer. Threads share one instance; reading a known key takes no lock and never waits.

    `clock` never goes back; `later` makes calls in the background; `on_event` gets each event in the thread that caused
    it.
    """

    source: KeySource
    failure: UnavailableReason | None  # of the last attempt
    outcome: str  # of the last attempt, if it failed: the address, and how the attempt ended
    key_set: KeySet | None  # of the last successful refresh
    stamp: Stamp  # of the verdicts that were reached with `key_set`
    ends_at: float  # of the trust in `key_set`, if no other comes
    _last_set: TrustedSet | None  # that of `key_set`
    _schedule: RefreshSchedule  # written by the attempt in flight alone
    _fast_until: float  # before this time a known key needs no step of the schedule
    _call_at: float  # when the background makes its next call; infinity if none is planned
    _needed_at: float  # when a request last needed the keys

    def __init__(
        self,
        source: KeySource,
        *,
        fetch: Fetch,
        clock: Callable[[], float],
        later: Later,
        on_event: Callable[[KeyEvent], None],
    ) -> None:
        self.source = source
        self.failure, self.outcome = None, ""
        self.key_set = source.key_set
        self.stamp = Stamp()
        self.ends_at = self._needed_at = -math.inf
        self._last_set = None
        self._schedule = RefreshSchedule()
        self._discovery = Discovery(source, fetch=fetch, clock=clock)
        self._clock = clock
        self._later = later
        self._reporter = OutageReporter(source.issuer, on_event)
        self._flights = SingleFlight(clock)
        self._unknown_kids = UnknownKids()
        self._reset()
        if source.key_set is None:
            on_fork(self._reset)
        else:
            self._last_set = TrustedSet(
                keys=source.key_set, metadata=None, fetched_at=clock(), life_seconds=math.inf, since={}
            )
            self._fast_until = self.ends_at = math.inf

    @property
    def retry_at(self) -> float:
        """When the next attempt after a failure may be."""
        return self._schedule.retry_at

    @property
    def trusted(self) -> TrustedSet | None:
        """The set that is trusted now; None before the first refresh, and when an outage has outlasted `stale_seconds`."""
        last_set = self._last_set
        return last_set if last_set is not None and self._clock() < self.ends_at else None

    def known(self, kid: str | None, algorithm: str) -> tuple[VerificationKey, ...]:
        """Return the keys that `find` would give if it has no step to take; else an empty tuple."""
        now = self._needed_at = self._clock()
        key_set = self.key_set
        return (
            key_set.candidates(kid, algorithm)
            if key_set is not None and now < self._fast_until and kid is not None
            else ()
        )

    def find(self, kid: str | None, algorithm: str) -> Flow[tuple[VerificationKey, ...]]:
        """Return the keys that may have signed a token with this header, never an empty tuple; without `kid` exactly one.

        Raises InvalidToken (`key_unknown`, `kid_missing`) if the issuer's keys are known and none fits, and Unavailable
        if they are not known. Yields only where it must wait for a refresh. Does not verify a signature.
        """
        now = self._needed_at = self._clock()
        # The count before the set: see `SingleFlight`.
        ended, trusted = self._flights.ended, self._last_set
        if trusted is None or now >= self._fast_until:
            yield from self._refresh_if_due(now, ended)
            ended, trusted = self._flights.ended, self.trusted
            if trusted is None:
                raise self._unavailable()
        return _choose(trusted.keys, kid, algorithm) or (yield from self._find_unknown(kid, algorithm, ended))

    def current(self) -> Flow[TrustedSet]:
        """Return the set that is trusted now, fetched if none is. Raises Unavailable if it cannot be."""
        trusted = self.trusted
        if trusted is None:
            yield from self._refresh_if_due(self._clock(), self._flights.ended)
            trusted = self.trusted
        if trusted is None:
            raise self._unavailable()
        return trusted

    def stamp_of(self, keys: tuple[VerificationKey, ...], kid: str | None, algorithm: str) -> Stamp:
        """The stamp for a verdict that was reached with these keys; a void one if another thread has replaced them."""
        stamp, key_set = self.stamp, self.key_set
        if key_set is None or key_set.candidates(kid, algorithm) != keys:
            stamp = Stamp.void()
        return stamp

    def renew_stamp(self) -> None:
        """End all verdicts that were reached with these keys until now."""
        # Without the lock, of two threads that renew at once one would leave its stamp behind, which nothing voids.
        with self._renewing:
            ended, self.stamp = self.stamp, Stamp()
            ended.is_void = True

    def refresh_ahead(self) -> None:
        """Renew the set before its life ends, or retry after a failure. For the background: it blocks."""
        now = self._clock()
        if now < self._call_at:
            return  # an earlier call has come to be needed, and has planned this one
        self._call_at = math.inf
        step = refresh_schedule.next_in_background(self._schedule, now, needed_at=self._needed_at)
        if step.action is Action.REST:
            self._fast_until = -math.inf  # the next request plans again
        elif step.action is Action.PLAN:
            self._plan(step.at)
        else:
            self._attempt(self._flights.ended, join_seconds=0)

    def _refresh_if_due(self, now: float, ended: int) -> Flow[None]:
        """Handle keys that are missing, expired or from before a fork."""
        step = refresh_schedule.next_in_request(self._schedule, now, is_busy=self._flights.is_busy)
        if step.action is Action.PLAN:
            self._plan(step.at)
        elif step.action is not Action.REST:
            join_seconds = FETCH_SECONDS + 1 if step.action is Action.ASK else 0
            yield Blocking(call=partial(self._attempt, ended, join_seconds=join_seconds))

    def _find_unknown(self, kid: str | None, algorithm: str, ended: int) -> Flow[tuple[VerificationKey, ...]]:
        """Ask the issuer for a key that its set lacks, as far as attempts for unknown kids are left."""
        # Twice, as the set of another process may be older than the key; such an attempt does not count.
        for _ in range(2):
            now, is_mine = self._clock(), not self._flights.is_busy
            if self.source.key_set is not None or (is_mine and not self._may_ask_for(kid, algorithm, now)):
                break
            # After a rotation each request brings the new kid: those beside the one that asks wait for its answer.
            yield Blocking(call=partial(self._attempt, ended, join_seconds=unknown_kids.JOIN_SECONDS))
            before, ended, trusted = ended, self._flights.ended, self.trusted
            if trusted is not None and (keys := _choose(trusted.keys, kid, algorithm)):
                return keys
            if ended == before:  # the answer takes too long
                raise self._unavailable(unknown_kids.REFILL_SECONDS)
            if not is_mine or self.failure is not None:
                break
            if trusted is None or not trusted.is_shared:
                self._unknown_kids.miss(kid, algorithm, now)
                break
            self._unknown_kids.give_back()
        # While the issuer fails, it may have made this key: no verdict, as the caller may be right.
        if self.failure is not None:
            raise self._unavailable(unknown_kids.REFILL_SECONDS)
        raise InvalidToken(TokenReason.KEY_UNKNOWN)

    def _may_ask_for(self, kid: str | None, algorithm: str, now: float) -> bool:
        # The pause of the retries does not hold here: else a rotation during an outage is found a minute after it.
        return now >= self._schedule.unknown_kids_from and self._unknown_kids.take(kid, algorithm, now)

    def _attempt(self, ended: int, *, join_seconds: float) -> None:
        self._flights.attempt(self._ask, ended=ended, join_seconds=join_seconds)

    def _ask(self) -> None:
        self._reporter.started()
        try:
            found = self._discovery.find()
        except Unavailable as error:
            self._failed(error.reason, error.retry_after, error.outcome)
        except Exception as error:  # a Fetch that raises another error must not be asked again by every request
            logger.exception("the keys of issuer %s could not be fetched", self.source.issuer)
            self._failed(UnavailableReason.FETCH_FAILED, 1, f"{type(error).__name__} was raised")
        else:
            self._succeeded(found)

    def _succeeded(self, found: Found) -> None:
        before = self._last_set.since if self._last_set is not None else {}
        trusted = trusted_set(found, before, self._clock())
        self._trust(trusted, is_failing=found.failure is not None)
        if found.failure is None:
            self.failure, self.outcome = None, ""
            self._reporter.recovered()
            self._plan(self._schedule.refresh_at)
        self._reporter.changed(
            added=kids_lacking(before, of=trusted.since), withdrawn=kids_lacking(trusted.since, of=before)
        )
        if found.failure is None:
            self._reporter.refreshed(tuple(kid for kid, _thumbprint in trusted.since))
        else:
            self._failed(found.failure, 1, found.outcome)

    def _trust(self, trusted: TrustedSet, *, is_failing: bool) -> None:
        is_same_set = trusted.keys is self.key_set
        schedule = refresh_schedule.after_success(
            self._schedule,
            fetched_at=trusted.fetched_at,
            life_seconds=trusted.life_seconds,
            stale_seconds=self.source.stale_seconds,
            chance=_chance.random(),
            is_failing=is_failing,
        )
        # Threads read this in between. First the set: from here on a key that it lacks is refused. Then its end, so that
        # no request takes a set that has ended for a good one. Last the schedule, which says that there is a set.
        self._last_set, self.key_set = trusted, trusted.keys
        if not is_same_set:
            self.renew_stamp()
        self.ends_at = schedule.trusted_until
        self._schedule = schedule

    def _failed(self, reason: UnavailableReason, retry_after: int, outcome: str) -> None:
        self.failure, self.outcome = reason, outcome
        now = self._clock()
        self._schedule = refresh_schedule.after_failure(
            self._schedule,
            now=now,
            retry_after=retry_after,
            chance=_chance.random(),
        )
        trusted = self.trusted
        if trusted is not None:
            self._plan(self._schedule.retry_at)
        is_stale = trusted is not None and now >= trusted.current_until
        self._reporter.failed(
            reason,
            outcome,
            stale=tuple(key.kid for key in trusted.keys.keys) if trusted is not None and is_stale else None,
            serve_seconds=self.ends_at - now if trusted is not None else None,
            retry_seconds=self._schedule.retry_at - now,
        )

    def _plan(self, at: float) -> None:
        """Have the background call at this time, and let requests go the fast way until it is late."""
        now = self._clock()
        self._fast_until = refresh_schedule.fast_until(self._schedule, now)
        if refresh_schedule.needs_call(self._call_at, at, now):
            seconds = max(at - now, 0.0)
            self._call_at = now + seconds
            self._later(seconds, self.refresh_ahead)

    def _reset(self) -> None:
        """Start anew in a forked child: with the keys, without the locks and threads of the parent."""
        self._flights.reset()
        self._renewing = threading.Lock()
        self._call_at = math.inf
        self._fast_until = -math.inf

    def _unavailable(self, at_most: float = math.inf) -> Unavailable:
        # Rounded to a microsecond, as an inexact 120 would become 121. Not to more: a caller that waits must not be early.
        wait = min(round(self._schedule.retry_at - self._clock(), 6), at_most)
        return Unavailable(
            self.failure or UnavailableReason.FETCH_TIMEOUT,
            retry_after=math.ceil(wait) if 0 < wait < math.inf else 1,
            outcome=self.outcome,
        )


def _choose(keys: KeySet, kid: str | None, algorithm: str) -> tuple[VerificationKey, ...]:
    candidates = keys.candidates(kid, algorithm)
    if kid is None and len(candidates) > 1 and not keys.any_kid:
        raise InvalidToken(TokenReason.KID_MISSING)
    return candidates
