"""THROTTLE_RATES -> the rate of each party that `resource_server.throttles` counts."""

import re
from collections.abc import Iterable, Mapping

from resource_server.conf.reading import Reading

__all__ = ["throttle_rates"]

_PARTIES = frozenset({"subject", "client", "issuer"})
# As REST framework reads it: the first letter of the period counts.
_RATE = re.compile(r"[1-9][0-9]{0,8}/(?:s|sec|second|m|min|minute|h|hour|d|day)")


def throttle_rates(reading: Reading, issuers: frozenset[str] | None) -> Mapping[str, str]:
    """The rates by `subject`, `client`, `issuer`, `client:ISSUER ID` and `scope:NAME`. Reports E038.

    `issuers` are the listed ones whose settings are valid, None if a function knows them. A client of the only issuer may
    be named by `client:ID`; of several issuers, another may have a client of the same name.
    """
    setting = reading.settings.get("THROTTLE_RATES", {})
    fault = _fault(setting, issuers)
    if fault is not None:
        reading.report("E038", fault=fault)
        return {}
    return {_with_issuer(name, issuers or ()): rate for name, rate in setting.items()}


def _issuer_of(client: str) -> str | None:
    """The issuer in `ISSUER ID`, None without it. It is a URL, so it has no space; the name of a client may have some."""
    issuer, _, name = client.partition(" ")
    return issuer if "://" in issuer and name else None


def _with_issuer(name: str, issuers: Iterable[str]) -> str:
    kind, _, client = name.partition(":")
    if kind != "client" or not client or _issuer_of(client) is not None:
        return name
    return f"client:{next(iter(issuers), '')} {client}"


def _client_fault(client: str, issuers: frozenset[str] | None) -> str | None:
    issuer = _issuer_of(client)
    if issuer is None and (issuers is None or len(issuers) > 1):
        return f"'client:{client}' does not name the issuer of the client: write 'client:ISSUER ID'"
    if issuer is not None and issuers and issuer not in issuers:
        return f"'client:{client}' names an issuer that is not listed"
    return None


def _fault(setting: object, issuers: frozenset[str] | None) -> str | None:
    if not isinstance(setting, Mapping):
        return "it is not a dict"
    for name, rate in setting.items():
        kind, _, rest = name.partition(":") if isinstance(name, str) else ("", "", "")
        if name not in _PARTIES and (kind not in {"client", "scope"} or not rest):
            return f"{name!r} is not counted"
        if kind == "client" and rest and (fault := _client_fault(rest, issuers)) is not None:
            return fault
        if not isinstance(rate, str) or _RATE.fullmatch(rate) is None:
            return f"the rate of {name!r} is not a number and a period"
    return None
