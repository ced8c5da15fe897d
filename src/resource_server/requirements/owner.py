"""The owner of the object that a request is about."""

import logging
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from resource_server.requirements.requirement import Assumed, Operation, Requirement
from resource_server.tokens.access_token import AccessToken

__all__ = ["Owner", "is_text"]

_By: TypeAlias = Literal["subject", "identity", "user"]
_KINDS: Final = ("subject", "identity", "user")
_ABSENT: Final = object()
_TEXTS: Final = frozenset({"CharField", "SlugField", "TextField"})
_COLUMNS: Final = {"subject": "text column", "identity": "text column", "user": "foreign key"}

logger = logging.getLogger("resource_server")


@dataclass(frozen=True, slots=True, repr=False)
class Owner(Requirement):
    """The caller owns the object: a field of it holds the token's subject, its `identity`, or its user.

    `field` may follow foreign keys, as in a query: `order__owner`. A subject or an identity is in a text column, or in
    a foreign key to one, a user in a foreign key; another field of a model cannot be judged, and the log says so.
    Subjects are unique within one issuer only; with several issuers store `AccessToken.identity`. Not judged before the
    object is known, so a view without an object is refused.
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
        """The caller, as the field of an object names it; None if the caller can own none."""
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
        path = self.field.split("__")
        for position, name in enumerate(path):
            if hasattr(getattr(owner, "_meta", None), "concrete_fields"):
                return self._holds_for_row(owner, path[position:], value)
            if owner is None:
                return False
            owner = getattr(owner, name, _ABSENT)
        return None if owner is _ABSENT else bool(owner == value)

    def _holds_for_row(self, row: Any, path: list[str], value: Any) -> bool | None:
        field = self.column(row._meta, path)
        key = None if field is None else self.key(field, value)
        if key is None:
            return None
        for name in path[:-1]:
            related = row._meta.get_field(name).related_model
            try:
                row = getattr(row, name)
            except related.DoesNotExist:  # a key without a row, where the database has no constraint
                return False
            if row is None:
                return False
        return bool(getattr(row, field.attname) == key)

    def column(self, options: Any, path: list[str]) -> Any:
        """The field at the end of a path over foreign keys, from the `_meta` of a model; None if it cannot be judged.

        Lists and objects are judged by the same fields: a property, a reverse or a many-to-many relation is none.
        """
        field: Any = None
        for position, name in enumerate(path):
            is_last = position == len(path) - 1
            fields = getattr(options, "concrete_fields", ())
            found = (each for each in fields if each.name == name or (is_last and each.attname == name))
            field = next(found, None)
            options = getattr(getattr(field, "related_model", None), "_meta", None)
        if field is None or not (field.remote_field if self.by == "user" else is_text(field)):
            logger.error("%r cannot be judged: the path leads to no %s", self, _COLUMNS[self.by])
            return None
        return field

    def key(self, field: Any, value: Any) -> Any:
        """The value of a model's field in a row of the caller; None if the caller has none, as a user without a row."""
        if self.by != "user":
            return value
        if not isinstance(value, field.related_model._meta.concrete_model):
            return None
        return getattr(value, field.target_field.attname)

    def __repr__(self) -> str:
        by = "" if self.by == "subject" else f", by={self.by!r}"
        return f"Owner({self.field!r}{by})"


def is_text(field: Any) -> bool:
    """Whether a model's field, or the key that it refers to, is text, and is in Python as it is in the database."""
    while field.remote_field:
        field = field.target_field
    return field.get_internal_type() in _TEXTS and not hasattr(field, "from_db_value")
