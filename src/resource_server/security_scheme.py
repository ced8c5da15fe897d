"""The settings -> the security scheme in the API's description: how a client gets an access token. Fetches nothing."""

from collections.abc import Iterator, Mapping
from typing import Any

from django.conf import settings
from drf_spectacular.settings import spectacular_settings

from resource_server.conf import project as conf
from resource_server.conf.networks import is_development
from resource_server.keys.metadata import metadata_urls

__all__ = ["lists_scopes", "security_scheme"]

# RFC 6749 section 4: the endpoints of each flow, by their OpenAPI names.
_ENDPOINTS: Mapping[str, tuple[str, ...]] = {
    "authorizationCode": ("authorizationUrl", "tokenUrl"),
    "implicit": ("authorizationUrl",),
    "password": ("tokenUrl",),
    "clientCredentials": ("tokenUrl",),
}


def security_scheme() -> dict[str, Any]:
    """The Security Scheme Object of access tokens (OpenAPI 3.0.3 section 4.8.27)."""
    if flows := dict(_pinned_flows()):
        return {"type": "oauth2", "flows": flows}
    config, _problems = conf.parse(
        getattr(settings, "RESOURCE_SERVER", None), debug=is_development(), caches=settings.CACHES
    )
    if config is not None and config.issuers_function is None and len(config.policies) == 1:
        [policy] = config.policies
        if policy.key_source.key_set is None and policy.key_source.jwks_uri is None:
            return {"type": "openIdConnect", "openIdConnectUrl": metadata_urls(policy.issuer)[0]}
    return {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}


def _pinned_flows() -> Iterator[tuple[str, dict[str, Any]]]:
    pinned = {
        "authorizationUrl": spectacular_settings.OAUTH2_AUTHORIZATION_URL,
        "tokenUrl": spectacular_settings.OAUTH2_TOKEN_URL,
    }
    refresh = {"refreshUrl": spectacular_settings.OAUTH2_REFRESH_URL} if spectacular_settings.OAUTH2_REFRESH_URL else {}
    for name in spectacular_settings.OAUTH2_FLOWS or ["authorizationCode"]:
        urls = {endpoint: pinned[endpoint] for endpoint in _ENDPOINTS.get(name, ())}
        if urls and all(urls.values()):
            yield name, {**urls, **refresh, "scopes": dict(spectacular_settings.OAUTH2_SCOPES or {})}


def lists_scopes() -> bool:
    """Whether a security requirement may list scopes: for `http` only since OpenAPI 3.1 (3.0.3 section 4.8.30)."""
    return security_scheme()["type"] != "http" or not spectacular_settings.OAS_VERSION.startswith("3.0")
