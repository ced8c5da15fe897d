"""An issuer -> its key set, found through its metadata or at its `jwks_uri` (OpenID Connect Discovery 1.0, RFC 8414, RFC 7517).

`issuer_keys.py` decides when the documents are fetched.
"""

import logging
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from resource_server.errors import Unavailable
from resource_server.keys.document import FETCH_SECONDS, Document, Fetch, life_seconds, parse_document
from resource_server.keys.fetch_outcome import printable, shown_address
from resource_server.keys.key_set import KeySet, parse_key_set
from resource_server.keys.key_source import KeySource
from resource_server.keys.metadata import metadata_object, metadata_urls, parse_metadata
from resource_server.reasons import UnavailableReason

__all__ = ["Discovery", "Found"]

logger = logging.getLogger("resource_server")

# The answers that say that an address has no metadata (RFC 8414 section 3.2).
_NO_METADATA = frozenset(
    {
        UnavailableReason.FETCH_STATUS,
        UnavailableReason.DOCUMENT_MALFORMED,
        UnavailableReason.METADATA_ISSUER_MISMATCH,
    }
)
# An issuer has two documents, and one more each time that it moves its keys.
MAX_KNOWN = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A key set, the metadata that led to it, and how many seconds ago (`held_seconds`) another process fetched it.

    `failure` is the reason why the issuer itself could not be asked, if the key set comes from another process;
    `outcome` says how that attempt ended. If `metadata_is_public`, an address in the metadata must not be one of this
    machine.
    """

    keys: KeySet
    metadata: dict[str, Any] | None
    life_seconds: float
    held_seconds: float
    failure: UnavailableReason | None
    outcome: str
    metadata_is_public: bool = True


class Discovery:
    """Finds the key set of one issuer, and keeps the documents for the next time. One thread at a time may use it."""

    def __init__(self, source: KeySource, *, fetch: Fetch, clock: Callable[[], float]) -> None:
        self._source = source
        self._fetch = fetch
        self._clock = clock
        self._metadata: dict[str, Any] | None = None
        self._metadata_is_public = True
        self._metadata_failure: UnavailableReason | None = None  # of the last attempt
        self._metadata_due_at = -math.inf
        self._keys: KeySet | None = None
        self._keys_from = b""
        self._known: dict[str, Document] = {}  # the documents that were good, by address
        self._logged: set[str] = set()  # the keys that are not used

    def find(self) -> Found:
        """Return the key set of now. Raises Unavailable; takes FETCH_SECONDS at most."""
        deadline = self._clock() + FETCH_SECONDS
        metadata, public = None, False
        jwks_uri = self._source.jwks_uri
        if jwks_uri is None:
            metadata, public = self._find_metadata(deadline)
            jwks_uri = metadata["jwks_uri"]
        try:
            document = self._fetch_by(deadline, jwks_uri, public=public)
            with _naming(jwks_uri):
                keys = self._parse_keys(document)
        except Unavailable:
            # The keys may have moved: ask for the metadata next time.
            self._metadata_due_at = -math.inf
            raise
        self._keys, self._keys_from = keys, document.body
        self._remember(jwks_uri, document)
        return Found(
            keys=keys,
            metadata=metadata,
            life_seconds=life_seconds(document),
            held_seconds=document.held_seconds,
            failure=document.failure,
            outcome=_named(jwks_uri, document.outcome or document.failure) if document.failure else "",
            metadata_is_public=self._metadata_is_public,
        )

    def _find_metadata(self, deadline: float) -> tuple[dict[str, Any], bool]:
        """Return the metadata, and whether the address in them must be a public one."""
        now = self._clock()
        if self._metadata is None or now >= self._metadata_due_at:
            try:
                url, document, metadata = self._fetch_metadata(deadline)
            except Unavailable as error:
                # Metadata that cannot be fetched or are a gateway's page do not change the address of the keys.
                # Metadata of another issuer, or with a forbidden address, fail the refresh.
                if self._metadata is None or error.reason in (
                    UnavailableReason.METADATA_ISSUER_MISMATCH,
                    UnavailableReason.ADDRESS_NOT_ALLOWED,
                ):
                    raise
                # Logged once, as an outage is; each refresh asks again.
                level = logging.DEBUG if error.reason == self._metadata_failure else logging.WARNING
                self._metadata_failure = error.reason
                logger.log(
                    level,
                    "metadata of issuer %s not refreshed (%s): %s; the known address of its keys stays in use",
                    *(self._source.issuer, error.reason, error.outcome),
                )
            else:
                self._metadata_failure = None
                self._metadata = metadata
                self._metadata_is_public = not document.local
                self._metadata_due_at = now + life_seconds(document) - document.held_seconds
                self._remember(url, document)
        return self._metadata, self._metadata_is_public

    def _fetch_metadata(self, deadline: float) -> tuple[str, Document, dict[str, Any]]:
        openid, oauth = metadata_urls(self._source.issuer)
        if self._metadata is not None:
            # Leave time for the keys: their address is known.
            deadline -= FETCH_SECONDS / 2
        try:
            document = self._fetch_by(deadline, openid)
            with _naming(openid):
                # A host may answer every address with a page of its own. Metadata of another issuer are judged below.
                if "issuer" not in metadata_object(document):
                    raise Unavailable(UnavailableReason.METADATA_ISSUER_MISMATCH, outcome="names no issuer")
        except Unavailable as error:
            # Only an answer says that there are no metadata here. Do not ask a server again that cannot be reached, or
            # that asks for a pause (Retry-After).
            if error.reason not in _NO_METADATA or error.retry_after > 1:
                raise
            first = error
        else:
            with _naming(openid):
                return openid, document, parse_metadata(document, self._source)
        try:
            document = self._fetch_by(deadline, oauth)
            with _naming(oauth):
                return oauth, document, parse_metadata(document, self._source)
        except Unavailable as error:
            # Another status says only that nothing is there; what stands at the first address says more.
            told = first if error.reason == UnavailableReason.FETCH_STATUS else error
            told.outcome = f"{first.outcome}; {error.outcome}"
            raise told from None

    def _fetch_by(self, deadline: float, url: str, *, public: bool = False) -> Document:
        seconds = max(deadline - self._clock(), 0.001)
        with _naming(url):
            return self._fetch(url, seconds=seconds, known=self._known.get(url), public=public)

    def _remember(self, url: str, document: Document) -> None:
        # Only documents that were good: else a later "not modified" would confirm a bad one. Addresses that the issuer
        # has left are dropped.
        if len(self._known) > MAX_KNOWN:
            self._known.clear()
        self._known[url] = document

    def _parse_keys(self, document: Document) -> KeySet:
        if self._keys is not None and self._keys_from == document.body:
            return self._keys
        try:
            keys = parse_key_set(parse_document(document.body))
        except ValueError:
            raise Unavailable(UnavailableReason.DOCUMENT_MALFORMED, outcome="not a JWK Set") from None
        for skipped in keys.skipped:
            if skipped not in self._logged:
                logger.info("issuer %s: %s; it is not used", self._source.issuer, skipped)
        self._logged = set(keys.skipped)
        if not keys.keys:
            why = ", ".join(keys.skipped) or "there is none"
            raise Unavailable(UnavailableReason.KEY_SET_WITHOUT_KEYS, outcome=f"no key can be used: {why}")
        return keys


@contextmanager
def _naming(url: str) -> Iterator[None]:
    """Add the address to the outcome of an attempt that fails."""
    try:
        yield
    except Unavailable as error:
        # A new error: a Fetch of a project may raise the same one again.
        raise Unavailable(
            error.reason, retry_after=error.retry_after, outcome=_named(url, error.outcome or error.reason.message)
        ) from None


def _named(url: str, outcome: str) -> str:
    # A server, or an attacker on the way, may have written a part of the outcome.
    return f"{shown_address(url)}: {printable(outcome)}"
