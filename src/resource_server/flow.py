"""One logic for sync and async callers: a generator that yields its rare blocking calls.

A `Flow` computes. Where it must block (to fetch a key set, to read a user) it yields a `Blocking` call and receives the
result. `run` makes the call in its own thread, `arun` awaits it in another. A flow that never yields costs an async
caller no thread.
"""

from asyncio import _get_running_loop
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

from asgiref.sync import sync_to_async

__all__ = ["Blocking", "Flow", "arun", "run"]

T = TypeVar("T")


@dataclass(slots=True, kw_only=True, eq=False)  # not frozen, which would take three times as long to make
class Blocking:
    """A call that may block. With `thread_sensitive` it must run in Django's own thread, as database connections do."""

    call: Callable[[], Any]
    thread_sensitive: bool = False


Flow: TypeAlias = Generator[Blocking, Any, T]


def run(flow: Flow[T], *, after_thread: Callable[[], None] | None = None) -> T:
    """Run a flow to its end in this thread. Raises what the flow raises.

    If an event loop runs in this thread, each blocking call is made in a thread of its own, because Django refuses
    database queries inside a loop. The loop waits for it, and `after_thread` is the last call in that thread.
    """
    try:
        step = next(flow)
        while True:
            try:
                # `get_running_loop` would raise an exception on nearly every call.
                is_in_a_loop = _get_running_loop() is not None
                result = _in_a_thread(step.call, after_thread) if is_in_a_loop else step.call()
            except Exception as error:  # noqa: BLE001 - the flow decides about it
                step = flow.throw(error)
            else:
                step = flow.send(result)
    except StopIteration as stop:
        value: T = stop.value
        return value


def _in_a_thread(call: Callable[[], Any], after: Callable[[], None] | None) -> Any:
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="resource-server-flow") as pool:
        try:
            return pool.submit(copy_context().run, call).result()
        finally:
            if after is not None:
                pool.submit(after).result()


async def arun(flow: Flow[T]) -> T:
    """Run a flow to its end; each blocking call is awaited in a thread. Raises what the flow raises."""
    try:
        step = next(flow)
        while True:
            try:
                result = await sync_to_async(step.call, thread_sensitive=step.thread_sensitive)()
            except Exception as error:  # noqa: BLE001 - the flow decides about it
                step = flow.throw(error)
            else:
                step = flow.send(result)
    except StopIteration as stop:
        value: T = stop.value
        return value
