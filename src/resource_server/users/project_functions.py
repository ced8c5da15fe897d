"""Functions of the project that USERS names by dotted path: imported once, called or awaited."""

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias

from asgiref.sync import async_to_sync
from django.utils.module_loading import import_string

from resource_server.conf.problems import Problem, problem

__all__ = ["ProjectFunction", "project_function"]

ProjectFunction: TypeAlias = Callable[..., Any]


def project_function(path: str, key: str) -> tuple[ProjectFunction | None, list[Problem]]:
    """The function at a dotted path, which `key` of the settings names; None with the problem if it cannot be used.

    The function that is returned blocks. If the project's is async, its result is awaited: in the event loop of the
    request if there is one, else in a loop of its own.
    """
    try:
        function: Any = import_string(path)
    except Exception as error:  # noqa: BLE001 - a module of the project is run here, which may fail in any way
        reason = f"{type(error).__name__}: {error}"
        return None, [problem("E016", key=key, fault="that cannot be imported", reason=reason)]
    if not callable(function) or inspect.isclass(function):
        reason = "Name a function that takes an AccessToken (UPDATE: a user and an AccessToken)."
        return None, [problem("E016", key=key, fault="to something that is not a function", reason=reason)]
    if _is_generator(function):
        return None, [problem("E029", key=key)]
    return partial(_call, function), []


def _is_generator(function: Any) -> bool:
    while isinstance(function, partial):
        function = function.func
    # An object is called through a method of its class.
    called = (function, type(function).__call__)
    return any(inspect.isgeneratorfunction(each) or inspect.isasyncgenfunction(each) for each in called)


def _call(function: ProjectFunction, *arguments: Any) -> Any:
    result = function(*arguments)
    # The result decides, because a decorator can hide that a function is async.
    return async_to_sync(_awaited)(result) if inspect.isawaitable(result) else result


async def _awaited(awaitable: Any) -> Any:
    return await awaitable
