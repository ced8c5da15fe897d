"""A protected resource and its metadata document (RFC 9728 sections 2 and 3.1). Imports no Django."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote, urlsplit

__all__ = ["WELL_KNOWN", "ProtectedResource", "document", "resource_at", "resource_of"]

WELL_KNOWN: Final = "/.well-known/oauth-protected-resource"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtectedResource:
    """A resource: its identifier, the address of its document, the issuers of its tokens, and its scopes.

    `path` is the decoded path of the identifier, empty for "/". `scopes` are those that its document lists, None for
    those that the views of the resource demand.
    """

    identifier: str
    path: str
    metadata_url: str
    authorization_servers: tuple[str, ...]
    scopes: tuple[str, ...] | None = None

    @classmethod
    def published(
        cls,
        identifier: str,
        origin: str,
        authorization_servers: Iterable[str],
        scopes: tuple[str, ...] | None = None,
    ) -> "ProtectedResource":
        """The resource whose document this origin serves. The identifier has no query, and may have another origin."""
        path = urlsplit(identifier).path
        path = "" if path == "/" else path
        # Clients search the challenge for `scope=` without parsing it; an encoded "=" leads to the same document.
        metadata_url = f"{origin}{WELL_KNOWN}{path}".replace("=", "%3D")
        servers = tuple(dict.fromkeys(authorization_servers))
        return cls(
            identifier=identifier,
            path=unquote(path),
            metadata_url=metadata_url,
            authorization_servers=servers,
            scopes=scopes,
        )


def resource_at(resources: Iterable[ProtectedResource], path: str) -> ProtectedResource | None:
    """The resource whose document is at this path behind `WELL_KNOWN`; the first, if several have the same path."""
    return next((resource for resource in resources if resource.path == path), None)


def resource_of(resources: Sequence[ProtectedResource], path: str) -> ProtectedResource | None:
    """The resource that a request is for: the one with the longest path above the request's, else the first."""
    containing = [resource for resource in resources if _contains(resource.path.rstrip("/"), path)]
    return max(containing, key=lambda resource: len(resource.path), default=resources[0] if resources else None)


def document(
    resource: ProtectedResource,
    scopes: Iterable[str],
    *,
    dpop_algorithms: Sequence[str] = (),
    needs_dpop: bool = False,
    has_certificates: bool = False,
) -> dict[str, Any]:
    """The metadata document. RFC 9728 section 3.2: a member without a value is left out.

    `dpop_algorithms` are those of proofs, none without DPoP; `needs_dpop` says that each token is bound to a key, and
    `has_certificates` that certificate-bound tokens are accepted.
    """
    # A client asks for offline_access on its own behalf: no resource needs it.
    members = {
        "resource": resource.identifier,
        "authorization_servers": list(resource.authorization_servers),
        "scopes_supported": [scope for scope in scopes if scope != "offline_access"],
        "bearer_methods_supported": ["header"],
        "dpop_signing_alg_values_supported": list(dpop_algorithms),
        "dpop_bound_access_tokens_required": needs_dpop,
        "tls_client_certificate_bound_access_tokens": has_certificates,
    }
    return {name: value for name, value in members.items() if value}


def _contains(prefix: str, path: str) -> bool:
    return path == prefix or path.startswith(f"{prefix}/")
