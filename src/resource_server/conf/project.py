"""The one settings dict, `RESOURCE_SERVER` -> Config and what is wrong with it.

Nothing is read at import. `parse` finds all problems at once; `checks.py` shows them to `manage.py check`, and a
request that meets them is answered with 503, for it is not the caller's fault. What concerns one issuer is read by
`conf/issuer.py`.
"""

import re
from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from typing import Any

from resource_server.conf.issuer import KEY_SOURCES, POLICY_KEYS, Problem, is_dotted_path, parse_policy, unknown_key
from resource_server.keys.addresses import address_problem
from resource_server.tokens.policy import Policy

__all__ = ["KEYS", "Config", "Problem", "auth0_issuer", "parse"]

KEYS = (*POLICY_KEYS, "ISSUERS", "CACHE", "TOKEN_CACHE", "USER_CACHE_SECONDS", "REALM")
TOKEN_CACHE = 10_000
MAX_TOKEN_CACHE = 10_000_000
MAX_USER_CACHE_SECONDS = 30

_HOST = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:\d{1,5})?")
# With several issuers these stand beside each issuer, and nowhere else.
_OF_ONE_ISSUER = ("ISSUER", *KEY_SOURCES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The settings, judged.

    `policies` are the issuers that are listed; `issuers_function` is the dotted path of the function that knows the
    others, or None, and `common` the settings that its answers are added to. `cache` is the alias of the cache for
    documents, `token_cache` a number of entries, `realm` that of challenges.
    """

    policies: tuple[Policy, ...]
    issuers_function: str | None
    common: Mapping[str, Any] = field(repr=False)
    cache: str | None
    token_cache: int
    user_cache_seconds: int
    realm: str


def auth0_issuer(domain: str) -> str:
    """The issuer of an Auth0 tenant: `tenant.eu.auth0.com` -> `https://tenant.eu.auth0.com/`, with the slash that Auth0's tokens have.

    Also takes the domain as people paste it, with `https://` or a slash. Raises ValueError for anything that is not a
    host name.
    """
    host = domain.strip().lower().removeprefix("https://").removesuffix("/")
    issuer = f"https://{host}/"
    if _HOST.fullmatch(host) is None or address_problem(issuer, http_on_loopback=False):
        raise ValueError(f"not an Auth0 domain, such as tenant.eu.auth0.com: {domain!r}")
    return issuer


def parse(
    settings: object, *, debug: bool, caches: Container[str] | None = None
) -> tuple[Config | None, list[Problem]]:
    """The Config, and the problems; with any problem there is no Config.

    `debug` admits http issuers on loopback, `caches` are the aliases that CACHE may be. Raises nothing.
    """
    if not isinstance(settings, Mapping):
        message = "RESOURCE_SERVER is not set" if settings is None else "RESOURCE_SERVER is not a dict"
        return None, [Problem(id="E001", key="RESOURCE_SERVER", message=message, hint=_EXAMPLE)]
    return _Parser(settings, debug=debug, caches=caches).parse()


_EXAMPLE = 'RESOURCE_SERVER = {"ISSUER": "https://tenant.eu.auth0.com/", "AUDIENCE": "https://api.example.com"}'


class _Parser:
    """One reading of the settings. Each method reads one key, and notes what is wrong with it."""

    def __init__(self, settings: Mapping[Any, Any], *, debug: bool, caches: Container[str] | None) -> None:
        self._settings = settings
        self._debug = debug
        self._caches = caches
        self._problems: list[Problem] = []

    def parse(self) -> tuple[Config | None, list[Problem]]:
        self._problems += [unknown_key(key, KEYS, "RESOURCE_SERVER") for key in self._settings if key not in KEYS]
        issuers = self._settings.get("ISSUERS")
        function: str | None = None
        policies: tuple[Policy, ...] = ()
        if issuers is None:
            policies = self._policies([self._settings])
        else:
            self._nothing_of_one_issuer()
            if isinstance(issuers, str) and is_dotted_path(issuers):
                function = issuers
            else:
                policies = self._listed(issuers)
        config = Config(
            policies=policies,
            issuers_function=function,
            common=self._common(),
            cache=self._cache(),
            token_cache=self._number("E027", "TOKEN_CACHE", TOKEN_CACHE, MAX_TOKEN_CACHE),
            user_cache_seconds=self._number("E028", "USER_CACHE_SECONDS", 0, MAX_USER_CACHE_SECONDS),
            realm=self._realm(),
        )
        return (None, self._problems) if self._problems else (config, [])

    def _problem(self, number: str, key: str, message: str, hint: str) -> None:
        self._problems.append(Problem(id=number, key=key, message=f"RESOURCE_SERVER: {key} {message}", hint=hint))

    def _nothing_of_one_issuer(self) -> None:
        for key in _OF_ONE_ISSUER:
            if self._settings.get(key) is not None:
                hint = "Move it into the entry of its issuer: keys are never shared between issuers."
                self._problem("E023", key, "stands beside ISSUERS", hint)

    def _common(self) -> dict[str, Any]:
        """The settings of every issuer that has no other."""
        return {key: value for key, value in self._settings.items() if key in POLICY_KEYS and key not in _OF_ONE_ISSUER}

    def _listed(self, issuers: object) -> tuple[Policy, ...]:
        entries = issuers if isinstance(issuers, list | tuple) else ()
        if not entries or not all(isinstance(entry, Mapping) for entry in entries):
            hint = (
                'A list of dicts, such as [{"ISSUER": ..., "AUDIENCE": ...}], or the dotted path of a function '
                "that takes an issuer and answers such a dict or None."
            )
            self._problem("E022", "ISSUERS", "is no list of issuers and no dotted path", hint)
            return ()
        for position, entry in enumerate(entries):
            place = f"RESOURCE_SERVER: ISSUERS[{position}]"
            self._problems += [unknown_key(key, POLICY_KEYS, place) for key in entry if key not in POLICY_KEYS]
        policies = self._policies([{**self._common(), **entry} for entry in entries])
        names = [policy.issuer for policy in policies]
        for name in {name for name in names if names.count(name) > 1}:
            self._problem("E024", "ISSUERS", f"has {name} twice", "List the audiences of an issuer in one entry.")
        return policies

    def _policies(self, entries: list[Mapping[Any, Any]]) -> tuple[Policy, ...]:
        policies = []
        for position, entry in enumerate(entries):
            place = "RESOURCE_SERVER" if entry is self._settings else f"RESOURCE_SERVER: ISSUERS[{position}]"
            policy, problems = parse_policy(entry, debug=self._debug, place=place)
            self._problems += problems
            if policy is not None:
                policies.append(policy)
        return tuple(policies)

    def _cache(self) -> str | None:
        alias = self._settings.get("CACHE")
        if alias is None:
            return None
        if not isinstance(alias, str) or (self._caches is not None and alias not in self._caches):
            self._problem("E026", "CACHE", "is no alias of CACHES", "default is the usual one.")
        return str(alias)

    def _number(self, number: str, key: str, default: int, most: int) -> int:
        value = self._settings.get(key, default)
        if type(value) is not int or not 0 <= value <= most:
            self._problem(number, key, f"is not a whole number from 0 to {most}", f"{default} is the default.")
            return default
        return value

    def _realm(self) -> str:
        realm = self._settings.get("REALM", "api")
        if not isinstance(realm, str) or not realm or not all(" " <= c <= "~" and c not in '"\\' for c in realm):
            self._problem(
                "E013",
                "REALM",
                "is not printable ASCII without quote and backslash",
                "It stands in WWW-Authenticate; api is the default.",
            )
        return str(realm)
