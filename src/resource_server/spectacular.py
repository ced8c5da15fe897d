"""The OpenAPI description of views behind access tokens, for drf-spectacular (OpenAPI 3.0.3 and 3.1, section 4.8.27).

Importing this module registers it. `describe_access` is a hook for `POSTPROCESSING_HOOKS`. Fetches nothing.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from drf_spectacular.drainage import set_override
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema

import resource_server.described_views  # noqa: F401 - registers by being imported
from resource_server.access import Access, Credentials
from resource_server.challenge import body_schema, media_type
from resource_server.rest_authentication import AccessTokenAuthentication
from resource_server.security_scheme import lists_scopes, security_scheme
from resource_server.server import answers
from resource_server.view_access import access_of

__all__ = ["AccessTokenScheme", "describe_access"]

_NAME = "accessToken"
_ANSWERS: Mapping[str, tuple[str, str, str]] = {
    "401": ("Unauthenticated", "No access token, or none that is accepted.", "WWW-Authenticate"),
    "403": ("InsufficientScope", "The access token lacks a scope.", "WWW-Authenticate"),
    "503": ("Unavailable", "The keys of the access token's issuer cannot be had at the moment.", "Retry-After"),
}

# The class and its subclasses share one scheme; drf-spectacular would warn of two with the same name.
set_override(AccessTokenAuthentication, "suppress_collision_warning", True)


class _SecurityRequirement(dict[str, list[str]]):
    """One alternative of an operation's `security`. drf-spectacular turns it into a plain dict after the hooks ran."""

    def __init__(self, scopes: Iterable[str], access: Access) -> None:
        super().__init__({_NAME: list(scopes)})
        self.access = access


class AccessTokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call] # registers by being defined
    """Describes `AccessTokenAuthentication` from the settings alone; the document is the same while an issuer is down.

    `SPECTACULAR_SETTINGS` can pin the flow: `OAUTH2_AUTHORIZATION_URL` and `OAUTH2_TOKEN_URL`, `OAUTH2_FLOWS` for flows
    other than the authorization code, and `OAUTH2_SCOPES` (name to description). Without them the scheme is OpenID
    Connect Discovery of the one issuer; with keys in the settings, or several issuers, it is a plain bearer token. Does
    not check whether the addresses answer, nor whether a client may use the flow.
    """

    target_class = "resource_server.drf.AccessTokenAuthentication"
    match_subclasses = True
    name = _NAME

    def get_security_requirement(self, auto_schema: AutoSchema) -> list[dict[str, list[Any]]]:
        view = auto_schema.view
        access = access_of(view, auto_schema.method, getattr(view, "guards_outside", ()))
        # OpenAPI 3.0.3 section 4.8.30.1: for a scheme of another type the list must be empty.
        lists = [way.scopes for way in access.ways] if lists_scopes() else [()]
        return [_SecurityRequirement(scopes, access) for scopes in dict.fromkeys(lists)]

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, Any]:
        return security_scheme()


def describe_access(result: dict[str, Any], generator: object, request: object, public: object) -> dict[str, Any]:
    """Adds the answers 401, 403 and 503 to every operation that takes an access token, and the scopes to the flow.

    RFC 6750 section 3 defines the answers. An operation that demands a scope admits nothing but an access token: a
    session has no scopes. Conditions that `security` cannot express are added to the operation's description. An answer
    that the view describes itself stays.
    """
    operations = [item for path in result.get("paths", {}).values() for item in path.values() if isinstance(item, dict)]
    used: set[str] = set()
    scopes: set[str] = set()
    for operation in operations:
        ours = [entry for entry in operation.get("security", ()) if _NAME in entry]
        access = next((entry.access for entry in ours if isinstance(entry, _SecurityRequirement)), None)
        demands = any(entry[_NAME] for entry in ours) if access is None else access.demands
        if access is not None and access.demands:
            scopes.update(access.scopes)
            _describe(operation, access)
        for status in ("401", "403", "503") if demands else ("401", "503") if ours else ():
            operation["responses"].setdefault(status, {"$ref": f"#/components/responses/{_ANSWERS[status][0]}"})
            used.add(status)
    components = result.setdefault("components", {})
    _list_scopes(components, scopes)
    for status in sorted(used):
        name, description, header = _ANSWERS[status]
        components.setdefault("schemas", {})["Refusal"] = body_schema()
        components.setdefault("responses", {})[name] = {
            "description": description,
            "headers": {header: {"schema": {"type": "string"}}},
            "content": {media_type(answers()): {"schema": {"$ref": "#/components/schemas/Refusal"}}},
        }
    return result


def _describe(operation: dict[str, Any], access: Access) -> None:
    """Reduce the `security` of an operation to what admits a request; put the rest into words."""
    token_alone = all(way.credentials is Credentials.TOKEN for way in access.ways)
    entries = [entry for entry in operation["security"] if _NAME in entry or (entry and not token_alone)]
    unique = list({str(entry): entry for entry in entries}.values())
    anonymous = any(way.credentials is Credentials.NONE for way in access.ways)
    operation["security"] = [*unique, {}] if anonymous else unique
    if not access.exact or (access.scopes and not lists_scopes()):
        description = str(operation.get("description", ""))
        operation["description"] = f"{description}\n\nAccess: {access.text}.".lstrip()


def _list_scopes(components: dict[str, Any], scopes: Iterable[str]) -> None:
    """Add the scopes that views demand to the flows of the security scheme, so that a client can ask for them."""
    for flow in components.get("securitySchemes", {}).get(_NAME, {}).get("flows", {}).values():
        flow["scopes"] = {**dict.fromkeys(sorted(scopes), ""), **flow["scopes"]}
