"""One issuer: which keys it has now, and when to ask again (RFC 8414, OpenID Connect Discovery 1.0, RFC 9111).

Nothing is fetched before the first token that deserves it. After that the set is renewed in the background, ahead of
its end. One refresh is in flight at a time, and those who need it share its outcome. A key set is replaced by a
successful refresh and by nothing else: a failed one never loses a key, and a key that a successful one lacks is gone.
"""

import logging
import math
import random
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from resource_server.errors import InvalidToken, Unavailable
from resource_server.flow import Blocking, Flow
from resource_server.forks import on_fork
from resource_server.keys.background import Later
from resource_server.keys.discovery import Discovery, Found
from resource_server.keys.document import FETCH_SECONDS, Fetch
from resource_server.keys.key_set import KeySet, VerificationKey
from resource_server.keys.key_source import KeySource
from resource_server.reasons import TokenReason, UnavailableReason
from resource_server.stamp import Stamp

__all__ = ["IssuerKeys", "KeyEvent", "Trusted"]

logger = logging.getLogger("resource_server")

# A set is renewed when four fifths of its life are over, give or take a twentieth, so that processes do not ask in
# step. An issuer that nobody has asked about for an hour is left in peace.
AHEAD = 0.8
JITTER = 0.05
UNUSED_SECONDS = 3600
# Where the background is this late, a request does its work.
LATE_SECONDS = 1.0
# After a failed attempt the next waits 1, 2, 4 ... 60 seconds, give or take a quarter; longer where the issuer asks for
# it, though not so long that it could lock us out.
MAX_BACKOFF_SECONDS = 60
MAX_RETRY_AFTER_SECONDS = 600
# Attempts that unknown kids may cause: anybody can send one, so they are counted (RFC 8725 section 3.10 warns of
# fetches on demand), and a kid that an attempt has not brought causes no other for a while.
UNKNOWN_KID_ATTEMPTS = 2
UNKNOWN_KID_REFILL_SECONDS = 30
UNKNOWN_KID_SECONDS = 60
# Unknown kids wait for a refresh that is under way only in its first seconds: an issuer that is slow must not let
# forged tokens fill all threads.
JOIN_SECONDS = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Trusted:
    """What one successful refresh brought: the keys, the metadata (None where it was not asked), and when by the monotonic clock.

    `since` says of each key, by `kid` and thumbprint, when this process first had it.
    """

    keys: KeySet
    metadata: Mapping[str, Any] | None
    fetched_at: float
    life_seconds: float
    since: Mapping[tuple[str | None, str | None], float]

    @property
    def current_until(self) -> float:
        """When the life of the set is over; after that it serves while the issuer is down."""
        return self.fetched_at + self.life_seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyEvent:
    """What happened to an issuer's keys, for the log and for receivers of signals.

    `failed` and `stale` have a `reason`; `repeated` is a failure for a reason that this outage has had before.
    """

    kind: Literal["started", "refreshed", "failed", "stale", "added", "withdrawn"]
    issuer: str
    kids: tuple[str | None, ...] = ()
    reason: UnavailableReason | None = None
    repeated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Flight:
    """A refresh that is being made."""

    started_at: float
    ended: threading.Event


class IssuerKeys:
    """The keys of one issuer. Threads share one instance; reading a known key takes no lock and never waits.

    `clock` never goes back; `later` makes calls in the background; `on_event` is told of each event, in the thread
    that caused it.
    """

    _flight: _Flight | None
    _look_at: float
    _call_at: float

    def __init__(
        self,
        source: KeySource,
        *,
        fetch: Fetch,
        clock: Callable[[], float],
        later: Later,
        on_event: Callable[[KeyEvent], None],
    ) -> None:
        self._source = source
        self._discovery = Discovery(source, fetch=fetch, clock=clock)
        self._clock = clock
        self._later = later
        self._on_event = on_event
        self._trusted: Trusted | None = None
        # The set of the last successful refresh, to see whether what was verified with one still holds; and when it is
        # trusted no longer if no other comes, by the monotonic clock.
        self.key_set = source.key_set
        self.stamp = Stamp()
        self.ends_at = -math.inf
        self._asked_at = -math.inf
        self._attempts = 0  # that have ended
        self._failures = 0
        self._failure: UnavailableReason | None = None
        self._told: set[UnavailableReason] = set()  # the reasons of this outage
        self._retry_at = -math.inf
        self._is_stale = False
        self._is_shared = False  # another process has fetched what is trusted
        self._allowance = float(UNKNOWN_KID_ATTEMPTS)
        self._allowance_at = -math.inf
        self._unknown: dict[tuple[str | None, str], float] = {}
        self._reset()
        if source.key_set is None:
            on_fork(self._reset)
        else:
            self._trusted = Trusted(
                keys=source.key_set, metadata=None, fetched_at=self._clock(), life_seconds=math.inf, since={}
            )
            self._look_at = self.ends_at = math.inf

    @property
    def trusted(self) -> Trusted | None:
        """What is trusted now; None before the first successful refresh, and when an outage has outlasted `stale_seconds`."""
        trusted = self._trusted
        return trusted if trusted is not None and self._clock() < self.ends_at else None

    @property
    def failure(self) -> UnavailableReason | None:
        """The reason of the last attempt, if it failed."""
        return self._failure

    def known(self, kid: str | None, algorithm: str) -> tuple[VerificationKey, ...]:
        """The keys that `find` would give without a thought; an empty tuple where it must be asked."""
        now = self._asked_at = self._clock()
        trusted = self._trusted
        return (
            trusted.keys.candidates(kid, algorithm)
            if trusted is not None and now < self._look_at and kid is not None
            else ()
        )

    @property
    def source(self) -> KeySource:
        """Where these keys come from."""
        return self._source

    def find(self, kid: str | None, algorithm: str) -> Flow[tuple[VerificationKey, ...]]:
        """The keys that a token with this header may be signed with, never an empty tuple; without `kid` exactly one.

        Raises InvalidToken (`key_unknown`, `kid_missing`) where the issuer's keys are known and none fits, and
        Unavailable where they are not. Yields only where it must wait for a refresh.
        """
        now = self._asked_at = self._clock()
        # The count is read before the keys that it is held against: an attempt that ends in between has brought newer
        # ones.
        attempts, trusted = self._attempts, self._trusted
        if trusted is None or now >= self._look_at:
            yield from self._look(now, attempts)
            attempts, trusted = self._attempts, self.trusted
            if trusted is None:
                raise self._unavailable()
        return _choose(trusted.keys, kid, algorithm) or (yield from self._find_unknown(kid, algorithm, attempts))

    def current(self) -> Flow[Trusted]:
        """What is trusted now, fetched if nothing is known yet. Raises Unavailable where it cannot be."""
        trusted = self.trusted
        if trusted is None:
            yield from self._look(self._clock(), self._attempts)
            trusted = self.trusted
        if trusted is None:
            raise self._unavailable()
        return trusted

    def renew_stamp(self) -> None:
        """End what was verified with these keys until now."""
        ended, self.stamp = self.stamp, Stamp()
        ended.is_void = True

    def refresh_ahead(self) -> None:
        """Renew the set before its life is over, or try again after a failure. For the background; it blocks."""
        now = self._clock()
        if now < self._call_at:
            return  # an earlier call came to be needed, and has asked for another
        self._call_at = math.inf
        if self._trusted is None or now - self._asked_at >= UNUSED_SECONDS:
            # Whoever asks next has it scheduled again.
            self._look_at = -math.inf
            return
        due_at = self._retry_at if self._failure is not None else self._due_at
        if now < due_at:
            self._schedule(due_at)
        else:
            self._attempt(self._attempts, join_seconds=0)

    def _look(self, now: float, attempts: int) -> Flow[None]:
        """Think about keys that are not simply good: there are none, or their life is over, or the process has forked."""
        trusted = self.trusted
        if trusted is None:
            if now >= self._retry_at:
                yield Blocking(call=lambda: self._attempt(attempts, join_seconds=math.inf))
        elif now < trusted.current_until:
            self._look_at = trusted.current_until
            self._schedule(self._due_at)
        elif self._flight is None and now >= self._retry_at + LATE_SECONDS:
            # The background has not asked when it was due: the process slept, or nobody had use for the keys, or
            # threads do not run here. One request waits for the issuer, and goes on with the keys it knows if that
            # fails; those beside it go on at once.
            yield Blocking(call=lambda: self._attempt(attempts, join_seconds=0))
        elif self._failure is not None:
            self._schedule(self._retry_at)

    def _find_unknown(self, kid: str | None, algorithm: str, attempts: int) -> Flow[tuple[VerificationKey, ...]]:
        """Ask the issuer for a key that its set lacks, as far as attempts for unknown kids are left."""
        # Twice, for what another process has fetched may be older than the key; that costs no attempt.
        for _ in range(2):
            now, is_mine = self._clock(), self._flight is None
            if self._source.key_set is not None or (is_mine and not self._may_ask_for(kid, algorithm, now)):
                break
            # After a rotation every request brings the new kid: those beside the one that asks wait for its answer.
            yield Blocking(call=partial(self._attempt, attempts, join_seconds=JOIN_SECONDS))
            seen, attempts, trusted = attempts, self._attempts, self.trusted
            if trusted is not None and (keys := _choose(trusted.keys, kid, algorithm)):
                return keys
            if attempts == seen:  # the answer takes too long
                raise self._unavailable()
            if not is_mine or self._failure is not None:
                break
            if self._is_shared:
                self._allowance += 1
                continue
            # A handful: as many as there are attempts in that time.
            kept = {asked: at for asked, at in self._unknown.items() if now - at < UNKNOWN_KID_SECONDS}
            self._unknown = {**kept, (kid, algorithm): now}
            break
        # The issuer may have made this key while it could not be reached: then there is no verdict, and it is not the
        # caller's fault.
        if self._failure is not None:
            raise self._unavailable()
        raise InvalidToken(TokenReason.KEY_UNKNOWN)

    def _may_ask_for(self, kid: str | None, algorithm: str, now: float) -> bool:
        # A token bucket that counts attempts. A race between threads costs a fetch or two, and those are joined.
        refilled = self._allowance + (now - self._allowance_at) / UNKNOWN_KID_REFILL_SECONDS
        allowance = min(refilled, float(UNKNOWN_KID_ATTEMPTS))
        asked_at = self._unknown.get((kid, algorithm), -math.inf)
        if allowance < 1 or now < self._retry_at or now - asked_at < UNKNOWN_KID_SECONDS:
            return False
        self._allowance, self._allowance_at = allowance - 1, now
        return True

    def _attempt(self, attempts: int, *, join_seconds: float) -> None:
        """Ask the issuer, unless somebody has since `attempts` was counted; or wait for somebody who is asking now."""
        with self._lock:
            if self._attempts != attempts:
                return
            flight = self._flight
            if is_mine := flight is None:
                flight = self._flight = _Flight(started_at=self._clock(), ended=threading.Event())
        if not is_mine:
            # Counted from its start: whoever comes late has less to wait.
            left = min(join_seconds, FETCH_SECONDS + 1) - (self._clock() - flight.started_at)
            flight.ended.wait(max(left, 0))
            return
        try:
            self._ask()
        finally:
            # Counted at its end: who comes while it is in flight has seen the count before it, and does not ask again.
            with self._lock:
                self._attempts += 1
                self._flight = None
            flight.ended.set()

    def _ask(self) -> None:
        self._tell("started")
        try:
            found = self._discovery.find()
        except Unavailable as error:
            self._failed(error.reason, error.retry_after)
        except Exception:  # a Fetch that breaks its word must not be asked again by every request
            logger.exception("the keys of issuer %s could not be fetched", self._source.issuer)
            self._failed(UnavailableReason.FETCH_FAILED, 1)
        else:
            self._succeeded(found)

    def _succeeded(self, found: Found) -> None:
        before, now = self._trusted, self._clock()
        since = {(key.kid, key.thumbprint): now - found.held_seconds for key in found.keys.keys}
        known = before.since if before is not None else {}
        trusted = Trusted(
            keys=found.keys,
            metadata=found.metadata,
            fetched_at=now - found.held_seconds,
            life_seconds=found.life_seconds,
            since={key: known.get(key, at) for key, at in since.items()},
        )
        # First of all: from here on a key that this set lacks is refused. The end comes after it, so that a set that
        # has ended is not taken for a good one in between.
        is_same_set = trusted.keys is self.key_set
        self._trusted, self.key_set = trusted, trusted.keys
        if not is_same_set:
            self.renew_stamp()
        self.ends_at = trusted.current_until + self._source.stale_seconds
        self._is_shared = found.held_seconds > 0
        self._look_at = trusted.current_until
        share = AHEAD + random.uniform(-JITTER, JITTER)  # noqa: S311 - jitter
        self._due_at = trusted.fetched_at + share * trusted.life_seconds
        if found.failure is None:
            self._failures, self._failure, self._retry_at, self._is_stale = 0, None, -math.inf, False
            self._told.clear()
            self._schedule(self._due_at)
        for kind, kids in (
            ("added", tuple(kid for kid, thumbprint in since if (kid, thumbprint) not in known)),
            ("withdrawn", tuple(kid for kid, thumbprint in known if (kid, thumbprint) not in since)),
        ):
            if kids:
                self._tell(kind, kids=kids)
        if found.failure is None:
            self._tell("refreshed", kids=tuple(kid for kid, _thumbprint in since))
        else:
            self._failed(found.failure, 1)

    def _failed(self, reason: UnavailableReason, retry_after: int) -> None:
        repeated = reason in self._told
        self._told.add(reason)
        self._failures += 1
        self._failure = reason
        pause = min(2.0 ** min(self._failures - 1, 30), MAX_BACKOFF_SECONDS) * random.uniform(0.75, 1.25)  # noqa: S311 - jitter
        now = self._clock()
        self._retry_at = now + max(pause, min(retry_after, MAX_RETRY_AFTER_SECONDS))
        trusted = self.trusted
        becomes_stale = False
        if trusted is not None:
            self._schedule(self._retry_at)
            if now >= trusted.current_until:
                self._look_at = min(self._retry_at + LATE_SECONDS, self.ends_at)
                becomes_stale, self._is_stale = not self._is_stale, True
        self._tell("failed", reason=reason, repeated=repeated)
        if trusted is not None and becomes_stale:
            self._tell("stale", reason=reason, kids=tuple(key.kid for key in trusted.keys.keys))

    def _schedule(self, at: float) -> None:
        # One call is under way, and another only where that one would come too late: the next set may live a minute
        # and the last one a day. A call that has not come when it was due never will, as no thread could be had for it.
        now = self._clock()
        seconds = max(at - now, 0.0)
        if now + seconds < self._call_at or now >= self._call_at + LATE_SECONDS:
            self._call_at = now + seconds
            self._later(seconds, self.refresh_ahead)

    def _tell(self, kind: Any, **details: Any) -> None:
        self._on_event(KeyEvent(kind=kind, issuer=self._source.issuer, **details))

    def _reset(self) -> None:
        """What a forked child starts with: the keys, but no lock that another thread holds, and no thread that asks."""
        self._lock = threading.Lock()
        self._flight = None
        self._call_at = math.inf
        # Before this time a known key needs no thought.
        self._look_at = -math.inf

    def _unavailable(self) -> Unavailable:
        wait = round(self._retry_at - self._clock(), 3)  # else 120 seconds are 121, for want of a bit
        return Unavailable(
            self._failure or UnavailableReason.FETCH_TIMEOUT, retry_after=math.ceil(wait) if 0 < wait < math.inf else 1
        )


def _choose(keys: KeySet, kid: str | None, algorithm: str) -> tuple[VerificationKey, ...]:
    candidates = keys.candidates(kid, algorithm)
    if kid is None and len(candidates) > 1 and not keys.any_kid:
        raise InvalidToken(TokenReason.KID_MISSING)
    return candidates
