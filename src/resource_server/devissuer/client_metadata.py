"""Client metadata -> Client: what a client says about itself (RFC 7591 section 2).

The same rules hold for a registration and for a document at the client's own address.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from resource_server.devissuer.clients import Client, redirect_uri_problem
from resource_server.strict_json import parse_object

__all__ = ["AUTH_METHODS", "ClientMetadata", "MetadataError"]

AUTH_METHODS = ("client_secret_basic", "client_secret_post", "none")

_GRANT_TYPES = ("authorization_code", "client_credentials", "refresh_token")
_MAX_NAME = 200
_MAX_REDIRECT_URIS = 20


class MetadataError(Exception):
    """Metadata that make no client. `error` is a code of RFC 7591 section 3.2.2; the message is printable ASCII."""

    def __init__(self, description: str, error: str = "invalid_client_metadata") -> None:
        super().__init__(description)
        self.error = error


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientMetadata:
    """The metadata that this issuer uses. It ignores the others, as RFC 7591 section 2 demands.

    `access_token_format` is of this issuer alone: `opaque`, or `jwt` by default.
    """

    client_name: str
    redirect_uris: tuple[str, ...]
    grant_types: tuple[str, ...]
    token_endpoint_auth_method: str
    dpop_bound_access_tokens: bool
    tls_client_certificate_bound_access_tokens: bool
    access_token_format: str
    client_id: str  # only a document at the client's own address holds it

    @classmethod
    def parse(cls, body: bytes, default_auth_method: str = "client_secret_basic") -> "ClientMetadata":
        """Read a JSON document. Raises MetadataError."""
        try:
            document = parse_object(body)
        except ValueError as error:
            raise MetadataError(f"client metadata are a JSON object; this is {error}") from None
        parsed = cls(
            client_name=_text(document, "client_name", ""),
            redirect_uris=_texts(document, "redirect_uris", ()),
            grant_types=_grant_types(document),
            token_endpoint_auth_method=_text(document, "token_endpoint_auth_method", default_auth_method),
            dpop_bound_access_tokens=_flag(document, "dpop_bound_access_tokens"),
            tls_client_certificate_bound_access_tokens=_flag(document, "tls_client_certificate_bound_access_tokens"),
            access_token_format=_text(document, "access_token_format", "jwt"),
            client_id=_text(document, "client_id", ""),
        )
        parsed._check()
        return parsed

    def _check(self) -> None:
        if len(self.client_name) > _MAX_NAME:
            raise MetadataError(f"client_name has at most {_MAX_NAME} characters")
        if self.token_endpoint_auth_method not in AUTH_METHODS:
            raise MetadataError(f"token_endpoint_auth_method is one of {', '.join(AUTH_METHODS)}")
        if self.access_token_format not in ("jwt", "opaque"):
            raise MetadataError("access_token_format is jwt or opaque")
        if "client_credentials" in self.grant_types and self.token_endpoint_auth_method == "none":
            raise MetadataError("client_credentials needs a client with a secret")
        if "authorization_code" in self.grant_types and not self.redirect_uris:
            raise MetadataError("redirect_uris is missing", "invalid_redirect_uri")
        if len(self.redirect_uris) > _MAX_REDIRECT_URIS:
            raise MetadataError(f"at most {_MAX_REDIRECT_URIS} redirect URIs", "invalid_redirect_uri")
        for uri in self.redirect_uris:
            if problem := redirect_uri_problem(uri) or _http_problem(uri):
                raise MetadataError(problem, "invalid_redirect_uri")

    def client(self, client_id: str, secret: str | None, scopes: frozenset[str]) -> Client:
        """The client. Its scopes are those of the issuer: what it registers with is no limit."""
        return Client(
            client_id=client_id,
            secret=secret,
            grant_types=frozenset(self.grant_types),
            scopes=scopes,
            name=self.client_name,
            redirect_uris=frozenset(self.redirect_uris),
            opaque_tokens=self.access_token_format == "opaque",
            dpop_bound=self.dpop_bound_access_tokens,
            certificate_bound=self.tls_client_certificate_bound_access_tokens,
        )


def _http_problem(uri: str) -> str | None:
    # RFC 9700 section 4.11 and RFC 8252 section 8.3: without TLS, only on this machine.
    parts = urlsplit(uri)
    if parts.scheme == "http" and parts.hostname not in ("127.0.0.1", "localhost", "::1"):
        return "a redirect URI is https, on loopback, or of a private scheme"
    return None


def _text(document: Mapping[str, Any], name: str, default: str) -> str:
    value = document.get(name)
    if value is None:
        return default
    if not isinstance(value, str) or not value.isprintable():
        raise MetadataError(f"{name} is a string of printable characters")
    return value


def _texts(document: Mapping[str, Any], name: str, default: tuple[str, ...]) -> tuple[str, ...]:
    value = document.get(name)
    if value is None:
        return default
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise MetadataError(f"{name} is a list of strings")
    return tuple(dict.fromkeys(value))


def _flag(document: Mapping[str, Any], name: str) -> bool:
    value = document.get(name, False)
    if not isinstance(value, bool):
        raise MetadataError(f"{name} is true or false")
    return value


def _grant_types(document: Mapping[str, Any]) -> tuple[str, ...]:
    asked = _texts(document, "grant_types", ("authorization_code",))
    # RFC 7591 section 3.2.1: the issuer may register less than was asked for, and says so in its answer.
    known = tuple(name for name in asked if name in _GRANT_TYPES)
    if not {"authorization_code", "client_credentials"} & set(known):
        raise MetadataError("grant_types holds authorization_code or client_credentials")
    types = _texts(document, "response_types", ("code",))
    if "authorization_code" in known and "code" not in types:
        raise MetadataError("response_types holds code")
    return known
