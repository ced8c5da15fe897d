"""The setting INTROSPECTION of one issuer -> how it is asked about tokens (RFC 7662), and the faults in it."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from resource_server.conf.reading import Reading, closest, strings
from resource_server.keys.addresses import address_problem
from resource_server.tokens.client_authentication import METHODS, ClientAuthentication, ClientKey, client_key
from resource_server.tokens.introspection_policy import MAX_CACHE_SECONDS, MAY_LACK, IntrospectionPolicy

__all__ = ["introspection_policy", "refuse_in_answer"]

KEYS: Final = (
    *(
        "ENDPOINT",
        "CLIENT_ID",
        "CLIENT_SECRET",
        "PRIVATE_KEY",
        "CERTIFICATE",
        "AUTH",
        "FOR",
        "SIGNED",
        "MAY_LACK",
        "CACHE_SECONDS",
    ),
)
KINDS: Final = ("opaque", "all")
# The credential -> the methods that use it; the first is the default of AUTH.
_CREDENTIALS: Final[Mapping[str, tuple[str, ...]]] = {
    "CLIENT_SECRET": METHODS[:2],
    "PRIVATE_KEY": METHODS[2:3],
    "CERTIFICATE": METHODS[3:],
}


def introspection_policy(reading: Reading, *, has_metadata: bool) -> IntrospectionPolicy | None:
    """How the issuer of these settings is asked; None if it is not. Reads CERTIFICATE. Reports E043.

    `has_metadata`: the keys of the issuer are found through its metadata, which can name the endpoint too.
    """
    value = reading.settings.get("INTROSPECTION")
    if value is None:
        return None
    if not isinstance(value, Mapping):
        _report(reading, "is not a dict", 'Such as {"CLIENT_ID": ..., "CLIENT_SECRET": ...}.')
        return None
    given = _Given(reading=reading, members={key: member for key, member in value.items() if member is not None})
    for key in given.members:
        if key not in KEYS:
            given.report(f"has the key {key!r}", closest(key, KEYS, "The keys are"))
    if "ENDPOINT" not in given.members and not has_metadata:
        given.report("lacks ENDPOINT", "Only metadata name the endpoint, and the settings give the keys without them.")
    return IntrospectionPolicy(
        client=_client(given),
        endpoint=_endpoint(given),
        for_all=given.one_of("FOR", KINDS, KINDS[0]) == "all",
        signed=_is_signed(given),
        may_lack=_may_lack(given),
        cache_seconds=_cache_seconds(given),
    )


def refuse_in_answer(reading: Reading) -> None:
    """Report INTROSPECTION in an answer of the function of ISSUERS: each tenant would need a client of its own."""
    if reading.settings.get("INTROSPECTION") is not None:
        _report(reading, "is in an answer of a function", "List the issuer in ISSUERS.")


def _report(reading: Reading, fault: str, hint: str) -> None:
    reading.report("E043", fault=fault, hint=hint)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Given:
    """The members of INTROSPECTION. No fault repeats a secret."""

    reading: Reading
    members: Mapping[Any, Any] = field(repr=False)

    def report(self, fault: str, hint: str) -> None:
        _report(self.reading, fault, hint)

    def one_of(self, key: str, values: tuple[str, ...], default: str) -> str:
        value = self.members.get(key, default)
        if value in values:
            return str(value)
        self.report(f"has another {key} than {' or '.join(values)}", f"{default} is the default.")
        return default


def _client(given: _Given) -> ClientAuthentication:
    client_id = given.members.get("CLIENT_ID")
    if not isinstance(client_id, str) or not client_id:
        given.report("lacks CLIENT_ID", "The client that the issuer knows this API as, with the right to introspect.")
    credentials = [key for key in _CREDENTIALS if key in given.members]
    if len(credentials) != 1:
        given.report(
            f"has {' and '.join(credentials) or 'none of CLIENT_SECRET, PRIVATE_KEY and CERTIFICATE'}",
            "Give exactly one of CLIENT_SECRET, PRIVATE_KEY and CERTIFICATE: the one that the issuer has registered.",
        )
        return ClientAuthentication(client_id=str(client_id), method=METHODS[0])
    methods = _CREDENTIALS[credentials[0]]
    return ClientAuthentication(
        client_id=str(client_id),
        method=given.one_of("AUTH", methods, methods[0]),
        secret=_secret(given),
        key=_key(given),
        certificate=_certificate(given),
    )


def _secret(given: _Given) -> str:
    secret = given.members.get("CLIENT_SECRET", "")
    if "CLIENT_SECRET" in given.members and (not isinstance(secret, str) or not secret):
        given.report("has a CLIENT_SECRET that is not text", "Is the variable of the environment set?")
    return str(secret)


def _key(given: _Given) -> ClientKey | None:
    if "PRIVATE_KEY" not in given.members:
        return None
    try:
        return client_key(given.members["PRIVATE_KEY"])
    except ValueError as error:
        given.report("has a PRIVATE_KEY that cannot be used", f"{error}.")
        return None


def _certificate(given: _Given) -> str | None:
    value = given.members.get("CERTIFICATE")
    if value is None:
        return None
    import ssl  # imported late: start-up does not pay for it

    reason = "It is not a path"
    if isinstance(value, str | os.PathLike):
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(value, password="")
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "It cannot be read"
        else:
            return os.fsdecode(value)
    given.report("has a CERTIFICATE that is not a file with a certificate and its private key in PEM", f"{reason}.")
    return None


def _endpoint(given: _Given) -> str | None:
    endpoint, reading = given.members.get("ENDPOINT"), given.reading
    if endpoint is None:
        return None
    if fault := address_problem(endpoint, http_on_loopback=reading.debug, http_hosts=reading.http_hosts):
        given.report(f"has an ENDPOINT that {fault}", "Copy introspection_endpoint from the issuer's metadata.")
    return str(endpoint)


def _is_signed(given: _Given) -> bool:
    signed = given.members.get("SIGNED", False)
    if not isinstance(signed, bool):
        given.report("has another SIGNED than True or False", "False is the default.")
    return signed is True


def _cache_seconds(given: _Given) -> int:
    seconds = given.members.get("CACHE_SECONDS", MAX_CACHE_SECONDS)
    # Python counts with True, so the type is compared.
    if type(seconds) is int and 0 <= seconds <= MAX_CACHE_SECONDS:
        return seconds
    given.report(f"has a CACHE_SECONDS that is not a whole number from 0 to {MAX_CACHE_SECONDS}", "60 is the default.")
    return MAX_CACHE_SECONDS


def _may_lack(given: _Given) -> frozenset[str]:
    names = strings(given.members.get("MAY_LACK", []))
    if names is None or not set(names) <= set(MAY_LACK):
        given.report(f"has another MAY_LACK than a list of {' and '.join(MAY_LACK)}", "An empty list is the default.")
    return frozenset(names or ())
