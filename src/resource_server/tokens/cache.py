"""Access tokens that were verified a moment ago, so that a token that comes again is not verified again.

A token gets in only after all of it was verified, and a failure never does. Each hit still looks at the time, at the
key and at the issuer. What a request decides for itself (proofs, the user's state, scopes) is not kept here. Reading
takes no lock.
"""

import hashlib
import threading
from collections import OrderedDict
from dataclasses import dataclass

from resource_server.tokens.access_token import AccessToken
from resource_server.tokens.forked import on_fork
from resource_server.tokens.issuers import Issuer
from resource_server.tokens.keys import KeySet

__all__ = ["MAX_AGE_SECONDS", "VerifiedToken", "VerifiedTokens", "digest"]

MAX_AGE_SECONDS = 60
# Hashing more than 2047 bytes at once gives the interpreter lock away, and under a busy thread it takes 5 ms to come
# back.
_PIECE = 2047
# Copied for each token: to make one anew the library looks for the algorithm, which takes longer than the hashing.
_EMPTY = hashlib.sha256()
# Parts are small enough that Python enlarges or compacts one in an instant: up to a million entries, below 4096. Their
# number is a power of two, so that the first byte of a digest fills them alike.
_PART_ENTRIES = 1024
_MAX_PARTS = 256


@dataclass(slots=True, kw_only=True, eq=False)  # not frozen, which would take three times as long to make
class VerifiedToken:
    """A token that has passed, and what has to be so still for it to pass again.

    Its issuer's `key_set`; the time of day (seconds since 1970) from `not_before` to `expires_at`, the skew included;
    and the monotonic clock before `good_until`.
    """

    token: AccessToken
    issuer: Issuer
    key_set: KeySet
    not_before: float
    expires_at: float
    good_until: float


def digest(unverified_token: str) -> bytes:
    """SHA-256 of the whole token, signature and all: two tokens share it only if they are the same to the letter."""
    data = unverified_token.encode("utf-8", "surrogatepass")
    state = _EMPTY.copy()
    if len(data) <= _PIECE:
        state.update(data)
        return state.digest()
    for start in range(0, len(data), _PIECE):
        state.update(data[start : start + _PIECE])
    return state.digest()


class VerifiedTokens:
    """The last `size` verified tokens of one verifier, at least one, in the memory of one process; a forked child starts with none."""

    def __init__(self, size: int) -> None:
        self._count = min(_MAX_PARTS, 1 << max(0, (size // _PART_ENTRIES).bit_length() - 1))
        self._limit = size // self._count
        self._reset()
        on_fork(self._reset)

    def get(self, key: bytes, now: float, clock: float) -> VerifiedToken | None:
        """The token that was verified under this digest, if it would pass now. Does not look at the token itself."""
        verified = self._parts[key[0] % self._count].get(key)
        if (
            verified is None
            # A clock that was set back is no reason to believe what was decided in its future.
            or not verified.not_before <= now < verified.expires_at
            or clock >= verified.good_until
            or clock >= verified.issuer.believed_until
            or verified.issuer.keys.key_set is not verified.key_set
        ):
            return None
        return verified

    def add(self, key: bytes, verified: VerifiedToken, clock: float) -> None:
        """Keep a token that has passed everything. The oldest ones make way, three at the most, whatever the size."""
        if verified.good_until <= clock:
            return
        index = key[0] % self._count
        part = self._parts[index]
        with self._locks[index]:
            part.pop(key, None)
            part[key] = verified
            if len(part) > self._limit:
                part.popitem(last=False)
            # All live equally long, so the first in are the first to end. They leave two by two, faster than others
            # come in, for after a pause no request must pay for all of them.
            for _ in range(2):
                if next(iter(part.values())).good_until > clock:
                    break
                part.popitem(last=False)

    def __len__(self) -> int:
        return sum(map(len, self._parts))

    def _reset(self) -> None:
        self._parts: list[OrderedDict[bytes, VerifiedToken]] = [OrderedDict() for _ in range(self._count)]
        self._locks = [threading.Lock() for _ in range(self._count)]
