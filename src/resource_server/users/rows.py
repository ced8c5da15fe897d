"""Rows of users that were read a moment ago, for projects that set USER_CACHE_SECONDS.

A row is kept, never an instance: each request gets an instance of its own, so that what one view does to its user no
other sees. While a row is kept, a user who was deactivated or deleted goes on, for as long as the setting says.
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
from django.db.models.base import ModelState

from resource_server.forks import on_fork

__all__ = ["MAX_ROWS", "UserRows"]

MAX_ROWS = 10_000

# What else a field may hold could be changed in place, so it is copied. So is what derives from these.
_UNCHANGEABLE = frozenset(
    {str, int, float, bool, bytes, date, datetime, time_of_day, timedelta, Decimal, UUID, type(None)}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    model: type[Model]
    database: str
    values: Mapping[str, Any]
    is_changeable: bool
    is_plain: bool  # the model makes its instances as Django does
    until: float

    def instance(self) -> Any:
        values = copy.deepcopy(self.values) if self.is_changeable else self.values
        if not self.is_plain:
            return self.model.from_db(self.database, tuple(values), tuple(values.values()))
        # As Django makes one of a pickle: without __init__, which takes four times as long.
        user = self.model.__new__(self.model)
        user.__dict__.update(values)
        state = user._state = ModelState()
        state.adding, state.db = False, self.database
        return user


class UserRows:
    """The rows of one process, by issuer and subject, each for some seconds. Reading takes no lock; a forked child starts with none."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._reset()
        on_fork(self._reset)

    def get(self, issuer: str, subject: str) -> Any:
        """An instance made of the row; None where there is none, or it is too old."""
        row = self._rows.get((issuer, subject))
        return row.instance() if row is not None and time.monotonic() < row.until else None

    def read(self, issuer: str, subject: str, find: Callable[[], Any]) -> Any:
        """What `find` reads of the database, whose row is kept. Blocks.

        Not kept is what has no row, nobody, who is inactive (a refusal is not remembered), and what a transaction may
        still undo.
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
    """The row that a user was read from; None where an instance made of it would be another user than this one."""
    if not isinstance(user, Model) or user._state.db is None or not getattr(user, "is_active", False):
        return None
    names = tuple(field.attname for field in user._meta.concrete_fields)
    if not user.__dict__.keys() >= set(names):  # some are deferred
        return None
    values = {name: user.__dict__[name] for name in names}
    # An expression that was saved (`F("visits") + 1`) would be saved again.
    if any(hasattr(value, "resolve_expression") for value in values.values()):
        return None
    try:
        is_changeable = not _UNCHANGEABLE.issuperset(map(type, values.values()))
        row = _Row(
            model=type(user),
            database=user._state.db,
            values=copy.deepcopy(values) if is_changeable else values,
            is_changeable=is_changeable,
            is_plain=_is_plain(type(user)),
            until=until,
        )
        again = row.instance()
    except Exception:  # noqa: BLE001 - a field's value, and a project's model, may be what cannot be made twice
        return None
    # What the manager has added, such as an annotation, is in no row.
    return row if user.__dict__.keys() <= again.__dict__.keys() else None


def _is_plain(model: Any) -> bool:
    return model.__init__ is Model.__init__ and model.from_db.__func__ is Model.from_db.__func__  # type: ignore[attr-defined] # a class method's
