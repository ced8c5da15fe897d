"""Rows of users that were read a moment ago, for projects that set USER_CACHE_SECONDS.

Keeps rows, never instances: each request gets its own instance, so that no view sees the changes of another to its
user. A user who is deactivated or deleted keeps access until the row expires.
"""

import copy
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from datetime import time as time_of_day
from decimal import Decimal
from functools import partial
from threading import Lock
from typing import Any
from uuid import UUID

from django.db import connections
from django.db.models import Model

from resource_server.database.instances import instance, is_plain
from resource_server.forks import on_fork

__all__ = ["MAX_ROWS", "UserRows"]

MAX_ROWS = 10_000

# Values of other types, subclasses of these included, may be changed in place, so they are copied.
_UNCHANGEABLE = frozenset(
    {str, int, float, bool, bytes, date, datetime, time_of_day, timedelta, Decimal, UUID, type(None)}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    model: type[Model]
    database: str
    values: Mapping[str, Any]
    is_changeable: bool
    is_plain: bool
    until: float

    def instance(self) -> Any:
        values = copy.deepcopy(self.values) if self.is_changeable else self.values
        return instance(self.model, self.is_plain, self.database, values)


class UserRows:
    """The rows of one process, by issuer and subject, each for some seconds.

    Reading takes no lock; a forked child starts without rows.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._reset()
        on_fork(self._reset)

    def get(self, issuer: str, subject: str) -> Any:
        """A new instance from the row; None if there is no row, or it has expired."""
        row = self._rows.get((issuer, subject))
        return row.instance() if row is not None and time.monotonic() < row.until else None

    def read(self, issuer: str, subject: str, find: Callable[[], Any]) -> Any:
        """The user that `find` reads from the database; its row is kept. Blocks.

        Keeps nothing for an unknown or inactive user (a refusal is not remembered), for a user without a row, and for
        one that a transaction may still undo.
        """
        until = time.monotonic() + self._seconds
        user = find()
        row = _row(user, until)
        if row is not None:
            connection = connections[row.database]
            if connection.in_atomic_block or connection.get_autocommit():
                connection.on_commit(partial(self._keep, (issuer, subject), row))
        return user

    def _keep(self, key: tuple[str, str], row: _Row) -> None:
        with self._lock:
            self._rows.pop(key, None)
            self._rows[key] = row
            if len(self._rows) > MAX_ROWS:
                self._rows.popitem(last=False)

    def _reset(self) -> None:
        self._rows: OrderedDict[tuple[str, str], _Row] = OrderedDict()
        self._lock = Lock()


def _row(user: object, until: float) -> _Row | None:
    """The row that a user was read from; None if an instance made from it would differ from this user."""
    if not isinstance(user, Model) or user._state.db is None or not getattr(user, "is_active", False):
        return None
    names = tuple(field.attname for field in user._meta.concrete_fields)
    if not user.__dict__.keys() >= set(names):  # some are deferred
        return None
    values = {name: user.__dict__[name] for name in names}
    # An instance with an expression (`F("visits") + 1`) would apply it again when it is saved.
    if any(hasattr(value, "resolve_expression") for value in values.values()):
        return None
    try:
        is_changeable = not _UNCHANGEABLE.issuperset(map(type, values.values()))
        row = _Row(
            model=type(user),
            database=user._state.db,
            values=copy.deepcopy(values) if is_changeable else values,
            is_changeable=is_changeable,
            is_plain=is_plain(type(user)),
            until=until,
        )
        again = row.instance()
    except Exception:  # noqa: BLE001 - some values of fields, and some models of projects, cannot be copied
        return None
    # Attributes that the manager added, such as an annotation, are not in the row.
    return row if user.__dict__.keys() <= again.__dict__.keys() else None
