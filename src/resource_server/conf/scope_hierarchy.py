"""SCOPE_HIERARCHY -> for each scope, all other scopes that a token with it has too."""

from collections.abc import Mapping

from resource_server.conf.reading import Reading, strings
from resource_server.requirements.rights import is_scope

__all__ = ["scope_hierarchy"]


def scope_hierarchy(reading: Reading) -> Mapping[str, frozenset[str]]:
    """The scopes that each scope implies, directly or through others. Reports E050 for anything but such a dict."""
    setting = reading.settings.get("SCOPE_HIERARCHY", {})
    direct: dict[object, tuple[str, ...] | None] = {"": None}
    if isinstance(setting, Mapping):
        direct = {scope: strings(implied) for scope, implied in setting.items()}
    names = [*direct, *(scope for implied in direct.values() for scope in implied or ())]
    if not all(direct.values()) or not all(map(is_scope, names)):
        reading.report("E050")
        return {}
    known = {str(scope): frozenset(implied or ()) for scope, implied in direct.items()}
    return {scope: _all_implied(scope, known) for scope in known}


def _all_implied(scope: str, direct: Mapping[str, frozenset[str]]) -> frozenset[str]:
    found: set[str] = set()
    pending = [scope]
    while pending:
        new = direct.get(pending.pop(), frozenset()) - found
        found |= new
        pending += new
    return frozenset(found)
