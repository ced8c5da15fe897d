"""Authlib's grants, bound to this issuer's clients, tokens and storage.

Client credentials, authorization code and refresh token (RFC 6749), and the issuer in the response (RFC 9207). Authlib
holds the rules of the grants; this module holds the storage, and `extensions.py` the rules that are narrower than
Authlib's. Authlib has no types, so only these two modules and `token_endpoints.py` import it.
"""

import re
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import Any

from authlib.common.security import generate_token
from authlib.common.urls import add_params_to_uri
from authlib.integrations.django_oauth2 import AuthorizationServer
from authlib.oauth2 import OAuth2Error
from authlib.oauth2.rfc6749 import grants
from authlib.oauth2.rfc6749.authenticate_client import authenticate_client_secret_basic
from authlib.oauth2.rfc6749.errors import (
    InvalidClientError,
    InvalidGrantError,
    InvalidRequestError,
    InvalidScopeError,
    UnsupportedResponseTypeError,
)
from authlib.oauth2.rfc6750 import BearerTokenGenerator
from django.http import HttpRequest, HttpResponse

from resource_server.devissuer.client_metadata import MetadataError
from resource_server.devissuer.clients import IDENTITY_SCOPES, Client
from resource_server.devissuer.dpop import ProofVerifier
from resource_server.devissuer.extensions import (
    AuthenticationContext,
    IdToken,
    ProofKey,
    ResourceIndicator,
    SenderConstraint,
)
from resource_server.devissuer.issuer import Issuer
from resource_server.devissuer.metadata_documents import MetadataDocuments
from resource_server.devissuer.storage import AccessToken, AuthorizationCode, RefreshToken, SignIn, Storage
from resource_server.devissuer.token_endpoints import ANY_CLIENT, CONFIDENTIAL, Introspection, Revocation

__all__ = ["Consent", "Grants", "RefusedError"]

# RFC 6749 section 3.3: the characters of a scope, which may also stand in a description.
_SCOPE = re.compile(r"[!#-\[\]-~]+")


class RefusedError(Exception):
    """An authorization request that must not be answered by a redirect (RFC 6749 section 4.1.2.1)."""

    def __init__(self, error: str, description: str) -> None:
        super().__init__(f"{error}: {description}")
        self.error = error
        self.description = description


@dataclass(frozen=True, slots=True, kw_only=True)
class Consent:
    """A valid authorization request that waits for a person to decide."""

    client_id: str
    client_name: str  # of the client's own choice
    redirect_uri: str
    is_impostor_possible: bool  # another program may use this id, which has a document and no secret
    audience: str
    scopes: tuple[str, ...]
    acr_values: tuple[str, ...]  # the authentication contexts that the person can choose among
    grant: Any  # Authlib's


class AuthorizationCodeGrant(grants.AuthorizationCodeGrant):  # type: ignore[misc]  # untyped base
    TOKEN_ENDPOINT_AUTH_METHODS = ANY_CLIENT

    def save_authorization_code(self, code: str, request: Any) -> None:
        sign_in: SignIn = request.user
        agreed = [name for name in request.scope.split() if name in sign_in.scopes]
        saved = AuthorizationCode(
            value=code,
            client_id=request.client.client_id,
            redirect_uri=request.payload.redirect_uri,
            scope=" ".join(agreed),
            audience=request.client.audience,
            nonce=request.payload.data.get("nonce"),
            code_challenge=request.payload.data["code_challenge"],
            code_challenge_method=request.payload.data["code_challenge_method"],
            dpop_jkt=request.payload.data.get("dpop_jkt"),
            sign_in=sign_in,
        )
        self.server.storage.codes.add(code, saved)

    def query_authorization_code(self, code: str, client: Client) -> AuthorizationCode | None:
        found: AuthorizationCode | None = self.server.storage.codes.find(code)
        return found if found and found.client_id == client.client_id else None

    def authenticate_user(self, authorization_code: AuthorizationCode) -> SignIn:
        # All checks have passed. Of two requests at once, one takes the code; the other is a replay, and ends the
        # session (RFC 6749 section 4.1.2).
        if not self.server.storage.codes.take(authorization_code.value):
            self.server.storage.end(authorization_code.sign_in.session)
            raise InvalidGrantError("The code has been used.")
        return authorization_code.sign_in

    def delete_authorization_code(self, authorization_code: AuthorizationCode) -> None:
        """Does nothing: a used code is kept until it expires, so that a replay is noticed."""


class RefreshTokenGrant(grants.RefreshTokenGrant):  # type: ignore[misc]  # untyped base
    TOKEN_ENDPOINT_AUTH_METHODS = ANY_CLIENT
    INCLUDE_NEW_REFRESH_TOKEN = True  # RFC 9700 section 4.14.2: rotation, for public clients

    def authenticate_refresh_token(self, refresh_token: str) -> RefreshToken | None:
        storage: Storage = self.server.storage
        found = storage.refresh_tokens.find(refresh_token)
        return found if found and not storage.has_ended(found.sign_in.session) else None

    def authenticate_user(self, refresh_token: RefreshToken) -> SignIn:
        if not self.server.storage.refresh_tokens.take(refresh_token.value):
            self.server.storage.end(refresh_token.sign_in.session)
            raise InvalidGrantError("The refresh token has been used.")
        return refresh_token.sign_in

    def revoke_old_credential(self, refresh_token: RefreshToken) -> None:
        """Does nothing: `authenticate_user` has taken the old refresh token."""


class ClientCredentialsGrant(grants.ClientCredentialsGrant):  # type: ignore[misc]  # untyped base
    TOKEN_ENDPOINT_AUTH_METHODS = CONFIDENTIAL

    def validate_requested_scope(self) -> None:
        # A registered client may have both this grant and people, whose scopes make no sense here.
        if not set(IDENTITY_SCOPES).isdisjoint((self.request.payload.scope or "").split()):
            raise InvalidScopeError("A machine has no identity.")
        super().validate_requested_scope()


def _client_secret_basic(query_client: Any, request: Any) -> Client | None:
    try:
        client: Client | None = authenticate_client_secret_basic(query_client, request)
    except ValueError:  # the bytes are not UTF-8
        raise InvalidClientError("The credentials are malformed.", status_code=HTTPStatus.UNAUTHORIZED) from None
    return client


class Grants(AuthorizationServer):  # type: ignore[misc]  # untyped base
    """The authorization server. Needs Django's settings to be configured."""

    def __init__(self, issuer: Issuer, storage: Storage, documents: MetadataDocuments) -> None:
        super().__init__(client_model=None, token_model=None)
        self.issuer = issuer
        self.storage = storage
        self.documents = documents
        self.proofs = ProofVerifier(issuer.token_endpoint, storage.proofs, nonces=issuer.options.dpop_nonces)
        generator = BearerTokenGenerator(
            access_token_generator=lambda client, user, scope, **_: self._access_token(client, user, scope),
            refresh_token_generator=lambda **_: generate_token(48),
            expires_generator=issuer.options.token_seconds,
        )
        self.register_token_generator("default", generator)
        self.register_client_auth_method("client_secret_basic", _client_secret_basic)
        for_tokens = [ResourceIndicator(), SenderConstraint()]
        self.register_grant(ClientCredentialsGrant, for_tokens)
        self.register_grant(RefreshTokenGrant, for_tokens)
        self.register_grant(AuthorizationCodeGrant, [ProofKey(), AuthenticationContext(), *for_tokens, IdToken()])
        self.register_endpoint(Introspection)
        self.register_endpoint(Revocation)

    def token(self, request: HttpRequest) -> HttpResponse:
        """Answer a request to the token endpoint (RFC 6749 section 3.2)."""
        # Swagger UI repeats its additions to the authorization request in the address.
        response = self._answer(request, self.create_token_response, in_address={"audience", "resource"})
        if nonce := self.proofs.nonce():
            response["DPoP-Nonce"] = nonce  # RFC 9449 section 8.2: also of answers that succeed
        return response

    def introspection(self, request: HttpRequest) -> HttpResponse:
        """Answer a request to the introspection endpoint (RFC 7662 section 2)."""
        return self._answer(request, partial(self.create_endpoint_response, Introspection.ENDPOINT_NAME))

    def revocation(self, request: HttpRequest) -> HttpResponse:
        """Answer a request to the revocation endpoint (RFC 7009 section 2)."""
        return self._answer(request, partial(self.create_endpoint_response, Revocation.ENDPOINT_NAME))

    def _answer(
        self,
        request: HttpRequest,
        endpoint: Callable[[HttpRequest], HttpResponse],
        in_address: Collection[str] = (),
    ) -> HttpResponse:
        try:
            # RFC 6749 sections 2.3.1 and 3.2.
            if request.GET.keys() - set(in_address):
                raise InvalidRequestError("Parameters belong in the body, not in the address.")
            for name, values in request.POST.lists():
                if len(values) > 1 and name not in ("resource", "audience"):
                    raise InvalidRequestError("A parameter is given more than once.")
            return endpoint(request)
        except OAuth2Error as error:
            response: HttpResponse = self.handle_error_response(request, error)
            return response

    def _access_token(self, client: Client, user: SignIn | None, scope: str) -> str:
        claims = self.issuer.access_claims(client, user, scope)
        opaque = client.opaque_tokens or self.issuer.options.opaque_tokens
        value = generate_token(48) if opaque else self.issuer.keys.sign(claims)
        self.storage.issue(value, AccessToken(claims=claims, sign_in=user))
        return value

    def consent(self, request: HttpRequest) -> Consent | HttpResponse:
        """Check an authorization request: a Consent for a person to decide, or the answer to the client.

        Raises RefusedError if the client or its redirect URI is not known.
        """
        try:
            grant = self.get_consent_grant(request)
        except OAuth2Error as error:
            if not error.redirect_uri:
                raise RefusedError(error.error, error.description) from None
            response: HttpResponse = self.handle_error_response(request, error)
            return response
        except ValueError:
            # Authlib quotes parameters in its descriptions, and refuses to quote some characters.
            raise RefusedError("invalid_request", "A parameter holds invalid characters.") from None
        client = grant.request.client
        return Consent(
            client_id=client.client_id,
            client_name=client.name,
            redirect_uri=grant.redirect_uri,
            is_impostor_possible=client.client_id.startswith("https:") and client.is_on_loopback(),
            audience=client.audience,
            scopes=tuple(grant.request.scope.split()),
            acr_values=grant.acr_values,
            grant=grant,
        )

    def decide(
        self, consent: Consent, subject: str | None, scopes: frozenset[str] = frozenset(), acr: str | None = None
    ) -> HttpResponse:
        """Send the client a code for this person and these scopes, or `access_denied` for None."""
        person = subject and SignIn(subject=subject, scopes=scopes, auth_time=int(time.time()), acr=acr)
        response: HttpResponse = self.create_authorization_response(
            consent.grant.request, grant_user=person, grant=consent.grant
        )
        return response

    # Authlib calls the methods below.

    def query_client(self, client_id: str) -> Client | None:
        if client_id.startswith("https:"):
            try:
                return self.documents.client(client_id)
            except MetadataError as error:
                raise InvalidClientError(f"{error}.") from None
        return self.issuer.clients.get(client_id) or self.storage.clients.find(client_id)

    def create_oauth2_request(self, request: HttpRequest) -> Any:
        made = super().create_oauth2_request(request)
        made.issuer = self.issuer  # for IdToken, which gets only the request
        return made

    def save_token(self, token: Mapping[str, Any], request: Any) -> None:
        if "refresh_token" not in token:
            return
        granted = request.authorization_code or request.refresh_token
        saved = RefreshToken(
            value=token["refresh_token"],
            client_id=request.client.client_id,
            scope=granted.scope,  # RFC 6749 section 6: the same scope, also if the access token has less
            audience=granted.audience,
            # RFC 9449 section 5, RFC 8705 section 4: a client without a secret proves itself by its key.
            confirmation=request.client.confirmation if request.client.secret is None else None,
            sign_in=granted.sign_in,
        )
        self.storage.refresh_tokens.add(saved.value, saved)

    def validate_requested_scope(self, scope: str | None) -> None:
        """Refuse a scope that this issuer does not know, by its name. Raises InvalidScopeError."""
        known = self.issuer.scopes
        unknown = [name for name in (scope or "").split() if name not in known]
        if unknown and all(map(_SCOPE.fullmatch, unknown)):
            raise InvalidScopeError(f"{unknown[0]} is not among the scopes of this issuer; --scope names them.")

    def generate_token(self, **grant: Any) -> dict[str, Any]:
        token: dict[str, Any] = super().generate_token(**grant)
        if "jkt" in (grant["client"].confirmation or {}):
            token["token_type"] = "DPoP"
        token.setdefault("scope", "")  # RFC 6749 section 5.1: required if it differs from the requested one
        return token

    def get_token_grant(self, request: Any) -> Any:
        if not request.payload.grant_type:
            raise InvalidRequestError("grant_type is missing.")
        return super().get_token_grant(request)

    def get_authorization_grant(self, request: Any) -> Any:
        try:
            return super().get_authorization_grant(request)
        except UnsupportedResponseTypeError as error:
            if request.payload.response_type:
                raise
            raise InvalidRequestError("response_type is missing.", redirect_uri=error.redirect_uri) from None

    def handle_response(self, status_code: int, payload: Any, headers: Any) -> HttpResponse:
        response: HttpResponse = super().handle_response(status_code, payload, headers)
        if "Location" in response:
            response.status_code = 303  # RFC 9700 section 4.12
            response["Location"] = add_params_to_uri(  # RFC 9207 section 2
                response["Location"], {"iss": self.issuer.name}
            )
            response["Cache-Control"] = "no-store"
        if status_code == HTTPStatus.UNAUTHORIZED:
            response["WWW-Authenticate"] = 'Basic realm="development issuer"'  # RFC 7617: a realm
        return response
