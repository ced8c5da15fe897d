"""The setting USERS -> how the user of a token is found: by name, by account, or by a function of the project."""

import inspect
import logging
from collections.abc import Callable
from functools import cache, partial
from typing import Any

from asgiref.sync import iscoroutinefunction
from django.apps import apps
from django.contrib.auth import get_user_model
from django.core.exceptions import ObjectDoesNotExist
from django.utils.module_loading import import_string

from resource_server.conf.problems import Problem, problem
from resource_server.errors import Unavailable
from resource_server.reasons import UnavailableReason
from resource_server.tokens.access_token import AccessToken
from resource_server.users.active_user import UserFinder
from resource_server.users.lookup import find_by_natural_key
from resource_server.users.rows import UserRows

__all__ = ["UserFinders", "user_finder"]

logger = logging.getLogger("resource_server")


class UserFinders(dict[str, UserFinder | None]):
    """The values of USERS that are in use, each with its finder; None for `token`, which needs no database."""

    def __init__(self, user_cache_seconds: int) -> None:
        super().__init__()
        self._user_cache_seconds = user_cache_seconds

    def add(self, users: str) -> list[Problem]:
        """Add the finder for a value. Returns the problems that prevent it."""
        if users in self:
            return []
        # Each has its own rows: one subject may be one user by name, and another by account.
        rows = UserRows(self._user_cache_seconds) if self._user_cache_seconds else None
        finder, problems = user_finder(users, rows)
        if not problems:
            self[users] = finder
        return problems


def user_finder(users: str, rows: UserRows | None) -> tuple[UserFinder | None, list[Problem]]:
    """The finder for a value of USERS, None for `token`; and the problems that prevent it.

    A function of the project keeps no `rows`: its answer may depend on more than the subject.
    """
    if users == "token":
        return None, []
    if users == "lookup":
        # Django looks the model up by its name, which costs as much as a tenth of the query.
        return UserFinder(find=partial(_lookup, cache(get_user_model)), rows=rows), []
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


def _is_async(function: Any) -> bool:
    while isinstance(function, partial):
        function = function.func
    # An object is called through a method of its class, which may be async.
    called = (function, type(function).__call__)
    return any(iscoroutinefunction(each) or inspect.isasyncgenfunction(each) for each in called)


def _call(function: Callable[[AccessToken], Any], path: str, token: AccessToken) -> Any:
    try:
        user = function(token)
    except ObjectDoesNotExist:
        return None
    # A decorator can hide an async function from `_is_async`.
    if inspect.isawaitable(user):
        if inspect.iscoroutine(user):
            user.close()  # or Python warns that it was never awaited
        logger.error("%s is async; USERS needs a plain function", path)
        raise Unavailable(UnavailableReason.SETTINGS_INVALID, retry_after=60)
    return user


def _lookup(user_model: Callable[[], Any], token: AccessToken) -> Any:
    return find_by_natural_key(user_model(), token.subject)
