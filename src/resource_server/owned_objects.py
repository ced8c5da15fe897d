"""A requirement about owners -> the part of a queryset for which the token meets it.

The database decides as `Requirement.check` decides for one object.
"""

import logging
from functools import reduce
from operator import and_, or_
from typing import Any, NamedTuple, TypeVar

from django.db import connections
from django.db.models import Func, Model, Q, QuerySet, TextField, Value
from django.db.models.lookups import Exact

from resource_server.requirements import And, Not, Operation, Or, Owner, PerAction, PerMethod, Requirement
from resource_server.requirements.owner import is_text
from resource_server.tokens.access_token import AccessToken

__all__ = ["owned_objects"]

logger = logging.getLogger("resource_server")

Row = TypeVar("Row", bound=Model)


class _PostgresqlBytes(Func):
    # The cast makes citext a text, whose `=` obeys the collation.
    template = '(%(expressions)s)::text COLLATE "C"'
    output_field = TextField()


class _SqliteBytes(Func):
    template = "(%(expressions)s) COLLATE BINARY"
    output_field = TextField()


class _MysqlBytes(Func):
    # All collations of text, the binary ones too, may ignore spaces at the end.
    template = "CAST(CONVERT(%(expressions)s USING utf8mb4) AS BINARY)"
    output_field = TextField()


_BYTES = {"postgresql": _PostgresqlBytes, "sqlite": _SqliteBytes, "mysql": _MysqlBytes}


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
    value, column = owner.value(token, operation), owner.column(queryset.model._meta, owner.field.split("__"))
    key = None if value is None or column is None else owner.key(column, value)
    if key is None:
        return _Rows(False, False)
    if not is_text(column):
        owned = Q(**{owner.field: key})
        return _Rows(owned, ~owned)
    vendor = connections[queryset.db].vendor
    if vendor not in _BYTES:
        logger.error("%r cannot be judged for a list: exact comparison on %s is not known", owner, vendor)
        return _Rows(False, False)
    if not _can_be_stored(key, vendor):
        return _Rows(False, True)
    # The database looks the value up by its index, then compares the bytes, whatever the collation ignores. MySQL and
    # MariaDB raise for a text beyond ASCII beside a column of latin1. Both conditions are false for a missing value,
    # and so true where they are negated; the comparison of bytes would be neither.
    is_found = Q(**{owner.field: key}) if vendor != "mysql" or key.isascii() else Q(**{f"{owner.field}__isnull": False})
    owned = is_found & Q(Exact(_BYTES[vendor](owner.field), _BYTES[vendor](Value(key))))
    return _Rows(owned, ~owned)


def _can_be_stored(text: str, vendor: str) -> bool:
    """Whether a database can store the text. Drivers raise for one that it cannot."""
    try:
        text.encode()  # a JSON escape can make half of a surrogate pair
    except UnicodeEncodeError:
        return False
    return vendor != "postgresql" or "\0" not in text
