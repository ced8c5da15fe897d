"""The metadata of an issuer: where they are, and the address of its keys in them (OpenID Connect Discovery 1.0 section 4, RFC 8414)."""

from typing import Any
from urllib.parse import urlsplit

from resource_server.errors import Unavailable
from resource_server.keys.addresses import address_problem, is_on_this_machine
from resource_server.keys.document import Document, parse_document
from resource_server.keys.fetch_outcome import shown_address
from resource_server.keys.key_source import KeySource
from resource_server.reasons import UnavailableReason

__all__ = ["is_allowed_address", "metadata_object", "metadata_urls", "parse_metadata"]


def metadata_urls(issuer: str) -> tuple[str, str]:
    """Return where an issuer's metadata may be: OpenID Connect Discovery section 4, then RFC 8414 section 3.1.

    OpenID's form comes first because nearly every issuer has it: a cold start then needs one request for metadata.
    """
    parts = urlsplit(issuer)
    path = parts.path.rstrip("/")
    origin = f"{parts.scheme}://{parts.netloc}"
    return (
        f"{origin}{path}/.well-known/openid-configuration",
        f"{origin}/.well-known/oauth-authorization-server{path}",
    )


def parse_metadata(document: Document, source: KeySource) -> dict[str, Any]:
    """Return the metadata in a document, with a `jwks_uri` that may be fetched.

    Raises Unavailable: `document_malformed`, `metadata_issuer_mismatch` (RFC 8414 section 3.3: else a server could
    answer for another issuer), `address_not_allowed`. Does not check members that concern clients.
    """
    metadata = metadata_object(document)
    if metadata.get("issuer") != source.issuer:
        named = metadata.get("issuer")
        outcome = f"names the issuer {named}" if isinstance(named, str) else "names no issuer"
        raise Unavailable(UnavailableReason.METADATA_ISSUER_MISMATCH, outcome=outcome)
    jwks_uri: Any = metadata.get("jwks_uri")
    if not is_allowed_address(jwks_uri, source):
        shown = shown_address(jwks_uri) if isinstance(jwks_uri, str) else "absent or not text"
        raise Unavailable(UnavailableReason.ADDRESS_NOT_ALLOWED, outcome=f"its jwks_uri is {shown}")
    return metadata


def metadata_object(document: Document) -> dict[str, Any]:
    """Return the JSON object in a document. Raises Unavailable (`document_malformed`). Does not check its members."""
    try:
        return parse_document(document.body)
    except ValueError:
        raise Unavailable(UnavailableReason.DOCUMENT_MALFORMED, outcome="not a JSON object") from None


def is_allowed_address(url: Any, source: KeySource) -> bool:
    """Return whether an address in the metadata of an issuer may be asked.

    An https issuer has https addresses, in development too. A document from elsewhere must not direct requests to the
    services of this machine or to the metadata service of a cloud (server-side request forgery). Resolves no name.
    """
    issuer = urlsplit(source.issuer)
    is_http = issuer.scheme == "http"
    if address_problem(
        url,
        http_on_loopback=source.http_on_loopback and is_http,
        http_hosts=source.http_hosts if is_http else (),
    ):
        return False
    return is_on_this_machine(issuer.hostname or "") or not is_on_this_machine(urlsplit(url).hostname or "")
