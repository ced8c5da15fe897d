"""Rights in fine grain: the claim `authorization_details` (RFC 9396 section 9.1)."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from resource_server.requirements.requirement import Operation, Requirement
from resource_server.requirements.rights import UNSET, given, require_texts
from resource_server.tokens.access_token import AccessToken

__all__ = ["AuthorizationDetail"]


@dataclass(frozen=True, slots=True, kw_only=True, init=False, repr=False)
class AuthorizationDetail(Requirement):
    """One authorization detail of the type, with every named member in it (RFC 9396 section 2.2).

    The members must be in one and the same detail: two details never add up. A detail without a named member does not
    have it. Members of an API's own (an amount, an account) are read from `claims`. Not judged without the claim, nor
    if it is malformed. Raises ValueError for an empty member and TypeError for one that is None: leave it out.
    """

    type: str
    locations: tuple[str, ...]
    actions: tuple[str, ...]
    datatypes: tuple[str, ...]
    privileges: tuple[str, ...]
    identifier: str | None

    def __init__(
        self,
        type: str,  # noqa: A002 - the RFC's name
        *,
        locations: tuple[str, ...] = UNSET,
        actions: tuple[str, ...] = UNSET,
        datatypes: tuple[str, ...] = UNSET,
        privileges: tuple[str, ...] = UNSET,
        identifier: str = UNSET,
    ) -> None:
        (type,) = require_texts((type,), "type")  # noqa: A001 - as above
        lists = {"locations": locations, "actions": actions, "datatypes": datatypes, "privileges": privileges}
        for name, value in lists.items():
            values = given(name, value)
            if values is not None and not isinstance(values, tuple):
                raise TypeError(f"{name} is not a tuple: write {name}=({values!r},)")
            object.__setattr__(self, name, () if values is None else require_texts(values, f"value of {name}"))
        text = given("identifier", identifier)
        if text is not None:
            (text,) = require_texts((text,), "identifier")
        object.__setattr__(self, "type", type)
        object.__setattr__(self, "identifier", text)

    @property
    def words(self) -> str:
        # The identifier and the locations tell of data, and refusals and API descriptions show the words to callers.
        hidden = {"identifier", "locations"}
        members = [
            f"an accepted {name.removesuffix('s')}" if name in hidden else f"{name} {_listed(value)}"
            for name, value in self._members()
        ]
        return " with ".join([f"authorization detail `{self.type}`", *([", ".join(members)] if members else [])])

    def holds(self, token: AccessToken, operation: Operation) -> bool | None:
        details: Any = token.claims.get("authorization_details")
        if not isinstance(details, tuple) or not all(map(_is_detail, details)):
            return None
        return any(detail["type"] == self.type and self._is_in(detail) for detail in details)

    def _is_in(self, detail: Mapping[str, Any]) -> bool:
        if self.identifier is not None and detail.get("identifier") != self.identifier:
            return False
        lists = ((name, value) for name, value in self._members() if isinstance(value, tuple))
        return all(set(value) <= set(detail.get(name) or ()) for name, value in lists)

    def _members(self) -> list[tuple[str, Any]]:
        """The named members, the type excepted."""
        values = [(each.name, getattr(self, each.name)) for each in fields(self) if each.name != "type"]
        return [(name, value) for name, value in values if value]

    def __repr__(self) -> str:
        members = [f"{name}={value!r}" for name, value in self._members()]
        return f"AuthorizationDetail({', '.join([repr(self.type), *members])})"


def _is_detail(value: object) -> bool:
    """Whether a value is an authorization detail whose common members have the types of RFC 9396 section 2.2."""
    if not isinstance(value, Mapping) or not isinstance(value.get("type"), str):
        return False
    lists = [value.get(name) for name in ("locations", "actions", "datatypes", "privileges")]
    texts = all(
        each is None or (isinstance(each, tuple) and all(isinstance(item, str) for item in each)) for each in lists
    )
    return texts and isinstance(value.get("identifier", ""), str | None)


def _listed(values: tuple[str, ...]) -> str:
    return " and ".join(f"`{value}`" for value in values)
