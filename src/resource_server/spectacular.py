"""The OpenAPI description of views that are protected by access tokens, for drf-spectacular (OpenAPI 3.0.3, 4.8.27).

Importing this module registers it. `describe_access` is a hook for `POSTPROCESSING_HOOKS`.
"""

from collections.abc import Iterator, Mapping
from inspect import getclosurevars, isfunction, unwrap
from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.settings import spectacular_settings
from rest_framework.permissions import AND

from resource_server.errors import Unavailable
from resource_server.requirements import AnyScope, Requirement
from resource_server.server import TrustedIssuer, trusted_issuers

__all__ = ["AccessTokenScheme", "describe_access"]

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
_ANSWERS: Mapping[str, tuple[str, str, str]] = {
    "401": ("Unauthenticated", "No access token, or none that is accepted.", "WWW-Authenticate"),
    "403": ("InsufficientScope", "The access token lacks a scope.", "WWW-Authenticate"),
    "503": ("Unavailable", "The keys of the access token's issuer cannot be had at the moment.", "Retry-After"),
}


class AccessTokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call] # registers by being defined
    """Describes `AccessTokenAuthentication`: the authorization code flow of the issuer, where its metadata are known.

    They are not where the key set is configured by hand, or the issuer is down: then it is a plain bearer token, and
    the next description that is made may say more. `SPECTACULAR_SETTINGS["OAUTH2_SCOPES"]` (name to description) says
    which scopes can be asked for; without it, those that the issuer lists. Does not check: whether a client may use
    the flow.
    """

    target_class = "resource_server.drf.AccessTokenAuthentication"
    match_subclasses = True
    name = _NAME

    def get_security_requirement(self, auto_schema: AutoSchema) -> list[dict[str, list[Any]]]:
        alternatives: list[tuple[str, ...]] = [()]  # of which one is enough, with all the scopes in it
        for requirement in _requirements(auto_schema):
            more = (
                [(scope,) for scope in requirement.scopes]
                if isinstance(requirement, AnyScope)
                else [requirement.scopes]
            )
            alternatives = [(*first, *second) for first in alternatives for second in more]
        return [{_NAME: list(dict.fromkeys(scopes))} for scopes in alternatives]

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, Any]:
        try:
            flows = [flow for issuer in trusted_issuers() if (flow := _authorization_code_flow(issuer))]
        except Unavailable:  # the settings are wrong, which `manage.py check` says
            flows = []
        if flows:
            return {"type": "oauth2", "flows": {"authorizationCode": flows[0]}}
        return {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}


def describe_access(result: dict[str, Any], generator: object, request: object, public: object) -> dict[str, Any]:
    """Adds the answers 401, 403 and 503 to every operation that takes an access token (RFC 6750, section 3).

    Where a scope is demanded, the access token is the only way in: a session has no scopes. An answer that the view
    describes itself stays as it is.
    """
    operations = [item for path in result.get("paths", {}).values() for item in path.values() if isinstance(item, dict)]
    used = set()
    for operation in operations:
        ours = [entry for entry in operation.get("security", ()) if _NAME in entry]
        scoped = any(entry[_NAME] for entry in ours)
        if scoped:
            operation["security"] = ours
        for status in ("401", "403", "503") if scoped else ("401", "503") if ours else ():
            operation["responses"].setdefault(status, {"$ref": f"#/components/responses/{_ANSWERS[status][0]}"})
            used.add(status)
    components = result.setdefault("components", {})
    for status in sorted(used):
        name, description, header = _ANSWERS[status]
        components.setdefault("schemas", {})["Refusal"] = _REFUSAL
        components.setdefault("responses", {})[name] = {
            "description": description,
            "headers": {header: {"schema": {"type": "string"}}},
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Refusal"}}},
        }
    return result


def _authorization_code_flow(issuer: TrustedIssuer) -> dict[str, Any] | None:
    metadata = issuer.metadata or {}
    authorization, token = metadata.get("authorization_endpoint"), metadata.get("token_endpoint")  # RFC 8414, section 2
    if not (isinstance(authorization, str) and isinstance(token, str)):
        return None
    supported = metadata.get("scopes_supported")
    listed = {scope: "" for scope in supported if isinstance(scope, str)} if isinstance(supported, list) else {}
    scopes = spectacular_settings.OAUTH2_SCOPES or listed
    return {"authorizationUrl": authorization, "tokenUrl": token, "refreshUrl": token, "scopes": dict(scopes)}


def _requirements(auto_schema: AutoSchema) -> Iterator[Requirement]:
    """What the decorators and the permission classes of a view have noted, as far as all of it is demanded."""
    view = auto_schema.view
    handler = unwrap(
        getattr(type(view), auto_schema.method.lower()), stop=lambda function: hasattr(function, "requirements")
    )
    # `@api_view` keeps the function that it wraps in a closure and nowhere else.
    inner = getclosurevars(handler).nonlocals.values() if isfunction(handler) else ()
    permissions = list(view.get_permissions())
    while permissions:
        permission = permissions.pop()
        if isinstance(permission, AND):
            permissions += [permission.op1, permission.op2]  # type: ignore[attr-defined] # not in the stubs
        yield from getattr(permission, "requirements", ())
    for guarded in (type(view).initial, handler, *inner):
        yield from getattr(guarded, "requirements", ())
