"""The OpenAPI description of views that are protected by access tokens, for drf-spectacular (OpenAPI 3.0.3, 4.8.27).

Importing this module registers it. `describe_refusals` is a hook for `POSTPROCESSING_HOOKS`.
"""

from collections.abc import Mapping
from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.settings import spectacular_settings

from resource_server.authentication import TrustedIssuer, trusted_issuers

__all__ = ["AccessTokenScheme", "describe_refusals"]

_NAME = "accessToken"
_REFUSAL = {
    "type": "object",
    "properties": {
        "detail": {"type": "string", "description": "for a person"},
        "error": {"type": "string", "description": "error code of RFC 6750, section 3.1"},
        "reason": {"type": "string", "description": "stable slug"},
    },
    "required": ["detail"],
}
_RESPONSES: Mapping[str, tuple[str, str, str]] = {
    "401": ("Unauthenticated", "No access token, or none that is accepted.", "WWW-Authenticate"),
    "403": ("InsufficientScope", "The access token lacks a scope.", "WWW-Authenticate"),
    "503": ("Unavailable", "The issuer of the access token cannot be reached.", "Retry-After"),
}


class AccessTokenScheme(OpenApiAuthenticationExtension):
    """Describes `AccessTokenAuthentication`: the authorization code flow of the issuer, where its metadata are known.

    They are not where the key set is configured by hand, or the issuer is down: then it is a plain bearer token, and the
    next description that is made may say more. `SPECTACULAR_SETTINGS["OAUTH2_SCOPES"]` (name to description) says which
    scopes can be asked for; without it, those that the issuer lists. Does not check: whether a client may use the flow.
    """

    target_class = "resource_server.drf.AccessTokenAuthentication"
    match_subclasses = True
    name = _NAME

    def get_security_requirement(self, auto_schema: AutoSchema) -> dict[str, list[Any]]:
        return {_NAME: []}

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, Any]:
        for issuer in trusted_issuers():
            if flow := _authorization_code_flow(issuer):
                return {"type": "oauth2", "flows": {"authorizationCode": flow}}
        return {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}


def _authorization_code_flow(issuer: TrustedIssuer) -> dict[str, Any] | None:
    metadata = issuer.metadata or {}
    authorization, token = metadata.get("authorization_endpoint"), metadata.get("token_endpoint")  # RFC 8414, section 2
    if not (isinstance(authorization, str) and isinstance(token, str)):
        return None
    supported = metadata.get("scopes_supported")
    listed = {scope: "" for scope in supported if isinstance(scope, str)} if isinstance(supported, list) else {}
    scopes = spectacular_settings.OAUTH2_SCOPES or listed
    return {"authorizationUrl": authorization, "tokenUrl": token, "refreshUrl": token, "scopes": dict(scopes)}


def describe_refusals(result: dict[str, Any], generator: object, request: object, public: object) -> dict[str, Any]:
    """Adds the answers 401, 403 and 503 to every operation that takes an access token (RFC 6750, section 3).

    An answer that the view describes itself stays as it is.
    """
    used = set()
    for path in result.get("paths", {}).values():
        for operation in path.values():
            if not isinstance(operation, dict):
                continue
            scopes = [entry[_NAME] for entry in operation.get("security", ()) if _NAME in entry]
            for status in ("401", "403", "503") if scopes else ():
                if status == "403" and not any(scopes):
                    continue
                name, _, _ = _RESPONSES[status]
                operation["responses"].setdefault(status, {"$ref": f"#/components/responses/{name}"})
                used.add(status)
    for status in sorted(used):
        name, description, header = _RESPONSES[status]
        components = result.setdefault("components", {})
        components.setdefault("schemas", {})["Refusal"] = _REFUSAL
        components.setdefault("responses", {})[name] = {
            "description": description,
            "headers": {header: {"schema": {"type": "string"}}},
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Refusal"}}},
        }
    return result
