"""The owner of the object that a request is about."""

from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from resource_server.requirements.requirement import Assumed, Operation, Requirement
from resource_server.tokens.access_token import AccessToken

__all__ = ["Owner"]

_By: TypeAlias = Literal["subject", "identity", "user"]
_KINDS: Final = ("subject", "identity", "user")
_ABSENT: Final = object()


@dataclass(frozen=True, slots=True, repr=False)
class Owner(Requirement):
    """The caller owns the object: a field of it holds the token's subject, its `identity`, or its user.

    `field` may follow relations, as in a query: `order__owner`. Subjects are unique within one issuer only; with
    several issuers store `AccessToken.identity`. Not judged before the object is known, so a view without an object
    is refused.
    """

    field: str
    by: _By = "subject"

    def __post_init__(self) -> None:
        field: object = self.field
        if not isinstance(field, str) or not all(name.isidentifier() for name in field.split("__")):
            raise ValueError(f"not the name of a field: {self.field!r}")
        if self.by not in _KINDS:
            raise ValueError(f"an owner is known by one of {', '.join(_KINDS)}, not by {self.by!r}")

    @property
    def words(self) -> str:
        return f"the owner (`{self.field}`)"

    def value(self, token: AccessToken, operation: Operation) -> Any:
        """The value of the field in an object of the caller; None if the caller can own none."""
        if self.by == "user":
            return operation.user if getattr(operation.user, "pk", None) is not None else None
        return token.subject if self.by == "subject" else token.identity

    def holds(self, token: AccessToken, operation: Operation) -> bool | None:
        if operation.target is None:
            return None
        value = self.value(token, operation)
        if value is None:
            return None
        if isinstance(operation.target, Assumed):
            return operation.target.is_owner
        owner: Any = operation.target
        *relations, last = self.field.split("__")
        for name in relations:
            owner = getattr(owner, name, None)
        if owner is None:
            return False
        key = _key(owner, last, value)
        if key is not None:
            return bool(key[0] == key[1])
        owner = getattr(owner, last, _ABSENT)
        return None if owner is _ABSENT else bool(owner == value)

    def __repr__(self) -> str:
        by = "" if self.by == "subject" else f", by={self.by!r}"
        return f"Owner({self.field!r}{by})"


def _key(owner: Any, name: str, user: Any) -> tuple[Any, Any] | None:
    """The key in a column of a model that refers to users, and that of the user: no query, so also in async code.

    None if it is no such column, or the user no row of it.
    """
    fields: Any = getattr(getattr(owner, "_meta", None), "concrete_fields", ())
    field = next((each for each in fields if each.name == name), None)
    if field is None or not isinstance(field.related_model, type) or not isinstance(user, field.related_model):
        return None
    return getattr(owner, field.attname), getattr(user, field.target_field.attname)
