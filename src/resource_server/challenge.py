"""An error -> headers and body of the answer (RFC 6750 section 3, RFC 9110 section 11.6.1). Quotes header values."""

from resource_server.errors import (
    AuthorizationError,
    InsufficientScope,
    InsufficientUserAuthentication,
    Rejected,
    Unavailable,
)

__all__ = ["body", "challenge", "headers"]


def challenge(realm: str, error: Rejected | None = None) -> str:
    """The WWW-Authenticate value: scheme and realm, and the error if credentials were sent.

    Raises nothing: characters that a quoted string cannot hold are left out.
    """
    parameters = [("realm", realm)]
    if error is not None and error.code is not None:
        parameters += [("error", error.code), ("error_description", str(error))]
        if isinstance(error, InsufficientScope) and error.scopes:
            parameters.append(("scope", " ".join(error.scopes)))
        if isinstance(error, InsufficientUserAuthentication):
            if error.acr_values:
                parameters.append(("acr_values", " ".join(error.acr_values)))
            if error.max_age is not None:
                parameters.append(("max_age", str(error.max_age)))
    return "Bearer " + ", ".join(f'{name}="{_quotable(value)}"' for name, value in parameters)


def headers(realm: str, error: AuthorizationError) -> dict[str, str]:
    """The headers of an answer with this error."""
    if isinstance(error, Unavailable):
        return {"Retry-After": str(error.retry_after)}
    if isinstance(error, Rejected):
        return {"WWW-Authenticate": challenge(realm, error)}
    return {}


def body(error: AuthorizationError) -> dict[str, str]:
    """The JSON body of an answer with this error: `detail` for a person, `error` of the RFC, `reason` for a program.

    While DEBUG is on, `hint` is for the developer.
    """
    members = {"detail": str(error), "reason": error.reason}
    if error.code is not None:
        members["error"] = error.code
    if error.hint:
        members["hint"] = error.hint
    return members


def _quotable(value: str) -> str:
    # RFC 6750 section 3: %x20-21 / %x23-5B / %x5D-7E, which is printable ASCII without the quote and the backslash.
    return "".join(character for character in value if " " <= character <= "~" and character not in '"\\')
