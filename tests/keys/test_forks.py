"""A forked child starts without locks, threads and calls of its parent; tested in one process, through the hooks themselves."""

import gc
import threading
from collections.abc import Callable

from resource_server import forks as forked
from resource_server.forks import on_fork
from resource_server.keys import background as background_module
from resource_server.keys.background import Background


class Calls:
    """An object with a method to call."""

    def __init__(self) -> None:
        self.made = threading.Event()

    def work(self) -> None:
        self.made.set()


def test_a_forked_child_starts_without_the_thread_and_the_calls_of_its_parent(
    fork: Callable[[], None],
) -> None:
    background, planned, later = Background(), Calls(), Calls()
    background.later(3600, planned.work)
    background._changed.acquire()  # by a thread that the child does not have
    fork()
    assert background._calls == []
    background.later(0, later.work)
    assert later.made.wait(60)


def test_hooks_of_threads_that_come_together_are_all_kept_and_those_of_the_dead_are_not(
    fork: Callable[[], None],
) -> None:
    kept = [Calls() for _ in range(200)]
    together = threading.Barrier(4)

    def register(part: int) -> None:
        together.wait(60)
        for calls in kept[part::4]:
            on_fork(calls.work)
            on_fork(Calls().work)

    threads = [threading.Thread(target=register, args=(part,)) for part in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    fork()
    assert all(calls.made.is_set() for calls in kept)
    on_fork(Calls().work)
    kept.clear()
    gc.collect()
    before = len(forked._methods)
    on_fork(background_module.background._reset)
    assert len(forked._methods) < before
