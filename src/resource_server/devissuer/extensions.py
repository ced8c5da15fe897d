"""What narrows or extends Authlib's grants: its term for these classes is extensions.

PKCE (RFC 7636), resource indicators (RFC 8707), step-up (RFC 9470), tokens bound to their sender (RFC 9449, RFC 8705),
ID tokens (OpenID Connect Core 1.0).
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

from authlib.oauth2 import OAuth2Error
from authlib.oauth2.rfc6749.errors import InvalidGrantError, InvalidRequestError
from authlib.oauth2.rfc7636 import CodeChallenge
from authlib.oidc.core.grants import OpenIDCode
from authlib.oidc.core.util import create_half_hash

from resource_server.devissuer import certificates
from resource_server.devissuer.dpop import DpopError
from resource_server.devissuer.issuer import Issuer
from resource_server.devissuer.storage import AuthorizationCode

__all__ = ["AuthenticationContext", "IdToken", "ProofKey", "ResourceIndicator", "SenderConstraint"]


class InvalidTargetError(OAuth2Error):  # type: ignore[misc]  # untyped base
    """The resource is unknown, or not the one that was granted (RFC 8707 section 2)."""

    error = "invalid_target"


class InvalidDpopProofError(OAuth2Error):  # type: ignore[misc]  # untyped base
    """The proof is missing, wrong, or without a nonce (RFC 9449 sections 5 and 8)."""

    error = "invalid_dpop_proof"


class UnmetAuthenticationRequirementsError(OAuth2Error):  # type: ignore[misc]  # untyped base
    """The issuer does not offer this authentication context (RFC 9470 section 5)."""

    error = "unmet_authentication_requirements"


class ProofKey(CodeChallenge):  # type: ignore[misc]  # untyped base
    """PKCE, compulsory and with S256 only (RFC 9700 section 2.1.1)."""

    SUPPORTED_CODE_CHALLENGE_METHOD: ClassVar = ["S256"]

    def validate_code_challenge(self, grant: Any, redirect_uri: str) -> None:
        data = grant.request.payload.data
        if not data.get("code_challenge") or data.get("code_challenge_method") != "S256":
            raise InvalidRequestError("PKCE is compulsory: send code_challenge with code_challenge_method=S256.")
        super().validate_code_challenge(grant, redirect_uri)


_ORIGIN = re.compile(r"\A[A-Za-z][A-Za-z0-9+.-]*://[^/?#@]*")


class ResourceIndicator:
    """Choose one audience by `resource` (RFC 8707) or `audience` (as Auth0 calls it).

    The audience that was granted stays: another one is refused with a code or a refresh token.
    """

    def __call__(self, grant: Any) -> None:
        grant.register_hook("after_validate_authorization_request_payload", self._at_authorize)
        grant.register_hook("before_create_token_response", self._at_token)

    def _at_authorize(self, grant: Any, _redirect_uri: str) -> None:
        self._bind(grant, grant.server.issuer.options.audiences)

    def _at_token(self, grant: Any) -> None:
        credential = grant.request.authorization_code or grant.request.refresh_token
        allowed = (credential.audience,) if credential else grant.server.issuer.options.audiences
        self._bind(grant, allowed)

    @staticmethod
    def _bind(grant: Any, allowed: tuple[str, ...]) -> None:
        named = grant.request.payload.datalist
        asked = {*named.get("resource", ()), *named.get("audience", ())} or {allowed[0]}
        found = {_configured(name, allowed) for name in asked}
        if None in found:
            raise InvalidTargetError("The audience is unknown or was not granted; see --audience.")
        if len(found) > 1:
            raise InvalidTargetError("A token is for one audience; ask for one at a time.")
        grant.request.client = replace(grant.request.client, audience=found.pop())


def _configured(name: str, allowed: tuple[str, ...]) -> str | None:
    """The audience that a request names, as it is configured.

    Clients add a slash to an identifier without a path, or drop one, as they parse it, and may write its scheme and host
    in capitals (RFC 3986 section 6.2.2.1). The API compares `aud` exactly.
    """
    if name in allowed:
        return name
    name = _ORIGIN.sub(lambda origin: origin[0].lower(), name)
    other = name[:-1] if name.endswith("/") else f"{name}/"
    return next((each for each in (name, other) if each in allowed), None)


class AuthenticationContext:
    """Check what a client asks of the sign-in: `max_age` and `acr_values` (RFC 9470 section 4).

    Each authorization request is a sign-in of its own, so every `max_age` is met.
    """

    def __call__(self, grant: Any) -> None:
        grant.register_hook("after_validate_authorization_request_payload", self._check)

    @staticmethod
    def _check(grant: Any, _redirect_uri: str) -> None:
        data = grant.request.payload.data
        max_age = data.get("max_age")
        if max_age is not None and not re.fullmatch("[0-9]{1,9}", max_age):
            raise InvalidRequestError("max_age is a number of seconds.")
        grant.acr_values = grant.server.issuer.acr_values(data.get("acr_values", ""))
        if data.get("acr_values", "").split() and not grant.acr_values:
            raise UnmetAuthenticationRequirementsError("None of acr_values is offered; see --acr.")


class SenderConstraint:
    """Bind a token to the key of a DPoP proof and to a client certificate, if the request has them."""

    def __call__(self, grant: Any) -> None:
        grant.register_hook("after_validate_authorization_request_payload", self._at_authorize)
        grant.register_hook("before_create_token_response", self._at_token)

    @staticmethod
    def _at_authorize(grant: Any, _redirect_uri: str) -> None:
        jkt = grant.request.payload.data.get("dpop_jkt")
        if jkt is not None and not re.fullmatch("[A-Za-z0-9_-]{43}", jkt):
            raise InvalidRequestError("dpop_jkt is not a thumbprint.")

    def _at_token(self, grant: Any) -> None:
        request = grant.request
        confirmation = self._confirmation(grant)
        code, refresh_token = request.authorization_code, request.refresh_token
        if code and code.dpop_jkt and code.dpop_jkt != confirmation.get("jkt"):
            raise InvalidGrantError("The code is bound to another key.")
        if refresh_token and not (refresh_token.confirmation or {}).items() <= confirmation.items():
            raise InvalidGrantError("The refresh token is bound to another key or certificate.")
        request.client = replace(request.client, confirmation=confirmation or None)

    @staticmethod
    def _confirmation(grant: Any) -> dict[str, str]:
        headers, client = grant.request.headers, grant.request.client
        found = {}
        if "DPoP" in headers:
            try:
                found["jkt"] = grant.server.proofs.thumbprint(headers["DPoP"], grant.request.method)
            except DpopError as error:
                raise InvalidDpopProofError(str(error), error=error.error) from None
        if "Client-Cert" in headers:
            try:
                found["x5t#S256"] = certificates.thumbprint(headers["Client-Cert"])
            except ValueError:
                raise InvalidRequestError("Client-Cert is not a certificate (RFC 9440).") from None
        if client.dpop_bound and "jkt" not in found:
            raise InvalidDpopProofError("This client gets no token without a DPoP proof.")
        if client.certificate_bound and "x5t#S256" not in found:
            raise InvalidRequestError("This client gets no token without a certificate.")
        return found


class IdToken(OpenIDCode):  # type: ignore[misc]  # untyped base
    def exists_nonce(self, _nonce: str, _request: Any) -> bool:
        return False  # the client compares it; an issuer need not (OpenID Connect Core 1.0 section 15.5.2)

    def encode_id_token(self, token: Mapping[str, Any], request: Any) -> str:
        code: AuthorizationCode = request.authorization_code
        issuer: Issuer = request.issuer
        # Authlib knows Ed25519 by its older name only (RFC 9864).
        algorithm = {"Ed25519": "EdDSA"}.get(issuer.keys.algorithm, issuer.keys.algorithm)
        claims = {"at_hash": create_half_hash(token["access_token"], algorithm).decode("ascii")}
        if code.nonce:
            claims["nonce"] = code.nonce
        return issuer.id_token(request.client, code.sign_in, code.scope, **claims)
