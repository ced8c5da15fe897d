"""THROTTLE_RATES -> the rate of each party that `resource_server.throttles` counts."""

import re
from collections.abc import Mapping

from resource_server.conf.reading import Reading

__all__ = ["throttle_rates"]

_PARTIES = frozenset({"subject", "client", "issuer"})
# As REST framework reads it: the first letter of the period counts.
_RATE = re.compile(r"[1-9][0-9]{0,8}/(?:s|sec|second|m|min|minute|h|hour|d|day)")


def throttle_rates(reading: Reading) -> Mapping[str, str]:
    """The rates by `subject`, `client`, `issuer`, `client:ID` and `scope:NAME`. Reports E038."""
    setting = reading.settings.get("THROTTLE_RATES", {})
    fault = _fault(setting)
    if fault is not None:
        reading.report("E038", fault=fault)
        return {}
    return dict(setting)


def _fault(setting: object) -> str | None:
    if not isinstance(setting, Mapping):
        return "it is not a dict"
    for name, rate in setting.items():
        kind, _, rest = name.partition(":") if isinstance(name, str) else ("", "", "")
        if name not in _PARTIES and (kind not in {"client", "scope"} or not rest):
            return f"{name!r} is not counted"
        if not isinstance(rate, str) or _RATE.fullmatch(rate) is None:
            return f"the rate of {name!r} is not a number and a period"
    return None
