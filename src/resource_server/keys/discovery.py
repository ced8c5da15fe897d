"""An issuer -> its metadata and its key set (OpenID Connect Discovery 1.0, RFC 8414, RFC 7517, RFC 9111).

What the documents say is checked against the issuer's settings here; `issuer_keys.py` decides when they are fetched.
"""

import logging
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from resource_server.errors import Unavailable
from resource_server.keys.http import FETCH_SECONDS, Document, Fetch, address_problem, is_on_this_machine
from resource_server.keys.key_set import KeySet, parse_key_set
from resource_server.keys.key_source import KeySource
from resource_server.reasons import UnavailableReason
from resource_server.strict_json import parse_object

__all__ = ["Discovery", "Found", "metadata_urls", "parse_metadata"]

logger = logging.getLogger("resource_server")

# How long a document is current: what the issuer says, within these.
LIFE_SECONDS = 600
MIN_LIFE_SECONDS = 60
MAX_LIFE_SECONDS = 24 * 3600

# An issuer has two documents, and one more each time that it moves its keys.
MAX_KNOWN = 4

_MAX_AGE = re.compile(r"(?:^|[\s,])max-age\s*=\s*\"?(\d{1,9})\"?", re.IGNORECASE)
_NOT_KEPT = re.compile(r"\bno-(?:store|cache)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A key set that was found, the metadata that led to it, and how long ago (`held_seconds`) it was fetched.

    `failure` says why the issuer itself could not be asked, where another process of this project had the key set.
    """

    keys: KeySet
    metadata: dict[str, Any] | None
    life_seconds: float
    held_seconds: float
    failure: UnavailableReason | None


def metadata_urls(issuer: str) -> tuple[str, str]:
    """Where an issuer's metadata may be: OpenID Connect Discovery section 4, then RFC 8414 section 3.1.

    OpenID's form comes first because nearly every issuer has it, so that nearly every cold start is one request.
    """
    parts = urlsplit(issuer)
    path = parts.path.rstrip("/")
    origin = f"{parts.scheme}://{parts.netloc}"
    return (
        f"{origin}{path}/.well-known/openid-configuration",
        f"{origin}/.well-known/oauth-authorization-server{path}",
    )


def parse_metadata(document: Document, source: KeySource) -> dict[str, Any]:
    """The metadata in a document, with a `jwks_uri` that may be fetched.

    Raises Unavailable: `document_malformed`, `metadata_issuer_mismatch` (RFC 8414 section 3.3: else a server could
    answer for another issuer), `address_not_allowed`. Does not check members that concern clients.
    """
    metadata = _parse(document)
    if metadata.get("issuer") != source.issuer:
        raise Unavailable(UnavailableReason.METADATA_ISSUER_MISMATCH)
    jwks_uri: Any = metadata.get("jwks_uri")
    issuer = urlsplit(source.issuer)
    # An https issuer has https keys, also in development; and a document from elsewhere must not send us to the
    # services of this machine or to the metadata service of a cloud (server-side request forgery).
    if address_problem(jwks_uri, http_on_loopback=source.http_on_loopback and issuer.scheme == "http") or (
        is_on_this_machine(urlsplit(jwks_uri).hostname or "") and not is_on_this_machine(issuer.hostname or "")
    ):
        raise Unavailable(UnavailableReason.ADDRESS_NOT_ALLOWED)
    return metadata


class Discovery:
    """Finds the key set of one issuer, and remembers the documents for the next time. One thread at a time may use it."""

    def __init__(self, source: KeySource, *, fetch: Fetch, clock: Callable[[], float]) -> None:
        self._source = source
        self._fetch = fetch
        self._clock = clock
        self._metadata: dict[str, Any] | None = None
        self._metadata_is_public = True
        self._metadata_due_at = -math.inf
        self._keys: KeySet | None = None
        self._keys_from = b""
        self._known: dict[str, Document] = {}  # the documents that were good, by address
        self._told: set[str] = set()

    def find(self) -> Found:
        """The key set now. Raises Unavailable, and takes FETCH_SECONDS at the most."""
        deadline = self._clock() + FETCH_SECONDS
        metadata, public = None, False
        jwks_uri = self._source.jwks_uri
        if jwks_uri is None:
            metadata, public = self._find_metadata(deadline)
            jwks_uri = metadata["jwks_uri"]
        try:
            document = self._fetch_by(deadline, jwks_uri, public=public)
            keys = self._parse_keys(document)
        except Unavailable:
            # The keys may have moved.
            self._metadata_due_at = -math.inf
            raise
        self._keys, self._keys_from = keys, document.body
        self._remember(jwks_uri, document)
        return Found(
            keys=keys,
            metadata=metadata,
            life_seconds=_life(document),
            held_seconds=document.held_seconds,
            failure=document.failure,
        )

    def _find_metadata(self, deadline: float) -> tuple[dict[str, Any], bool]:
        """The metadata, and whether the address in them must be a public one."""
        now = self._clock()
        if self._metadata is None or now >= self._metadata_due_at:
            try:
                url, document = self._fetch_metadata(deadline)
                metadata = parse_metadata(document, self._source)
            except Unavailable as error:
                # The address of the keys has not changed because the metadata cannot be had, or are the page of a
                # gateway. Metadata that say something else are another matter.
                if self._metadata is None or error.reason in (
                    UnavailableReason.METADATA_ISSUER_MISMATCH,
                    UnavailableReason.ADDRESS_NOT_ALLOWED,
                ):
                    raise
                logger.debug("metadata of issuer %s not refreshed: %s", self._source.issuer, error.reason)
            else:
                self._metadata = metadata
                self._metadata_is_public = not document.local
                self._metadata_due_at = now + _life(document) - document.held_seconds
                self._remember(url, document)
        return self._metadata, self._metadata_is_public

    def _fetch_metadata(self, deadline: float) -> tuple[str, Document]:
        openid, oauth = metadata_urls(self._source.issuer)
        if self._metadata is not None:
            # Time must be left for the keys, whose address is known.
            deadline -= FETCH_SECONDS / 2
        try:
            return openid, self._fetch_by(deadline, openid)
        except Unavailable as error:
            # Only an answer says that there is no such document; a server that cannot be reached, or wants to be left
            # alone, has none of the other form either.
            if error.reason != UnavailableReason.FETCH_STATUS or error.retry_after > 1:
                raise
            return oauth, self._fetch_by(deadline, oauth)

    def _fetch_by(self, deadline: float, url: str, *, public: bool = False) -> Document:
        seconds = max(deadline - self._clock(), 0.001)
        return self._fetch(url, seconds=seconds, known=self._known.get(url), public=public)

    def _remember(self, url: str, document: Document) -> None:
        # Only what was good: else a server that has lied once would be taken at its word "not modified". Metadata and
        # key set, and no address of long ago.
        if len(self._known) > MAX_KNOWN:
            self._known.clear()
        self._known[url] = document

    def _parse_keys(self, document: Document) -> KeySet:
        if self._keys is not None and self._keys_from == document.body:
            return self._keys
        try:
            keys = parse_key_set(_parse(document))
        except ValueError:
            raise Unavailable(UnavailableReason.DOCUMENT_MALFORMED) from None
        for skipped in keys.skipped:
            if skipped not in self._told:
                logger.info("issuer %s: %s; it is not used", self._source.issuer, skipped)
        self._told = set(keys.skipped)
        if not keys.keys:
            raise Unavailable(UnavailableReason.KEY_SET_WITHOUT_KEYS)
        return keys


def _parse(document: Document) -> dict[str, Any]:
    try:
        return parse_object(document.body)
    except ValueError:
        raise Unavailable(UnavailableReason.DOCUMENT_MALFORMED) from None


def _life(document: Document) -> float:
    # RFC 9111 sections 4.2 and 5.2.2, within our floor and ceiling: a key set that is never cached would be fetched
    # for every request.
    max_age = _MAX_AGE.search(document.cache_control)
    life = int(max_age[1]) if max_age else LIFE_SECONDS
    if _NOT_KEPT.search(document.cache_control):
        life = 0
    return min(max(life - document.age_seconds, MIN_LIFE_SECONDS), MAX_LIFE_SECONDS)
