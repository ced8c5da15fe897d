"""A deadline for any call, whatever it blocks on."""

import threading
from collections.abc import Callable
from typing import TypeVar

__all__ = ["within"]

T = TypeVar("T")


def within(seconds: float, call: Callable[[], T]) -> T:
    """Return the result of a call, which runs in a daemon thread. Raises what it raises, or TimeoutError.

    Does not end a call that has missed the deadline: its thread goes on.
    """
    outcome: list[T] = []
    failure: list[BaseException] = []

    def work() -> None:
        try:
            outcome.append(call())
        except BaseException as error:  # noqa: BLE001 - raised again in the thread of the caller
            failure.append(error)

    worker = threading.Thread(target=work, name="resource-server-fetch", daemon=True)
    worker.start()
    worker.join(seconds)
    if outcome:
        return outcome[0]
    raise failure[0] if failure else TimeoutError
