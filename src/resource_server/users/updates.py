"""What a token changes on its user: fields by UPDATE, groups and permissions by the maps of USERS.

UPDATE runs once for each token. Of a person's tokens the newest decides; one whose claim of a map is elsewhere
(`_claim_names`) changes none of its rights.

Only the groups and permissions that a map names are given and taken; the others are the project's. Staff and superuser
are never among them.
"""

import hashlib
import json
import logging
import math
import time
from collections import OrderedDict
from dataclasses import dataclass
from threading import Lock
from typing import Any, Final, TypeAlias

from django.db import Error, connections, router, transaction
from django.db.models import Model

from resource_server.database.transactions import is_conflict
from resource_server.database.unstorable import (
    check_relations,
    checked_fields,
    is_key_or_generated,
    refuse_unstorable,
    unstorable,
)
from resource_server.errors import Unavailable
from resource_server.forks import on_fork
from resource_server.reasons import UnavailableReason
from resource_server.tokens.access_token import AccessToken
from resource_server.users.mapped_rights import MappedRights
from resource_server.users.project_functions import ProjectFunction

__all__ = ["COMPARE_SECONDS", "MAX_PERSONS", "Updates"]

logger = logging.getLogger("resource_server")

MAX_PERSONS: Final = 10_000
# A process compares a person's rights with the database again after this time: another process may have changed them.
COMPARE_SECONDS: Final = 300.0
_ATTEMPTS: Final = 5
_TOKENS: Final = 16  # of one person, issued in one second


# Issuer, subject, and the key of the user: a user who is made again has nothing of the one before.
_Person: TypeAlias = tuple[str, str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Newest:
    """The newest tokens of a person: when they were issued, and their digests."""

    issued_at: float = -math.inf
    digests: tuple[bytes, ...] = ()

    def is_before(self, token: AccessToken) -> bool:
        """Whether the token is newer. Tokens of one second are distinguished by their claims."""
        issued_at = token.issued_at or 0.0
        if issued_at != self.issued_at:
            return issued_at > self.issued_at
        # What the issuer answers about a token (RFC 7662 section 2.2) may change and change back, a signed token cannot.
        is_answer = token.claims.get("active") is True
        return _digest(token) not in (self.digests[-1:] if is_answer else self.digests)

    def including(self, token: AccessToken) -> "_Newest":
        """The newest tokens with this one, which is newer or of the same second."""
        issued_at = token.issued_at or 0.0
        digests = self.digests if issued_at == self.issued_at else ()
        return _Newest(issued_at=issued_at, digests=(*digests, _digest(token))[-_TOKENS:])


@dataclass(frozen=True, slots=True, kw_only=True)
class _Said:
    """The names in the newest token that says them, and when they are compared with the database again."""

    newest: _Newest = _Newest()
    names: frozenset[str] = frozenset()
    compare_at: float = -math.inf

    def after(self, token: AccessToken, names: frozenset[str] | None, now: float) -> "_Said":
        """The state after a token. Its `compare_at` differs if the names must be compared now."""
        if names is None:
            return self
        issued_at = token.issued_at or 0.0
        # At most one digest for each token: equal names of one second change nothing.
        is_newer = issued_at > self.newest.issued_at or (names != self.names and self.newest.is_before(token))
        decided = names if is_newer else self.names
        is_due = decided != self.names or now >= self.compare_at
        if not is_newer and not is_due:
            return self
        return _Said(
            newest=self.newest.including(token) if is_newer else self.newest,
            names=decided,
            compare_at=now + COMPARE_SECONDS if is_due else self.compare_at,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Applied:
    """What was applied to a person: the newest tokens by UPDATE, and the names of each map."""

    newest: _Newest
    said: tuple[_Said, ...]


class Updates:
    """Applies tokens to their users, and remembers in this process what it has applied.

    `update` is the project's function. It is not called for a token that is older than the last one of its person.
    """

    def __init__(self, update: ProjectFunction | None, rights: tuple[MappedRights, ...]) -> None:
        self._update = update
        self._rights = rights
        self._nothing = _Applied(newest=_Newest(), said=(_Said(),) * len(rights))
        self._reset()
        on_fork(self._reset)

    def bring(self, user: Any, token: AccessToken) -> Any:
        """The user after the token was applied; None if the user is gone.

        No query for a token that was applied before, until its person's rights are compared again. Raises the exception
        of `update`, InvalidToken (`user_not_storable`), and errors of the database; then nothing is changed, and the
        next request tries again.
        """
        if not isinstance(user, Model):
            logger.error("USERS: FIND returned a user that is not a row of a database, so nothing can be changed on it")
            raise Unavailable(UnavailableReason.SETTINGS_INVALID, retry_after=60)
        person, database = _person(token, user), router.db_for_write(user._meta.model, instance=user)
        before = self._before(person, database)
        after = self._after(before, token)
        if after == before:
            return user
        if after.newest == before.newest and not _due(before, after):
            self._remember_on_commit(person, after, database)
            return user
        if user._state.db != database:  # a replica may lag behind
            user = _read_again(user, database)
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
                user = _read_again(user, database)
            else:
                break
        return user

    def apply(self, user: Any, token: AccessToken, database: str) -> None:
        """Apply the token to a user of this database, in a transaction of the caller. Raises as `bring` does."""
        person = _person(token, user)
        before = self._before(person, database)
        after = self._after(before, token)
        with refuse_unstorable():
            if self._update is not None and after.newest != before.newest:
                self._save_fields(user, checked_fields(user._meta.model, self._update(user, token), "UPDATE"), database)
            for place in _due(before, after):
                self._rights[place].apply(user, after.said[place].names, database)
        self._remember_on_commit(person, after, database)

    def _before(self, person: _Person, database: str) -> _Applied:
        return self._pending(person, database) or self._applied.get(person, self._nothing)

    def _after(self, before: _Applied, token: AccessToken) -> _Applied:
        newest, now = before.newest, time.monotonic()
        if self._update is not None and newest.is_before(token):
            newest = newest.including(token)
        pairs = zip(self._rights, before.said, strict=True)
        said = tuple(said.after(token, rights.named_by(token), now) for rights, said in pairs)
        return _Applied(newest=newest, said=said)

    def _save_fields(self, user: Any, fields: dict[str, Any], database: str) -> None:
        changed = {name: value for name, value in fields.items() if getattr(user, name) != value}
        if not changed:
            return
        kept = [name for name in changed if is_key_or_generated(user._meta.model, name)]
        if kept:
            logger.error(
                "USERS: UPDATE returned another value for %s of %s, which no update changes", kept, type(user).__name__
            )
            raise Unavailable(UnavailableReason.SETTINGS_INVALID, retry_after=60)
        for name, value in changed.items():
            setattr(user, name, value)
        # Django writes no other field, also none that the time of a change belongs in.
        moved = [field.name for field in user._meta.concrete_fields if getattr(field, "auto_now", False)]
        try:
            user.save(using=database, update_fields=[*changed, *moved])
        except OverflowError as error:  # of the driver, as `is_unstorable` says
            raise unstorable(error) from None
        check_relations(user, changed, database)

    def _remember_on_commit(self, person: _Person, applied: _Applied, database: str) -> None:
        # Only after the commit: the next request must try again what a transaction undoes.
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


def _due(before: _Applied, after: _Applied) -> list[int]:
    """The places of the maps whose names must be compared with the database."""
    pairs = zip(before.said, after.said, strict=True)
    return [place for place, (old, new) in enumerate(pairs) if new.compare_at != old.compare_at]


def _person(token: AccessToken, user: Any) -> _Person:
    return token.issuer, token.subject, getattr(user, "pk", None)


def _read_again(user: Any, database: str) -> Any:
    return user._meta.model._default_manager.using(database).filter(pk=user.pk).first()


def _digest(token: AccessToken) -> bytes:
    # Of the claims: the token itself is not kept. Two tokens with equal claims change the same.
    return hashlib.sha256(json.dumps(token.claims, sort_keys=True).encode()).digest()
