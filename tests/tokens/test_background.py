"""Calls in the background, in real threads: made in their order, each by itself, and lost with their object."""

import gc
import queue
import threading
import weakref
from collections.abc import Callable

import pytest

from resource_server.tokens import background as background_module
from resource_server.tokens import forked
from resource_server.tokens.background import Background
from resource_server.tokens.forked import on_fork


class Calls:
    """Something that wants to be called back."""

    def __init__(self, call: Callable[[], object] = lambda: None) -> None:
        self.call = call
        self.made = threading.Event()

    def work(self) -> None:
        self.made.set()
        self.call()


def test_a_call_is_made_in_a_thread_of_its_own() -> None:
    threads: queue.Queue[threading.Thread] = queue.Queue()
    calls = Calls(lambda: threads.put(threading.current_thread()))
    background = Background()
    background.later(0, calls.work)
    thread = threads.get(timeout=10)
    assert background._thread is not None
    assert background._thread.daemon
    assert thread.daemon
    assert thread is not background._thread


def test_a_call_that_is_due_sooner_is_made_before_one_that_was_planned_first() -> None:
    background = Background()
    late, soon = Calls(), Calls()
    background.later(3600, late.work)
    background.later(0, soon.work)
    assert soon.made.wait(10)
    assert not late.made.is_set()


def test_a_call_that_hangs_holds_up_no_other() -> None:
    background, ended = Background(), threading.Event()
    hanging, other = Calls(lambda: ended.wait(20)), Calls()
    background.later(0, hanging.work)
    assert hanging.made.wait(10)
    background.later(0, other.work)
    assert other.made.wait(10)
    ended.set()


def test_a_call_that_fails_is_logged_and_gives_its_place_back(caplog: pytest.LogCaptureFixture) -> None:
    background, failing = Background(), Calls(lambda: 1 // 0)
    for _ in range(background_module.MAX_CALLS + 1):
        assert background._places.acquire(timeout=10)
        background._call(weakref.WeakMethod(failing.work))
    assert "ZeroDivisionError" in caplog.text


def test_a_call_of_an_object_that_is_gone_is_not_made_and_does_not_keep_it() -> None:
    background = Background()
    gone, other = Calls(), Calls()
    made = gone.made
    background.later(0.05, gone.work)
    del gone
    gc.collect()
    background.later(0.1, other.work)
    assert other.made.wait(10)
    assert not made.is_set()


def test_where_no_thread_can_be_had_nothing_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    background, calls = Background(), Calls()
    with monkeypatch.context() as patch:
        patch.setattr(background_module.threading.Thread, "start", refuse)
        background.later(0, calls.work)
    assert not calls.made.is_set()
    background.later(0, calls.work)
    assert calls.made.wait(10)


def test_a_forked_child_starts_without_the_thread_and_the_calls_of_its_parent(
    fork: Callable[[], None],
) -> None:
    background, planned, later = Background(), Calls(), Calls()
    background.later(3600, planned.work)
    background._changed.acquire()  # by a thread that the child does not have
    fork()
    assert background._calls == []
    background.later(0, later.work)
    assert later.made.wait(10)


def test_hooks_of_threads_that_come_together_are_all_kept_and_those_of_the_dead_are_not(
    fork: Callable[[], None],
) -> None:
    kept = [Calls() for _ in range(200)]
    together = threading.Barrier(4)

    def register(part: int) -> None:
        together.wait(10)
        for calls in kept[part::4]:
            on_fork(calls.work)
            on_fork(Calls().work)

    threads = [threading.Thread(target=register, args=(part,)) for part in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    fork()
    assert all(calls.made.is_set() for calls in kept)
    on_fork(Calls().work)
    kept.clear()
    gc.collect()
    before = len(forked._methods)
    on_fork(background_module.background._reset)
    assert len(forked._methods) < before
