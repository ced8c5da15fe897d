"""The settings of one issuer -> its Policy, and what is wrong with them.

They are the whole of `RESOURCE_SERVER` where there is one issuer, an entry of `ISSUERS` where there are several, or
what the project's function answers.
"""

import difflib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from resource_server.conf.providers import GENERIC
from resource_server.keys.addresses import address_problem, issuer_problem
from resource_server.keys.document import MAX_DOCUMENT_BYTES
from resource_server.keys.key_set import KeySet, parse_key_set, parse_pem, parse_secret
from resource_server.keys.key_source import STALE_SECONDS, KeySource
from resource_server.strict_json import parse_object
from resource_server.tokens.policy import ALGORITHMS, SYMMETRIC_ALGORITHMS, ClaimNames, Policy, media_type

__all__ = ["KEY_SOURCES", "POLICY_KEYS", "Problem", "is_dotted_path", "parse_policy", "unknown_key"]

KEY_SOURCES = ("JWKS_URI", "JWKS", "PUBLIC_KEY", "KEY_FILE", "SECRET")
POLICY_KEYS = (
    "ISSUER",
    "AUDIENCE",
    "ALGORITHMS",
    "TOKEN_TYPE",
    *KEY_SOURCES,
    "CLAIMS",
    "CLOCK_SKEW_SECONDS",
    "STALE_SECONDS",
    "USERS",
)
# A skew beyond this would keep tokens alive that the issuer meant to end.
MAX_CLOCK_SKEW_SECONDS = 300
MAX_STALE_SECONDS = 7 * 24 * 3600
USERS = ("token", "lookup", "provision")
_ONE_CLAIM = ("subject", "audience")
_SOME_CLAIMS = ("scope", "client_id")


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Why the settings cannot be used. `key` names the setting; `hint` says what to write."""

    id: str
    key: str
    message: str
    hint: str


def parse_policy(
    settings: Mapping[Any, Any], *, debug: bool, place: str = "RESOURCE_SERVER"
) -> tuple[Policy | None, list[Problem]]:
    """The Policy, and the problems; with any problem there is no Policy. Unknown keys are not looked for.

    `debug` admits http issuers on loopback; `place` says in the messages where the settings stand. Reads KEY_FILE, and
    nothing else; raises nothing.
    """
    return _Parser(settings, debug=debug, place=place).parse()


def unknown_key(key: object, keys: tuple[str, ...], place: str) -> Problem:
    """The problem of a key that is no setting, with the one that may have been meant."""
    close = difflib.get_close_matches(str(key).upper(), keys, n=1, cutoff=0.4)
    hint = f"Did you mean {close[0]}?" if close else f"The keys are {', '.join(keys)}."
    if key == "AUTH0_DOMAIN":
        hint = 'Write "ISSUER": resource_server.auth0_issuer("tenant.eu.auth0.com").'
    return Problem(id="E002", key=repr(key), message=f"{place}: {key!r} is not a setting", hint=hint)


class _Parser:
    """One reading of the settings. Each method reads one key, and notes what is wrong with it."""

    def __init__(self, settings: Mapping[Any, Any], *, debug: bool, place: str) -> None:
        self._settings = settings
        self._debug = debug
        self._place = place
        self._problems: list[Problem] = []

    def parse(self) -> tuple[Policy | None, list[Problem]]:
        key_set = self._key_set()
        policy = Policy(
            key_source=KeySource(
                issuer=self._issuer(),
                jwks_uri=self._jwks_uri(),
                key_set=key_set,
                stale_seconds=self._seconds("E017", "STALE_SECONDS", STALE_SECONDS, MAX_STALE_SECONDS),
                http_on_loopback=self._debug,
            ),
            audience=self._audience(),
            algorithms=self._algorithms(key_set),
            token_types=self._token_types(),
            clock_skew_seconds=self._seconds("E009", "CLOCK_SKEW_SECONDS", 30, MAX_CLOCK_SKEW_SECONDS),
            claim_names=self._claim_names(),
            kind_claims=GENERIC.kind_claims,
            is_machine=GENERIC.is_machine,
            users=self._users(),
        )
        return (None, self._problems) if self._problems else (policy, [])

    def _problem(self, number: str, key: str, message: str, hint: str) -> None:
        self._problems.append(Problem(id=number, key=key, message=f"{self._place}: {key} {message}", hint=hint))

    def _issuer(self) -> str:
        issuer = self._settings.get("ISSUER")
        hint = "Write it as it stands in the iss claim, for example https://tenant.eu.auth0.com/ (auth0_issuer() makes it from an Auth0 domain)."
        if issuer is None or issuer == "":
            self._problem("E003", "ISSUER", "is missing", hint)
        elif problem := issuer_problem(issuer, http_on_loopback=self._debug):
            self._problem("E004", "ISSUER", problem, hint)
        return str(issuer)

    def _audience(self) -> tuple[str, ...]:
        audience = self._strings("AUDIENCE", ())
        hint = "Name the API as the issuer does, for example https://api.example.com; without it a token for any other API would pass."
        if audience is None:
            self._problem("E006", "AUDIENCE", "is not a string or a list of strings", hint)
        elif not audience:
            self._problem("E005", "AUDIENCE", "is missing", hint)
        return audience or ()

    def _algorithms(self, key_set: KeySet | None) -> tuple[str, ...]:
        has_secret = self._settings.get("SECRET") is not None
        if has_secret and key_set is None:
            return ()  # E021 says it all
        permitted: tuple[str, ...] = ALGORITHMS
        default, hint = permitted, f"These are: {', '.join(ALGORITHMS)}; HS256 needs SECRET."
        if has_secret and key_set is not None:
            # Never both kinds: else a token "signed" by HS256 with the public key as its secret would pass (RFC 8725
            # section 2.1).
            permitted = tuple(name for name in SYMMETRIC_ALGORITHMS if key_set.candidates(None, name))
            default = SYMMETRIC_ALGORITHMS[:1]
            hint = "With SECRET: HS256, with 48 bytes HS384 too, with 64 bytes HS512; nothing else beside them."
        algorithms = self._strings("ALGORITHMS", default)
        if not algorithms or not set(algorithms) <= set(permitted):
            self._problem("E007", "ALGORITHMS", "is not a list of algorithms that are supported", hint)
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

    def _seconds(self, number: str, key: str, default: int, most: int) -> int:
        seconds = self._settings.get(key, default)
        if type(seconds) is not int or not 0 <= seconds <= most:
            self._problem(number, key, f"is not a whole number from 0 to {most}", f"{default} is the default.")
            return default
        return seconds

    def _claim_names(self) -> ClaimNames:
        claims = self._settings.get("CLAIMS", {})
        names = {role: _names(name) for role, name in claims.items()} if isinstance(claims, Mapping) else {"": ()}
        if not set(names) <= {*_ONE_CLAIM, *_SOME_CLAIMS} or not all(
            len(several) == 1 or (several and role in _SOME_CLAIMS) for role, several in names.items()
        ):
            hint = 'A dict such as {"scope": "permissions"}; the keys are subject, audience, and (also with a list of claims) scope, client_id.'
            self._problem("E018", "CLAIMS", "does not name claims", hint)
            return ClaimNames()
        named: dict[str, Any] = {
            role: several if role in _SOME_CLAIMS else several[0] for role, several in names.items()
        }
        return ClaimNames(**named)

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
        sources = [key for key in KEY_SOURCES if self._settings.get(key) is not None]
        if len(sources) > 1:
            self._problem("E011", sources[0], f"and {sources[1]} are both set", "Keep the one where the keys are.")
        readers = {
            "JWKS": ("E012", self._read_jwks, "is not a JWK Set of public signature keys"),
            "PUBLIC_KEY": ("E019", self._read_pem, "is not a public key or a certificate in PEM"),
            "KEY_FILE": ("E020", self._read_file, "is not a file with a JWK Set or with public keys in PEM"),
            "SECRET": ("E021", self._read_secret, "cannot be used"),
        }
        found = None
        for key in sources:
            if key in readers:
                number, read, message = readers[key]
                try:
                    found = read(self._settings[key])
                except (ValueError, OSError) as error:
                    # What stands in a key or a secret is not repeated.
                    reason = error.strerror if isinstance(error, OSError) else str(error)
                    self._problem(number, key, message, f"{reason or 'It cannot be read'}.")
        return found

    def _read_jwks(self, value: object) -> KeySet:
        if not isinstance(value, Mapping):
            raise ValueError("RFC 7517 section 5: it is not a dict with a list of keys")  # noqa: TRY004 - a setting's
        keys = parse_key_set(value)
        if keys.skipped or not keys.keys:
            raise ValueError(f"RFC 7517 section 5: {'; '.join(keys.skipped) or 'it holds no key'}")
        return keys

    def _read_pem(self, value: object) -> KeySet:
        if not isinstance(value, str):
            raise ValueError("It is not text")  # noqa: TRY004 - as above
        return parse_pem(value)

    def _read_file(self, value: object) -> KeySet:
        if not isinstance(value, str | os.PathLike):
            raise ValueError("It is not a path")  # noqa: TRY004 - as above
        with Path(value).open("rb") as file:
            content = file.read(MAX_DOCUMENT_BYTES + 1)
        if len(content) > MAX_DOCUMENT_BYTES:
            raise ValueError("It is larger than 256 KiB")
        if content.lstrip().startswith(b"{"):
            return self._read_jwks(parse_object(content))
        return parse_pem(content.decode("utf-8"))

    def _read_secret(self, value: object) -> KeySet:
        if not isinstance(value, str | bytes):
            raise ValueError("It is not text or bytes")  # noqa: TRY004 - as above
        return parse_secret(value)

    def _users(self) -> str:
        users = self._settings.get("USERS", "token")
        if not isinstance(users, str) or (users not in USERS and not is_dotted_path(users)):
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


def is_dotted_path(value: str) -> bool:
    """Whether a text can be the dotted path of something in a module."""
    parts = value.split(".")
    return len(parts) > 1 and all(part.isidentifier() for part in parts)


def _names(value: object) -> tuple[str, ...]:
    names = (value,) if isinstance(value, str) else value
    if not isinstance(names, list | tuple) or not all(isinstance(name, str) and name for name in names):
        return ()
    return tuple(names)
