"""The metadata of the issuer (RFC 8414 section 2, OpenID Connect Discovery 1.0 section 3)."""

from typing import Any

from resource_server.devissuer.client_metadata import AUTH_METHODS
from resource_server.devissuer.clients import IDENTITY_SCOPES
from resource_server.devissuer.issuer import Issuer
from resource_server.devissuer.signing import ALGORITHMS

__all__ = ["metadata"]


def metadata(issuer: Issuer) -> dict[str, Any]:
    """The discovery document. `issuer` is as given; the addresses begin with it."""
    base = issuer.base_url
    confidential = [method for method in AUTH_METHODS if method != "none"]
    document = {
        "issuer": issuer.name,
        "authorization_endpoint": f"{base}/authorize",
        "token_endpoint": issuer.token_endpoint,
        "jwks_uri": f"{base}/jwks.json",
        "registration_endpoint": f"{base}/register",
        "introspection_endpoint": f"{base}/introspect",
        "revocation_endpoint": f"{base}/revoke",
        "scopes_supported": [*IDENTITY_SCOPES, *issuer.options.scopes],
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code", "client_credentials", "refresh_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": [issuer.keys.algorithm],
        "token_endpoint_auth_methods_supported": list(AUTH_METHODS),
        "introspection_endpoint_auth_methods_supported": confidential,
        "introspection_signing_alg_values_supported": [issuer.keys.algorithm],  # RFC 9701 section 7
        "revocation_endpoint_auth_methods_supported": list(AUTH_METHODS),
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": True,
        "client_id_metadata_document_supported": True,
        "dpop_signing_alg_values_supported": list(ALGORITHMS),
        "tls_client_certificate_bound_access_tokens": True,
        "claims_supported": [
            *("iss", "sub", "aud", "exp", "iat", "auth_time", "acr", "nonce", "at_hash"),
            *("name", "email", "email_verified"),
        ],
        "claims_parameter_supported": False,
        "request_parameter_supported": False,
        "request_uri_parameter_supported": False,
    }
    if issuer.options.acrs:
        document["acr_values_supported"] = list(issuer.options.acrs)
    return document
