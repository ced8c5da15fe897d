"""Why a request is refused, or cannot be judged (RFC 6750 section 3.1).

::

    AuthorizationError
    ├── Rejected                 the request is at fault
    │   ├── InvalidRequest       400  invalid_request
    │   ├── InvalidLogoutToken   400  invalid_request (OpenID Connect Back-Channel Logout 1.0 section 2.8)
    │   ├── NoCredentials        401  (no code: RFC 6750 section 3.1, last paragraph)
    │   ├── InvalidToken         401  invalid_token
    │   ├── InvalidProof         401  invalid_dpop_proof
    │   ├── NonceNeeded          401  use_dpop_nonce
    │   ├── InsufficientScope    403  insufficient_scope
    │   └── InsufficientUserAuthentication   401  insufficient_user_authentication (RFC 9470)
    └── Unavailable              503  no verdict was reached; the caller is not at fault

Imports nothing of Django. A leaf has a `code` (the RFC's), a `status` (HTTP) and its own enum of reasons
(`reasons.py`). No message holds a value of a token.
"""

from typing import ClassVar

from resource_server.reasons import (
    CredentialsReason,
    LogoutReason,
    NonceReason,
    ProofReason,
    Reason,
    RequestReason,
    ScopeReason,
    StepUpReason,
    TokenReason,
    UnavailableReason,
)

__all__ = [
    "AuthorizationError",
    "InsufficientScope",
    "InsufficientUserAuthentication",
    "InvalidLogoutToken",
    "InvalidProof",
    "InvalidRequest",
    "InvalidToken",
    "NoCredentials",
    "NonceNeeded",
    "Rejected",
    "Unavailable",
    "reasons",
]


class AuthorizationError(Exception):
    """The request is not authorised. `reason` is a stable slug, `str()` is the message for a person.

    `hint` is for the developer, and empty unless DEBUG is on: the answer shows it. Raises TypeError for a class that is
    not a leaf, and ValueError for a reason that the class does not list; both name the legal ones.
    """

    code: ClassVar[str | None] = None
    status: ClassVar[int]
    reasons: ClassVar[type[Reason]]
    reason: Reason
    hint: str = ""
    # Whether the credentials came under the scheme DPoP, whose challenge then has the error.
    is_dpop: bool = False

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        try:
            self.reason = self.reasons.of(reason)
        except (AttributeError, KeyError, TypeError):
            raise _misuse(type(self)) from None
        self.message = self.reason.message

    def __str__(self) -> str:
        return self.message


class Rejected(AuthorizationError):
    """The request does not have the right that it needs."""


class InvalidRequest(Rejected):
    """The credentials are not one credential (RFC 6750 section 3.1, `invalid_request`)."""

    code = "invalid_request"
    status = 400
    reasons = RequestReason

    def __init__(self, reason: RequestReason) -> None:
        super().__init__(reason)


class InvalidLogoutToken(Rejected):
    """The request is not one good logout token (OpenID Connect Back-Channel Logout 1.0 section 2.8). No edge raises it."""

    code = "invalid_request"
    status = 400
    reasons = LogoutReason

    def __init__(self, reason: LogoutReason) -> None:
        super().__init__(reason)


class NoCredentials(Rejected):
    """The request carries no access token. The challenge has no error code then (RFC 6750 section 3.1).

    `scopes` are those of a token that would do.
    """

    status = 401
    reasons = CredentialsReason

    def __init__(self, reason: CredentialsReason, *, scopes: tuple[str, ...] = ()) -> None:
        super().__init__(reason)
        self.scopes = scopes


class InvalidToken(Rejected):
    """The access token is malformed, forged, expired, revoked or for another API (RFC 6750 section 3.1, `invalid_token`)."""

    code = "invalid_token"
    status = 401
    reasons = TokenReason

    def __init__(self, reason: TokenReason) -> None:
        super().__init__(reason)


class InvalidProof(Rejected):
    """The DPoP proof of the request does not fit it, or was used before (RFC 9449 section 7.1, `invalid_dpop_proof`)."""

    code = "invalid_dpop_proof"
    status = 401
    reasons = ProofReason

    def __init__(self, reason: ProofReason) -> None:
        super().__init__(reason)


class NonceNeeded(Rejected):
    """The DPoP proof needs the nonce of this server (RFC 9449 section 9, `use_dpop_nonce`). `nonce` is the one to use."""

    code = "use_dpop_nonce"
    status = 401
    reasons = NonceReason

    def __init__(self, reason: NonceReason, *, nonce: str) -> None:
        super().__init__(reason)
        self.nonce = nonce

    def __reduce__(self) -> tuple[object, ...]:
        return _nonce_needed, (self.reason, self.nonce)


def _nonce_needed(reason: NonceReason, nonce: str) -> NonceNeeded:
    return NonceNeeded(reason, nonce=nonce)


class InsufficientScope(Rejected):
    """The access token is valid but does not give the required right (RFC 6750 section 3.1, `insufficient_scope`).

    `scopes` are those that the resource needs, in the order in which the view names them; none if more scopes would not
    help. `missing` are the scopes that lack, or other rights in words. `granted` are the token's own scopes, if the
    challenge is to name them too.
    """

    code = "insufficient_scope"
    status = 403
    reasons = ScopeReason

    def __init__(self, reason: ScopeReason, *, scopes: tuple[str, ...] = (), missing: tuple[str, ...] = ()) -> None:
        super().__init__(reason)
        self.message += (", " if self.reason == ScopeReason.RIGHT_MISSING else " ").join(missing)
        self.scopes = scopes
        self.missing = missing
        self.granted: tuple[str, ...] = ()

    def __reduce__(self) -> tuple[object, ...]:
        return _insufficient_scope, (self.reason, self.scopes, self.missing), {"granted": self.granted}


def _insufficient_scope(reason: ScopeReason, scopes: tuple[str, ...], missing: tuple[str, ...]) -> InsufficientScope:
    return InsufficientScope(reason, scopes=scopes, missing=missing)


class InsufficientUserAuthentication(Rejected):
    """The person must sign in anew, or in another way (RFC 9470 section 3, `insufficient_user_authentication`).

    `acr_values` are the accepted authentication contexts, the preferred one first; `max_age` is the most seconds since
    the sign-in, or None.
    """

    code = "insufficient_user_authentication"
    status = 401
    reasons = StepUpReason

    def __init__(self, reason: StepUpReason, *, acr_values: tuple[str, ...] = (), max_age: int | None = None) -> None:
        super().__init__(reason)
        self.acr_values = acr_values
        self.max_age = max_age

    def __reduce__(self) -> tuple[object, ...]:
        return _insufficient_user_authentication, (self.reason, self.acr_values, self.max_age)


def _insufficient_user_authentication(
    reason: StepUpReason, acr_values: tuple[str, ...], max_age: int | None
) -> InsufficientUserAuthentication:
    return InsufficientUserAuthentication(reason, acr_values=acr_values, max_age=max_age)


class Unavailable(AuthorizationError):
    """No verdict was reached: the keys, the users' database or the settings cannot be used now. Never the caller's fault.

    `retry_after` is in whole seconds, at least 1 (RFC 9110 section 10.2.3). `outcome` says how the attempt to reach the
    issuer ended, for the operator alone: it can name an internal address.
    """

    code = "temporarily_unavailable"
    status = 503
    reasons = UnavailableReason
    reason: UnavailableReason

    def __init__(self, reason: UnavailableReason, *, retry_after: int = 1, outcome: str = "") -> None:
        super().__init__(reason)
        self.retry_after = max(1, retry_after)
        self.outcome = outcome


def _misuse(raised: type[AuthorizationError]) -> Exception:
    """The error of code that raises an AuthorizationError which has no answer."""
    if not hasattr(raised, "reasons"):
        leaves = ", ".join(dict.fromkeys(leaf.__name__ for leaf in reasons().values() if issubclass(leaf, raised)))
        return TypeError(f"{raised.__name__} cannot be raised itself; raise one of {leaves}")
    return ValueError(f"the reason of {raised.__name__} is one of {', '.join(raised.reasons)}")


def reasons() -> dict[Reason, type[AuthorizationError]]:
    """Every reason, with the class of error that it belongs to."""
    leaves: tuple[type[AuthorizationError], ...] = (
        InvalidRequest,
        InvalidLogoutToken,
        NoCredentials,
        InvalidToken,
        InvalidProof,
        NonceNeeded,
        InsufficientScope,
        InsufficientUserAuthentication,
        Unavailable,
    )
    return {reason: leaf for leaf in leaves for reason in leaf.reasons}
