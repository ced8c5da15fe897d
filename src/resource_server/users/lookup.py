"""The user whose field holds the subject of a token: `USERS: "lookup"`."""

from collections.abc import Callable
from typing import Any

from django.core.exceptions import MultipleObjectsReturned, ObjectDoesNotExist, ValidationError
from django.db import Error
from django.db.models import Manager, QuerySet

from resource_server.database.compiled_query import matching
from resource_server.database.unstorable import is_unstorable

__all__ = ["find_by_field", "find_by_natural_key"]

# Where Django's own `get_by_natural_key` is defined. Importing it needs the settings of the project.
_OF_DJANGO = "django.contrib.auth.base_user"


def find_by_field(model: Any, field: str, value: str, using: str | None = None) -> Any:
    """The user whose field holds exactly this value; None if there is none, or more than one. Blocks.

    Reads what the default manager shows, by one query, on the database `using` or the one that the router names. A
    value that the field or its column cannot hold is of no user. Raises the errors of the database. Does not check
    `is_active`.
    """
    return _find(matching, model, field, value, using)


def find_by_natural_key(model: Any, subject: str) -> Any:
    """The user whose natural key is the subject, compared exactly: a subject of another case is another person. Blocks.

    A manager with its own `get_by_natural_key` or `get` is asked; otherwise as `find_by_field` with the username field.
    """
    manager = type(model._meta.default_manager)
    own = getattr(manager, "get_by_natural_key", None)
    if (
        (own is None or own.__module__ == _OF_DJANGO)
        and manager.get is Manager.get
        and manager._queryset_class.get is QuerySet.get
    ):
        return _find(matching, model, model.USERNAME_FIELD, subject, None)
    return _find(_by_natural_key, model, model.USERNAME_FIELD, subject, None)


def _by_natural_key(model: Any, field: str, subject: str, using: None) -> list[Any]:
    try:
        return [model._meta.default_manager.get_by_natural_key(subject)]
    except ObjectDoesNotExist:
        return []
    except MultipleObjectsReturned:  # the manager ignores case
        return matching(model, field, subject)


def _find(read: Callable[..., list[Any]], model: Any, field: str, value: str, using: str | None) -> Any:
    try:
        users = read(model, field, value, using)
    except (ObjectDoesNotExist, ValidationError, ValueError, OverflowError):
        return None
    except Error as error:
        if is_unstorable(error):  # so no user has this subject
            return None
        raise
    # A database that ignores case or accents would give one user to two people.
    exact = [user for user in users if user is not None and str(getattr(user, field)) == value]
    return exact[0] if len(exact) == 1 or (exact and all(user == exact[0] for user in exact)) else None
