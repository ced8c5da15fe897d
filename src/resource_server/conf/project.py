"""The one settings dict, `RESOURCE_SERVER` -> Config, and the problems in it.

Nothing is read at import. `parse` finds all problems at once; `checks.py` shows them to `manage.py check`, and a request
that meets them is answered with 503, because the caller is not at fault. `conf/issuer.py` reads the settings of one
issuer.
"""

from collections.abc import Collection, Container, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from resource_server.conf.bound_tokens import client_certificate, dpop_nonce, report_lacking_settings
from resource_server.conf.issuer import POLICY_KEYS, form_problem, parse_policy, path_problems
from resource_server.conf.networks import ca_file, http_hosts
from resource_server.conf.problems import Problem, problem
from resource_server.conf.publication import published_resources
from resource_server.conf.reading import Reading, default_of
from resource_server.conf.revocation import REVOCATION_KEYS, RevocationSettings, revocation_settings
from resource_server.conf.static_keys import KEY_SOURCES
from resource_server.conf.throttle_rates import throttle_rates
from resource_server.conf.users import is_dotted_path
from resource_server.plain_texts import plain_texts
from resource_server.protected_resource import ProtectedResource
from resource_server.tokens.certificates import CertificateSource
from resource_server.tokens.policy import Policy
from resource_server.tokens.verifier import TOKEN_CACHE_SIZE

__all__ = ["KEYS", "Config", "claim_problems", "form_problems", "parse"]

PUBLICATION_KEYS: Final = (
    "PUBLIC_ORIGIN",
    "RESOURCE",
    "SCOPES_SUPPORTED",
    "PROBLEM_DETAILS",
    "CHALLENGE_GRANTED_SCOPES",
)
KEYS: Final = (
    *POLICY_KEYS,
    "ISSUERS",
    "CACHE",
    "TOKEN_CACHE",
    "USER_CACHE_SECONDS",
    "THROTTLE_RATES",
    "REALM",
    "CA_FILE",
    "DEVELOPMENT_HTTP",
    *PUBLICATION_KEYS,
    *REVOCATION_KEYS,
    "DPOP_NONCE",
    "CLIENT_CERTIFICATE",
)
MAX_TOKEN_CACHE: Final = 10_000_000
MAX_USER_CACHE_SECONDS: Final = 30

# With several issuers these stand beside each issuer, and nowhere else.
_OF_ONE_ISSUER: Final = ("ISSUER", *KEY_SOURCES, "INTROSPECTION")


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The checked settings.

    `policies` are the issuers that are listed; `issuers_function` is the dotted path of the function that knows the
    others, or None, and `common` the settings that complete its answers. `cache` is the alias of the cache for
    documents, `token_cache` a number of entries, `realm` the realm in challenges. `ca_file` is a file of certificates,
    `http_hosts` the names of hosts that may be asked over http. `resources` are those whose metadata are published.
    `dpop_nonce` is `off`, `optional` or `required`, `client_certificate` says where a client's certificate is.
    `revocation` is None without a deny list.
    """

    policies: tuple[Policy, ...]
    issuers_function: str | None
    common: Mapping[str, Any] = field(repr=False)
    cache: str | None = None
    token_cache: int = TOKEN_CACHE_SIZE
    user_cache_seconds: int = 0
    throttle_rates: Mapping[str, str] = field(default_factory=dict)
    realm: str = "api"
    ca_file: str | None = None
    http_hosts: frozenset[str] = frozenset()
    resources: tuple[ProtectedResource, ...] = ()
    problem_details: bool = False
    challenge_granted_scopes: bool = False
    revocation: RevocationSettings | None = None
    public_origin: str | None = None
    dpop_nonce: str = "off"
    client_certificate: CertificateSource | None = None


def parse(
    settings: object, *, debug: bool, caches: Container[str] | None = None
) -> tuple[Config | None, list[Problem]]:
    """The Config, and the problems; with any problem there is no Config.

    `debug` admits http on loopback and DEVELOPMENT_HTTP, `caches` are the aliases that CACHE may name. Raises nothing.
    """
    if not isinstance(settings, Mapping):
        return None, [problem("E001", fault="is not set" if settings is None else "is not a dict")]
    settings = dict(plain_texts(dict(settings)))
    reading = Reading(settings=settings, debug=debug)
    reading.unknown_keys(KEYS)
    reading = replace(reading, http_hosts=http_hosts(reading))
    issuers, function = settings.get("ISSUERS"), None
    policies: tuple[Policy, ...] = ()
    if issuers is not None:
        _report_settings_of_one_issuer(reading)
    if isinstance(issuers, str) and is_dotted_path(issuers):
        function = issuers
    else:
        policies = _policies(reading)
    config = Config(
        policies=policies,
        issuers_function=function,
        common=_common(settings),
        cache=_cache(reading, caches),
        token_cache=reading.whole_number("E027", "TOKEN_CACHE", default_of(Config, "token_cache"), MAX_TOKEN_CACHE),
        user_cache_seconds=reading.whole_number(
            "E028", "USER_CACHE_SECONDS", default_of(Config, "user_cache_seconds"), MAX_USER_CACHE_SECONDS
        ),
        throttle_rates=throttle_rates(reading, None if function else frozenset(policy.issuer for policy in policies)),
        realm=_realm(reading),
        ca_file=ca_file(reading),
        http_hosts=reading.http_hosts,
        resources=published_resources(reading, policies, settings.get("AUDIENCE")),
        problem_details=_flag(reading, "PROBLEM_DETAILS"),
        challenge_granted_scopes=_flag(reading, "CHALLENGE_GRANTED_SCOPES"),
        revocation=revocation_settings(reading, caches),
        public_origin=settings.get("PUBLIC_ORIGIN") or None,
        dpop_nonce=dpop_nonce(reading, default_of(Config, "dpop_nonce")),
        client_certificate=client_certificate(reading),
    )
    report_lacking_settings(reading, policies, config.common, cache=config.cache, origin=config.public_origin)
    return (None, reading.problems) if reading.problems else (config, [])


def form_problems(settings: Mapping[Any, Any]) -> list[Problem]:
    """The warnings about listed issuers that do not have their provider's form, for settings that `parse` accepts."""
    found = (form_problem(entry, place) for place, entry in _entries(settings))
    return [each for each in found if each is not None]


def claim_problems(settings: Mapping[Any, Any]) -> list[Problem]:
    """The warnings about names in CLAIMS that look like a path, for settings that `parse` accepts."""
    return [problem for place, entry in _entries(settings) for problem in path_problems(entry, place)]


def _report_settings_of_one_issuer(reading: Reading) -> None:
    for key in _OF_ONE_ISSUER:
        if reading.settings.get(key) is not None:
            reading.report("E023", key=key)


def _common(settings: Mapping[Any, Any]) -> dict[str, Any]:
    """The settings for every issuer that has none of its own."""
    return {key: value for key, value in settings.items() if key in POLICY_KEYS and key not in _OF_ONE_ISSUER}


def _entries(settings: Mapping[Any, Any]) -> Iterator[tuple[str, Mapping[Any, Any]]]:
    """Each listed issuer: where its settings stand, and all of them."""
    issuers = settings.get("ISSUERS")
    if issuers is None:
        yield "RESOURCE_SERVER", settings
    elif not isinstance(issuers, str):
        common = _common(settings)
        for position, entry in enumerate(issuers):
            yield f"RESOURCE_SERVER: ISSUERS[{position}]", {**common, **entry}


def _policies(reading: Reading) -> tuple[Policy, ...]:
    issuers = reading.settings.get("ISSUERS")
    if issuers is not None:
        entries = issuers if isinstance(issuers, list | tuple) else ()
        if not entries or not all(isinstance(entry, Mapping) for entry in entries):
            reading.report("E022")
            return ()
        for position, entry in enumerate(entries):
            place = f"{reading.place}: ISSUERS[{position}]"
            Reading(settings=entry, place=place, problems=reading.problems).unknown_keys(POLICY_KEYS)
    policies = []
    for place, entry in _entries(reading.settings):
        policy, problems = parse_policy(entry, debug=reading.debug, http_hosts=reading.http_hosts, place=place)
        reading.problems.extend(problems)
        if policy is not None:
            policies.append(policy)
    names = [policy.issuer for policy in policies]
    for name in {name for name in names if names.count(name) > 1}:
        reading.report("E024", issuer=name)
    if _has_several_issuers_of_opaque_tokens(policies):
        reading.report("E044")
    return tuple(policies)


def _has_several_issuers_of_opaque_tokens(policies: Collection[Policy]) -> bool:
    """Whether an opaque token, which names no issuer, could belong to more than one."""
    asked = [policy.introspection for policy in policies if policy.introspection is not None]
    return len(asked) > 1 and not all(each.for_all for each in asked)


def _cache(reading: Reading, caches: Container[str] | None) -> str | None:
    alias = reading.settings.get("CACHE", default_of(Config, "cache"))
    if alias is None:
        return None
    if not isinstance(alias, str) or (caches is not None and alias not in caches):
        reading.report("E026")
    return str(alias)


def _realm(reading: Reading) -> str:
    default = default_of(Config, "realm")
    realm = reading.settings.get("REALM", default)
    if not isinstance(realm, str) or not realm or not all(" " <= c <= "~" and c not in '"\\' for c in realm):
        reading.report("E013", default=default)
    return str(realm)


def _flag(reading: Reading, key: str) -> bool:
    flag = reading.settings.get(key, default_of(Config, key.lower()))
    if not isinstance(flag, bool):
        reading.report("E042", key=key)
    return flag is True
