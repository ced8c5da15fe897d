"""Finds the user of a token, and makes one on the person's first request.

An account has a foreign key to its user, so both are in one database, that of the users: read where the router reads
users, written where it writes them, in one transaction.

First requests at once make one user, because `identity` is unique in the database; the others find it. The user has no
usable password and no staff rights. Unless the project names it, its name is random: an attacker cannot register the
name before the person's first request.
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.db import Error, IntegrityError, connections, models, router, transaction

from resource_server.accounts.models import Account
from resource_server.database.compiled_query import matching
from resource_server.database.transactions import is_conflict, is_unused, newest_rows, sees_commits, suspended
from resource_server.database.unstorable import check_relations, checked_fields, is_unstorable, unstorable
from resource_server.errors import Unavailable
from resource_server.reasons import UnavailableReason
from resource_server.signals import user_provisioned
from resource_server.tokens.access_token import AccessToken

__all__ = ["NewUser", "known_user", "look", "provision"]

# An attempt fails because another transaction was faster, so each round lets at least one first request through.
_ATTEMPTS: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class NewUser:
    """How a new user is made.

    `field` is the field that holds the subject, None for none. `create` is the project's function for the fields of the
    first save. `complete` is called with the user, the token and the database, in the transaction that makes the user.
    """

    field: str | None = None
    create: Callable[[AccessToken], object] | None = None
    complete: Callable[[Any, AccessToken, str], None] | None = None

    def fields(self, token: AccessToken) -> dict[str, Any]:
        """The fields of the first save. Raises what `create` raises, and the errors of `checked_fields`."""
        model = get_user_model()
        fields: dict[str, Any] = {}
        name: Any = model._meta.get_field(model.USERNAME_FIELD)
        if isinstance(name, models.CharField | models.TextField):
            fields[model.USERNAME_FIELD] = f"token-{secrets.token_hex(16)}"[: name.max_length]
        if self.field is not None:
            fields[self.field] = token.subject
        created = {} if self.create is None else checked_fields(model, self.create(token), "CREATE")
        return {**checked_fields(model, fields, "FIELD"), **created}


class _NotStoredError(Exception):
    """The rows of a new user were not stored. Its cause is the error of the database or of the model."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error


_PLAIN: Final = NewUser()


def provision(token: AccessToken, new_user: NewUser = _PLAIN) -> Any:
    """The user of (issuer, subject), made if there is none; None if the project hides the user.

    One query for a known person.
    Raises the exception of a receiver of `user_provisioned` or of a function in `new_user`, InvalidToken
    (`user_not_storable`) and the errors of the database; then neither the user nor the account exists, and the person's
    next request is the first again. Reads names or addresses of the token only through `new_user`.
    """
    user_model, identity = get_user_model(), token.identity
    read, write = router.db_for_read(user_model), router.db_for_write(user_model)
    connection = connections[write]
    unused = is_unused(connection)  # before the first query, which begins the transaction
    user = known_user(identity, read)
    if user is None and read != write:
        user = known_user(identity, write)  # a replica lags behind
    if user is not None:
        return user
    if unused and not sees_commits(connection):
        with suspended(connection):
            return _first_request(token, write, new_user)
    return _first_request(token, write, new_user)


def look(token: AccessToken) -> Any:
    """The user of (issuer, subject) if there is one. Writes nothing."""
    return known_user(token.identity, router.db_for_read(get_user_model()))


def known_user(identity: str, database: str) -> Any:
    """The user of an account, if the default manager of the users shows it: a softly deleted user is not found."""
    users = matching(get_user_model(), "access_token_accounts__identity", identity, database)
    return users[0] if users else None


def _users_of(identity: str, database: str) -> Any:
    return get_user_model()._default_manager.using(database).filter(access_token_accounts__identity=identity)


def _first_request(token: AccessToken, database: str, new_user: NewUser) -> Any:
    connection = connections[database]
    # Inside a transaction of the project another attempt would meet the same state.
    attempts = 1 if connection.in_atomic_block else _ATTEMPTS
    while True:
        if _has_account(token.identity, database):
            # Made between two of the queries here, or hidden by the project.
            return known_user(token.identity, database)
        attempts -= 1
        try:
            return _create(token, database, new_user)
        except _NotStoredError as failed:
            error = failed.error
        except Error as raised:  # of a function or a receiver
            if not is_conflict(raised) or attempts == 0:
                raise
            continue
        if isinstance(error, IntegrityError):
            return _user_of_another_request(token.identity, database, error)
        if is_unstorable(error):
            raise unstorable(error) from None
        if not is_conflict(error) or attempts == 0:
            raise error


def _user_of_another_request(identity: str, database: str, error: IntegrityError) -> Any:
    """The user whom another first request has made meanwhile. Refuses the token if the rows conflict with other rows."""
    if sees_commits(connections[database]):
        if _has_account(identity, database):
            return known_user(identity, database)
        raise unstorable(error) from None
    if connections[database].vendor != "mysql":
        # Nothing shows this transaction which row it met. The next request sees it.
        raise Unavailable(UnavailableReason.USER_LOOKUP_FAILED, retry_after=1)
    if not newest_rows(Account.objects.using(database).filter(identity=identity)):
        raise unstorable(error) from None
    return next(iter(newest_rows(_users_of(identity, database))), None)


def _has_account(identity: str, database: str) -> bool:
    return Account.objects.using(database).filter(identity=identity).exists()


def _create(token: AccessToken, database: str, new_user: NewUser) -> Any:
    account, is_complete = None, False
    try:
        with transaction.atomic(using=database):
            fields = new_user.fields(token)
            user = get_user_model()(**fields)
            user.set_unusable_password()
            try:
                # Each row of the user is new: a primary key that `create` returns can name no existing user.
                user.save(using=database, force_insert=(models.Model,))
                # The key and not the user: a router that sends accounts elsewhere would forbid the relation.
                account = Account.objects.using(database).create(
                    identity=token.identity, issuer=token.issuer, subject=token.subject, user_id=user.pk
                )
                check_relations(user, fields, database)
            except (Error, ValidationError, OverflowError) as error:
                raise _NotStoredError(error) from None
            if new_user.complete is not None:
                new_user.complete(user, token, database)
            user_provisioned.send(Account, user=user, token=token)
            is_complete = True
    except Exception as error:
        if account is not None and not connections[database].needs_rollback:
            _delete_survivor(account, database)
        if is_complete and isinstance(error, Error):  # of the commit
            raise _NotStoredError(error) from None
        raise
    return user


def _delete_survivor(account: Account, database: str) -> None:
    """Delete an account that outlived the rollback, and its user: a refused person's next request must not find them.

    Rows survive in tables without transactions (MyISAM), and after a statement of a receiver that commits (DDL in
    MySQL). The time of creation separates this account from a later one with the same key.
    """
    survivor = Account.objects.using(database).filter(
        pk=account.pk, identity=account.identity, created_at=account.created_at
    )
    if survivor.delete()[0]:
        get_user_model()._default_manager.using(database).filter(pk=account.user_id).delete()
