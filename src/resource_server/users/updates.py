"""What a token changes on its user: fields by UPDATE, groups and permissions by the maps of USERS. Once for each token.

Only the groups and permissions that a map names are given and taken; the others are the project's. Staff and superuser
are never among them.
"""

import hashlib
import json
import logging
import time
from collections import OrderedDict
from dataclasses import dataclass
from threading import Lock
from typing import Any, Final, TypeAlias

from django.db import Error, connections, router, transaction
from django.db.models import Model

from resource_server.database.transactions import is_conflict
from resource_server.database.unstorable import check_relations, checked_fields, refuse_unstorable
from resource_server.errors import Unavailable
from resource_server.forks import on_fork
from resource_server.reasons import UnavailableReason
from resource_server.tokens.access_token import AccessToken
from resource_server.users.mapped_rights import MappedRights
from resource_server.users.project_functions import ProjectFunction

__all__ = ["MAX_PERSONS", "UNCHANGED_SECONDS", "Updates"]

logger = logging.getLogger("resource_server")

MAX_PERSONS: Final = 10_000
# For so long a process does not look again at the rights of a person whose tokens name the same values.
UNCHANGED_SECONDS: Final = 300.0
_ATTEMPTS: Final = 5
_TOKENS: Final = 16  # of one person, issued in one second


# Issuer, subject, and the key of the user: a user who is made again has nothing of the one before.
_Person: TypeAlias = tuple[str, str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Applied:
    """What was applied to a person last: the newest tokens, by their digests, and the names of the person's rights."""

    issued_at: float
    digests: tuple[bytes, ...]
    names: tuple[frozenset[str], ...]
    names_until: float

    def is_before(self, token: AccessToken) -> bool:
        """Whether the token is newer than what was applied. Tokens of one second are told apart by their claims."""
        issued_at = token.issued_at or 0.0
        return issued_at > self.issued_at or (issued_at == self.issued_at and _digest(token) not in self.digests)


class Updates:
    """Applies tokens to their users, and remembers in this process what it has applied.

    `update` is the project's function. A token that is older than the last one of its person changes nothing.
    """

    def __init__(self, update: ProjectFunction | None, rights: tuple[MappedRights, ...]) -> None:
        self._update = update
        self._rights = rights
        self._reset()
        on_fork(self._reset)

    def bring(self, user: Any, token: AccessToken) -> Any:
        """The user after the token was applied; None if the user is gone. No query for a token that was applied before.

        Raises the exception of `update`, InvalidToken (`user_not_storable`), and errors of the database; then nothing
        is changed, and the next request tries again.
        """
        person = _person(token, user)
        applied = self._applied.get(person)
        if applied is not None and not applied.is_before(token):
            return user
        if not isinstance(user, Model):
            logger.error("USERS: FIND returned a user that is not a row of a database, so nothing can be changed on it")
            raise Unavailable(UnavailableReason.SETTINGS_INVALID, retry_after=60)
        database = router.db_for_write(user._meta.model, instance=user)
        applied = self._pending(person, database) or applied
        if applied is not None and not applied.is_before(token):
            return user
        if applied is not None and self._is_unchanged(token, applied):
            self._remember_on_commit(person, token, applied.names, applied.names_until, database)
            return user
        if user._state.db != database:  # a replica may lag behind
            user = _newest(user, database)
        return self._apply_alone(user, token, database)

    def _apply_alone(self, user: Any, token: AccessToken, database: str) -> Any:
        # Other requests with the token may change the user at this moment. A transaction of the project is not repeated.
        attempts = 1 if connections[database].in_atomic_block else _ATTEMPTS
        while user is not None:
            attempts -= 1
            try:
                with refuse_unstorable(), transaction.atomic(using=database):
                    self.apply(user, token, database)
            except Error as error:
                if attempts == 0 or not is_conflict(error):
                    raise
                user = _newest(user, database)
            else:
                break
        return user

    def apply(self, user: Any, token: AccessToken, database: str) -> None:
        """Apply the token to a user of this database, in a transaction of the caller. Raises as `bring` does."""
        names = self._names(token)
        with refuse_unstorable():
            if self._update is not None:
                self._save_fields(user, checked_fields(user._meta.model, self._update(user, token), "UPDATE"), database)
            for rights, wanted in zip(self._rights, names, strict=True):
                rights.apply(user, wanted, database)
        until = time.monotonic() + UNCHANGED_SECONDS
        self._remember_on_commit(_person(token, user), token, names, until, database)

    def _is_unchanged(self, token: AccessToken, applied: _Applied) -> bool:
        return self._update is None and time.monotonic() < applied.names_until and self._names(token) == applied.names

    def _names(self, token: AccessToken) -> tuple[frozenset[str], ...]:
        return tuple(rights.named_by(token) for rights in self._rights)

    def _save_fields(self, user: Any, fields: dict[str, Any], database: str) -> None:
        changed = {name: value for name, value in fields.items() if getattr(user, name) != value}
        if not changed:
            return
        for name, value in changed.items():
            setattr(user, name, value)
        user.save(using=database, update_fields=[*changed])
        check_relations(user, changed, database)

    def _remember_on_commit(
        self, person: _Person, token: AccessToken, names: tuple[frozenset[str], ...], until: float, database: str
    ) -> None:
        # Only after the commit: the next request must try again what a transaction undoes.
        issued_at = token.issued_at or 0.0
        before = self._pending(person, database) or self._applied.get(person)
        digests = before.digests if before is not None and before.issued_at == issued_at else ()
        applied = _Applied(
            issued_at=issued_at, digests=(*digests, _digest(token))[-_TOKENS:], names=names, names_until=until
        )
        connection = connections[database]
        if connection.in_atomic_block or connection.get_autocommit():  # else the project commits by hand
            connection.on_commit(_Pending(updates=self, person=person, applied=applied))

    def _pending(self, person: _Person, database: str) -> _Applied | None:
        """What the open transaction has applied to a person. Django drops the hooks of what is rolled back."""
        for hook in reversed(connections[database].run_on_commit):
            pending = hook[1]
            if isinstance(pending, _Pending) and pending.updates is self and pending.person == person:
                return pending.applied
        return None

    def remember(self, person: _Person, applied: _Applied) -> None:
        """Note what was applied to a person and is committed."""
        with self._lock:
            self._applied.pop(person, None)
            self._applied[person] = applied
            if len(self._applied) > MAX_PERSONS:
                self._applied.popitem(last=False)

    def _reset(self) -> None:
        self._applied: OrderedDict[_Person, _Applied] = OrderedDict()
        self._lock = Lock()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pending:
    """A hook of a transaction: what it has applied to a person."""

    updates: Updates
    person: _Person
    applied: _Applied

    def __call__(self) -> None:
        self.updates.remember(self.person, self.applied)


def _person(token: AccessToken, user: Any) -> _Person:
    return token.issuer, token.subject, getattr(user, "pk", None)


def _newest(user: Any, database: str) -> Any:
    return user._meta.model._default_manager.using(database).filter(pk=user.pk).first()


def _digest(token: AccessToken) -> bytes:
    # Of the claims: the token itself is not kept. Two tokens with equal claims change the same.
    return hashlib.sha256(json.dumps(token.claims, sort_keys=True).encode()).digest()
