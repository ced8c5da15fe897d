"""Documents that the processes of one project share, so that many of them cause one fetch and see one rotation.

The store (Django's cache, or what looks like it) is trusted with nothing: an entry counts only where this project has
sealed it for this very address, and then it is judged as if it had just been fetched. A store that fails or hangs is
done without.
"""

import contextlib
import hashlib
import hmac
import json
import logging
import math
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Protocol, TypeGuard, TypeVar

from resource_server.errors import Unavailable
from resource_server.tokens.discovery import metadata_urls
from resource_server.tokens.forked import on_fork
from resource_server.tokens.http import Document, Fetch, within
from resource_server.tokens.keys import parse_key_set
from resource_server.tokens.strict_json import parse_object

__all__ = ["SharedDocuments", "Store"]

logger = logging.getLogger("resource_server")

T = TypeVar("T")

# A document that another process has fetched so short a time ago is as good as one fetched now.
FRESH_SECONDS = 60
# Kept this long, for a process that starts while the issuer is down.
KEPT_SECONDS = 48 * 3600
# A store that takes longer than this is not there; it is asked again after a pause.
STORE_SECONDS = 1.0
STORE_PAUSE_SECONDS = 30
MAX_PAUSE_DOUBLINGS = 7
POLL_SECONDS = 0.05
# Clocks of two machines may differ by this much; what comes from further ahead is not believed, for it would count as
# newer than what was fetched after it.
MAX_CLOCK_DIFFERENCE_SECONDS = 30
# What is ours has at most six characters for a byte of its body, and its headers.
MAX_ENTRY_CHARACTERS = 4 * 1024 * 1024

_MEMBERS = {"body": str, "cache_control": str, "age_seconds": int, "etag": str, "local": bool, "stored_at": float}


class Store(Protocol):
    """The three methods of Django's cache framework that are used (`add` is atomic between processes)."""

    def get(self, key: str, /) -> Any: ...
    def set(self, key: str, value: str, /, timeout: float) -> Any: ...
    def add(self, key: str, value: str, /, timeout: float) -> bool: ...
    def delete(self, key: str, /) -> Any: ...


class SharedDocuments:
    """A `Fetch` that looks into the store first, and lets one process at a time go out for an address.

    `secret` seals the entries: whoever does not hold it can make none. `now` is in seconds since 1970.
    """

    def __init__(self, fetch: Fetch, store: Store, *, secret: bytes, now: Callable[[], float] = time.time) -> None:
        self._fetch = fetch
        self._store = store
        self._secret = secret
        self._now = now
        self._without_until = -math.inf
        self._reset()
        on_fork(self._reset)

    def __call__(self, url: str, /, *, seconds: float, known: Document | None = None, public: bool = False) -> Document:
        deadline = time.monotonic() + seconds
        key = f"resource_server:document:{hashlib.sha256(url.encode()).hexdigest()}"
        while True:
            held = self._newer(key, url, known, public=public)
            if _is_fresh(held):
                return held
            # Should the process that asks be gone or have no answer after half of the time, one more asks.
            is_late = deadline - time.monotonic() < seconds / 2
            lock = f"{key}:lock{'-of-the-late' if is_late else ''}"
            # False: another process is asking. None: there is no store, so nobody is waited for.
            locked = self._use(self._store.add, lock, "1", timeout=math.ceil(seconds) + 1)
            left = deadline - time.monotonic()
            if locked is not False or left <= POLL_SECONDS:
                break
            time.sleep(POLL_SECONDS)
        try:
            if left <= 0 or locked is False:
                raise Unavailable("fetch_timeout")
            # Between the look and the lock another process may have been there.
            if locked and _is_fresh(brought := self._newer(key, url, known, public=public)):
                return brought
            return self._ask(key, url, seconds=left, known=held or known, public=public)
        except Unavailable as error:
            # What another process has fetched by now, or still knows, serves here too, as long as it would there.
            held = self._newer(key, url, known, public=public) or held
            if held is None:
                raise
            return held if _is_fresh(held) else replace(held, failure=error.reason)
        finally:
            if locked:
                self._use(self._store.delete, lock)

    def _ask(self, key: str, url: str, *, seconds: float, known: Document | None, public: bool) -> Document:
        # The answer may be as old as the question (RFC 9111 section 4.2.3).
        asked_at = self._now()
        document = self._fetch(url, seconds=seconds, known=known, public=public)
        document = replace(document, stored_at=asked_at, held_seconds=0.0, failure=None)
        # A document that nobody can use, such as the page of a gateway, must not stand in the way of the next fetch.
        if _is_usable(url, document) and self._newer(key, url, document, public=False) is None:
            self._use(self._store.set, key, self._sealed(url, document), timeout=KEPT_SECONDS)
        return document

    def _newer(self, key: str, url: str, known: Document | None, *, public: bool) -> Document | None:
        """The entry of the store, where it is ours and newer than what the caller knows."""
        document = self._unsealed(url, self._use(self._entry, key))
        if document is None or (public and document.local):
            return None
        now = self._now()
        if known is not None and document.stored_at <= known.stored_at:
            return None
        if not now - KEPT_SECONDS < document.stored_at < now + MAX_CLOCK_DIFFERENCE_SECONDS:
            return None
        # More than nothing, also where clocks differ: that says that it is another's.
        return replace(document, held_seconds=max(0.001, now - document.stored_at))

    def _entry(self, key: str) -> Any:
        # What cannot be unpacked is nothing of ours, and will be overwritten; a store that is down fails at the lock too.
        with contextlib.suppress(Exception):
            return self._store.get(key)
        return None

    def _use(self, method: Callable[..., T], *arguments: Any, **options: Any) -> T | None:
        """What the store answers; None where it fails or takes too long, and then it is left alone for a while."""
        if time.monotonic() < self._without_until:
            return None
        try:
            return within(STORE_SECONDS, lambda: self._counted(method, *arguments, **options))
        except Exception as error:  # noqa: BLE001 - each backend fails in kinds of its own
            # A call that hangs keeps its thread: the more of them, the longer the pause, so that they do not gather.
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


def _is_fresh(document: Document | None) -> TypeGuard[Document]:
    return document is not None and document.held_seconds <= FRESH_SECONDS


def _is_usable(url: str, document: Document) -> bool:
    """Whether a document is a key set with a key or the metadata of an issuer that has this address. Does not judge it by a policy."""
    try:
        members = parse_object(document.body)
        if "keys" in members:
            return bool(parse_key_set(members).keys)
        issuer = members.get("issuer")
        return isinstance(issuer, str) and url in metadata_urls(issuer)
    except ValueError:
        return False
