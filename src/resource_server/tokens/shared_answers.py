"""Answers about tokens that the processes of one project share, so that they cause one question.

The store (Django's cache, or a like object) is not trusted. An entry is encrypted and authenticated with a key that is
made of this project's secret and of the token, so that it can be read, or made, only with both. It counts for as long
as the answer would in the process that asked, and only if it is newer than the last refusal of this process. A lock in
the store can delay a question but not prevent it. If the store fails, hangs or answers nonsense, the process asks.
"""

import base64
import contextlib
import hashlib
import hmac
import json
import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass

from resource_server.clocks import time_of_day
from resource_server.keys.store import BoundedStore, Store
from resource_server.strict_json import parse_object
from resource_server.tokens.introspection_answer import IntrospectionAnswer

__all__ = ["INACTIVE_SECONDS", "SharedAnswers"]

# An answer that a token is not active is good for this long.
INACTIVE_SECONDS = 10
POLL_SECONDS = 0.05
# A wait for the lock of another process that was in vain is not repeated for this long.
WITHOUT_LOCKS_SECONDS = 30
MAX_ENTRY_CHARACTERS = 2 * 1024 * 1024
_NONCE_BYTES = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """Where the answer about one token is, and the key that opens it."""

    name: str
    secret: bytes
    context: bytes
    active_seconds: float

    def life(self, answer: IntrospectionAnswer) -> float:
        """How long an answer is good, in seconds from the question."""
        return INACTIVE_SECONDS if answer.members is None else answer.life_seconds(self.active_seconds)


class SharedAnswers:
    """Answers in a store. `secret` is that of the project, `now` the time in seconds since 1970."""

    def __init__(self, store: Store, *, secret: bytes, now: Callable[[], float] = time_of_day) -> None:
        self._store = BoundedStore(store)
        self._secret = secret
        self._now = now
        self._without_locks_until = -math.inf

    def ask(
        self,
        context: str,
        token: str,
        call: Callable[[], IntrospectionAnswer],
        *,
        newer_than: float,
        active_seconds: float,
        seconds: float,
    ) -> IntrospectionAnswer:
        """The answer about a token from another process, else that of `call`. Raises what `call` raises.

        `context` says who was asked, and as which client: an entry from another context does not count, nor does one
        about a question that was asked before `newer_than`. An answer about an active token is good for `active_seconds`.
        Half of `seconds` is kept for the call, whatever the store does.
        """
        secret = hmac.digest(self._secret, b"resource_server.introspection.1\0" + token.encode("utf-8"), "sha256")
        name = f"resource_server:introspection:{hashlib.sha256(secret).hexdigest()}"
        place = _Place(name=name, secret=secret, context=context.encode("utf-8"), active_seconds=active_seconds)
        until = time.monotonic() + seconds / 2
        found, locked = self._wait(place, newer_than, until=until, seconds=seconds)
        try:
            if found is None:
                found = call()
                if (life := place.life(found)) > 0:
                    self._store.set(name, _sealed(place, found), timeout=life, until=math.inf)
            return found
        finally:
            if locked:
                self._store.delete(f"{name}:lock")

    def _wait(
        self, place: _Place, newer_than: float, *, until: float, seconds: float
    ) -> tuple[IntrospectionAnswer | None, bool]:
        """The entry, if there is one that counts, and whether the lock is ours. Waits for the process that has it."""
        while True:
            found = self._find(place, newer_than, until)
            now = time.monotonic()
            if found is not None or now >= until or self._store.is_down or now < self._without_locks_until:
                return found, False
            if self._store.add(f"{place.name}:lock", "1", timeout=math.ceil(seconds) + 1, until=until):
                # Another process may have stored its answer between the look and the lock.
                return self._find(place, newer_than, until), True
            left = until - time.monotonic()
            if left <= POLL_SECONDS:
                # The process with the lock may be gone, and anyone with access to the store can set it.
                self._without_locks_until = time.monotonic() + WITHOUT_LOCKS_SECONDS
            time.sleep(max(0.0, min(POLL_SECONDS, left)))

    def _find(self, place: _Place, newer_than: float, until: float) -> IntrospectionAnswer | None:
        answer = _unsealed(place, self._store.get(place.name, until=until))
        if answer is None:
            return None
        # Not one from the future either: by another machine's fast clock it would live longer.
        is_current = self._now() - place.life(answer) < answer.asked_at <= self._now()
        return answer if is_current and answer.asked_at > newer_than else None


def _sealed(place: _Place, answer: IntrospectionAnswer) -> str:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # imported late: start-up does not pay for it

    text = json.dumps({"asked_at": answer.asked_at, "members": answer.members})
    nonce = os.urandom(_NONCE_BYTES)
    sealed = AESGCM(place.secret).encrypt(nonce, text.encode("ascii"), place.context)
    return base64.b64encode(nonce + sealed).decode("ascii")


def _unsealed(place: _Place, entry: object) -> IntrospectionAnswer | None:
    if not isinstance(entry, str) or len(entry) > MAX_ENTRY_CHARACTERS:
        return None
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    with contextlib.suppress(ValueError, InvalidTag):
        data = base64.b64decode(entry, validate=True)
        text = AESGCM(place.secret).decrypt(data[:_NONCE_BYTES], data[_NONCE_BYTES:], place.context)
        members = parse_object(text)
        return IntrospectionAnswer(members=members["members"], asked_at=members["asked_at"])
    return None
