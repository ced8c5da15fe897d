"""Documents that the processes of one project share, so that they cause one fetch and see a rotation together.

The store (Django's cache, or a like object) is not trusted. An entry counts only if this project has sealed it for this
address, and if it is newer than all that this process has had from there: an attacker who puts an old entry back brings
no withdrawn key back. A lock in the store can delay a fetch but not prevent it: half of the time is kept for the
issuer. If the store fails, hangs or answers nonsense, the process goes on without it.
"""

import contextlib
import hashlib
import hmac
import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeGuard

from resource_server.clocks import time_of_day
from resource_server.errors import Unavailable
from resource_server.keys.document import Document, Fetch, parse_document
from resource_server.keys.key_set import parse_key_set
from resource_server.keys.metadata import metadata_urls
from resource_server.keys.store import BoundedStore, Store

__all__ = ["SharedDocuments"]

# A document that another process fetched this recently is as good as one fetched now.
FRESH_SECONDS = 60
# Entries are kept this long, for a process that starts during an outage of the issuer.
KEPT_SECONDS = 48 * 3600
# A wait for the lock of another process that was in vain is not repeated for this long.
WITHOUT_LOCKS_SECONDS = 30
POLL_SECONDS = 0.05
# The addresses whose last document is noted: two for each issuer that is kept in memory; and for each address, this
# many documents that were replaced.
MAX_ADDRESSES = 4096
MAX_REPLACED = 16
# The clocks of two machines may differ by this much. A document from further ahead is refused: it would count as newer
# than documents that are fetched after it.
MAX_CLOCK_DIFFERENCE_SECONDS = 30
# An entry of ours has at most six characters for each byte of the body, and the headers.
MAX_ENTRY_CHARACTERS = 4 * 1024 * 1024

_MEMBERS = {"body": str, "cache_control": str, "age_seconds": int, "etag": str, "local": bool, "stored_at": float}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Last:
    """The newest usable document that this process has had from an address: when it was asked for, and the digests of it and of those before."""

    stored_at: float
    digest: bytes
    replaced: tuple[bytes, ...] = ()


class SharedDocuments:
    """A `Fetch` that looks into the store first, and lets one process at a time ask the issuer for an address.

    `secret` seals the entries: without it no entry can be made. `now` is in seconds since 1970.
    """

    def __init__(self, fetch: Fetch, store: Store, *, secret: bytes, now: Callable[[], float] = time_of_day) -> None:
        self._fetch = fetch
        self._store = BoundedStore(store)
        self._secret = secret
        self._now = now
        self._without_locks_until = -math.inf
        self._last: dict[str, _Last] = {}

    def __call__(self, url: str, /, *, seconds: float, known: Document | None = None, public: bool = False) -> Document:
        deadline = time.monotonic() + seconds
        key = f"resource_server:document:{hashlib.sha256(url.encode()).hexdigest()}"
        lock = f"{key}:lock"

        def look(until: float) -> Document | None:
            return self._newer(key, url, known, public=public, until=until)

        # Half of the time is for the issuer, whatever the store does.
        held, locked = self._wait(look, lock, seconds=seconds, until=deadline - seconds / 2)
        if _is_fresh(held):
            return held
        try:
            left = max(deadline - time.monotonic(), 0.001)
            document = self._ask(url, seconds=left, known=held or known, public=public)
        except Unavailable as error:
            # A document that another process has fetched in the meantime, or before the outage, serves here too.
            held = look(math.inf) or held
            if held is None:
                raise
            if _is_fresh(held):
                return held
            return replace(held, failure=error.reason, outcome=error.outcome or error.reason.message)
        else:
            self._share(key, url, document, until=deadline)
            return document
        finally:
            if locked:
                self._store.delete(lock)

    def _wait(
        self, look: Callable[[float], Document | None], lock: str, *, seconds: float, until: float
    ) -> tuple[Document | None, bool]:
        """Wait until the entry is fresh or this process may ask the issuer. Return the entry, and whether the lock is ours.

        The process may ask once it has the lock; if the store fails, or neither gives the lock nor holds it; and at
        `until` in any case: the process with the lock may be gone, and anyone with access to the store can set it.
        """
        held, refused = None, 0
        while True:
            held = look(until) or held
            now = time.monotonic()
            if _is_fresh(held) or now >= until or self._store.is_down or now < self._without_locks_until:
                return held, False
            if self._store.add(lock, "1", timeout=math.ceil(seconds) + 1, until=until):
                # Another process may have stored an entry between the look and the lock.
                brought = look(until) or held
                if _is_fresh(brought):
                    self._store.delete(lock)
                return brought, not _is_fresh(brought)
            # Once may be chance: another process released the lock between the two calls, and has stored its document.
            refused += self._store.get(lock, until=until) is None
            if refused == 2:
                return held, False
            left = until - time.monotonic()
            if left <= POLL_SECONDS:
                # The wait was in vain: the next fetches do without it.
                self._without_locks_until = time.monotonic() + WITHOUT_LOCKS_SECONDS
            time.sleep(max(0.0, min(POLL_SECONDS, left)))

    def _ask(self, url: str, *, seconds: float, known: Document | None, public: bool) -> Document:
        # The answer may be as old as the question (RFC 9111 section 4.2.3).
        asked_at = self._now()
        document = self._fetch(url, seconds=seconds, known=known, public=public)
        return replace(document, stored_at=asked_at, held_seconds=0.0, failure=None, outcome="")

    def _share(self, key: str, url: str, document: Document, *, until: float) -> None:
        # An unusable document, such as a gateway's page, must not keep other processes from fetching.
        if not _is_usable(url, document):
            return
        self._note(url, document)
        if self._newer(key, url, document, public=False, until=until) is None:
            self._store.set(key, self._sealed(url, document), timeout=KEPT_SECONDS, until=until)

    def _newer(self, key: str, url: str, known: Document | None, *, public: bool, until: float) -> Document | None:
        """Return the entry of the store if it is ours, and newer than the documents of the caller and this process."""
        document = self._unsealed(url, self._store.get(key, until=until))
        if document is None or (public and document.local):
            return None
        now = self._now()
        if known is not None and document.stored_at <= known.stored_at:
            return None
        if not now - KEPT_SECONDS < document.stored_at < now + MAX_CLOCK_DIFFERENCE_SECONDS:
            return None
        last = self._last.get(url)
        # The digest refuses an entry that a fast clock has stamped: only the issuer brings back a document that this
        # process has seen replaced.
        if last is not None and (document.stored_at < last.stored_at or _digest(document) in last.replaced):
            return None
        self._note(url, document)
        # Never 0: a positive age marks another process's document.
        return replace(document, held_seconds=max(0.001, now - document.stored_at))

    def _note(self, url: str, document: Document) -> None:
        # A race between threads loses a note. The next entry is compared with the caller's document too.
        last, digest = self._last.get(url), _digest(document)
        if last is not None and document.stored_at < last.stored_at:
            return
        replaced = () if last is None else last.replaced
        if last is not None and last.digest != digest:
            replaced = (*(other for other in replaced if other not in (digest, last.digest)), last.digest)
        if last is None and len(self._last) >= MAX_ADDRESSES:
            self._last.pop(next(iter(list(self._last))), None)
        self._last[url] = _Last(stored_at=document.stored_at, digest=digest, replaced=replaced[-MAX_REPLACED:])

    def _sealed(self, url: str, document: Document) -> str:
        text = json.dumps(
            {
                "body": document.body.decode("latin-1"),
                "cache_control": document.cache_control,
                "age_seconds": document.age_seconds,
                "etag": document.etag,
                "local": document.local,
                "stored_at": document.stored_at,
            }
        )
        return f"{self._seal(url, text)}{text}"

    def _unsealed(self, url: str, entry: object) -> Document | None:
        if not isinstance(entry, str) or len(entry) > MAX_ENTRY_CHARACTERS or not entry.isascii():
            return None
        seal, text = entry[:64], entry[64:]
        if not hmac.compare_digest(seal, self._seal(url, text)):
            return None
        with contextlib.suppress(ValueError):
            members = json.loads(text)
            if isinstance(members, dict) and {name: type(value) for name, value in members.items()} == _MEMBERS:
                return Document(**{**members, "body": members["body"].encode("latin-1")})
        return None

    def _seal(self, url: str, text: str) -> str:
        message = json.dumps(["resource_server.document.1", url, text]).encode()
        return hmac.digest(self._secret, message, "sha256").hex()


def _digest(document: Document) -> bytes:
    return hashlib.sha256(document.body).digest()


def _is_fresh(document: Document | None) -> TypeGuard[Document]:
    return document is not None and document.held_seconds <= FRESH_SECONDS


def _is_usable(url: str, document: Document) -> bool:
    """Return whether a document is a key set with a key, or the metadata of an issuer with this address. Does not judge it by a policy."""
    try:
        members = parse_document(document.body)
        if "keys" in members:
            return bool(parse_key_set(members).keys)
        issuer = members.get("issuer")
        return isinstance(issuer, str) and url in metadata_urls(issuer)
    except ValueError:
        return False
