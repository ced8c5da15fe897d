"""The schedule of refreshes as a table: pure functions of times, without a clock, a thread or an issuer."""

import itertools
import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resource_server.keys.refresh_schedule import (
    Action,
    RefreshSchedule,
    Step,
    after_failure,
    after_success,
    fast_until,
    needs_call,
    next_in_background,
    next_in_request,
)

MINUTE, HOUR, DAY = 60.0, 3600.0, 24 * 3600.0
INFINITY = math.inf

ASK, ASK_ALONE, REST = Step(action=Action.ASK), Step(action=Action.ASK_ALONE), Step(action=Action.REST)
NEW = RefreshSchedule()


def plan(at: float) -> Step:
    return Step(action=Action.PLAN, at=at)


# A set of ten minutes that was fetched at 1000 and serves a day longer.
GOOD = after_success(NEW, fetched_at=1000, life_seconds=600, stale_seconds=DAY, chance=0.5)
# An issuer that has failed at 1480, when the set was to be renewed.
FAILING = after_failure(GOOD, now=1480, retry_after=1, chance=0.5)
# The same issuer after six failures, at 2000: the set serves beyond its life.
STALE = after_failure(replace(GOOD, failures=6), now=2000, retry_after=1, chance=0.5)
# No set, and one failure at 1000.
COLD = after_failure(NEW, now=1000, retry_after=1, chance=0.5)
ENDED = 1600 + DAY


@pytest.mark.parametrize(("chance", "refresh_at"), [(0, 1450), (0.5, 1480), (1, 1510)])
def test_a_set_is_renewed_at_four_fifths_of_its_life_give_or_take_a_twentieth(chance: float, refresh_at: float) -> None:
    schedule = after_success(NEW, fetched_at=1000, life_seconds=600, stale_seconds=DAY, chance=chance)
    assert schedule.refresh_at == pytest.approx(refresh_at)
    assert replace(schedule, refresh_at=0) == RefreshSchedule(
        current_until=1600, trusted_until=1600 + DAY, refresh_at=0
    )


def test_a_success_forgets_all_failures() -> None:
    later = after_success(STALE, fetched_at=3000, life_seconds=600, stale_seconds=DAY, chance=0.5)
    assert later == after_success(NEW, fetched_at=3000, life_seconds=600, stale_seconds=DAY, chance=0.5)


def test_a_set_of_another_process_forgets_no_failure_of_the_issuer() -> None:
    later = after_success(STALE, fetched_at=3000, life_seconds=600, stale_seconds=DAY, chance=0.5, is_failing=True)
    assert (later.current_until, later.trusted_until, later.refresh_at) == (3600, 3600 + DAY, 3480)
    assert (later.failures, later.retry_at) == (STALE.failures, STALE.retry_at)


@pytest.mark.parametrize(
    ("failures", "pause"), [(0, 1), (1, 2), (2, 4), (3, 8), (4, 16), (5, 32), (6, 60), (7, 60), (100_000, 60)]
)
@pytest.mark.parametrize(("chance", "share"), [(0, 0.75), (0.5, 1), (1, 1.25)])
def test_pauses_double_up_to_a_minute_give_or_take_a_quarter(
    failures: int, pause: float, chance: float, share: float
) -> None:
    schedule = after_failure(replace(GOOD, failures=failures), now=5000, retry_after=0, chance=chance)
    assert schedule.retry_at == pytest.approx(5000 + pause * share)
    assert schedule.failures == failures + 1
    assert (schedule.current_until, schedule.trusted_until) == (GOOD.current_until, GOOD.trusted_until)


# {Retry-After: (retries wait, unknown kids wait)}
RETRY_AFTER = {
    1: (4, 1),
    3: (4, 3),
    4: (4, 4),
    20: (20, 20),
    25: (25, 25),
    30: (30, 25),
    600: (600, 25),
    10**8: (600, 25),
}


@pytest.mark.parametrize(("asked", "pauses"), RETRY_AFTER.items(), ids=map(str, RETRY_AFTER))
def test_retry_after_holds_for_ten_minutes_and_for_unknown_kids_less_than_half_a_minute(
    asked: int, pauses: tuple[float, float]
) -> None:
    schedule = after_failure(replace(GOOD, failures=2), now=5000, retry_after=asked, chance=0.5)
    assert (schedule.retry_at - 5000, schedule.unknown_kids_from - 5000) == pauses


# {sentence: (schedule, now, whether an attempt is in flight, step)}
REQUESTS = {
    "no set": (NEW, 0, False, ASK),
    "no set, and an attempt in flight: it is joined": (NEW, 0, True, ASK),
    "no set, a moment after a failure": (COLD, 1000.9, False, REST),
    "no set, when it may be tried again": (COLD, 1001, False, ASK),
    "a current set, as after a fork": (GOOD, 1000, False, plan(1480)),
    "a current set at its last moment": (GOOD, 1599.9, True, plan(1480)),
    "a set whose life is over": (GOOD, 1600, False, ASK_ALONE),
    "a set whose life is over, and an attempt in flight": (GOOD, 1600, True, REST),
    "a current set of an issuer that fails": (FAILING, 1481, False, plan(1480)),
    "a stale set until the retry": (STALE, 2059, False, plan(2060)),
    "a stale set while the background may still be on time": (STALE, 2060.9, False, plan(2060)),
    "a stale set when the background is late": (STALE, 2061, False, ASK_ALONE),
    "a stale set when the background is late, and an attempt in flight": (STALE, 2061, True, plan(2060)),
    "a stale set at its last moment": (replace(STALE, retry_at=ENDED), ENDED - 0.1, False, plan(ENDED)),
    "a set that is over": (STALE, ENDED, False, ASK),
    "a set that is over, a moment after a failure": (replace(STALE, retry_at=ENDED + 1), ENDED, False, REST),
}


@pytest.mark.parametrize(("schedule", "now", "is_busy", "step"), REQUESTS.values(), ids=REQUESTS)
def test_a_request_does_what_its_keys_need(schedule: RefreshSchedule, now: float, is_busy: bool, step: Step) -> None:
    found = next_in_request(schedule, now, is_busy=is_busy)
    assert (found.action, found.at) == (step.action, pytest.approx(step.at))


# {sentence: (schedule, now, when a request last needed the keys, step)}
BACKGROUND = {
    "ahead of time": (GOOD, 1479, 1400, plan(1480)),
    "on time": (GOOD, 1480, 1400, ASK_ALONE),
    "late": (GOOD, 1700, 1400, ASK_ALONE),
    "before a retry": (FAILING, 1480.9, 1400, plan(1481)),
    "at a retry": (FAILING, 1481, 1400, ASK_ALONE),
    "keys that were needed within an hour": (GOOD, 1400 + HOUR - 0.1, 1400, ASK_ALONE),
    "keys that were not needed for an hour": (GOOD, 1400 + HOUR, 1400, REST),
    "an issuer that fails, and is not needed": (FAILING, 1400 + HOUR, 1400, REST),
    "keys that were never needed": (GOOD, 1480, -INFINITY, REST),
}


@pytest.mark.parametrize(("schedule", "now", "needed_at", "step"), BACKGROUND.values(), ids=BACKGROUND)
def test_the_background_does_what_is_due(schedule: RefreshSchedule, now: float, needed_at: float, step: Step) -> None:
    found = next_in_background(schedule, now, needed_at=needed_at)
    assert (found.action, found.at) == (step.action, pytest.approx(step.at))


# {sentence: (schedule, now, until when a request needs no step)}
FAST = {
    "no set": (NEW, 0, -INFINITY),
    "no set, after a failure": (COLD, 1000, -INFINITY),
    "a current set": (GOOD, 1000, 1600),
    "a current set of an issuer that fails": (FAILING, 1480, 1600),
    "a set whose life is over": (GOOD, 1600, -INFINITY),
    "a stale set": (STALE, 2000, 2061),
    "a stale set whose end is near": (replace(STALE, retry_at=ENDED), ENDED - 10, ENDED),
}


@pytest.mark.parametrize(("schedule", "now", "until"), FAST.values(), ids=FAST)
def test_a_known_key_needs_no_step_while_the_background_is_on_time(
    schedule: RefreshSchedule, now: float, until: float
) -> None:
    assert fast_until(schedule, now) == pytest.approx(until)


# {sentence: (when a call is planned, when one is due, now, whether another is needed)}
CALLS = {
    "none planned": (INFINITY, 50, 10, True),
    "one planned at that time": (50, 50, 10, False),
    "one planned earlier": (40, 50, 10, False),
    "one planned too late": (60, 50, 10, True),
    "one that is due now, for one that is overdue": (10, 5, 10, False),
    "one that is not late enough to be lost": (10, 50, 10.9, False),
    "one that was lost": (10, 50, 11, True),
}


@pytest.mark.parametrize(("planned_at", "at", "now", "is_needed"), CALLS.values(), ids=CALLS)
def test_a_call_is_planned_beside_one_that_comes_too_late_or_never(
    planned_at: float, at: float, now: float, is_needed: bool
) -> None:
    assert needs_call(planned_at, at, now) is is_needed


def test_the_attempts_of_an_hour_of_failures() -> None:
    schedule, now, times = GOOD, 1480.0, []
    while now < 1480 + HOUR:
        times.append(now)
        schedule = after_failure(schedule, now=now, retry_after=1, chance=0.5)
        step = next_in_background(schedule, now, needed_at=now)
        assert step.action is Action.PLAN
        now = step.at
    gaps = [after - before for before, after in itertools.pairwise(times)]
    assert gaps[:7] == [1, 2, 4, 8, 16, 32, 60]
    assert set(gaps[7:]) == {60}


@given(
    failures=st.integers(0, 10**6),
    retry_after=st.integers(0, 10**9),
    chance=st.floats(0, 1),
    elapsed=st.floats(0, 3 * DAY),
    is_busy=st.booleans(),
)
def test_whatever_has_failed_there_is_a_next_attempt_and_it_comes_within_ten_minutes(
    failures: int, retry_after: int, chance: float, elapsed: float, is_busy: bool
) -> None:
    now = 1000 + elapsed
    schedule = after_failure(replace(GOOD, failures=failures), now=now, retry_after=retry_after, chance=chance)
    assert now < schedule.retry_at <= now + 600
    assert schedule.unknown_kids_from <= now + 25
    assert next_in_background(schedule, now, needed_at=now) == plan(schedule.retry_at)
    late = schedule.retry_at + 1
    assert next_in_background(schedule, late, needed_at=now) == ASK_ALONE
    request = next_in_request(schedule, late, is_busy=is_busy)
    assert request.action is not Action.REST
    assert request in (ASK, ASK_ALONE) or is_busy or late < schedule.current_until
