"""Transactions around a first request: one that is not in use yet, one that cannot see what others commit.

Under ATOMIC_REQUESTS a request has a transaction. From REPEATABLE READ on it sees the database as it was at its first
query, so it does not see the account that another request has just made for the same person.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from django.db.backends.base.base import BaseDatabaseWrapper

from resource_server.database.unstorable import error_code

__all__ = ["is_conflict", "is_unused", "newest_rows", "sees_commits", "suspended"]

# Serialization failure and deadlock of PostgreSQL; deadlock and changed record of MySQL and MariaDB.
_CONFLICTS: Final = frozenset({"40001", "40P01", 1020, 1213})
_IDLE: Final = 0  # of libpq's transaction status, in psycopg and psycopg2


def is_conflict(error: BaseException) -> bool:
    """Whether two transactions met, and the database has undone this one: it may work when it is tried again."""
    return error_code(error) in _CONFLICTS


def is_unused(connection: BaseDatabaseWrapper) -> bool:
    """Whether a transaction is open in which no statement has run, as far as that is known.

    PostgreSQL's drivers know it. MariaDB is asked, at SERIALIZABLE alone: elsewhere `newest_rows` does without.
    """
    if not connection.in_atomic_block or not connection.commit_on_exit or connection.needs_rollback:
        return False
    if connection.vendor == "postgresql":
        info = getattr(connection.connection, "info", None)  # also of a driver that is wrapped
        return getattr(info, "transaction_status", None) == _IDLE
    if getattr(connection, "isolation_level", None) == "serializable" and getattr(
        connection, "mysql_is_mariadb", False
    ):
        with connection.cursor() as cursor:
            cursor.execute("SELECT @@in_transaction")
            return bool(cursor.fetchone()[0] == 0)
    return False


def sees_commits(connection: BaseDatabaseWrapper) -> bool:
    """Whether the next query sees what other transactions have committed by now. Asks PostgreSQL once."""
    if not connection.in_atomic_block and connection.get_autocommit():
        return True
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SHOW transaction_isolation")
            return bool(cursor.fetchone()[0] == "read committed")
    # Without a level, MySQL has its own: REPEATABLE READ. In SQLite a transaction that writes has read the newest rows.
    return connection.vendor != "mysql" or getattr(connection, "isolation_level", None) == "read committed"


def newest_rows(rows: Any) -> list[Any]:
    """The rows of a queryset as they are committed now, on MySQL and MariaDB. Waits for transactions that write them.

    The lock is shared: FOR UPDATE would be a deadlock among requests that wait for one row.
    """
    plain = rows.select_related(None)
    sql, parameters = plain.query.get_compiler(using=plain.db).as_sql()
    return list(plain.raw(f"{sql} LOCK IN SHARE MODE", parameters, using=plain.db))


@contextmanager
def suspended(connection: BaseDatabaseWrapper) -> Iterator[None]:
    """Leave a transaction that was unused, and begin it again at the end: it then sees what was committed here.

    Inside, the connection commits as it does without ATOMIC_REQUESTS. The caller has read with this transaction, and
    must forget what it has read.
    """
    names = ("atomic_blocks", "savepoint_ids", "run_on_commit")
    kept: dict[str, Any] = {name: getattr(connection, name) for name in names}
    for name in names:
        setattr(connection, name, [])
    connection.in_atomic_block = False
    try:
        connection.rollback()
        connection.set_autocommit(True)
        yield
    finally:
        try:
            connection.set_autocommit(False)
        finally:
            for name, value in kept.items():
                setattr(connection, name, value)
            connection.in_atomic_block = True
