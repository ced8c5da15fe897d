"""The settings -> the one ResourceServer of a process: its verifier, how it finds users, its realm.

Made on the first request, and again after `override_settings`. What happens to keys is told to the log and to
receivers of signals here.
"""

import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed
from django.dispatch import receiver

from resource_server.conf import project as conf
from resource_server.conf.issuers_function import invalid, issuers_function
from resource_server.conf.problems import Problem, problem
from resource_server.conf.reading import default_of
from resource_server.errors import Unavailable
from resource_server.forks import on_fork
from resource_server.key_events import report
from resource_server.keys.document import Fetch
from resource_server.keys.http import fetch
from resource_server.shared_cache import shared_documents
from resource_server.tokens.policy import Policy
from resource_server.tokens.verifier import Verifier
from resource_server.users import finders as users
from resource_server.users.rows import UserRows

__all__ = [
    "ResourceServer",
    "configure",
    "current",
    "fetch_with",
    "forget",
    "realm",
]

logger = logging.getLogger("resource_server")


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceServer:
    """What the settings make. `finders` has, for each value of USERS, the function that finds a user, None for no database."""

    verifier: Verifier
    finders: Mapping[str, users.UserFinder | None]
    realm: str


_current: ResourceServer | None = None
_fetch: Fetch = fetch
_configuring = threading.RLock()


def _forked() -> None:
    global _configuring  # noqa: PLW0603 - a thread of the parent may have held it
    _configuring = threading.RLock()


on_fork(_forked)


def configure() -> tuple[ResourceServer | None, list[Problem]]:
    """What the settings make now, and all that is wrong with them; with any problem there is no ResourceServer. Fetches nothing."""
    debug = bool(settings.DEBUG)
    config, problems = conf.parse(getattr(settings, "RESOURCE_SERVER", None), debug=debug, caches=settings.CACHES)
    if config is None:
        return None, problems
    finders = _Finders(config.user_cache_seconds)
    for policy in config.policies:
        problems += finders.add(policy.users)
    policy_of = None
    if config.issuers_function is not None:
        problems += finders.add(str(config.common.get("USERS", default_of(Policy, "users"))))
        policy_of, found = issuers_function(config.issuers_function, config.common, finders.add, debug=debug)
        problems += found
    fetch_documents = _fetch
    if config.cache is not None:
        try:
            fetch_documents = shared_documents(_fetch, config.cache)
        except ImproperlyConfigured as error:
            problems.append(problem("E030", reason=error))
    if problems:
        return None, problems
    verifier = Verifier(
        config.policies,
        policy_of=policy_of,
        token_cache=config.token_cache,
        fetch=fetch_documents,
        on_event=partial(report, ResourceServer),
    )
    return ResourceServer(verifier=verifier, finders=finders, realm=config.realm), []


def current() -> ResourceServer:
    """The resource server of this process. Raises Unavailable (`settings_invalid`)."""
    global _current  # noqa: PLW0603 - one process has one resource server, and a request must not pay for finding it
    server = _current
    if server is None:
        # Two servers would fetch the keys twice.
        with _configuring:
            server = _current = _current or _configured()
    return server


def forget() -> None:
    """Read the settings anew at the next request, and know no keys."""
    global _current  # noqa: PLW0603 - as above
    _current = None


def fetch_with(substitute: Fetch | None) -> None:
    """Bring the issuers' documents in another way from now on, also after a change of settings; None is over the network again."""
    global _fetch  # noqa: PLW0603 - as above
    _fetch = substitute or fetch
    forget()


def realm() -> str:
    """The realm for a challenge, also where the settings cannot be used."""
    try:
        return current().realm
    except Unavailable:
        return str(default_of(conf.Config, "realm"))


def _configured() -> ResourceServer:
    server, problems = configure()
    if server is None:
        raise invalid(problems)
    return server


class _Finders(dict[str, users.UserFinder | None]):
    """The values of USERS that are in use."""

    def __init__(self, user_cache_seconds: int) -> None:
        super().__init__()
        self._user_cache_seconds = user_cache_seconds

    def add(self, name: str) -> list[Problem]:
        """Find what stands behind a value; the problems, if that fails."""
        if name in self:
            return []
        # Each has rows of its own: one subject may be one user by name, and another by account.
        rows = UserRows(self._user_cache_seconds) if self._user_cache_seconds else None
        finder, problems = users.user_finder(name, rows)
        if not problems:
            self[name] = finder
        return problems


@receiver(setting_changed)
def _settings_changed(*, setting: str, **_: Any) -> None:
    if setting in ("RESOURCE_SERVER", "DEBUG", "INSTALLED_APPS", "CACHES", "SECRET_KEY"):
        forget()
