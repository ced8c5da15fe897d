"""Rows of users that were read a moment ago, for projects that set USER_CACHE_SECONDS.

A row is kept, never an instance: each request gets an instance of its own, so that what one view does to its user no
other sees. While a row is kept, a user who was deactivated or deleted goes on, for as long as the setting says.
"""

import copy
import time
from collections import OrderedDict
from datetime import date, timedelta
from datetime import time as time_of_day
from decimal import Decimal
from threading import Lock
from typing import Any
from uuid import UUID

from django.db.models import Model
from django.db.models.base import ModelState

from resource_server.tokens.forked import on_fork

__all__ = ["MAX_ROWS", "UserRows"]

MAX_ROWS = 10_000

# datetime is a date. What else a field may hold could be changed in place, so it is copied.
_UNCHANGEABLE = (str, int, float, bytes, date, time_of_day, timedelta, Decimal, UUID, type(None))


class UserRows:
    """The rows of one process, by issuer and subject, each for some seconds. Reading takes no lock; a forked child starts with none."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._reset()
        on_fork(self._reset)

    def get(self, issuer: str, subject: str) -> Any:
        """An instance made of the row; None where there is none, or it is too old."""
        row = self._rows.get((issuer, subject))
        if row is None or time.monotonic() >= row[0]:
            return None
        _until, model, database, values, changeable = row
        # As Django makes one of a pickle: without __init__, which takes four times as long.
        user = model.__new__(model)
        user.__dict__.update(copy.deepcopy(values) if changeable else values)
        state = user._state = ModelState()
        state.adding, state.db = False, database
        return user

    def add(self, issuer: str, subject: str, user: object) -> None:
        """Keep the row of a user as it was read. What is no saved model instance with all its fields is not kept."""
        if not isinstance(user, Model) or user.pk is None:
            return
        names = [field.attname for field in user._meta.concrete_fields]
        if not all(name in user.__dict__ for name in names):
            return
        values = {name: user.__dict__[name] for name in names}
        changeable = not all(isinstance(value, _UNCHANGEABLE) for value in values.values())
        until = time.monotonic() + self._seconds
        row = (until, type(user), user._state.db, copy.deepcopy(values) if changeable else values, changeable)
        with self._lock:
            self._rows.pop((issuer, subject), None)
            self._rows[issuer, subject] = row
            if len(self._rows) > MAX_ROWS:
                self._rows.popitem(last=False)

    def _reset(self) -> None:
        self._rows: OrderedDict[tuple[str, str], Any] = OrderedDict()
        self._lock = Lock()
