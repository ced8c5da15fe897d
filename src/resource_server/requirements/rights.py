"""Scopes, permissions, roles and groups (RFC 6749 section 3.3, RFC 9068 section 2.2.3.1)."""

import re
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from resource_server.plain_texts import plain_text
from resource_server.requirements.requirement import NOWHERE, Operation, Requirement
from resource_server.requirements.shortfall import Shortfall
from resource_server.tokens.access_token import AccessToken, named_values

__all__ = [
    "UNSET",
    "AnyScope",
    "AnyToken",
    "Groups",
    "Permissions",
    "Roles",
    "Scopes",
    "given",
    "is_scope",
    "require_texts",
]

# The default of an argument that may be left out. None is not: it is the value of an environment variable that is not set.
UNSET: Final[Any] = object()

# RFC 6749 section 3.3: scope-token
_SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")


def is_scope(value: object) -> bool:
    """Whether a value can be a scope, or a word in another list that spaces separate."""
    return isinstance(value, str) and _SCOPE.fullmatch(value) is not None


def require_texts(values: tuple[object, ...], noun: str) -> tuple[str, ...]:
    """The values, if each is a text that is not empty. Raises ValueError without any: an empty rule would admit everyone."""
    if not values:
        raise ValueError(f"name at least one {noun}")
    for value in values:
        if not isinstance(value, str) or not value:
            raise ValueError(f"not a {noun}: {value!r}")
    return tuple(plain_text(value) for value in values)


def given(name: str, value: Any) -> Any:
    """The value of an argument, None if it is left out. Raises TypeError for None, which would weaken a rule in silence."""
    if value is None:
        raise TypeError(f"{name} is None: name a value, or leave {name} out")
    return None if value is UNSET else value


@dataclass(frozen=True, slots=True, init=False, repr=False)
class _NamesScopes(Requirement):
    """The scopes that an endpoint names, as arguments or as one tuple.

    Raises ValueError without any scope, because an empty rule would admit everyone, and for a value that cannot be one.
    """

    # The values of the property that Requirement has.
    scopes: tuple[str, ...]

    def __init__(self, *scopes: str | tuple[str, ...]) -> None:
        named: tuple[Any, ...] = scopes
        if len(scopes) == 1 and isinstance(scopes[0], tuple):
            named = scopes[0]
        if not named:
            raise ValueError("name at least one scope")
        for scope in named:
            if not is_scope(scope):
                raise ValueError(
                    f"not a scope: {scope!r} (RFC 6749 section 3.3: printable ASCII without space, quote or backslash)"
                )
        object.__setattr__(self, "scopes", tuple(dict.fromkeys(map(plain_text, named))))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(map(repr, self.scopes))})"


class Scopes(_NamesScopes):
    """Every one of the scopes."""

    __slots__ = ()

    @property
    def words(self) -> str:
        return " and ".join(f"scope `{scope}`" for scope in self.scopes)

    def holds(self, token: AccessToken, operation: Operation) -> bool:
        return token.scopes.issuperset(self.scopes)

    def check(self, token: object, operation: Operation = NOWHERE) -> AccessToken:
        # What the base class does, on a shorter path: most requests are judged here.
        if isinstance(token, AccessToken) and token.scopes.issuperset(self.scopes):
            return token
        return Requirement.check(self, token, operation)

    def ways(self, token: AccessToken | None, operation: Operation) -> tuple[Shortfall, ...]:
        missing = tuple(scope for scope in self.scopes if token is None or scope not in token.scopes)
        return (Shortfall(scopes=self.scopes, missing=missing),)


class AnyScope(_NamesScopes):
    """At least one of the scopes."""

    __slots__ = ()

    @property
    def words(self) -> str:
        return " or ".join(f"scope `{scope}`" for scope in self.scopes)

    def holds(self, token: AccessToken, operation: Operation) -> bool:
        return not token.scopes.isdisjoint(self.scopes)

    def ways(self, token: AccessToken | None, operation: Operation) -> tuple[Shortfall, ...]:
        held = () if token is None else tuple(scope for scope in self.scopes if scope in token.scopes)
        return (Shortfall(scopes=held) if held else Shortfall(scopes=self.scopes, missing_any=self.scopes),)


@dataclass(frozen=True, slots=True, repr=False)
class AnyToken(Requirement):
    """A verified token, whatever its rights."""

    @property
    def words(self) -> str:
        return "an access token"

    def holds(self, token: AccessToken, operation: Operation) -> bool:
        return True

    def ways(self, token: AccessToken | None, operation: Operation) -> tuple[Shortfall, ...]:
        return (Shortfall(),)

    def __repr__(self) -> str:
        return "AnyToken()"


@dataclass(frozen=True, slots=True, init=False, repr=False)
class _NamesValues(Requirement):
    """Every one of the values, in the claim that the provider or the setting CLAIMS names. Compose with `|` for any.

    Raises ValueError without any value. The claim is a list of texts, or one text that is one value. Without the claim,
    or if it is anything else, the requirement cannot be judged.
    """

    values: tuple[str, ...]
    noun: ClassVar[str]

    def __init__(self, *values: str) -> None:
        object.__setattr__(self, "values", tuple(dict.fromkeys(require_texts(values, self.noun))))

    @property
    def words(self) -> str:
        return " and ".join(f"{self.noun} `{value}`" for value in self.values)

    def holds(self, token: AccessToken, operation: Operation) -> bool | None:
        found = named_values(token, f"{self.noun}s")
        return None if found is None else found.issuperset(self.values)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(map(repr, self.values))})"


class Permissions(_NamesValues):
    """Every one of the permissions, such as Auth0's `permissions`."""

    __slots__ = ()
    noun = "permission"


class Roles(_NamesValues):
    """Every one of the roles, such as Keycloak's `realm_access.roles`."""

    __slots__ = ()
    noun = "role"


class Groups(_NamesValues):
    """Every one of the groups."""

    __slots__ = ()
    noun = "group"
