"""A requirement about owners -> the part of a queryset for which the token meets it.

The database decides as `Requirement.check` decides for one object.
"""

from functools import reduce
from operator import and_, or_
from typing import Any, NamedTuple, TypeVar

from django.core.exceptions import FieldDoesNotExist, ValidationError
from django.db import connections
from django.db.models import Field, Model, Q, QuerySet, Value
from django.db.models.functions import Length
from django.db.models.lookups import Exact

from resource_server.requirements import And, Not, Operation, Or, Owner, PerAction, PerMethod, Requirement
from resource_server.tokens.access_token import AccessToken

__all__ = ["owned_objects"]

Row = TypeVar("Row", bound=Model)


class _Rows(NamedTuple):
    """The rows for which a requirement holds, and those for which it does not; for the others it cannot be judged."""

    holding: Q | bool
    failing: Q | bool


def owned_objects(
    queryset: "QuerySet[Row]", requirement: Requirement, token: AccessToken, operation: Operation
) -> "QuerySet[Row]":
    """The rows for which the token meets the requirement. Runs no query."""
    holding = _rows(requirement, token, operation, queryset).holding
    if isinstance(holding, bool):
        return queryset if holding else queryset.none()
    return queryset.filter(holding)


def _rows(requirement: Requirement, token: AccessToken, operation: Operation, queryset: "QuerySet[Any]") -> _Rows:
    if isinstance(requirement, PerAction | PerMethod):
        chosen = requirement.chosen(operation)
        return _Rows(False, False) if chosen is None else _rows(chosen, token, operation, queryset)
    if isinstance(requirement, And | Or | Not):
        parts = [_rows(part, token, operation, queryset) for part in requirement.parts]
        if isinstance(requirement, Not):
            return _Rows(parts[0].failing, parts[0].holding)
        holding, failing = [part.holding for part in parts], [part.failing for part in parts]
        if isinstance(requirement, And):
            return _Rows(_all(holding), _any(failing))
        return _Rows(_any(holding), _all(failing))
    if isinstance(requirement, Owner):
        return _owned(requirement, token, operation, queryset)
    held = requirement.holds(token, operation)
    return _Rows(held is True, held is False)


def _all(conditions: list[Q | bool]) -> Q | bool:
    if False in conditions:
        return False
    queries = [each for each in conditions if isinstance(each, Q)]
    return reduce(and_, queries) if queries else True


def _any(conditions: list[Q | bool]) -> Q | bool:
    if True in conditions:
        return True
    queries = [each for each in conditions if isinstance(each, Q)]
    return reduce(or_, queries) if queries else False


def _owned(owner: Owner, token: AccessToken, operation: Operation, queryset: "QuerySet[Any]") -> _Rows:
    value, column = owner.value(token, operation), _column(queryset.model, owner.field)
    if value is None or column is None:
        return _Rows(False, False)
    if owner.by == "user":
        # A TokenUser has no row, so it owns none.
        owned: Q | bool = Q(**{owner.field: value}) if isinstance(value, column.related_model or ()) else False
    else:
        try:
            # A column of another type holds no subject; the database must not be asked to convert one.
            owned = Q(**{owner.field: value}) if column.to_python(value) == value else False
        except (ValidationError, ValueError, TypeError):
            owned = False
        if isinstance(owned, Q) and connections[queryset.db].vendor == "mysql":
            # Its usual collations ignore case and spaces at the end; LIKE BINARY compares the bytes.
            owned &= Q(**{f"{owner.field}__startswith": value}) & Q(Exact(Length(owner.field), Value(len(value))))
    return _Rows(owned, ~owned if isinstance(owned, Q) else True)


def _column(owner: type[Model], path: str) -> "Field[Any, Any] | None":
    """The field at the end of a path over relations to one object; None if there is none."""
    field: Any = None
    model: Any = owner  # None below a field that is no relation
    for name in path.split("__"):
        try:
            field = model._meta.get_field(name)
        except (FieldDoesNotExist, AttributeError):
            return None
        if not isinstance(field, Field) or field.many_to_many:
            return None
        model = field.related_model
    return field  # type: ignore[no-any-return] # a Field, or the path is empty
