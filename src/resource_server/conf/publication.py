"""The settings of what the project publishes about itself: PUBLIC_ORIGIN, RESOURCE, SCOPES_SUPPORTED (RFC 9728)."""

from collections.abc import Collection, Iterable, Mapping
from urllib.parse import urlsplit

from resource_server.conf.reading import Reading, strings
from resource_server.keys.addresses import address_problem
from resource_server.protected_resource import ProtectedResource
from resource_server.requirements.rights import is_scope
from resource_server.tokens.policy import Policy

__all__ = ["published_resources"]


def published_resources(
    reading: Reading, policies: Iterable[Policy], common_audience: object
) -> tuple[ProtectedResource, ...]:
    """The resources whose metadata are published: none without PUBLIC_ORIGIN.

    They are those of RESOURCE, else the audiences that are addresses. `common_audience` is that of a function's issuers,
    which cannot be listed. Reports E039, E040 and E041.
    """
    origin, resource = _origin(reading), reading.settings.get("RESOURCE")
    identifiers = None if resource is None else strings(resource)
    if resource is not None and (not identifiers or any(_fault(reading, each) for each in identifiers)):
        reading.report("E040")
    issuers = {policy.issuer: policy.audience for policy in policies}
    audiences = [each for audience in issuers.values() for each in audience] or strings(common_audience) or ()
    scopes = _scopes(reading, dict.fromkeys(identifiers or audiences))
    if origin is None:
        return ()
    return tuple(
        ProtectedResource.published(
            identifier,
            origin,
            (
                issuer
                for issuer, audience in issuers.items()
                if (identifiers or identifier in audience) and not _fault(reading, issuer)
            ),
            scopes.get(identifier),
        )
        for identifier in dict.fromkeys(identifiers or audiences)
        if not _fault(reading, identifier)
    )


def _scopes(reading: Reading, identifiers: Collection[str]) -> Mapping[str, tuple[str, ...] | None]:
    """The scopes that the settings list for each resource; None for those that its views demand. Reports E041."""
    value = reading.settings.get("SCOPES_SUPPORTED")
    values = value if isinstance(value, Mapping) else dict.fromkeys(identifiers, value)
    scopes: dict[str, tuple[str, ...] | None] = {}
    for identifier, listed in values.items():
        scopes[identifier] = () if listed in ([], ()) else None if listed is None else strings(listed)
        is_list = listed is None or scopes[identifier] is not None
        if not is_list or identifier not in identifiers or not all(map(is_scope, scopes[identifier] or ())):
            reading.report("E041")
            break
    return scopes


def _origin(reading: Reading) -> str | None:
    origin = reading.settings.get("PUBLIC_ORIGIN")
    if origin is None or origin == "":
        return None
    fault = address_problem(origin, http_on_loopback=reading.debug)
    if fault is None and (urlsplit(origin).path or "?" in origin):
        fault = "has more than a scheme, a host and a port"
    if fault is not None:
        reading.report("E039", fault=fault)
        return None
    return str(origin)


def _fault(reading: Reading, identifier: str) -> str | None:
    """Why a text is not the address of a resource or of an issuer."""
    fault = address_problem(identifier, http_on_loopback=reading.debug)
    return "has a query" if fault is None and "?" in identifier else fault
