"""The one settings dict, `RESOURCE_SERVER` -> Config and what is wrong with it.

Nothing is read at import. `parse` finds all problems at once; `checks.py` shows them to `manage.py check`, and a
request that meets them is answered with 503, for it is not the caller's fault.
"""

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from resource_server.tokens.http import address_problem
from resource_server.tokens.keys import KeySet, parse_key_set
from resource_server.tokens.policy import ALGORITHMS, Policy, media_type

__all__ = ["Config", "Problem", "auth0_issuer", "parse"]

USERS = ("token", "lookup", "provision")
KEYS = ("ISSUER", "AUDIENCE", "ALGORITHMS", "TOKEN_TYPE", "JWKS_URI", "JWKS", "CLOCK_SKEW_SECONDS", "REALM", "USERS")
# A skew beyond this would keep tokens alive that the issuer meant to end.
MAX_CLOCK_SKEW_SECONDS = 300

_DOTTED_PATH = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)+")
_HOST = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:\d{1,5})?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The settings, judged: one policy per issuer, the realm of challenges, and how a token becomes a user."""

    policies: tuple[Policy, ...]
    realm: str
    users: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Why the settings cannot be used. `key` names the setting; `hint` says what to write."""

    id: str
    key: str
    message: str
    hint: str


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


def parse(settings: object, *, debug: bool) -> tuple[Config | None, list[Problem]]:
    """The Config, and the problems; with any problem there is no Config. `debug` admits http issuers on loopback. Raises nothing."""
    if not isinstance(settings, Mapping):
        message = "RESOURCE_SERVER is not set" if settings is None else "RESOURCE_SERVER is not a dict"
        return None, [Problem(id="E001", key="RESOURCE_SERVER", message=message, hint=_EXAMPLE)]
    return _Parser(settings, debug=debug).parse()


_EXAMPLE = 'RESOURCE_SERVER = {"ISSUER": "https://tenant.eu.auth0.com/", "AUDIENCE": "https://api.example.com"}'


class _Parser:
    """One reading of the settings. Each method reads one key, and notes what is wrong with it."""

    def __init__(self, settings: Mapping[Any, Any], *, debug: bool) -> None:
        self._settings = settings
        self._debug = debug
        self._problems: list[Problem] = []

    def parse(self) -> tuple[Config | None, list[Problem]]:
        self._unknown_keys()
        policy = Policy(
            issuer=self._issuer(),
            audience=self._audience(),
            algorithms=self._algorithms(),
            token_types=self._token_types(),
            clock_skew_seconds=self._clock_skew(),
            jwks_uri=self._jwks_uri(),
            key_set=self._key_set(),
            http_on_loopback=self._debug,
        )
        config = Config(policies=(policy,), realm=self._realm(), users=self._users())
        return (None, self._problems) if self._problems else (config, [])

    def _problem(self, number: str, key: str, message: str, hint: str) -> None:
        self._problems.append(Problem(id=number, key=key, message=f"RESOURCE_SERVER: {key} {message}", hint=hint))

    def _unknown_keys(self) -> None:
        for key in self._settings:
            if key not in KEYS:
                close = difflib.get_close_matches(str(key).upper(), KEYS, n=1, cutoff=0.4)
                hint = f"Did you mean {close[0]}?" if close else f"The keys are {', '.join(KEYS)}."
                if key == "AUTH0_DOMAIN":
                    hint = 'Write "ISSUER": resource_server.auth0_issuer("tenant.eu.auth0.com").'
                self._problem("E002", repr(key), "is not a setting", hint)

    def _issuer(self) -> str:
        issuer = self._settings.get("ISSUER")
        hint = "Write it as it stands in the iss claim, for example https://tenant.eu.auth0.com/ (auth0_issuer() makes it from an Auth0 domain)."
        if issuer is None or issuer == "":
            self._problem("E003", "ISSUER", "is missing", hint)
        elif problem := address_problem(issuer, http_on_loopback=self._debug):
            self._problem("E004", "ISSUER", problem, hint)
        elif urlsplit(issuer).query or issuer.endswith("?"):
            # RFC 8414 section 2: an issuer has no query or fragment.
            self._problem("E004", "ISSUER", "has a query", hint)
        return str(issuer)

    def _audience(self) -> tuple[str, ...]:
        audience = self._strings("AUDIENCE", ())
        hint = "Name the API as the issuer does, for example https://api.example.com; without it a token for any other API would pass."
        if audience is None:
            self._problem("E006", "AUDIENCE", "is not a string or a list of strings", hint)
        elif not audience:
            self._problem("E005", "AUDIENCE", "is missing", hint)
        return audience or ()

    def _algorithms(self) -> tuple[str, ...]:
        algorithms = self._strings("ALGORITHMS", ALGORITHMS)
        if not algorithms or not set(algorithms) <= set(ALGORITHMS):
            self._problem(
                "E007",
                "ALGORITHMS",
                "is not a list of algorithms that are supported",
                f"These are: {', '.join(ALGORITHMS)}.",
            )
        return algorithms or ()

    def _token_types(self) -> tuple[str, ...]:
        types = self._strings("TOKEN_TYPE", ("at+jwt",))
        if not types or not {media_type(name) for name in types} <= {"at+jwt", "jwt"}:
            self._problem(
                "E008",
                "TOKEN_TYPE",
                "is not at+jwt or JWT, or a list of these",
                "RFC 9068 issuers say at+jwt; many others say JWT, or nothing.",
            )
        return tuple(media_type(name) for name in types or ())

    def _clock_skew(self) -> int:
        seconds = self._settings.get("CLOCK_SKEW_SECONDS", 30)
        if type(seconds) is not int or not 0 <= seconds <= MAX_CLOCK_SKEW_SECONDS:
            self._problem(
                "E009",
                "CLOCK_SKEW_SECONDS",
                f"is not a whole number from 0 to {MAX_CLOCK_SKEW_SECONDS}",
                "30 is the default.",
            )
            return 30
        return seconds

    def _jwks_uri(self) -> str | None:
        uri = self._settings.get("JWKS_URI")
        if uri is None:
            return None
        if problem := address_problem(uri, http_on_loopback=self._debug):
            self._problem(
                "E010", "JWKS_URI", problem, "Leave it out to have the keys found through the issuer's metadata."
            )
        return str(uri)

    def _key_set(self) -> KeySet | None:
        key_set = self._settings.get("JWKS")
        if key_set is None:
            return None
        if self._settings.get("JWKS_URI") is not None:
            self._problem("E011", "JWKS", "and JWKS_URI are both set", "Keep the one where the keys are.")
        try:
            keys = parse_key_set(key_set) if isinstance(key_set, Mapping) else None
        except ValueError:
            keys = None
        if keys is None or not keys.keys or keys.skipped:
            found = "; ".join(keys.skipped) if keys is not None else "it is not a dict with a list of keys"
            self._problem(
                "E012",
                "JWKS",
                "is not a JWK Set of public signature keys",
                f"RFC 7517 section 5: {found or 'it holds no key'}.",
            )
        return keys

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

    def _users(self) -> str:
        users = self._settings.get("USERS", "token")
        if not isinstance(users, str) or (users not in USERS and _DOTTED_PATH.fullmatch(users) is None):
            self._problem(
                "E014",
                "USERS",
                "is not token, lookup, provision or a dotted path",
                "token needs no database; see the README.",
            )
        return str(users)

    def _strings(self, key: str, default: tuple[str, ...]) -> tuple[str, ...] | None:
        """A string or a list of them, as a tuple without repeats; None for anything else."""
        value = self._settings.get(key, default)
        if isinstance(value, str):
            value = (value,)
        if not isinstance(value, list | tuple | set | frozenset) or not all(
            isinstance(item, str) and item for item in value
        ):
            return () if value is None or value == ("",) else None
        return tuple(dict.fromkeys(value))
