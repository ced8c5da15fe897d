"""A verified token -> `request.user`.

Identity is (issuer, subject), never an e-mail address or a name (OpenID Connect Core section 5.7). A machine's token
has no person behind it and gets a TokenUser whatever the setting says. `is_active` is read on each request; staff and
superuser never come from a token.
"""

import inspect
import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from asgiref.sync import iscoroutinefunction
from django.apps import apps
from django.contrib.auth import get_user_model
from django.core.exceptions import MultipleObjectsReturned, ObjectDoesNotExist, ValidationError
from django.db import DataError, Error, IntegrityError, NotSupportedError, connections
from django.utils.module_loading import import_string

from resource_server.conf.problems import Problem, problem
from resource_server.errors import InvalidToken, Unavailable
from resource_server.flow import Blocking, Flow
from resource_server.reasons import TokenReason, UnavailableReason
from resource_server.tokens.access_token import AccessToken
from resource_server.users.rows import UserRows
from resource_server.users.token_user import TokenUser

__all__ = ["UserFinder", "find_user", "remembered_user", "user_finder"]

logger = logging.getLogger("resource_server")


@dataclass(frozen=True, slots=True, kw_only=True)
class UserFinder:
    """How a person's token becomes a user: a function that may block, where None is nobody; and the rows that it has read lately."""

    find: Callable[[AccessToken], Any]
    rows: UserRows | None = None

    def read(self, token: AccessToken) -> Any:
        """The active user that the function finds, whose row is kept. Blocks.

        Raises InvalidToken (`user_unknown`, `user_inactive`), and Unavailable (`user_lookup_failed`) if the database
        gives no answer. Other errors of the function are raised as they are.
        """
        try:
            user = self._find(token)
            if user is None:
                raise InvalidToken(TokenReason.USER_UNKNOWN)
            # Asked here, because a lazy object or a deferred field is read from the database now.
            if not getattr(user, "is_active", False):
                raise InvalidToken(TokenReason.USER_INACTIVE)
        except (DataError, IntegrityError, NotSupportedError):
            raise  # an answer of the database
        except Error:
            logger.exception("the database failed to find a user; if a table is missing, run manage.py migrate")
            _give_up_failed_connections()
            raise Unavailable(UnavailableReason.USER_LOOKUP_FAILED) from None
        return user

    def _find(self, token: AccessToken) -> Any:
        if self.rows is None:
            return self.find(token)
        return self.rows.read(token.issuer, token.subject, lambda: self.find(token))


def user_finder(users: str, rows: UserRows | None) -> tuple[UserFinder | None, list[Problem]]:
    """What stands behind the setting USERS, None for `token`; and what keeps it from working.

    `rows` are not for a function of the project's own: its answer may depend on more than who the subject is.
    """
    if users == "token":
        return None, []
    if users == "lookup":
        return UserFinder(find=_lookup, rows=rows), []
    if users == "provision":
        if not apps.is_installed("resource_server.accounts"):
            return None, [problem("E015")]
        from resource_server.accounts.provision import provision  # a model, so not before the apps are ready

        return UserFinder(find=provision, rows=rows), []
    try:
        function: Any = import_string(users)
    except Exception as error:  # noqa: BLE001 - a module of the project is run here, which may fail in any way
        reason = f"{type(error).__name__}: {error}"
        return None, [problem("E016", fault="that cannot be imported", reason=reason)]
    if not callable(function) or inspect.isclass(function):
        reason = "Name a function that takes an AccessToken and returns a user or None."
        return None, [problem("E016", fault="to something that is not a function", reason=reason)]
    if _is_async(function):
        return None, [problem("E029")]
    return UserFinder(find=partial(_call, function, users)), []


def remembered_user(token: AccessToken, finder: UserFinder | None) -> Any:
    """The user of a token if no database need be asked, else None."""
    if finder is None or token.is_machine:
        return TokenUser(token)
    return finder.rows.get(token.issuer, token.subject) if finder.rows is not None else None


def find_user(token: AccessToken, finder: UserFinder | None) -> Flow[Any]:
    """The user of a token. Raises what `UserFinder.read` raises. Yields where a database is asked."""
    user = remembered_user(token, finder)
    if user is None and finder is not None:
        user = yield Blocking(call=lambda: finder.read(token), thread_sensitive=True)
    return user


def _is_async(function: Any) -> bool:
    while isinstance(function, partial):
        function = function.func
    # An object may be called through an async method of its class.
    called = (function, type(function).__call__)
    return any(iscoroutinefunction(each) or inspect.isasyncgenfunction(each) for each in called)


def _call(function: Callable[[AccessToken], Any], path: str, token: AccessToken) -> Any:
    try:
        user = function(token)
    except ObjectDoesNotExist:
        return None
    # A decorator can hide from `_is_async` that the function below it is async.
    if inspect.isawaitable(user):
        if inspect.iscoroutine(user):
            user.close()  # or Python warns that it was never awaited
        logger.error("%s is async; USERS needs a plain function", path)
        raise Unavailable(UnavailableReason.SETTINGS_INVALID, retry_after=60)
    return user


def _give_up_failed_connections() -> None:
    """Let the next query connect anew, outside of requests too, where Django does not look after connections."""
    for connection in connections.all(initialized_only=True):
        if not connection.errors_occurred:
            continue
        if not connection.in_atomic_block:
            connection.close_if_unusable_or_obsolete()
        elif connection.connection is not None and not connection.is_usable():
            # The refusal is a response, after which ATOMIC_REQUESTS would commit, and fail.
            connection.needs_rollback = True


def _lookup(token: AccessToken) -> Any:
    manager: Any = get_user_model()._default_manager
    try:
        user = manager.get_by_natural_key(token.subject)
    except MultipleObjectsReturned:  # of a manager that ignores case
        user = manager.filter(**{get_user_model().USERNAME_FIELD: token.subject}).first()
    except (ObjectDoesNotExist, ValidationError, ValueError):
        return None
    # A database that ignores case or accents would make two people one.
    return user if user is not None and str(user.get_username()) == token.subject else None
