"""Verdicts of the last minute, so that a token that comes again is not verified again.

A verdict gets in only after everything has passed; a failure never does. Each hit compares the clocks and the stamp of
the verdict's authority. What each request decides (the proof, the user's state, scopes) is not kept here. Reading takes
no lock.
"""

import hashlib
import threading
from collections import OrderedDict

from resource_server.forks import on_fork
from resource_server.tokens.authority import Verdict

__all__ = ["MAX_AGE_SECONDS", "MAX_BYTES", "VerifiedTokens", "digest", "entry_bytes"]

MAX_AGE_SECONDS = 60
# Of one verifier, which is of one process.
MAX_BYTES = 32 * 1024 * 1024
# Hashing more than 2047 bytes at once releases the interpreter lock; beside a busy thread it takes 5 ms to get it back.
_PIECE = 2047
# Copied for each token: a new one makes the library look the algorithm up, which takes longer than the hashing.
_EMPTY = hashlib.sha256()
# Small parts, so that Python resizes one in an instant: MAX_BYTES leaves room for some 1000 entries in each. Their number
# is a power of two, so that the first byte of a digest fills them evenly.
_PART_ENTRIES = 1024
_MAX_PARTS = 32
# One token takes at most this share of a part: it evicts others, but never all of them.
_LARGEST_SHARE = 4
# The memory of an entry, measured with tracemalloc on CPython 3.11 to 3.13: without claims; for each mark of JSON, where
# a list within a list takes most; for each scope, in a set that has just grown; and beyond one byte for a byte of text,
# as one character outside the Basic Multilingual Plane makes all of its string take four bytes each.
_ENTRY_BYTES = 1000
_MARK_BYTES = 88
_SCOPE_BYTES = 170
_MORE_BYTES = 3
_NO_MARKS = bytes(set(range(256)) - set(b",:[{"))


def entry_bytes(payload: bytes, scopes: int) -> int:
    """An upper bound of the memory of a remembered token in bytes, by the JSON of its claims and its number of scopes.

    A usual token takes two thirds of it.
    """
    size = _ENTRY_BYTES + len(payload) + _MARK_BYTES * len(payload.translate(None, _NO_MARKS)) + _SCOPE_BYTES * scopes
    return size if payload.isascii() and b"\\" not in payload else size + _MORE_BYTES * len(payload)


def digest(unverified_token: str) -> bytes:
    """SHA-256 of the whole token with its signature, so that only equal strings share a digest."""
    data = unverified_token.encode("utf-8", "surrogatepass")
    state = _EMPTY.copy()
    if len(data) <= _PIECE:
        state.update(data)
        return state.digest()
    for start in range(0, len(data), _PIECE):
        state.update(data[start : start + _PIECE])
    return state.digest()


class VerifiedTokens:
    """The last `size` verdicts of one verifier, `size` >= 1, in the memory of one process. A forked child starts empty.

    They take at most MAX_BYTES, so fewer large tokens fit than `size`.
    """

    def __init__(self, size: int) -> None:
        self._count = min(_MAX_PARTS, 1 << max(0, (size // _PART_ENTRIES).bit_length() - 1))
        self._limit = size // self._count
        self._limit_bytes = MAX_BYTES // self._count
        self._largest = self._limit_bytes // _LARGEST_SHARE
        self._reset()
        on_fork(self._reset)

    def get(self, key: bytes, now: float, clock: float) -> Verdict | None:
        """The verdict under this digest if it still holds, else None. Does not read the token."""
        verdict = self._parts[key[0] % self._count].get(key)
        if (
            verdict is None
            # A verdict from the future is not used: the clock was set back.
            or not verdict.not_before <= now < verdict.expires_at
            or clock >= verdict.good_until
            or verdict.stamp.is_void
        ):
            return None
        return verdict

    def add(self, key: bytes, verdict: Verdict, clock: float) -> None:
        """Keep a verdict on a token that has passed everything. The oldest ones are evicted."""
        if verdict.good_until <= clock or verdict.stamp.is_void or verdict.size > self._largest:
            return
        index = key[0] % self._count
        part = self._parts[index]
        with self._locks[index]:
            used = self._used[index] + verdict.size
            if (before := part.pop(key, None)) is not None:
                used -= before.size
            part[key] = verdict
            while used > self._limit_bytes or len(part) > self._limit:
                used -= part.popitem(last=False)[1].size
            # All live equally long, so the first in end first. Evict up to two expired entries per insertion, to spread
            # the cost.
            if next(iter(part.values())).good_until <= clock:
                used -= part.popitem(last=False)[1].size
                if next(iter(part.values())).good_until <= clock:
                    used -= part.popitem(last=False)[1].size
            self._used[index] = used

    def __len__(self) -> int:
        return sum(map(len, self._parts))

    def _reset(self) -> None:
        self._parts: list[OrderedDict[bytes, Verdict]] = [OrderedDict() for _ in range(self._count)]
        self._used = [0] * self._count
        self._locks = [threading.Lock() for _ in range(self._count)]
