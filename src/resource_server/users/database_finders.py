"""A value of USERS that needs the database -> the finder of its users: by name, by account, or by a function of the project."""

from collections.abc import Callable
from functools import cache, partial
from typing import Any

from django.apps import apps
from django.contrib.auth import get_user_model
from django.core.exceptions import ObjectDoesNotExist
from django.db import models

from resource_server.conf.problems import Problem, problem
from resource_server.conf.users import unusable
from resource_server.tokens.access_token import AccessToken
from resource_server.tokens.user_source import UserSource
from resource_server.users.active_user import UserFinder
from resource_server.users.lookup import find_by_field, find_by_natural_key
from resource_server.users.mapped_rights import MappedRights
from resource_server.users.project_functions import ProjectFunction, project_function
from resource_server.users.rows import UserRows
from resource_server.users.updates import Updates

__all__ = ["user_finder"]

# Finds a user, or returns None.
Find = Callable[[AccessToken], Any]


def user_finder(source: UserSource, user_cache_seconds: int) -> tuple[UserFinder | None, list[Problem]]:
    """The finder for a source of users other than `token`, or None and the problems that prevent it.

    It keeps rows for `user_cache_seconds`. A function of the project keeps none: its answer may depend on more than the
    subject.
    """
    # Each has its own rows: one subject may be one user by name, and another by account.
    rows = UserRows(user_cache_seconds) if user_cache_seconds else None
    updates, problems = _updates(source)
    problems += _field_problems(source.field)
    if source.find == "provision":
        finder, found = _provisioning(source, rows, updates)
        return finder, [*problems, *found]
    # Django looks the model up by its name, which costs as much as a tenth of the query.
    look: Find = partial(_lookup, cache(get_user_model), source.field)
    if source.find != "lookup":
        function, found = project_function(source.find, "USERS")
        if function is None:
            return None, [*problems, *found]
        look, rows = partial(_call, function), None
    find = look if updates is None else partial(_updated, look, updates)
    return UserFinder(find=find, look=look, rows=rows), problems


def _updated(look: Find, updates: Updates, token: AccessToken) -> Any:
    user = look(token)
    return None if user is None else updates.bring(user, token)


def _provisioning(
    source: UserSource, rows: UserRows | None, updates: Updates | None
) -> tuple[UserFinder | None, list[Problem]]:
    if not apps.is_installed("resource_server.accounts"):
        return None, [problem("E015")]
    from resource_server.accounts import provision  # a model, so not before the apps are ready

    create: ProjectFunction | None = None
    problems: list[Problem] = []
    if source.create is not None:
        create, problems = project_function(source.create, "USERS: CREATE")

    new_user = provision.NewUser(field=source.field, create=create, complete=None if updates is None else updates.apply)

    def find(token: AccessToken) -> Any:
        user = provision.provision(token, new_user)
        return user if user is None or updates is None else updates.bring(user, token)

    return UserFinder(find=find, look=provision.look, rows=rows), problems


def _updates(source: UserSource) -> tuple[Updates | None, list[Problem]]:
    problems: list[Problem] = []
    update: ProjectFunction | None = None
    if source.update is not None:
        update, problems = project_function(source.update, "USERS: UPDATE")
    rights = []
    for key, names in (("GROUPS", source.groups), ("PERMISSIONS", source.permissions)):
        if names is None:
            continue
        mapped = MappedRights(key, names)
        rights.append(mapped)
        if mapped.relation not in {field.name for field in get_user_model()._meta.many_to_many}:
            fault = f"needs {mapped.relation}, which the user model lacks"
            problems.append(unusable(key, fault, "Add django.contrib.auth.models.PermissionsMixin to it."))
    return (Updates(update, tuple(rights)) if update is not None or rights else None), problems


def _field_problems(name: str | None) -> list[Problem]:
    if name is None:
        return []
    model = get_user_model()
    field: Any = next((field for field in model._meta.concrete_fields if field.name == name), None)
    fault = None
    if field is None:
        fault = f"is not a field of {model.__name__}"
    elif isinstance(field, models.EmailField) or "email" in name.lower().replace("_", ""):
        fault = "holds an e-mail address"
    elif not field.unique and not any(
        isinstance(each, models.UniqueConstraint) and each.fields == (name,) for each in model._meta.constraints
    ):
        fault = "is not unique"
    return [] if fault is None else [problem("E034", field=name, fault=fault)]


def _call(function: ProjectFunction, token: AccessToken) -> Any:
    try:
        return function(token)
    except ObjectDoesNotExist:
        return None


def _lookup(user_model: Callable[[], Any], field: str | None, token: AccessToken) -> Any:
    """The user whose field is the subject; without a field, the user with this natural key, usually the username."""
    model = user_model()
    return find_by_natural_key(model, token.subject) if field is None else find_by_field(model, field, token.subject)
