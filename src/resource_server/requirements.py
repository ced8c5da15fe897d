"""The rights that an endpoint requires of a verified token, as data (RFC 6749 section 3.3, RFC 6750 section 3.1).

A requirement reads an AccessToken and nothing else. `check` returns the token or raises: no result of it can pass for a
right by mistake.
"""

import re
from dataclasses import dataclass

from resource_server.errors import InsufficientScope
from resource_server.reasons import ScopeReason
from resource_server.tokens.access_token import AccessToken

__all__ = ["AnyScope", "AnyToken", "Requirement", "Scopes", "is_scope"]

# RFC 6749 section 3.3: scope-token
_SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")


def is_scope(value: object) -> bool:
    """Whether a value can be a scope."""
    return isinstance(value, str) and _SCOPE.fullmatch(value) is not None


@dataclass(frozen=True, slots=True)
class Requirement:
    """The scopes that an endpoint names.

    Raises ValueError without any scope, because an empty rule would admit everyone, and for a value that cannot be one.
    """

    scopes: tuple[str, ...]

    def __post_init__(self) -> None:
        scopes: object = self.scopes
        if not isinstance(scopes, tuple):
            # The letters of a string would be read as scopes.
            raise TypeError(f"scopes is not a tuple: write {type(self).__name__}(({scopes!r},))")
        if not scopes:
            raise ValueError("name at least one scope")
        for scope in scopes:
            if not is_scope(scope):
                raise ValueError(
                    f"not a scope: {scope!r} (RFC 6749 section 3.3: printable ASCII without space, quote or backslash)"
                )

    def check(self, token: object) -> AccessToken:
        """The token, if it gives the right. Raises InsufficientScope if not, or if it is not a verified token."""
        if not isinstance(token, AccessToken):
            raise InsufficientScope(ScopeReason.TOKEN_MISSING, scopes=self.scopes)
        self._check(token)
        return token

    def _check(self, token: AccessToken) -> None:
        raise NotImplementedError


class Scopes(Requirement):
    """Every one of the scopes."""

    __slots__ = ()

    def _check(self, token: AccessToken) -> None:
        if not token.scopes.issuperset(self.scopes):
            missing = tuple(scope for scope in self.scopes if scope not in token.scopes)
            raise InsufficientScope(ScopeReason.SCOPE_MISSING, scopes=self.scopes, missing=missing)


class AnyScope(Requirement):
    """At least one of the scopes."""

    __slots__ = ()

    def _check(self, token: AccessToken) -> None:
        if token.scopes.isdisjoint(self.scopes):
            raise InsufficientScope(ScopeReason.SCOPE_MISSING_ANY, scopes=self.scopes, missing=self.scopes)


class AnyToken(Requirement):
    """A verified token, whatever its scopes."""

    __slots__ = ()

    def __init__(self) -> None:
        object.__setattr__(self, "scopes", ())

    def _check(self, token: AccessToken) -> None:
        return
