"""Why a request is refused, or cannot be judged (RFC 6750 section 3.1).

::

    AuthorizationError
    ├── Rejected                 the request is at fault
    │   ├── InvalidRequest       400  invalid_request
    │   ├── NoCredentials        401  (no code: RFC 6750 section 3.1, last paragraph)
    │   ├── InvalidToken         401  invalid_token
    │   └── InsufficientScope    403  insufficient_scope
    └── Unavailable              503  no verdict was reached; the caller is not at fault

Imports nothing of Django or of this package. A leaf has a `code` (that of the RFC), a `status` (HTTP) and a table of
its reasons: a reason is a stable slug for logs and tests, its message is for a person. Neither ever holds a value out
of a token.
"""

from collections.abc import Mapping
from typing import ClassVar

__all__ = [
    "AuthorizationError",
    "InsufficientScope",
    "InvalidRequest",
    "InvalidToken",
    "NoCredentials",
    "Rejected",
    "Unavailable",
    "reasons",
]


class AuthorizationError(Exception):
    """No right was found; `reason` says why, `str()` says it to a person.

    Raises KeyError when made with a reason that its class does not list: a slug is never invented at the place that
    raises.
    """

    code: ClassVar[str | None] = None
    status: ClassVar[int]
    messages: ClassVar[Mapping[str, str]] = {}

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.message = self.messages[reason]
        self.reason = reason

    def __str__(self) -> str:
        return self.message


class Rejected(AuthorizationError):
    """The request, as it was sent, does not have the right that it needs."""


class InvalidRequest(Rejected):
    """The credentials are not one credential (RFC 6750 section 3.1, `invalid_request`)."""

    code = "invalid_request"
    status = 400
    messages: ClassVar[Mapping[str, str]] = {
        "credentials_repeated": "the Authorization header holds more than one credential",
    }


class NoCredentials(Rejected):
    """The request carries no access token. The challenge has no error code then (RFC 6750 section 3.1)."""

    status = 401
    messages: ClassVar[Mapping[str, str]] = {
        "credentials_missing": "no access token was sent",
    }


class InvalidToken(Rejected):
    """The access token is malformed, forged, expired, revoked or meant for somebody else (RFC 6750 section 3.1, `invalid_token`)."""

    code = "invalid_token"
    status = 401
    messages: ClassVar[Mapping[str, str]] = {
        # tokens/credentials.py
        "credentials_malformed": "the Authorization header is not the word Bearer, a space and one token",
        "token_too_large": "access token is larger than 16 KiB",
        # tokens/jws.py: form
        "token_malformed": "access token is not a JWT in compact serialisation",
        "token_encrypted": "access token is encrypted, which is not supported",
        "header_malformed": "header of the access token is not one well-formed JSON object",
        "payload_malformed": "payload of the access token is not one well-formed JSON object",
        # tokens/jws.py: header
        "header_not_supported": "crit, b64 and zip are not supported",
        "alg_not_allowed": "alg is not allowed",
        "typ_not_accepted": "typ is not accepted",
        "kid_malformed": "kid is not a string of 1 to 512 characters",
        # tokens/jws.py: claims
        "iss_missing": "iss is missing",
        "iss_malformed": "iss is not a string",
        "issuer_not_trusted": "issuer is not trusted",
        "aud_missing": "aud is missing",
        "aud_malformed": "aud is not a string or a list of strings",
        "audience_not_accepted": "audience is not accepted",
        "exp_missing": "exp is missing",
        "exp_malformed": "exp is not a date",
        "token_expired": "access token has expired",
        "nbf_malformed": "nbf is not a date",
        "token_not_yet_valid": "nbf is in the future",
        "iat_malformed": "iat is not a date",
        "token_issued_in_future": "iat is in the future",
        "sub_missing": "sub is missing",
        "sub_malformed": "sub is not a string of 1 to 255 printable characters",
        "client_id_malformed": "client_id is not a printable string",
        "jti_malformed": "jti is not a printable string",
        "scope_malformed": "scope is not a string or a list of strings",
        "not_an_access_token": "the token is an ID, refresh or logout token, not an access token",
        "proof_not_supported": "access token is bound to a key (cnf), and no proof of it is supported",
        # keys/issuer_keys.py, tokens/jws.py: key and signature
        "kid_missing": "kid is missing, and the issuer has more than one key for this alg",
        "key_unknown": "the issuer has no key with this kid for this alg",
        "signature_invalid": "signature is not valid",
        # users/finders.py
        "user_unknown": "no user is known for this subject",
        "user_inactive": "user is inactive",
    }


class InsufficientScope(Rejected):
    """The access token is valid, and does not give the right that is asked (RFC 6750 section 3.1, `insufficient_scope`).

    `scopes` are those that the resource needs, in the order of the view that named them.
    """

    code = "insufficient_scope"
    status = 403
    messages: ClassVar[Mapping[str, str]] = {
        "scope_missing": "access token lacks a scope: ",
        "scope_missing_any": "access token has none of the scopes: ",
        "token_missing": "an access token is needed here: another credential has no scopes",
    }

    def __init__(self, reason: str, *, scopes: tuple[str, ...], missing: tuple[str, ...] = ()) -> None:
        super().__init__(reason)
        self.message += " ".join(missing)
        self.scopes = scopes
        self.missing = missing

    def __reduce__(self) -> tuple[object, ...]:
        return _insufficient_scope, (self.reason, self.scopes, self.missing)


def _insufficient_scope(reason: str, scopes: tuple[str, ...], missing: tuple[str, ...]) -> InsufficientScope:
    return InsufficientScope(reason, scopes=scopes, missing=missing)


class Unavailable(AuthorizationError):
    """No verdict was reached: the issuer's keys, the users' database or this project's settings cannot be used now. Never the caller's fault.

    `retry_after` is in whole seconds, at least 1 (RFC 9110 section 10.2.3).
    """

    code = "temporarily_unavailable"
    status = 503
    messages: ClassVar[Mapping[str, str]] = {
        "address_not_allowed": "an address of the issuer is not an https address",
        "fetch_failed": "issuer cannot be reached",
        "fetch_timeout": "issuer did not answer in time",
        "fetch_status": "issuer answered with another status than 200",
        "document_too_large": "a document of the issuer is too large",
        "document_malformed": "a document of the issuer is malformed",
        "metadata_issuer_mismatch": "metadata of the issuer name another issuer",
        "key_set_without_keys": "key set of the issuer holds no usable key",
        "issuer_lookup_failed": "settings of the issuer cannot be looked up now",
        "user_lookup_failed": "user cannot be looked up now",
        "settings_invalid": "settings of the resource server are invalid; see manage.py check",
    }

    def __init__(self, reason: str, *, retry_after: int = 1) -> None:
        super().__init__(reason)
        self.retry_after = max(1, retry_after)


def reasons() -> dict[str, type[AuthorizationError]]:
    """Every reason there is, and the class that it belongs to."""
    leaves: tuple[type[AuthorizationError], ...] = (
        InvalidRequest,
        NoCredentials,
        InvalidToken,
        InsufficientScope,
        Unavailable,
    )
    return {reason: leaf for leaf in leaves for reason in leaf.messages}
