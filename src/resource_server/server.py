"""The settings -> the one ResourceServer of a process: its verifier, how it finds users, its realm.

Made on the first request, and again after `override_settings`. What happens to keys is told to the log and to
receivers of signals here.
"""

import contextlib
import inspect
import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.core.cache import caches
from django.core.exceptions import ImproperlyConfigured, ObjectDoesNotExist
from django.core.signals import setting_changed
from django.db import connections
from django.dispatch import receiver
from django.utils.crypto import salted_hmac
from django.utils.module_loading import import_string

from resource_server import signals
from resource_server.conf import project as conf
from resource_server.conf.issuer import POLICY_KEYS, Problem, parse_policy, unknown_key
from resource_server.errors import Unavailable
from resource_server.flow import run
from resource_server.forks import on_fork
from resource_server.keys.http import Fetch, fetch, issuer_problem
from resource_server.keys.issuer_keys import KeyEvent
from resource_server.keys.shared_documents import SharedDocuments
from resource_server.tokens.issuers import Issuer, PolicyOf
from resource_server.tokens.policy import Policy
from resource_server.tokens.verifier import Verifier
from resource_server.users import finders as users
from resource_server.users.rows import UserRows

__all__ = [
    "ResourceServer",
    "TrustedIssuer",
    "TrustedKey",
    "configure",
    "current",
    "fetch_with",
    "forget",
    "realm",
    "trusted_issuers",
]

logger = logging.getLogger("resource_server")


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceServer:
    """What the settings make. `finders` has, for each value of USERS, the function that finds a user, None for no database."""

    verifier: Verifier
    finders: Mapping[str, users.UserFinder | None]
    realm: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustedKey:
    """A key that tokens are verified with now. `since` is when this process first had it; None for one from the settings."""

    kid: str | None
    kty: str
    algorithms: tuple[str, ...]
    thumbprint: str | None
    since: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustedIssuer:
    """What is trusted of one issuer now.

    `metadata` is None where keys are not discovered; `error` is the reason of a failed refresh. The keys are current
    until `current_until`, and should the issuer be down then, they are trusted until `trusted_until`; both are None
    for keys from the settings, which have no end.
    """

    issuer: str
    audience: tuple[str, ...]
    algorithms: tuple[str, ...]
    token_types: tuple[str, ...]
    keys: tuple[TrustedKey, ...]
    metadata: Mapping[str, Any] | None
    error: str | None
    current_until: datetime | None
    trusted_until: datetime | None


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
        problems += finders.add(str(config.common.get("USERS", "token")))
        policy_of, found = _policy_of(config.issuers_function, config.common, finders, debug=debug)
        problems += found
    fetch_documents = _fetch
    if config.cache is not None:
        try:
            fetch_documents = _shared(config.cache)
        except ImproperlyConfigured as error:
            hint = f"What processes share is sealed by SECRET_KEY. {error}"
            message = "RESOURCE_SERVER: CACHE needs a SECRET_KEY"
            problems.append(Problem(id="E030", key="CACHE", message=message, hint=hint))
    if problems:
        return None, problems
    verifier = Verifier(
        config.policies,
        policy_of=policy_of,
        token_cache=config.token_cache,
        fetch=fetch_documents,
        on_event=_tell,
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
        return "api"


def trusted_issuers(*others: str) -> tuple[TrustedIssuer, ...]:
    """What is trusted now, for a person to read: the issuers that are listed, those that the project's function was asked for lately, and `others`.

    Fetches keys that are not known yet. Raises Unavailable for invalid settings, and InvalidToken for one of `others`
    that is not trusted.
    """
    verifier = current().verifier
    for issuer in others:
        run(verifier.issuer(issuer))
    return tuple(_trusted(issuer) for issuer in verifier.issuers)


def _trusted(issuer: Issuer) -> TrustedIssuer:
    policy, keys = issuer.policy, issuer.keys
    try:
        trusted, error = run(keys.current()), keys.failure
    except Unavailable as unavailable:
        trusted, error = None, unavailable.reason

    def day(clock: float) -> datetime:
        return datetime.fromtimestamp(time.time() + clock - time.monotonic(), UTC)

    fetched = trusted is not None and policy.key_source.key_set is None
    return TrustedIssuer(
        issuer=policy.issuer,
        audience=policy.audience,
        algorithms=policy.algorithms,
        token_types=policy.token_types,
        keys=tuple(
            TrustedKey(
                kid=key.kid,
                kty=key.kty,
                algorithms=tuple(sorted(key.algorithms & set(policy.algorithms))),
                thumbprint=key.thumbprint,
                since=day(trusted.since[key.kid, key.thumbprint]) if fetched else None,
            )
            for key in trusted.keys.keys
        )
        if trusted is not None
        else (),
        metadata=trusted.metadata if trusted is not None else None,
        error=error,
        current_until=day(trusted.current_until) if trusted is not None and fetched else None,
        trusted_until=day(keys.ends_at) if fetched else None,
    )


def _configured() -> ResourceServer:
    server, problems = configure()
    if server is None:
        raise _invalid(problems)
    return server


def _invalid(problems: list[Problem]) -> Unavailable:
    for problem in problems:
        logger.error("%s (%s) %s", problem.message, problem.id, problem.hint)
    return Unavailable("settings_invalid", retry_after=60)


def _policy_of(
    path: str, common: Mapping[str, Any], finders: "_Finders", *, debug: bool
) -> tuple[PolicyOf | None, list[Problem]]:
    """The project's function behind ISSUERS, whose answers are judged like settings; and what keeps it from working."""
    function: Any = None
    try:
        function = import_string(path)
        reason = "" if callable(function) else "it is no function"
        if inspect.iscoroutinefunction(function):
            reason = "it is an async function; it is called in a thread, where it may block"
    except Exception as error:  # noqa: BLE001 - a module of the project is run here, which may fail in any way
        reason = f"{type(error).__name__}: {error}"
    if reason:
        message = "RESOURCE_SERVER: ISSUERS is a dotted path that cannot be used"
        return None, [Problem(id="E025", key="ISSUERS", message=message, hint=reason)]
    return _IssuersFunction(path, function, common, finders, debug=debug), []


class _IssuersFunction:
    """The project's function behind ISSUERS as a `PolicyOf`: its answers are judged like settings."""

    def __init__(
        self,
        path: str,
        function: Callable[[str], object],
        common: Mapping[str, Any],
        finders: "_Finders",
        *,
        debug: bool,
    ) -> None:
        self._path = path
        self._function = function
        self._common = common
        self._finders = finders
        self._debug = debug
        self._logged: set[str] = set()

    def __call__(self, unverified_issuer: str, /) -> Policy | None:
        # `Issuers` has judged the name, but for http on loopback.
        if issuer_problem(unverified_issuer, http_on_loopback=self._debug):
            return None
        answer = self._answer(unverified_issuer)
        if answer is None or not self._is_named(answer, unverified_issuer):
            return None
        place = f"{self._path}({unverified_issuer!r})"
        problems = [unknown_key(key, POLICY_KEYS, place) for key in answer if key not in POLICY_KEYS]
        policy, found = parse_policy({**self._common, **answer}, debug=self._debug, place=place)
        problems += found
        if policy is not None:
            problems += self._finders.add(policy.users)
        if policy is None or problems:
            raise _invalid(problems)
        return policy

    def _answer(self, unverified_issuer: str) -> Mapping[Any, Any] | None:
        try:
            answer = self._function(unverified_issuer)
        except ObjectDoesNotExist:
            return None
        except Exception:
            logger.exception("%s failed", self._path)
            raise Unavailable("issuer_lookup_failed") from None
        if answer is not None and not isinstance(answer, Mapping):
            logger.error("%s answered neither a dict nor None", self._path)
            raise Unavailable("settings_invalid", retry_after=60)
        return answer

    def _is_named(self, answer: Mapping[Any, Any], unverified_issuer: str) -> bool:
        """Whether the answer is about this issuer: a database that ignores case finds the tenant of another spelling."""
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


class _Cache:
    """Django's cache behind an alias. Each call is made in a thread of its own, where the connection ends with it."""

    def __init__(self, alias: str) -> None:
        self._alias = alias
        # The library of the client is imported with this, which may take longer than a cache is waited for, and nothing
        # is connected to. A library that is lacking is told of when the cache is used.
        with contextlib.suppress(Exception):
            getattr(caches[alias], "_cache", None)

    def get(self, key: str, /) -> Any:
        return self._call("get", key)

    def set(self, key: str, value: str, /, timeout: float) -> Any:
        return self._call("set", key, value, timeout=timeout)

    def add(self, key: str, value: str, /, timeout: float) -> bool:
        return bool(self._call("add", key, value, timeout=timeout))

    def delete(self, key: str, /) -> Any:
        return self._call("delete", key)

    def _call(self, method: str, *arguments: Any, **options: Any) -> Any:
        cache = caches[self._alias]
        try:
            return getattr(cache, method)(*arguments, **options)
        finally:
            cache.close()
            # Those of this thread: Django leaves them to the garbage collector where the cache is a table or Redis.
            connections.close_all()
            for pool in getattr(getattr(cache, "_cache", None), "_pools", {}).values():
                pool.disconnect()


def _shared(alias: str) -> Fetch:
    # Sealed by the project's secret key: what another project, or somebody at the cache, has put there is ignored.
    secret = salted_hmac("resource_server.documents", "", algorithm="sha256").digest()
    return SharedDocuments(_fetch, _Cache(alias), secret=secret)


@receiver(setting_changed)
def _settings_changed(*, setting: str, **_: Any) -> None:
    if setting in ("RESOURCE_SERVER", "DEBUG", "INSTALLED_APPS", "CACHES", "SECRET_KEY"):
        forget()


_LINES: Mapping[str, tuple[int, str]] = {
    "started": (logging.DEBUG, "keys of issuer %(issuer)s are being fetched"),
    "refreshed": (logging.INFO, "keys of issuer %(issuer)s refreshed: %(number)d"),
    "failed": (logging.WARNING, "keys of issuer %(issuer)s not refreshed: %(reason)s"),
    "stale": (logging.WARNING, "issuer %(issuer)s is down (%(reason)s): the keys known of it go on serving"),
    "added": (logging.INFO, "issuer %(issuer)s has a new key: %(kids)s"),
    "withdrawn": (logging.WARNING, "issuer %(issuer)s has withdrawn a key: %(kids)s"),
}


def _tell(event: KeyEvent) -> None:
    level, line = _LINES[event.kind]
    # An outage is told when it begins; its later attempts are for whoever looks closely.
    values = {
        "issuer": event.issuer,
        "reason": event.reason,
        "number": len(event.kids),
        "kids": ", ".join(map(repr, event.kids)),
    }
    logger.log(logging.DEBUG if event.repeated else level, line, values)
    issuer = event.issuer
    if event.kind == "started":
        signals.key_fetch_started.send_robust(ResourceServer, issuer=issuer)
    elif event.kind == "refreshed":
        signals.keys_refreshed.send_robust(ResourceServer, issuer=issuer, kids=event.kids)
    elif event.kind == "failed":
        signals.key_fetch_failed.send_robust(
            ResourceServer, issuer=issuer, reason=event.reason, repeated=event.repeated
        )
    elif event.kind == "stale":
        signals.keys_served_stale.send_robust(ResourceServer, issuer=issuer, kids=event.kids, reason=event.reason)
    else:
        signal = signals.key_added if event.kind == "added" else signals.key_withdrawn
        for kid in event.kids:
            signal.send_robust(ResourceServer, issuer=issuer, kid=kid)
