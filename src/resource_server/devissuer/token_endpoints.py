"""What happens to a token that was issued: introspection (RFC 7662, RFC 9701) and revocation (RFC 7009)."""

import time
from typing import Any

from authlib.consts import default_json_headers
from authlib.oauth2.rfc6749 import TokenEndpoint
from authlib.oauth2.rfc6749.errors import InvalidGrantError, InvalidRequestError

from resource_server.devissuer.storage import Storage

__all__ = ["ANY_CLIENT", "CONFIDENTIAL", "Introspection", "Revocation"]

CONFIDENTIAL = ["client_secret_basic", "client_secret_post"]
ANY_CLIENT = [*CONFIDENTIAL, "none"]

_SIGNED = "application/token-introspection+jwt"

Answer = tuple[int, Any, list[tuple[str, str]]]


class Introspection(TokenEndpoint):  # type: ignore[misc]  # untyped base
    """Tells any client with a secret about any access token, opaque or not.

    A refresh token is not active: an API that asks must not take it for an access token.
    """

    ENDPOINT_NAME = "introspection"
    CLIENT_AUTH_METHODS = CONFIDENTIAL

    def create_endpoint_response(self, request: Any) -> Answer:
        client = self.authenticate_endpoint_client(request)
        token = self.server.storage.access_token(_token(request))
        answer: dict[str, Any] = {"active": False}
        if token is not None:
            token_type = "DPoP" if "jkt" in token.claims.get("cnf", {}) else "Bearer"
            answer = {"active": True, "token_type": token_type, **token.claims}
        if _SIGNED not in request.headers.get("Accept", ""):
            return 200, answer, default_json_headers
        issuer = self.server.issuer
        claims = {"iss": issuer.name, "aud": client.client_id, "iat": int(time.time()), "token_introspection": answer}
        signed = issuer.keys.sign(claims, header={"typ": "token-introspection+jwt"})
        return 200, signed, [("Content-Type", _SIGNED), ("Cache-Control", "no-store")]


class Revocation(TokenEndpoint):  # type: ignore[misc]  # untyped base
    """Revokes a token of the client that asks. A refresh token takes the whole session with it.

    A JWT stays valid for an API that does not introspect it.
    """

    ENDPOINT_NAME = "revocation"
    CLIENT_AUTH_METHODS = ANY_CLIENT

    def create_endpoint_response(self, request: Any) -> Answer:
        client = self.authenticate_endpoint_client(request)
        storage: Storage = self.server.storage
        value = _token(request)
        # RFC 7009 section 2.1: token_type_hint is only a hint, and this look-up needs none.
        access_token = storage.access_token(value)
        refresh_token = storage.refresh_tokens.find(value)
        owner = access_token.claims["client_id"] if access_token else refresh_token and refresh_token.client_id
        if owner is not None and owner != client.client_id:
            raise InvalidGrantError("The token was issued to another client.")
        storage.revoke(value)
        if refresh_token is not None:
            storage.end(refresh_token.sign_in.session)
        return 200, {}, default_json_headers


def _token(request: Any) -> str:
    value: str = request.form.get("token", "")
    if not value:
        raise InvalidRequestError("token is missing.")
    return value
