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
import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeGuard, TypeVar

from resource_server.clocks import time_of_day
from resource_server.errors import Unavailable
from resource_server.forks import on_fork
from resource_server.keys.deadline import within
from resource_server.keys.document import Document, Fetch, parse_document
from resource_server.keys.key_set import parse_key_set
from resource_server.keys.metadata import metadata_urls

__all__ = ["SharedDocuments", "Store"]

logger = logging.getLogger("resource_server")

T = TypeVar("T")

# A document that another process fetched this recently is as good as one fetched now.
FRESH_SECONDS = 60
# Entries are kept this long, for a process that starts during an outage of the issuer.
KEPT_SECONDS = 48 * 3600
# A store that takes longer than this counts as down, and is asked again after a pause.
STORE_SECONDS = 1.0
# With less time than this left the store is not asked, as a good one might not make it.
MIN_STORE_SECONDS = 0.02
STORE_PAUSE_SECONDS = 30
MAX_PAUSE_DOUBLINGS = 7
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


class Store(Protocol):
    """The methods of Django's cache framework that are used. `add` is atomic between processes."""

    def get(self, key: str, /) -> Any: ...
    def set(self, key: str, value: str, /, timeout: float) -> Any: ...
    def add(self, key: str, value: str, /, timeout: float) -> Any: ...
    def delete(self, key: str, /) -> Any: ...


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
        self._store = store
        self._secret = secret
        self._now = now
        self._without_until = -math.inf
        self._without_locks_until = -math.inf
        self._last: dict[str, _Last] = {}
        self._reset()
        on_fork(self._reset)

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
                self._use(math.inf, self._store.delete, lock)

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
            if _is_fresh(held) or now >= until or now < max(self._without_until, self._without_locks_until):
                return held, False
            if self._use(until, self._store.add, lock, "1", timeout=math.ceil(seconds) + 1):
                # Another process may have stored an entry between the look and the lock.
                brought = look(until) or held
                if _is_fresh(brought):
                    self._use(math.inf, self._store.delete, lock)
                return brought, not _is_fresh(brought)
            # Once may be chance: another process released the lock between the two calls, and has stored its document.
            refused += self._use(until, self._entry, lock) is None
            if refused == 2:
                return held, False
            left = until - time.monotonic()
            if left <= POLL_SECONDS:
                # The wait was in vain: the next fetches do without it.
                self._without_locks_until = time.monotonic() + STORE_PAUSE_SECONDS
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
            self._use(until, self._store.set, key, self._sealed(url, document), timeout=KEPT_SECONDS)

    def _newer(self, key: str, url: str, known: Document | None, *, public: bool, until: float) -> Document | None:
        """Return the entry of the store if it is ours, and newer than the documents of the caller and this process."""
        document = self._unsealed(url, self._use(until, self._entry, key))
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

    def _entry(self, key: str) -> Any:
        # An entry that cannot be read is not ours, and will be overwritten. A store that is down fails at the lock too.
        with contextlib.suppress(Exception):
            return self._store.get(key)
        return None

    def _use(self, until: float, method: Callable[..., T], *arguments: Any, **options: Any) -> T | None:
        """Return the answer of the store; None if it fails or has none at `until`: then it is not asked for a while."""
        now = time.monotonic()
        seconds = min(STORE_SECONDS, until - now)
        if now < self._without_until or seconds < MIN_STORE_SECONDS:
            return None
        try:
            return within(seconds, lambda: self._counted(method, *arguments, **options))
        except Exception as error:  # noqa: BLE001 - each backend has errors of its own
            # A call that hangs keeps its thread. More such calls make the pause longer, so that threads do not gather.
            pause = STORE_PAUSE_SECONDS * 2.0 ** min(len(self._under_way), MAX_PAUSE_DOUBLINGS)
            self._without_until = time.monotonic() + pause
            logger.warning(
                "the cache of RESOURCE_SERVER does not work (%s); this process goes on without it", type(error).__name__
            )
            return None

    def _counted(self, method: Callable[..., T], *arguments: Any, **options: Any) -> T:
        call, under_way = object(), self._under_way
        under_way.add(call)
        try:
            return method(*arguments, **options)
        finally:
            under_way.discard(call)

    def _reset(self) -> None:
        self._under_way: set[object] = set()

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
