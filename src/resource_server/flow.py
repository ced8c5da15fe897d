"""One logic for sync and async callers: a generator that yields its rare blocking calls.

A `Flow` computes; where it must block (a key set has to be fetched, a user read) it yields a `Blocking` call and gets
the result back. `run` makes the call where it stands, `arun` awaits it in a thread. A flow that never yields costs an
async caller no thread.
"""

from asyncio import get_running_loop
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

from asgiref.sync import sync_to_async

__all__ = ["Blocking", "Flow", "arun", "run"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocking:
    """A call that may block. `thread_sensitive`: it must run in Django's own thread, as database connections must."""

    call: Callable[[], Any]
    thread_sensitive: bool = False


Flow: TypeAlias = Generator[Blocking, Any, T]


def run(flow: Flow[T], *, after_thread: Callable[[], None] | None = None) -> T:
    """Run a flow to its end in this thread. Raises what the flow raises.

    Where sync code runs inside an event loop, blocking calls are made in a thread of their own, because Django refuses
    database queries there; the loop waits, and `after_thread` is called last in that thread.
    """
    try:
        step = next(flow)
        while True:
            try:
                result = _in_a_thread(step.call, after_thread) if _is_in_an_event_loop() else step.call()
            except Exception as error:  # noqa: BLE001 - handed to the flow, which decides
                step = flow.throw(error)
            else:
                step = flow.send(result)
    except StopIteration as stop:
        value: T = stop.value
        return value


def _is_in_an_event_loop() -> bool:
    try:
        get_running_loop()
    except RuntimeError:
        return False
    return True


def _in_a_thread(call: Callable[[], Any], after: Callable[[], None] | None) -> Any:
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="resource-server-flow") as pool:
        try:
            return pool.submit(copy_context().run, call).result()
        finally:
            if after is not None:
                pool.submit(after).result()


async def arun(flow: Flow[T]) -> T:
    """Run a flow to its end, awaiting each blocking call in a thread. Raises what the flow raises."""
    try:
        step = next(flow)
        while True:
            try:
                result = await sync_to_async(step.call, thread_sensitive=step.thread_sensitive)()
            except Exception as error:  # noqa: BLE001 - handed to the flow, which decides
                step = flow.throw(error)
            else:
                step = flow.send(result)
    except StopIteration as stop:
        value: T = stop.value
        return value
