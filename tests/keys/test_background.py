"""Calls in the background: in time, side by side, dropped with their object, and not lost if no thread can be started."""

import gc
import threading
import time
from collections.abc import Iterator

import pytest

from resource_server.keys import background as module
from resource_server.keys.background import MAX_CALLS, Background

SLACK_SECONDS = 60  # ends a test that hangs; a machine under load is slow to start threads


class Caller:
    """Notes when it was called, and then waits for `end`."""

    def __init__(self, end: threading.Event | None = None) -> None:
        self.called = threading.Event()
        self.at = 0.0
        self._end = end

    def call(self) -> None:
        self.at = time.monotonic()
        self.called.set()
        if self._end is not None:
            self._end.wait(SLACK_SECONDS)

    def fail(self) -> None:
        self.called.set()
        raise ValueError("of the call")


@pytest.fixture
def end() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


def test_calls_are_made_in_time_whatever_the_order(end: threading.Event) -> None:
    background, late, soon = Background(), Caller(), Caller()
    started = time.monotonic()
    background.later(0.3, late.call)
    background.later(0.05, soon.call)
    assert soon.called.wait(SLACK_SECONDS)
    assert late.called.wait(SLACK_SECONDS)
    assert soon.at - started >= 0.05
    assert late.at - started >= 0.3


def test_a_call_that_hangs_holds_up_no_other(end: threading.Event) -> None:
    background = Background()
    hanging = [Caller(end) for _ in range(MAX_CALLS - 1)]
    for caller in hanging:
        background.later(0, caller.call)
    other = Caller()
    background.later(0, other.call)
    assert other.called.wait(SLACK_SECONDS)


def test_more_than_sixteen_wait_their_turn(end: threading.Event) -> None:
    background = Background()
    hanging = [Caller(end) for _ in range(MAX_CALLS)]
    for caller in hanging:
        background.later(0, caller.call)
    assert all(caller.called.wait(SLACK_SECONDS) for caller in hanging)
    other = Caller()
    background.later(0, other.call)
    assert not other.called.wait(0.1)
    end.set()
    assert other.called.wait(SLACK_SECONDS)


def test_a_call_that_fails_ends_nothing(caplog: pytest.LogCaptureFixture) -> None:
    background, failing, other = Background(), Caller(), Caller()
    background.later(0, failing.fail)
    assert failing.called.wait(SLACK_SECONDS)
    background.later(0, other.call)
    assert other.called.wait(SLACK_SECONDS)
    deadline = time.monotonic() + SLACK_SECONDS
    while "a call in the background failed" not in caplog.text and time.monotonic() < deadline:
        time.sleep(0.01)  # between two looks at the log
    assert "a call in the background failed" in caplog.text


def test_a_call_ends_with_its_object() -> None:
    background, gone, other = Background(), Caller(), Caller()
    called = gone.called
    background.later(0.1, gone.call)
    del gone
    gc.collect()
    background.later(0.15, other.call)
    assert other.called.wait(SLACK_SECONDS)
    assert not called.is_set()


def test_where_no_thread_can_be_had_a_call_is_made_with_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    background, first, second = Background(), Caller(), Caller()

    def refuse(_thread: object) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as scarce:
        scarce.setattr(threading.Thread, "start", refuse)
        background.later(0, first.call)
    background.later(0, second.call)
    assert second.called.wait(SLACK_SECONDS)
    assert first.called.wait(SLACK_SECONDS)


def test_a_call_waits_for_a_thread_that_cannot_be_had_now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "AGAIN_SECONDS", 0.05)
    background, caller, refused = Background(), Caller(), []
    background.later(3600, caller.call)  # so that the thread that waits is there
    start = threading.Thread.start

    def refuse_twice(thread: threading.Thread) -> None:
        if len(refused) < 2:
            refused.append(thread.name)
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse_twice)
    background.later(0, caller.call)
    assert caller.called.wait(SLACK_SECONDS)
    assert refused == ["resource-server-refresh"] * 2
