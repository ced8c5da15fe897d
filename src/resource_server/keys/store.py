"""A store that processes share, such as Django's cache, within bounds: it may fail, hang or answer nonsense."""

import contextlib
import logging
import math
import time
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from resource_server.forks import on_fork
from resource_server.keys.deadline import within

__all__ = ["BoundedStore", "Store"]

logger = logging.getLogger("resource_server")

T = TypeVar("T")

# A store that takes longer than this counts as down, and is asked again after a pause.
STORE_SECONDS = 1.0
# With less time than this left the store is not asked, as a good one might not make it.
MIN_STORE_SECONDS = 0.02
STORE_PAUSE_SECONDS = 30
MAX_PAUSE_DOUBLINGS = 7


class Store(Protocol):
    """The methods of Django's cache framework that are used. `add` is atomic between processes."""

    def get(self, key: str, /) -> Any: ...
    def set(self, key: str, value: str, /, timeout: float) -> Any: ...
    def add(self, key: str, value: str, /, timeout: float) -> Any: ...
    def delete(self, key: str, /) -> Any: ...


class BoundedStore:
    """A store whose calls end in time. While it is down it is not asked, and each call gives None.

    `until` is the time by the monotonic clock at which a call ends; infinity for STORE_SECONDS from now.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._down_until = -math.inf
        self._reset()
        on_fork(self._reset)

    @property
    def is_down(self) -> bool:
        """Whether a call has failed lately."""
        return time.monotonic() < self._down_until

    def get(self, key: str, *, until: float) -> Any:
        """The entry of a key, None if there is none."""
        return self._use(until, self._entry, key)

    def set(self, key: str, value: str, *, timeout: float, until: float) -> None:
        """Store an entry for `timeout` seconds."""
        self._use(until, lambda: self._store.set(key, value, timeout=timeout))

    def add(self, key: str, value: str, *, timeout: float, until: float) -> bool:
        """Whether the store has added the entry, which it does if there is none."""
        return bool(self._use(until, lambda: self._store.add(key, value, timeout=timeout)))

    def delete(self, key: str) -> None:
        """Remove an entry."""
        self._use(math.inf, self._store.delete, key)

    def _entry(self, key: str) -> Any:
        # An entry that cannot be read is not ours, and will be overwritten. A store that is down fails at other calls too.
        with contextlib.suppress(Exception):
            return self._store.get(key)
        return None

    def _use(self, until: float, method: Callable[..., T], *arguments: Any) -> T | None:
        """Return the answer of the store; None if it fails or has none at `until`: then it is not asked for a while."""
        now = time.monotonic()
        seconds = min(STORE_SECONDS, until - now)
        if now < self._down_until or seconds < MIN_STORE_SECONDS:
            return None
        try:
            return within(seconds, lambda: self._counted(method, *arguments))
        except Exception as error:  # noqa: BLE001 - each backend has errors of its own
            # A call that hangs keeps its thread. More such calls make the pause longer, so that threads do not gather.
            pause = STORE_PAUSE_SECONDS * 2.0 ** min(len(self._under_way), MAX_PAUSE_DOUBLINGS)
            self._down_until = time.monotonic() + pause
            logger.warning(
                "the cache of RESOURCE_SERVER does not work (%s); this process goes on without it", type(error).__name__
            )
            return None

    def _counted(self, method: Callable[..., T], *arguments: Any) -> T:
        call, under_way = object(), self._under_way
        under_way.add(call)
        try:
            return method(*arguments)
        finally:
            under_way.discard(call)

    def _reset(self) -> None:
        self._under_way: set[object] = set()
