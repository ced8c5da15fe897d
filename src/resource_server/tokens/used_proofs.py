"""Which DPoP proofs were used: each is accepted once, by all processes that share a store (RFC 9449 section 11.1).

A store that gives no clear answer is a failure, never a yes.
"""

import hashlib
import secrets
import threading
from collections.abc import Callable
from typing import Final, Protocol

from resource_server.clocks import steady
from resource_server.errors import InvalidProof, Unavailable
from resource_server.forks import on_fork
from resource_server.reasons import ProofReason, UnavailableReason

__all__ = ["KEPT_SECONDS", "MAX_PROOFS_PER_KEY", "ProofStore", "UsedProofs"]

# Longer than a proof can be accepted: 60 s old, 5 s ahead, and clocks of servers that differ by 10 s.
KEPT_SECONDS: Final = 75
# In one window of KEPT_SECONDS, of one key in one process: one client cannot fill the store for all.
MAX_PROOFS_PER_KEY: Final = 10_000
# How long the store is trusted after it has shown that it keeps an entry.
_TRUSTED_SECONDS = 60
_PREFIX = "resource_server.proof."


class ProofStore(Protocol):
    """A cache of Django, or what behaves as one."""

    def add(self, key: str, value: object, timeout: float) -> object:
        """Keep an entry unless there is one: True if it was kept, False if there was one."""
        ...

    def get(self, key: str) -> object:
        """The value of an entry, None if there is none."""
        ...


class UsedProofs:
    """Accepts each proof once. `clock` is a clock that never goes back. Calls block, for as long as the store takes."""

    def __init__(self, store: ProofStore, *, clock: Callable[[], float] = steady) -> None:
        self._store = store
        self._clock = clock
        self._lock = threading.Lock()
        self._counts: dict[str, int] = {}
        self._window_ends = self._trusted_until = float("-inf")
        on_fork(self._forked)

    def use(self, thumbprint: str, jti: str, *, seconds: int = KEPT_SECONDS) -> None:
        """Mark the proof of this key with this `jti` as used, for as long as it could be accepted.

        Raises InvalidProof (`proof_replayed`) for one that was used, Unavailable (`proof_store_failed`,
        `proof_limit_reached`) if that cannot be known, or if the key has used too many.
        """
        self._judge_limit(thumbprint)
        # The store learns neither the key nor the `jti`, and its keys have one length.
        digest = hashlib.sha256(f"{thumbprint} {jti}".encode("utf-8", "surrogatepass")).hexdigest()
        try:
            if self._clock() >= self._trusted_until:
                self._test()
            is_first = self._add(_PREFIX + digest, seconds)
        except Exception:  # noqa: BLE001 - any error of any client library
            # The store's own error can hold the address and the password of the store.
            self._trusted_until = float("-inf")
            raise Unavailable(UnavailableReason.PROOF_STORE_FAILED) from None
        if not is_first:
            raise InvalidProof(ProofReason.PROOF_REPLAYED)
        # Replays do not count, or the thief of a proof could use up the limit of its key.
        with self._lock:
            self._counts[thumbprint] = self._counts.get(thumbprint, 0) + 1

    def _add(self, key: str, seconds: int = KEPT_SECONDS) -> bool:
        added = self._store.add(key, 1, seconds)
        if added is True:
            return True
        # A client of a cache that is down may answer False to everything.
        if added is False and self._store.get(key) == 1:
            return False
        raise ValueError("the store does not answer as a cache")

    def _test(self) -> None:
        # A cache that keeps nothing answers True to everything.
        key = f"{_PREFIX}test.{secrets.token_hex(16)}"
        if not self._add(key) or self._add(key):
            raise ValueError("the store keeps nothing")
        self._trusted_until = self._clock() + _TRUSTED_SECONDS

    def _judge_limit(self, thumbprint: str) -> None:
        with self._lock:
            now = self._clock()
            if now >= self._window_ends:
                self._counts.clear()
                self._window_ends = now + KEPT_SECONDS
            if self._counts.get(thumbprint, 0) >= MAX_PROOFS_PER_KEY:
                retry_after = int(self._window_ends - now) + 1
                raise Unavailable(UnavailableReason.PROOF_LIMIT_REACHED, retry_after=retry_after)

    def _forked(self) -> None:
        self._lock = threading.Lock()  # a thread of the parent may have held the old one
