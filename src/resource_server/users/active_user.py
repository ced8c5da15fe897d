"""A verified token -> `request.user`, the active user.

Identity is (issuer, subject), never an e-mail address or a name (OpenID Connect Core section 5.7). A machine's token
stands for no person and gets a TokenUser whatever the setting USERS says. `is_active` is read on each request; staff
and superuser never come from a token.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.db import DataError, Error, IntegrityError, NotSupportedError, connections

from resource_server.database.transactions import is_conflict
from resource_server.database.unstorable import lacks_characters
from resource_server.errors import InvalidToken, Unavailable
from resource_server.flow import Blocking, Flow
from resource_server.reasons import TokenReason, UnavailableReason
from resource_server.tokens.access_token import AccessToken
from resource_server.users.token_user import TokenUser

if TYPE_CHECKING:
    from resource_server.users.rows import UserRows

__all__ = ["UserFinder", "find_user", "remembered_user"]

logger = logging.getLogger("resource_server")


@dataclass(frozen=True, slots=True, kw_only=True)
class UserFinder:
    """How the user of a person's token is found.

    `find` returns the user, or None for an unknown person, and may block; it makes and changes the user as the settings
    say. `look` returns a user that exists, and writes nothing. `rows` are the rows that `find` read lately; None if no
    row is kept.
    """

    find: Callable[[AccessToken], Any]
    look: Callable[[AccessToken], Any]
    rows: "UserRows | None" = None

    def read(self, token: AccessToken) -> Any:
        """The active user that `find` returns; its row is kept. Blocks.

        Raises InvalidToken (`user_unknown`, `user_inactive`, `user_not_storable`), and Unavailable
        (`user_lookup_failed`) if the database fails. Other errors of `find` are raised as they are.
        """
        try:
            find, rows = self.find, self.rows
            user = find(token) if rows is None else rows.read(token.issuer, token.subject, lambda: find(token))
            if user is None:
                raise InvalidToken(TokenReason.USER_UNKNOWN)
            # Inside this block: a lazy object or a deferred field is read from the database now.
            if not getattr(user, "is_active", False):
                raise InvalidToken(TokenReason.USER_INACTIVE)
        except Error as error:
            if lacks_characters(error):  # so no row has this subject
                raise InvalidToken(TokenReason.USER_UNKNOWN) from None
            if isinstance(error, DataError | IntegrityError | NotSupportedError):
                raise  # the database works and refuses the query
            logger.exception("the database failed to find a user; if a table is missing, run manage.py migrate")
            _discard_failed_connections(error)
            raise Unavailable(UnavailableReason.USER_LOOKUP_FAILED) from None
        return user


def remembered_user(token: AccessToken, finder: UserFinder | None) -> Any:
    """The user of a token if no database is needed, else None."""
    if finder is None or token.is_machine:
        return TokenUser(token)
    return finder.rows.get(token.issuer, token.subject) if finder.rows is not None else None


def find_user(token: AccessToken, finder: UserFinder | None) -> Flow[Any]:
    """The user of a token. Yields if a database is needed. Raises the errors of `UserFinder.read`."""
    user = remembered_user(token, finder)
    if user is None and finder is not None:
        user = yield Blocking(call=lambda: finder.read(token), thread_sensitive=True)
    return user


def _discard_failed_connections(error: Error) -> None:
    """Let the next query connect anew. Outside of requests Django does not look after connections."""
    for connection in connections.all(initialized_only=True):
        if not connection.errors_occurred:
            continue
        if not connection.in_atomic_block:
            connection.close_if_unusable_or_obsolete()
        elif connection.connection is not None and (is_conflict(error) or not connection.is_usable()):
            # The refusal is a response, after which ATOMIC_REQUESTS would commit, and fail.
            connection.needs_rollback = True
