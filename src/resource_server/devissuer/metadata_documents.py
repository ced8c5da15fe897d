"""Clients whose id is the https address of their metadata (draft-ietf-oauth-client-id-metadata-document)."""

import re
import time
from collections.abc import Callable
from urllib.parse import urlsplit

from resource_server.devissuer.client_metadata import ClientMetadata, MetadataError
from resource_server.devissuer.clients import Client
from resource_server.devissuer.storage import OneTime
from resource_server.errors import Unavailable
from resource_server.keys.addresses import address_problem
from resource_server.keys.document import FETCH_SECONDS, Fetch, stated_seconds

__all__ = ["MetadataDocuments"]

_MAX_BYTES = 5 * 1024  # the draft's advice
_KEPT_SECONDS = 60  # if the answer does not say
_MAX_KEPT_SECONDS = 3600
# An encoded dot is a dot to some servers.
_DOT_SEGMENT = re.compile(r"/(?:\.|%2e){1,2}(?:/|$)", re.IGNORECASE)


class MetadataDocuments:
    """Fetches the documents, and keeps a good one as long as its headers say (RFC 9111), for an hour at most.

    With `public`, documents on this machine or its link are refused: other machines could read them through the issuer.
    """

    def __init__(
        self, fetch: Fetch, scopes: frozenset[str], *, public: bool, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._fetch = fetch
        self._scopes = scopes
        self._public = public
        self._clients: OneTime[Client] = OneTime(limit=1_000, seconds=_KEPT_SECONDS, clock=clock)

    def client(self, client_id: str) -> Client:
        """The client that the document at this address describes. Raises MetadataError."""
        known = self._clients.find(client_id)
        if known is not None:
            return known
        if problem := _problem(client_id):
            raise MetadataError(f"the client id {problem}")
        try:
            document = self._fetch(client_id, seconds=FETCH_SECONDS, public=self._public)
        except Unavailable as error:
            raise MetadataError(f"the client metadata document cannot be fetched: {error.reason}") from None
        client = self._described(client_id, document.body)
        stated = stated_seconds(document)
        self._clients.add(client_id, client, _KEPT_SECONDS if stated is None else min(stated, _MAX_KEPT_SECONDS))
        return client

    def _described(self, client_id: str, body: bytes) -> Client:
        if len(body) > _MAX_BYTES:
            raise MetadataError(f"the client metadata document has more than {_MAX_BYTES} bytes")
        metadata = ClientMetadata.parse(body, default_auth_method="none")
        if metadata.client_id != client_id:
            raise MetadataError("client_id in the client metadata document is not its address")
        if metadata.token_endpoint_auth_method != "none":
            raise MetadataError("a client with a metadata document has no secret")
        return metadata.client(client_id, None, self._scopes)


def _problem(client_id: str) -> str | None:
    if problem := address_problem(client_id, http_on_loopback=False):
        return problem
    path = urlsplit(client_id).path
    if path in ("", "/"):
        return "has no path"
    if _DOT_SEGMENT.search(path):
        return "has a path with dots"
    return None
