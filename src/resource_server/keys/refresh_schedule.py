"""When to ask an issuer for its keys: a pure schedule of refreshes ahead, retries and their limits.

All times are of one clock that never goes back, in seconds. `chance` is a random number from 0 to 1, so that processes
do not ask in step.
"""

import math
from dataclasses import dataclass, replace
from enum import Enum

__all__ = [
    "Action",
    "RefreshSchedule",
    "Step",
    "after_failure",
    "after_success",
    "fast_until",
    "needs_call",
    "next_in_background",
    "next_in_request",
]

# A set is renewed at 80 % of its life, give or take 5 %.
AHEAD = 0.8
JITTER = 0.05
# An issuer whose keys were not needed for this long is not asked.
UNUSED_SECONDS = 3600
# If the background is this late, a request asks the issuer.
LATE_SECONDS = 1.0
# After failures the next attempt waits 1, 2, 4 ... 60 seconds, give or take a quarter. It waits longer if the issuer
# asks for that (Retry-After), up to a limit: a mistake of the issuer must not lock its users out for a day.
MAX_BACKOFF_SECONDS = 60
MAX_RETRY_AFTER_SECONDS = 600
# Unknown kids obey Retry-After for less long, as a key may be new. An attempt takes 5 s at most, so this pause ends
# before the bucket of unknown kids has its next attempt, 30 s after the last.
MAX_UNKNOWN_KID_PAUSE_SECONDS = 25


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshSchedule:
    """The times that the last key set and the failures since have fixed. The default: no key set, no attempt yet."""

    current_until: float = -math.inf  # the end of the set's life
    trusted_until: float = -math.inf  # the end of its use while the issuer fails
    refresh_at: float = -math.inf  # ahead of the end of its life
    failures: int = 0  # since the last success
    retry_at: float = -math.inf
    unknown_kids_from: float = -math.inf  # before this, an unknown kid causes no attempt


class Action(Enum):
    """What to do about an issuer's keys."""

    ASK = "ask the issuer, or join the attempt in flight"
    ASK_ALONE = "ask the issuer, but wait for no attempt in flight"
    PLAN = "have the background ask at a given time"
    REST = "do nothing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """An action; `at` is the time for PLAN."""

    action: Action
    at: float = math.inf


_ASK, _ASK_ALONE, _REST = Step(action=Action.ASK), Step(action=Action.ASK_ALONE), Step(action=Action.REST)


def after_success(
    schedule: RefreshSchedule,
    *,
    fetched_at: float,
    life_seconds: float,
    stale_seconds: float,
    chance: float,
    is_failing: bool = False,
) -> RefreshSchedule:
    """Return the schedule of a set that was fetched.

    With `is_failing`, another process has fetched the set and the issuer itself has failed: the failures count on, and
    `after_failure` must follow.
    """
    current_until = fetched_at + life_seconds
    share = AHEAD + JITTER * (2 * chance - 1)
    return replace(
        schedule if is_failing else RefreshSchedule(),
        current_until=current_until,
        trusted_until=current_until + stale_seconds,
        refresh_at=fetched_at + share * life_seconds,
    )


def after_failure(schedule: RefreshSchedule, *, now: float, retry_after: float, chance: float) -> RefreshSchedule:
    """Return the schedule after an attempt that failed at `now`. `retry_after` is 1 if the issuer asked for no pause."""
    steady = min(2.0 ** min(schedule.failures, 30), MAX_BACKOFF_SECONDS)
    pause = steady * (0.75 + chance / 2)
    return replace(
        schedule,
        failures=schedule.failures + 1,
        retry_at=now + max(pause, min(retry_after, MAX_RETRY_AFTER_SECONDS)),
        unknown_kids_from=now + min(retry_after, MAX_UNKNOWN_KID_PAUSE_SECONDS),
    )


def next_in_request(schedule: RefreshSchedule, now: float, *, is_busy: bool) -> Step:
    """Return the step of a request whose keys are missing, expired or from before a fork.

    `is_busy` means that an attempt is in flight. After PLAN and REST the request goes on with the keys that are
    trusted, if there are any.
    """
    if now >= schedule.trusted_until:
        return _ASK if now >= schedule.retry_at else _REST
    if now < schedule.current_until:
        return Step(action=Action.PLAN, at=schedule.refresh_at)
    # The background is late: the process slept, no threads can be had here, or the keys were not needed. One request
    # asks, and goes on with the known keys if that fails; the requests beside it do not wait.
    if not is_busy and now >= schedule.retry_at + LATE_SECONDS:
        return _ASK_ALONE
    return Step(action=Action.PLAN, at=schedule.retry_at) if schedule.failures else _REST


def next_in_background(schedule: RefreshSchedule, now: float, *, needed_at: float) -> Step:
    """Return the step of the background, for keys that a request last needed at `needed_at`.

    After REST the next request must plan again.
    """
    if now - needed_at >= UNUSED_SECONDS:
        return _REST
    due_at = schedule.retry_at if schedule.failures else schedule.refresh_at
    return _ASK_ALONE if now >= due_at else Step(action=Action.PLAN, at=due_at)


def fast_until(schedule: RefreshSchedule, now: float) -> float:
    """Return until when requests need no step, provided that the background has a call planned."""
    if now < schedule.current_until:
        return schedule.current_until
    return min(schedule.retry_at + LATE_SECONDS, schedule.trusted_until)


def needs_call(planned_at: float, at: float, now: float) -> bool:
    """Return whether the background needs a call at `at`, beside the one that is planned (infinity: none).

    It does if that one comes too late: the last set may live a day and the next one a minute. A call that is late never
    comes, as no thread could be had for it.
    """
    return max(at, now) < planned_at or now >= planned_at + LATE_SECONDS
