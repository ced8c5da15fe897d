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

from typing import ClassVar

from resource_server.reasons import (
    CredentialsReason,
    Reason,
    RequestReason,
    ScopeReason,
    TokenReason,
    UnavailableReason,
)

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
    reasons: ClassVar[type[Reason]]
    reason: Reason

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason = self.reasons.of(reason)
        self.message = self.reason.message

    def __str__(self) -> str:
        return self.message


class Rejected(AuthorizationError):
    """The request, as it was sent, does not have the right that it needs."""


class InvalidRequest(Rejected):
    """The credentials are not one credential (RFC 6750 section 3.1, `invalid_request`)."""

    code = "invalid_request"
    status = 400
    reasons = RequestReason

    def __init__(self, reason: RequestReason) -> None:
        super().__init__(reason)


class NoCredentials(Rejected):
    """The request carries no access token. The challenge has no error code then (RFC 6750 section 3.1)."""

    status = 401
    reasons = CredentialsReason

    def __init__(self, reason: CredentialsReason) -> None:
        super().__init__(reason)


class InvalidToken(Rejected):
    """The access token is malformed, forged, expired, revoked or meant for somebody else (RFC 6750 section 3.1, `invalid_token`)."""

    code = "invalid_token"
    status = 401
    reasons = TokenReason

    def __init__(self, reason: TokenReason) -> None:
        super().__init__(reason)


class InsufficientScope(Rejected):
    """The access token is valid, and does not give the right that is asked (RFC 6750 section 3.1, `insufficient_scope`).

    `scopes` are those that the resource needs, in the order of the view that named them.
    """

    code = "insufficient_scope"
    status = 403
    reasons = ScopeReason

    def __init__(self, reason: ScopeReason, *, scopes: tuple[str, ...], missing: tuple[str, ...] = ()) -> None:
        super().__init__(reason)
        self.message += " ".join(missing)
        self.scopes = scopes
        self.missing = missing

    def __reduce__(self) -> tuple[object, ...]:
        return _insufficient_scope, (self.reason, self.scopes, self.missing)


def _insufficient_scope(reason: ScopeReason, scopes: tuple[str, ...], missing: tuple[str, ...]) -> InsufficientScope:
    return InsufficientScope(reason, scopes=scopes, missing=missing)


class Unavailable(AuthorizationError):
    """No verdict was reached: the issuer's keys, the users' database or this project's settings cannot be used now. Never the caller's fault.

    `retry_after` is in whole seconds, at least 1 (RFC 9110 section 10.2.3).
    """

    code = "temporarily_unavailable"
    status = 503
    reasons = UnavailableReason
    reason: UnavailableReason

    def __init__(self, reason: UnavailableReason, *, retry_after: int = 1) -> None:
        super().__init__(reason)
        self.retry_after = max(1, retry_after)


def reasons() -> dict[Reason, type[AuthorizationError]]:
    """Every reason there is, and the class that it belongs to."""
    leaves: tuple[type[AuthorizationError], ...] = (
        InvalidRequest,
        NoCredentials,
        InvalidToken,
        InsufficientScope,
        Unavailable,
    )
    return {reason: leaf for leaf in leaves for reason in leaf.reasons}
