"""Finds the user of a token, and makes one on the person's first request.

An account has a foreign key to its user, so both are in one database, that of the users: read where the router reads
users, written where it writes them, in one transaction.

Two first requests at once make one user, because `identity` is unique in the database. The user has no usable password
and no staff rights. Its name is random: an attacker cannot register the name before the person's first request.
"""

import secrets
from typing import Any

from django.contrib.auth import get_user_model
from django.db import IntegrityError, connections, router, transaction

from resource_server.accounts.models import Account
from resource_server.compiled_query import matching
from resource_server.signals import user_provisioned
from resource_server.tokens.access_token import AccessToken

__all__ = ["provision"]


def provision(token: AccessToken) -> Any:
    """The user of (issuer, subject), made if there is none; None if the project hides the user.

    One query for a known person.
    Raises the exception of a receiver of `user_provisioned`; then neither the user nor the account exists, and the
    person's next request is the first again. Does not read names or addresses from the token.
    """
    user_model, identity = get_user_model(), token.identity
    read, write = router.db_for_read(user_model), router.db_for_write(user_model)
    user = _find(identity, read)
    if user is None and read != write:
        user = _find(identity, write)  # a replica lags behind
    if user is not None:
        return user
    if not _has_account(identity, write):
        try:
            return _create(token, identity, write)
        except IntegrityError:
            # Another request made the account meanwhile. Any other cause leaves no account.
            if not _has_account(identity, write):
                raise
    return _find(identity, write)  # made between two of the queries here, or hidden by the project


def _find(identity: str, database: str) -> Any:
    """The user of an account, if the default manager of the users shows it: a softly deleted user is not found."""
    users = matching(get_user_model(), "access_token_accounts__identity", identity, database)
    return users[0] if users else None


def _has_account(identity: str, database: str) -> bool:
    return Account.objects.using(database).filter(identity=identity).exists()


def _create(token: AccessToken, identity: str, database: str) -> Any:
    user_model = get_user_model()
    account = None
    try:
        with transaction.atomic(using=database):
            user = user_model(**{user_model.USERNAME_FIELD: f"token-{secrets.token_hex(16)}"})
            user.set_unusable_password()
            user.save(using=database)
            # The key and not the user: a router that sends accounts elsewhere would forbid the relation.
            account = Account.objects.using(database).create(
                identity=identity, issuer=token.issuer, subject=token.subject, user_id=user.pk
            )
            user_provisioned.send(Account, user=user, token=token)
    except Exception:
        if account is not None and not connections[database].needs_rollback:
            _delete_survivor(account, database)
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
