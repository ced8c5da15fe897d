"""One attempt at a time: threads that come during it wait for its end, up to a limit, and make none of their own."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from resource_server.keys.single_flight import SingleFlight


class Held:
    """A call that a test starts, holds in flight and lets end."""

    def __init__(self, error: Exception | None = None) -> None:
        self.calls = 0
        self.error = error
        self.started, self.may_end = threading.Event(), threading.Event()

    def __call__(self) -> None:
        self.calls += 1
        self.started.set()
        assert self.may_end.wait(20), "the test never let the call end"
        if self.error is not None:
            raise self.error


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def flights(clock: Clock) -> SingleFlight:
    return SingleFlight(clock)


@pytest.fixture
def start(flights: SingleFlight) -> Iterator[Callable[..., Future[None]]]:
    """Makes an attempt in a thread of its own."""
    with ThreadPoolExecutor(60) as pool:
        yield lambda call, **options: pool.submit(flights.attempt, call, **options)


def never() -> None:
    raise AssertionError("this attempt must not be made")


def test_attempts_one_after_another_are_all_made_and_counted(flights: SingleFlight) -> None:
    calls: list[int] = []
    for number in range(3):
        assert flights.ended == number
        flights.attempt(lambda: calls.append(flights.ended), ended=flights.ended, join_seconds=0)
    assert calls == [0, 1, 2], "an attempt is counted when it ends"
    assert not flights.is_busy


def test_fifty_that_come_together_make_one_attempt(flights: SingleFlight, start: Callable[..., Future[None]]) -> None:
    held, ended = Held(), flights.ended
    first = start(held, ended=ended, join_seconds=20)
    assert held.started.wait(20)
    others = [start(never, ended=ended, join_seconds=20) for _ in range(49)]
    assert flights.is_busy
    assert not any(other.done() for other in others)
    held.may_end.set()
    for future in [first, *others]:
        future.result(20)
    assert (held.calls, flights.ended, flights.is_busy) == (1, 1, False)


def test_those_who_have_read_an_older_count_make_no_attempt(flights: SingleFlight) -> None:
    before = flights.ended
    flights.attempt(lambda: None, ended=before, join_seconds=0)
    flights.attempt(never, ended=before, join_seconds=0)
    assert flights.ended == 1


def test_an_attempt_that_raises_is_counted_and_ends_the_wait_of_the_others(
    flights: SingleFlight, start: Callable[..., Future[None]]
) -> None:
    held, ended = Held(KeyError("a defect")), flights.ended
    first = start(held, ended=ended, join_seconds=20)
    assert held.started.wait(20)
    other = start(never, ended=ended, join_seconds=20)
    held.may_end.set()
    with pytest.raises(KeyError, match="a defect"):
        first.result(20)
    other.result(20)
    assert (flights.ended, flights.is_busy) == (1, False)
    flights.attempt(lambda: None, ended=1, join_seconds=0)
    assert flights.ended == 2


@pytest.mark.parametrize(
    ("join_seconds", "age"),
    [(0, 0), (0, 3), (900, 900), (900, 2000)],
    ids=["not at all", "not at all, later", "at the end", "after it"],
)
def test_a_flight_is_joined_only_until_it_is_so_old(
    flights: SingleFlight, clock: Clock, start: Callable[..., Future[None]], join_seconds: float, age: float
) -> None:
    held = Held()
    first = start(held, ended=0, join_seconds=20)
    assert held.started.wait(20)
    clock.now += age
    try:
        start(never, ended=0, join_seconds=join_seconds).result(10)
        assert flights.ended == 0, "the flight goes on alone"
    finally:
        held.may_end.set()
    first.result(20)


def test_a_child_that_was_forked_starts_without_a_flight_and_its_lock(
    flights: SingleFlight, start: Callable[..., Future[None]]
) -> None:
    held = Held()
    first = start(held, ended=0, join_seconds=20)
    assert held.started.wait(20)
    flights._lock.acquire()  # as a thread of the parent may at that moment
    flights.reset()
    assert not flights.is_busy
    made = []
    flights.attempt(lambda: made.append(True), ended=0, join_seconds=0)
    assert made == [True]
    held.may_end.set()
    first.result(20)
