"""Values that a database or a user model refuses to store: the token is refused with a reason."""

import logging
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from typing import Any, Final

from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.db import DataError, Error, IntegrityError, connections
from django.db.backends.utils import format_number
from django.db.models import Model

from resource_server.errors import InvalidToken, Unavailable
from resource_server.reasons import TokenReason, UnavailableReason
from resource_server.tokens.access_token import plain

__all__ = [
    "check_relations",
    "checked_fields",
    "error_code",
    "is_key_or_generated",
    "is_unstorable",
    "lacks_characters",
    "refuse_unstorable",
    "unstorable",
]

logger = logging.getLogger("resource_server")

# Characters that a column or a database lacks, in MySQL and MariaDB, and in PostgreSQL. Drivers of MySQL raise
# OperationalError for some of them.
_CHARACTERS: Final = frozenset({1267, 1300, 1366, 3854, 3988, "22021", "22P05"})


# SQLite names columns or a constraint, and no value.
_SQLITE: Final = re.compile(r"(?:UNIQUE|NOT NULL|CHECK|FOREIGN KEY) constraint failed(?:: [\w., ']+)?")
# MySQL and MariaDB quote the value before the name, which ends the message or stands before the number of a row.
_MYSQL: Final = re.compile(r"(?:\bfor (?:key|column) ['`\w.]+(?: at row \d+)?|^Column '\w+' cannot be null)\Z")


def error_code(error: BaseException) -> object:
    """The code that a database gave its error: a number (MySQL) or an SQLSTATE (PostgreSQL); None without one."""
    # First, because a driver of MySQL can have an SQLSTATE too, which says less.
    if error.args and isinstance(error.args[0], int):
        return error.args[0]
    cause = error.__cause__
    return getattr(cause, "sqlstate", None) or getattr(cause, "pgcode", None)


def is_unstorable(error: BaseException) -> bool:
    """Whether the database works and refuses a value.

    The driver of SQLite raises OverflowError for an integer of more than 64 bits, and Django leaves it as it is.
    """
    return isinstance(error, DataError | IntegrityError | ValidationError | OverflowError) or lacks_characters(error)


def lacks_characters(error: BaseException) -> bool:
    """Whether a value has characters that no value in the column, or in the database, can have."""
    return error_code(error) in _CHARACTERS


@contextmanager
def refuse_unstorable() -> Iterator[None]:
    """Turn the refusal of a value into InvalidToken (`user_not_storable`). Other errors are raised as they are."""
    try:
        yield
    except (Error, ValidationError) as error:
        if is_unstorable(error):
            raise unstorable(error) from None
        raise


def unstorable(error: BaseException) -> InvalidToken:
    """The refusal of a token whose values cannot be stored. Logs the cause, without the values."""
    logger.warning("a user cannot be stored with the values of a token: %s", _cause(error))
    return InvalidToken(TokenReason.USER_NOT_STORABLE)


def _cause(error: BaseException) -> str:
    if isinstance(error, ValidationError):
        names = getattr(error, "error_dict", {NON_FIELD_ERRORS: error})
        return f"the model refuses {', '.join(sorted(names))}"
    parts = [type(error).__name__, error_code(error), *_names(error)]
    return " ".join(str(part) for part in parts if part is not None)


def _names(error: BaseException) -> list[str | None]:
    """The table, columns and constraint that a database names."""
    cause = error.__cause__
    diagnosis = getattr(cause, "diag", None)
    if diagnosis is not None:  # PostgreSQL
        return [getattr(diagnosis, name, None) for name in ("table_name", "column_name", "constraint_name")]
    # The other databases name them in the message alone, which can repeat the values.
    import sqlite3  # imported late: a project on another database does without it

    if isinstance(cause, sqlite3.IntegrityError):
        found = _SQLITE.fullmatch(str(cause))
    else:
        found = _MYSQL.search(str(error.args[1])) if isinstance(error_code(error), int) and error.args[1:] else None
    return [] if found is None else [found[0]]


def checked_fields(model: type[Model], fields: object, key: str) -> dict[str, Any]:
    """The fields that a function of the project, CREATE or UPDATE, has returned, each value as the field's type.

    So the view sees the same types as on later requests, and an equal value is not saved again. Raises
    Unavailable (`settings_invalid`) if the result is not a dict of the model's own fields, and InvalidToken
    (`user_not_storable`) if a field cannot have its value.
    """
    known = _fields_by_name(model)
    unknown = [name for name in fields if name not in known] if isinstance(fields, Mapping) else None
    if not isinstance(fields, Mapping) or unknown:
        fault = "something that is not a dict" if unknown is None else f"fields that it does not have: {unknown}"
        logger.error("USERS: %s returned %s, for %s", key, fault, model.__name__)
        raise Unavailable(UnavailableReason.SETTINGS_INVALID, retry_after=60)
    converted = {}
    for name, value in fields.items():
        try:
            converted[name] = _converted(known[name], name, value)
        except (TypeError, ValueError, ArithmeticError, ValidationError):
            logger.warning("USERS: %s returned a value that %s.%s cannot have", key, model.__name__, name)
            raise InvalidToken(TokenReason.USER_NOT_STORABLE) from None
    return converted


def _converted(field: Any, name: str, value: Any) -> Any:
    """The value as the field has it when it is read from the database. Raises the errors of a value that it cannot have."""
    # The name of a relation, and not that of its column, stands for an instance.
    if (field.is_relation and name != field.attname) or hasattr(value, "resolve_expression"):
        return value
    field.get_prep_value(value)
    if field.get_internal_type() in {"JSONField", "ArrayField"}:
        value = plain(value)  # a claim is read-only
    value = field.to_python(value)
    if isinstance(value, Decimal) and hasattr(field, "max_digits"):
        # The database rounds, so another value would be read.
        value = Decimal(str(format_number(value, field.max_digits, field.decimal_places)))
    return value


def is_key_or_generated(model: type[Model], name: str) -> bool:
    """Whether a field is the key of a row (its own, or of a parent's), or is computed by the database."""
    field = _fields_by_name(model)[name]
    return bool(field.primary_key or field in model._meta.pk_fields or field.generated)


def check_relations(row: Model, names: Iterable[str], database: str) -> None:
    """Have the database check the foreign keys among these fields now, which it may leave until the commit.

    Raises IntegrityError. Under ATOMIC_REQUESTS the commit is that of the request: nothing could refuse it there.
    """
    known, connection = _fields_by_name(row._meta.model), connections[database]
    if connection.features.can_defer_constraint_checks and any(known[name].is_relation for name in names):
        connection.check_constraints([row._meta.db_table])


def _fields_by_name(model: type[Model]) -> dict[object, Any]:
    return {name: field for field in model._meta.concrete_fields for name in (field.name, field.attname)}
