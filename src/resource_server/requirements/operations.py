"""A requirement for each HTTP method, or for each action of a ViewSet, in one declaration."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from resource_server.plain_texts import plain_text
from resource_server.requirements.requirement import Operation, Or, Requirement
from resource_server.requirements.rights import Scopes
from resource_server.requirements.shortfall import Shortfall
from resource_server.tokens.access_token import AccessToken

__all__ = ["PerAction", "PerMethod", "requirement_of", "requirement_of_scopes"]

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"})
# The key of the requirement for every operation that is not named.
_OTHERS = "*"


def requirement_of(declared: object) -> Requirement:
    """The requirement that is declared: itself, or scopes in a text, or one for each method or action in a dict.

    A dict whose keys are HTTP methods, in upper case, is a PerMethod; another one is a PerAction. Raises TypeError or
    ValueError for anything else, also for a dict that mixes both or names a method in lower case.
    """
    if isinstance(declared, Requirement):
        return declared
    if isinstance(declared, str):
        return Scopes(tuple(plain_text(declared).split()))
    if isinstance(declared, Mapping):
        return _per_operation(declared)
    raise TypeError(f"not a requirement: {declared!r}; write scopes in one text, a dict, or a Requirement")


def _per_operation(declared: Mapping[Any, Any]) -> "PerMethod | PerAction":
    named = [key for key in map(plain_text, declared) if key != _OTHERS]
    methods = [key for key in named if key in _METHODS]
    for key in named:
        if isinstance(key, str) and key not in _METHODS and key.upper() in _METHODS:
            raise ValueError(
                f"write the HTTP method {key!r} as {key.upper()!r}; for an action of this name write PerAction({{...}})"
            )
    if methods and len(methods) < len(named):
        other = next(key for key in named if key not in _METHODS)
        raise ValueError(
            f"a dict names HTTP methods or actions, not both: {methods[0]!r} is a method, {other!r} is not; "
            "write one dict for each, and compose PerMethod(...) & PerAction(...)"
        )
    return PerMethod(declared) if methods else PerAction(declared)


def requirement_of_scopes(scopes: object, alternates: object) -> Requirement:
    """The requirement of a view's `required_scopes`, or of its `required_alternate_scopes`, as in django-oauth-toolkit.

    `required_scopes` is a list, of which all are needed. `required_alternate_scopes` has for each HTTP method a list of
    lists, of which one is needed, and wins. Raises TypeError or ValueError for anything else, and without scopes.
    """
    if alternates is not None:
        if not isinstance(alternates, Mapping):
            raise TypeError("required_alternate_scopes is a dict of lists of lists of scopes")
        per_method = {}
        for method, ways in alternates.items():
            listed = [_all_of(way) for way in (ways if isinstance(ways, list | tuple) else [ways])]
            per_method[method] = listed[0] if len(listed) == 1 else Or(tuple(listed))
        return PerMethod(per_method)
    return _all_of(scopes)


def _all_of(scopes: object) -> Requirement:
    if not isinstance(scopes, list | tuple):
        raise TypeError(f"not a list of scopes: {scopes!r}")
    return Scopes(tuple(scopes))


@dataclass(frozen=True, slots=True, init=False, repr=False)
class _PerOperation(Requirement):
    """One requirement for each operation; scopes may stand as a text. `*` is for all that are not named.

    An operation that is not named, and a request whose operation is not known, are refused. Raises ValueError for an
    empty dict and for a key that cannot be one.
    """

    requirements: tuple[tuple[str, Requirement], ...]
    noun: ClassVar[str]
    remedy: ClassVar[str]

    def __init__(self, requirements: Mapping[str, Requirement | str]) -> None:
        given: object = requirements
        if not isinstance(given, Mapping) or not given:
            raise ValueError(f"name the requirement of at least one {self.noun}, in a dict")
        for key in map(plain_text, requirements):
            if key != _OTHERS and not self._is_key(key):
                raise ValueError(f"{key!r} does not name {self.remedy}")
        declared = tuple((plain_text(key), requirement_of(value)) for key, value in requirements.items())
        object.__setattr__(self, "requirements", declared)

    @staticmethod
    def _is_key(key: object) -> bool:
        raise NotImplementedError

    def _name(self, operation: Operation) -> str | None:
        raise NotImplementedError

    def chosen(self, operation: Operation) -> Requirement | None:
        """The requirement of an operation, None if it is not declared."""
        name, declared = self._name(operation), dict(self.requirements)
        if name is None:
            return None
        if name == "HEAD" and name not in declared:
            name = "GET"  # Django and REST framework answer HEAD by GET
        return declared.get(name, declared.get(_OTHERS))

    @property
    def all_scopes(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(scope for _, each in self.requirements for scope in each.all_scopes))

    @property
    def words(self) -> str:
        return ", ".join(f"{key}: {each.words}" for key, each in self.requirements)

    @property
    def parts(self) -> tuple[Requirement, ...]:
        return tuple(each for _, each in self.requirements)

    def holds(self, token: AccessToken, operation: Operation) -> bool | None:
        chosen = self.chosen(operation)
        return None if chosen is None else chosen.holds(token, operation)

    def ways(self, token: AccessToken | None, operation: Operation) -> tuple[Shortfall, ...]:
        chosen = self.chosen(operation)
        if chosen is None:
            name = self._name(operation)
            # A method is what the client sent, so only those of HTTP are repeated.
            shown = f"`{name}` is not named" if self._is_key(name) else f"the request has no known {self.noun}"
            return (Shortfall(others=(f"a declared {self.noun} ({shown})",)),)
        return chosen.ways(token, operation)

    def __repr__(self) -> str:
        members = ", ".join(f"{key!r}: {each!r}" for key, each in self.requirements)
        return f"{type(self).__name__}({{{members}}})"


class PerMethod(_PerOperation):
    """One requirement for each HTTP method. HEAD is judged as GET unless it is named."""

    __slots__ = ()
    noun = "method"
    remedy = "an HTTP method: write it in upper case, and actions of a ViewSet in PerAction({...})"

    @staticmethod
    def _is_key(key: object) -> bool:
        return key in _METHODS

    def _name(self, operation: Operation) -> str | None:
        # Methods are case-sensitive (RFC 9110 section 9.1), but Django calls `delete` for "delete" too: `*` must not admit it.
        method = operation.method
        return None if method not in _METHODS and str(method).upper() in _METHODS else method


class PerAction(_PerOperation):
    """One requirement for each action of a ViewSet: `list`, `create`, `partial_update`, those of `@action`."""

    __slots__ = ()
    noun = "action"
    remedy = "an action, which is the name of a function: write HTTP methods in PerMethod({...})"

    @staticmethod
    def _is_key(key: object) -> bool:
        return isinstance(key, str) and key.isidentifier() and key not in _METHODS

    def _name(self, operation: Operation) -> str | None:
        return operation.action
