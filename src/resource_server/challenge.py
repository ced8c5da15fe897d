"""An error -> headers and body of the answer (RFC 6750 section 3, RFC 9470 section 3, RFC 9728 section 5.1)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from resource_server.errors import (
    AuthorizationError,
    InsufficientScope,
    InsufficientUserAuthentication,
    NoCredentials,
    NonceNeeded,
    Rejected,
    Unavailable,
)
from resource_server.protected_resource import ProtectedResource, resource_of
from resource_server.reasons import TokenReason
from resource_server.requirements.rights import is_scope
from resource_server.tokens.dpop import DPOP_ALGORITHMS

__all__ = [
    "PROBLEM_TYPE",
    "REFUSALS",
    "Answers",
    "body",
    "body_schema",
    "challenge",
    "headers",
    "media_type",
    "problem_details",
]

# RFC 9110 section 15.5.6: a cache may store a 405 without being asked to.
REFUSALS = frozenset({401, 403, 405, 503})
PROBLEM_TYPE = "application/problem+json"
_OF_DPOP = frozenset({TokenReason.TOKEN_BOUND_TO_KEY, TokenReason.TOKEN_NOT_BOUND})
# Proxies answer 502 for headers of 4 KiB and more.
MAX_GRANTED_CHARACTERS = 2000
_REGISTERED = frozenset(HTTPStatus)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """The settings of answers: the realm, the published resources, and whether bodies are problem details.

    `dpop` says which schemes a challenge offers: `off` Bearer, `allowed` both, `required` DPoP; `by issuer`, where a function
    knows the issuers and none of them is known yet, both if the refused credentials show that theirs wants DPoP.
    """

    realm: str
    resources: tuple[ProtectedResource, ...] = ()
    problem_details: bool = False
    dpop: str = "off"


def challenge(answers: Answers, error: Rejected, path: str = "") -> str:
    """The WWW-Authenticate value for an error at a path of this server. Raises nothing.

    Some clients search the value for `error=`, `scope=` or `resource_metadata=` without parsing it. So no value before
    a parameter contains "=" as it is, and `scope`, whose values may, comes after the other two.
    """
    parameters = [("realm", _escaped(answers.realm))]
    if error.code is not None:
        parameters += [("error", error.code), ("error_description", _replaced(str(error)))]
    resource = resource_of(answers.resources, path)
    if resource is not None:
        parameters.append(("resource_metadata", resource.metadata_url))
    scopes = _scopes(error)
    if scopes:
        parameters.append(("scope", scopes))
    if isinstance(error, InsufficientUserAuthentication):
        if error.acr_values:
            parameters.append(("acr_values", _escaped(" ".join(error.acr_values))))
        if error.max_age is not None:
            parameters.append(("max_age", str(error.max_age)))
    return _schemes(parameters, error, answers.dpop)


def headers(answers: Answers, error: AuthorizationError, path: str = "") -> dict[str, str]:
    """The headers of an answer with this error, to a request for this path."""
    found = {"Cache-Control": "no-store"}
    if isinstance(error, Unavailable):
        found["Retry-After"] = str(error.retry_after)
    if isinstance(error, Rejected):
        found["WWW-Authenticate"] = challenge(answers, error, path)
    if isinstance(error, NonceNeeded):
        found["DPoP-Nonce"] = error.nonce
    return found


def body(error: AuthorizationError) -> dict[str, str]:
    """The JSON body of an answer with this error: `detail` for a person, `error` of the RFC, `reason` for a program.

    While DEBUG is on, `hint` is for the developer.
    """
    members = {"detail": str(error), "reason": error.reason.value}
    if error.code is not None:
        members["error"] = error.code
    if error.hint:
        members["hint"] = error.hint
    return members


def body_schema() -> dict[str, Any]:
    """The JSON schema of `body`, for the API's description. Problem details have more members."""
    return {
        "type": "object",
        "properties": {
            "detail": {"type": "string", "description": "for a person"},
            "error": {"type": "string", "description": "error code of RFC 6750 section 3.1"},
            "reason": {"type": "string", "description": "stable slug"},
        },
        "required": ["detail"],
    }


def media_type(answers: Answers) -> str:
    """The Content-Type of an answer with an error."""
    return PROBLEM_TYPE if answers.problem_details else "application/json"


def problem_details(status: int, members: Mapping[str, Any]) -> dict[str, Any]:
    """A body as problem details (RFC 9457 section 3.1), of the type `about:blank`."""
    # A project may send a status without a registered phrase, such as 499.
    title = {"title": HTTPStatus(status).phrase} if status in _REGISTERED else {}
    own = {"type": "about:blank", **title, "status": status}
    return {**own, **members, **own}


def _schemes(parameters: Sequence[tuple[str, str]], error: Rejected, dpop: str) -> str:
    """The challenge of each scheme that is offered; the one that the request used is first, and has the error."""
    realm, algorithms = parameters[0], ("algs", " ".join(DPOP_ALGORITHMS))
    if dpop == "by issuer":
        dpop = "allowed" if error.is_dpop or error.reason in _OF_DPOP else "off"
    if dpop == "off":
        return _scheme("Bearer", *parameters)
    if dpop == "required":
        return _scheme("DPoP", *parameters, algorithms)
    if error.is_dpop:
        return f"{_scheme('DPoP', *parameters, algorithms)}, {_scheme('Bearer', realm)}"
    return f"{_scheme('Bearer', *parameters)}, {_scheme('DPoP', realm, algorithms)}"


def _scheme(name: str, *parameters: tuple[str, str]) -> str:
    return f"{name} " + ", ".join(f'{each}="{value}"' for each, value in parameters)


def _scopes(error: Rejected) -> str:
    if isinstance(error, InsufficientScope):
        return _replaced(" ".join(dict.fromkeys((*error.scopes, *_named(error.granted)))), keep="=")
    if isinstance(error, NoCredentials):
        return _replaced(" ".join(error.scopes), keep="=")
    return ""


def _named(granted: tuple[str, ...]) -> tuple[str, ...]:
    """The granted scopes that a client can ask for again; none if they are too long for a header."""
    scopes = tuple(scope for scope in granted if is_scope(scope) and scope != "offline_access")
    return scopes if len(" ".join(scopes)) <= MAX_GRANTED_CHARACTERS else ()


def _replaced(text: str, keep: str = "") -> str:
    # RFC 6750 section 3: %x20-21 / %x23-5B / %x5D-7E, which is printable ASCII without the quote and the backslash.
    others = {'"': "'", "\\": "/", "=": ":"}
    return "".join(
        (character if character in keep else others.get(character, character)) if " " <= character <= "~" else "?"
        for character in text
    )


def _escaped(text: str) -> str:
    # RFC 9110 section 5.6.4: a quoted pair stands for its second character.
    return "".join(
        f"\\{character}" if character in '"\\=' else character if " " <= character <= "~" else "?" for character in text
    )
