"""Dynamic client registration (RFC 7591). It is open: a client needs no initial access token."""

import secrets
import time
from dataclasses import asdict
from typing import Any

from resource_server.devissuer.client_metadata import ClientMetadata
from resource_server.devissuer.clients import Client
from resource_server.devissuer.storage import OneTime

__all__ = ["register"]


def register(body: bytes, clients: OneTime[Client], scopes: frozenset[str]) -> dict[str, Any]:
    """Add a client with these scopes and return the answer (RFC 7591 section 3.2.1). Raises MetadataError."""
    metadata = ClientMetadata.parse(body)
    public = metadata.token_endpoint_auth_method == "none"
    client_id = secrets.token_urlsafe(16)
    secret = None if public else secrets.token_urlsafe(32)
    clients.add(client_id, metadata.client(client_id, secret, scopes))
    registered = {name: value for name, value in asdict(metadata).items() if value not in ("", (), False)}
    answer = {
        **registered,
        "response_types": ["code"] if "authorization_code" in metadata.grant_types else [],
        "client_id": client_id,
        "client_id_issued_at": int(time.time()),
    }
    return answer if public else {**answer, "client_secret": secret, "client_secret_expires_at": 0}
