"""The project's function in ISSUERS: its answers are settings of one issuer, and pass the same checks."""

import inspect
import logging
import math
from collections.abc import Callable, Mapping
from typing import Any, Final

from django.core.exceptions import ObjectDoesNotExist
from django.utils.module_loading import import_string

from resource_server.clocks import steady
from resource_server.conf.issuer import POLICY_KEYS, parse_policy
from resource_server.conf.problems import Problem, problem
from resource_server.conf.reading import Reading
from resource_server.errors import Unavailable
from resource_server.plain_texts import plain_texts
from resource_server.reasons import UnavailableReason
from resource_server.tokens.issuers import PolicyOf
from resource_server.tokens.policy import Policy
from resource_server.tokens.user_source import UserSource

__all__ = ["invalid", "issuers_function", "log_anew"]

logger = logging.getLogger("resource_server")

_LINE_SECONDS: Final = 60
_MAX_LINES: Final = 1000
# A line of the log -> when it may be written again.
_next_lines: dict[str, float] = {}

# Finds what a value of USERS names; the problems, if that fails.
AddUsers = Callable[[UserSource], list[Problem]]


def invalid(problems: list[Problem]) -> Unavailable:
    """The error of a request that meets invalid settings. Logs each problem at most once a minute."""
    for each in problems:
        _log_error("%s (%s) %s", each.message, each.id, each.hint)
    return Unavailable(UnavailableReason.SETTINGS_INVALID, retry_after=60)


def log_anew() -> None:
    """Log the problems of settings again that have changed."""
    _next_lines.clear()


def _log_error(line: str, *arguments: object) -> None:
    # Each request asks for the settings several times, and there can be many requests.
    written, now = line % arguments, steady()
    if now < _next_lines.get(written, -math.inf):
        return
    # An ISSUERS function that answers for any issuer has as many problems as callers name issuers.
    if len(_next_lines) >= _MAX_LINES:
        _next_lines.clear()
    _next_lines[written] = now + _LINE_SECONDS
    logger.error(line, *arguments)


def issuers_function(
    path: str,
    common: Mapping[str, Any],
    add_users: AddUsers,
    *,
    debug: bool,
    http_hosts: frozenset[str] = frozenset(),
) -> tuple[PolicyOf | None, list[Problem]]:
    """The function at a dotted path as a `PolicyOf`, None with the problem if it cannot be used (E025).

    `common` are the settings beside ISSUERS, which complete each answer; `debug` and `http_hosts` are those of `Reading`.
    """
    function: Any = None
    try:
        function = import_string(path)
        reason = "" if callable(function) else "It is not a function."
        if inspect.iscoroutinefunction(function):
            reason = "It is an async function. Write a plain one: it is called in a thread, where it may block."
    except Exception as error:  # noqa: BLE001 - a module of the project is run here, which may fail in any way
        reason = f"{type(error).__name__}: {error}"
    if reason:
        return None, [problem("E025", reason=reason)]
    return _IssuersFunction(path, function, common, add_users, debug=debug, http_hosts=http_hosts), []


class _IssuersFunction:
    """The project's function as a `PolicyOf`."""

    def __init__(
        self,
        path: str,
        function: Callable[[str], object],
        common: Mapping[str, Any],
        add_users: AddUsers,
        *,
        debug: bool,
        http_hosts: frozenset[str],
    ) -> None:
        self._path = path
        self._function = function
        self._common = common
        self._add_users = add_users
        self._debug = debug
        self._http_hosts = http_hosts
        self._logged: set[str] = set()

    def __call__(self, unverified_issuer: str, /) -> Policy | None:
        answer = self._answer(unverified_issuer)
        if answer is None or not self._is_named(answer, unverified_issuer):
            return None
        answer = plain_texts(answer)
        place = f"{self._path}({unverified_issuer!r})"
        reading = Reading(settings=answer, place=place)
        reading.unknown_keys(POLICY_KEYS)
        if "INTROSPECTION" in answer:
            from resource_server.conf.introspection import refuse_in_answer

            refuse_in_answer(reading)
        policy, found = parse_policy(
            {**self._common, **answer}, debug=self._debug, http_hosts=self._http_hosts, place=place
        )
        problems = [*reading.problems, *found]
        if policy is not None:
            problems += self._add_users(policy.users)
        if policy is None or problems:
            raise invalid(problems)
        return policy

    def _answer(self, unverified_issuer: str) -> Mapping[Any, Any] | None:
        try:
            answer = self._function(unverified_issuer)
        except ObjectDoesNotExist:
            return None
        except Exception:
            logger.exception("%s failed", self._path)
            raise Unavailable(UnavailableReason.ISSUER_LOOKUP_FAILED) from None
        if answer is not None and not isinstance(answer, Mapping):
            _log_error("%s answered neither a dict nor None", self._path)
            raise Unavailable(UnavailableReason.SETTINGS_INVALID, retry_after=60)
        return answer

    def _is_named(self, answer: Mapping[Any, Any], unverified_issuer: str) -> bool:
        # A database that ignores case finds a tenant by another spelling of its issuer.
        named = answer.get("ISSUER")
        if named == unverified_issuer:
            return True
        fault = "answers without ISSUER" if named is None else "answers with another ISSUER than it was asked for"
        # Anyone can name issuers, so each fault is logged once.
        if fault not in self._logged:
            self._logged.add(fault)
            logger.error(
                "%s %s, and the token is refused. It must answer the ISSUER that the project has stored, as it stands in "
                "the iss claim, and None for any other spelling.",
                self._path,
                fault,
            )
        return False
