"""The settings of one issuer -> its Policy, and the problems in them.

They are the whole of `RESOURCE_SERVER` if there is one issuer, an entry of `ISSUERS` if there are several, or an answer
of the project's function. A setting wins over its provider's habit, and that over the default in the dataclass.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from resource_server.conf.bound_tokens import dpop
from resource_server.conf.problems import Problem, problem
from resource_server.conf.providers import GENERIC, PROVIDERS, Provider
from resource_server.conf.reading import Reading, closest, default_of, strings
from resource_server.conf.rights import RIGHTS, right_claims, right_names
from resource_server.conf.static_keys import KEY_SOURCES, static_key_set
from resource_server.conf.users import users_of
from resource_server.keys.addresses import address_problem, issuer_problem, name_problem
from resource_server.keys.key_set import KeySet
from resource_server.keys.key_source import KeySource
from resource_server.tokens.policy import ALGORITHMS, SYMMETRIC_ALGORITHMS, ClaimNames, Policy, media_type

if TYPE_CHECKING:
    from resource_server.tokens.introspection_policy import IntrospectionPolicy

__all__ = ["POLICY_KEYS", "form_problem", "parse_policy", "path_problems"]

POLICY_KEYS: Final = (
    "ISSUER",
    "AUDIENCE",
    "PROVIDER",
    "ALGORITHMS",
    "TOKEN_TYPE",
    *KEY_SOURCES,
    "CLAIMS",
    "SCOPE_HIERARCHY",
    "DJANGO_PERMISSIONS",
    "CLOCK_SKEW_SECONDS",
    "STALE_SECONDS",
    "DPOP",
    "USERS",
    "INTROSPECTION",
    "LOGOUT_AUDIENCE",
)
# A longer skew would keep tokens alive that the issuer meant to end.
MAX_CLOCK_SKEW_SECONDS: Final = 300
MAX_STALE_SECONDS: Final = 7 * 24 * 3600
_MAIL: Final = re.compile(r"e-?mail", re.IGNORECASE)
_ONE_CLAIM: Final = frozenset({"subject", "audience"})
_SOME_CLAIMS: Final = frozenset({"scope", "client_id"})
_ROLES: Final = sorted(_ONE_CLAIM | _SOME_CLAIMS | RIGHTS)
# A path as other software writes it: realm_access.roles, realm_access/roles or $.realm_access.roles. A name with a colon
# is a URI, or Cognito's.
_PATH: Final = re.compile(r"(?:\$\.)?(\w[\w-]*(?:[./]\w[\w-]*)+)")


def parse_policy(
    settings: Mapping[Any, Any],
    *,
    debug: bool,
    http_hosts: frozenset[str] = frozenset(),
    place: str = "RESOURCE_SERVER",
) -> tuple[Policy | None, list[Problem]]:
    """The Policy, and the problems; with any problem there is no Policy.

    `debug` and `http_hosts` are those of `Reading`; `place` says in messages where the settings stand. Reads KEY_FILE and
    CERTIFICATE, and nothing else; raises nothing. Does not look for unknown keys.
    """
    reading = Reading(settings=settings, place=place, debug=debug, http_hosts=http_hosts)
    provider = _provider(reading)
    key_set = static_key_set(reading)
    key_source = _key_source(reading, provider, key_set)
    policy = Policy(
        key_source=key_source,
        audience=_audience(reading),
        algorithms=_algorithms(reading, key_set),
        token_types=_token_types(reading, provider),
        clock_skew_seconds=reading.whole_number(
            "E009", "CLOCK_SKEW_SECONDS", default_of(Policy, "clock_skew_seconds"), MAX_CLOCK_SKEW_SECONDS
        ),
        claim_names=_claim_names(reading, provider),
        kind_claims=provider.kind_claims,
        bound_kinds=provider.bound_kinds,
        access_token_claims=provider.access_token_claims,
        foreign_claims=provider.foreign_claims,
        machines_only=provider.machines_only,
        is_machine=provider.is_machine,
        dpop=dpop(reading),
        users=users_of(reading),
        rights=right_claims(reading, provider.rights),
        introspection=_introspection(reading, key_source),
        logout_audience=_logout_audience(reading),
    )
    return (None, reading.problems) if reading.problems else (policy, [])


def _introspection(reading: Reading, key_source: KeySource) -> "IntrospectionPolicy | None":
    if reading.settings.get("INTROSPECTION") is None:
        return None
    from resource_server.conf.introspection import introspection_policy  # imported late: most projects do without it

    return introspection_policy(reading, has_metadata=key_source.key_set is None and key_source.jwks_uri is None)


def form_problem(settings: Mapping[Any, Any], place: str) -> Problem | None:
    """The warning about an issuer that does not have its provider's form (W002), for settings that have no problem."""
    issuer, provider = settings["ISSUER"], PROVIDERS.get(settings.get("PROVIDER", ""), GENERIC)
    fault = provider.issuer_problem(issuer)
    if fault is None:
        return None
    return problem(
        "W002",
        place=place,
        issuer=issuer,
        fault=fault.fault,
        correction=fault.correction,
        documentation=provider.documentation,
    )


def path_problems(settings: Mapping[Any, Any], place: str) -> Iterator[Problem]:
    """The warnings about claim names that look like a path (W009), for settings that have no problem.

    Only names of the project: a provider's are known to be whole.
    """
    users = settings.get("USERS")
    named = [("CLAIMS", value) for value in settings.get("CLAIMS", {}).values()]
    if isinstance(users, Mapping):
        named += [(f"USERS: {key}", users.get(key)) for key in ("GROUPS_CLAIM", "PERMISSIONS_CLAIM")]
    for key, value in named:
        for name in strings(value) or ():
            if (path := _PATH.fullmatch(name)) is not None:
                pointer = f"/{re.sub('[.]', '/', path[1])}"
                whole = f"/{name.replace('/', '~1')}"
                yield problem("W009", place=place, key=key, name=name, pointer=pointer, whole=whole)


def _provider(reading: Reading) -> Provider:
    name = reading.settings.get("PROVIDER")
    if name is None:
        return GENERIC
    provider = PROVIDERS.get(name) if isinstance(name, str) else None
    if provider is None:
        reading.report("E031", provider=repr(name), suggestion=closest(name, PROVIDERS, "The providers are"))
    return provider or GENERIC


def _key_source(reading: Reading, provider: Provider, key_set: KeySet | None) -> KeySource:
    issuer, jwks_uri = _issuer(reading, provider), _jwks_uri(reading)
    if jwks_uri is None and key_set is None:
        jwks_uri = provider.jwks_uri(issuer)
    stale_seconds = reading.whole_number(
        "E017", "STALE_SECONDS", default_of(KeySource, "stale_seconds"), MAX_STALE_SECONDS
    )
    return KeySource(
        issuer=issuer,
        jwks_uri=jwks_uri,
        key_set=key_set,
        stale_seconds=stale_seconds,
        http_on_loopback=reading.debug,
        http_hosts=reading.http_hosts,
    )


def _issuer(reading: Reading, provider: Provider) -> str:
    issuer = reading.settings.get("ISSUER")
    if issuer is None or issuer == "":
        reading.report("E003")
        return ""
    if any(reading.settings.get(key) is not None for key in KEY_SOURCES):
        fault = name_problem(issuer)
    else:
        # The keys of such a provider are at an https address on the same host, so http is part of a mere name.
        is_name = isinstance(issuer, str) and provider.jwks_uri(issuer) is not None
        address = issuer.replace("http://", "https://", 1) if is_name else issuer
        fault = issuer_problem(address, http_on_loopback=reading.debug, http_hosts=reading.http_hosts)
    if fault:
        reading.report("E004", fault=fault)
    return str(issuer)


def _jwks_uri(reading: Reading) -> str | None:
    uri = reading.settings.get("JWKS_URI")
    if uri is None:
        return None
    if fault := address_problem(uri, http_on_loopback=reading.debug, http_hosts=reading.http_hosts):
        reading.report("E010", fault=fault)
    return str(uri)


def _audience(reading: Reading) -> tuple[str, ...]:
    audience = reading.strings("AUDIENCE", ())
    if audience is None:
        reading.report("E006")
    elif not audience:
        reading.report("E005")
    return audience or ()


def _logout_audience(reading: Reading) -> tuple[str, ...]:
    audience = reading.strings("LOGOUT_AUDIENCE", default_of(Policy, "logout_audience"))
    if audience is None:
        reading.report("E049")
    return audience or ()


def _algorithms(reading: Reading, key_set: KeySet | None) -> tuple[str, ...]:
    has_secret = reading.settings.get("SECRET") is not None
    if has_secret and key_set is None:
        return ()  # E021 is reported
    permitted: tuple[str, ...] = ALGORITHMS
    default: tuple[str, ...] = default_of(Policy, "algorithms")
    hint = f"These are: {', '.join(ALGORITHMS)}; HS256 needs SECRET."
    if has_secret and key_set is not None:
        # Never both kinds: a token "signed" by HS256 with the public key as its secret would pass (RFC 8725 section 2.1).
        permitted = tuple(name for name in SYMMETRIC_ALGORITHMS if key_set.candidates(None, name))
        default = SYMMETRIC_ALGORITHMS[:1]
        hint = "With SECRET: HS256, with 48 bytes HS384 too, with 64 bytes HS512; nothing else beside them."
    algorithms = reading.strings("ALGORITHMS", default)
    if not algorithms or not set(algorithms) <= set(permitted):
        reading.report("E007", permitted=hint)
    return algorithms or ()


def _token_types(reading: Reading, provider: Provider) -> tuple[str, ...]:
    types = reading.strings("TOKEN_TYPE", provider.token_types)
    if not types or not {media_type(name) for name in types} <= {"at+jwt", "jwt"}:
        reading.report("E008")
    return tuple(media_type(name) for name in types or ())


def _claim_names(reading: Reading, provider: Provider) -> ClaimNames:
    claims = reading.settings.get("CLAIMS", {})
    names: dict[Any, Any] = {"": None}
    if isinstance(claims, Mapping):
        names = {role: _one_or_some(role, value) for role, value in claims.items() if role not in RIGHTS}
    reason = "It is not a dict of claim names"
    if unknown := [role for role in names if role and role not in _ONE_CLAIM | _SOME_CLAIMS]:
        reason = f"{unknown[0]!r} is not a key of it. {closest(unknown[0], _ROLES, 'The keys are').rstrip('.?')}"
    if set(names) <= _ONE_CLAIM | _SOME_CLAIMS and None not in names.values():
        subject = names.get("subject")
        if isinstance(subject, tuple):
            names |= {"subject": subject[0], "client_as_subject": subject[1:]}
        try:
            if _MAIL.search(str(names.get("subject"))):
                raise ValueError("An e-mail address is not an identity: it can be given to another person")
            right_names(claims)
            return replace(provider.claim_names, **names)
        except ValueError as error:
            reason = str(error)
    reading.report("E018", reason=reason)
    return provider.claim_names


def _one_or_some(role: object, value: object) -> str | tuple[str, ...] | None:
    names = strings(value) if isinstance(value, str | list | tuple) else None
    if not names:
        return None
    if role in _SOME_CLAIMS or (role == "subject" and len(names) > 1):
        return names
    return names[0] if len(names) == 1 else None
