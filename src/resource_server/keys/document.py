"""A document of an issuer, how it is fetched and how long it is current (RFC 9110, RFC 9111 sections 4.2 and 5.2.2)."""

import codecs
import re
from dataclasses import dataclass
from typing import Any, Protocol

from resource_server.reasons import UnavailableReason
from resource_server.strict_json import parse_object

__all__ = [
    "FETCH_SECONDS",
    "MAX_DOCUMENT_BYTES",
    "Document",
    "Fetch",
    "life_seconds",
    "parse_document",
    "stated_seconds",
]

FETCH_SECONDS = 5.0
MAX_DOCUMENT_BYTES = 256 * 1024

# A document is current for as long as the issuer says, within these limits.
LIFE_SECONDS = 600
MIN_LIFE_SECONDS = 60
MAX_LIFE_SECONDS = 24 * 3600

_MAX_AGE = re.compile(r"(?:^|[\s,])max-age\s*=\s*\"?(\d{1,9})\"?", re.IGNORECASE)
_NOT_KEPT = re.compile(r"\bno-(?:store|cache)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """The answer of a server: the body, and the headers that say how long it is current.

    `age_seconds` is the Age header; `etag` is the ETag as it was sent, empty if there was none; `local` means that a
    loopback or link-local address answered. The last four fields belong to documents that processes share
    (`shared_documents.py`): when the document was stored, in seconds since 1970; how many seconds ago that was; and why
    the issuer itself could not be asked, with the outcome of that attempt.
    """

    body: bytes
    cache_control: str = ""
    age_seconds: int = 0
    etag: str = ""
    local: bool = False
    stored_at: float = 0.0
    held_seconds: float = 0.0
    failure: UnavailableReason | None = None
    outcome: str = ""


class Fetch(Protocol):
    """Fetches documents. Raises Unavailable, and nothing else, if there is no document.

    `seconds` is the time for the whole fetch. `known` is the document that the caller has of this address: if the
    server answers that it is not modified (304), it is the result, with the new headers. With `public`, an address on
    this machine or its link is refused. The `retry_after` of the Unavailable is the wait in seconds that the server
    asks for, or 1; its `outcome` says how the attempt ended, without the address.
    """

    def __call__(
        self, url: str, /, *, seconds: float, known: Document | None = None, public: bool = False
    ) -> Document: ...


def parse_document(body: bytes) -> dict[str, Any]:
    """Return the JSON object in a document, also after a byte order mark (RFC 8259 section 8.1). Raises ValueError.

    A mark has one reading, so it is ignored in what an issuer publishes. A token with one is refused.
    """
    return parse_object(body.removeprefix(codecs.BOM_UTF8))


def stated_seconds(document: Document) -> int | None:
    """How long a document is current by its own headers, in seconds: 0 if it must not be kept, None if they say nothing."""
    if _NOT_KEPT.search(document.cache_control):
        return 0
    max_age = _MAX_AGE.search(document.cache_control)
    return max(int(max_age[1]) - document.age_seconds, 0) if max_age else None


def life_seconds(document: Document) -> float:
    """How long a document is current from when it was fetched, in seconds, within 1 minute and 24 hours.

    Does not subtract `held_seconds`.
    """
    stated = stated_seconds(document)
    life = LIFE_SECONDS - document.age_seconds if stated is None else stated
    # A key set that must not be cached lives for the minimum: else each request would cause a fetch.
    return min(max(life, MIN_LIFE_SECONDS), MAX_LIFE_SECONDS)
