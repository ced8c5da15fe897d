"""THROTTLE_RATES -> the rate of each party that `resource_server.throttles` counts."""

import re
from collections.abc import Mapping

from resource_server.conf.reading import Reading

__all__ = ["throttle_rates"]

_PARTIES = frozenset({"subject", "client", "issuer"})
# As REST framework reads it: the first letter of the period counts.
_RATE = re.compile(r"[1-9][0-9]{0,8}/(?:s|sec|second|m|min|minute|h|hour|d|day)")


def throttle_rates(reading: Reading, issuer: str | None) -> Mapping[str, str]:
    """The rates by `subject`, `client`, `issuer`, `client:ISSUER ID` and `scope:NAME`. Reports E038.

    `issuer` is the only issuer, or None: its clients may be named by `client:ID`. Another issuer may have a client of the
    same name.
    """
    setting = reading.settings.get("THROTTLE_RATES", {})
    fault = _fault(setting, issuer)
    if fault is not None:
        reading.report("E038", fault=fault)
        return {}
    return {_with_issuer(name, issuer): rate for name, rate in setting.items()}


def _names_issuer(client: str) -> bool:
    # An issuer is a URL, so it has no space; the name of a client may have some.
    issuer, space, name = client.partition(" ")
    return "://" in issuer and bool(space and name)


def _with_issuer(name: str, issuer: str | None) -> str:
    kind, _, client = name.partition(":")
    return f"client:{issuer} {client}" if kind == "client" and client and not _names_issuer(client) else name


def _fault(setting: object, issuer: str | None) -> str | None:
    if not isinstance(setting, Mapping):
        return "it is not a dict"
    for name, rate in setting.items():
        kind, _, rest = name.partition(":") if isinstance(name, str) else ("", "", "")
        if name not in _PARTIES and (kind not in {"client", "scope"} or not rest):
            return f"{name!r} is not counted"
        if kind == "client" and rest and issuer is None and not _names_issuer(rest):
            return f"{name!r} does not name the issuer of the client: write 'client:ISSUER ID'"
        if not isinstance(rate, str) or _RATE.fullmatch(rate) is None:
            return f"the rate of {name!r} is not a number and a period"
    return None
