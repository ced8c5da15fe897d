"""CLAIMS, SCOPE_HIERARCHY and DJANGO_PERMISSIONS -> where an issuer's tokens have rights, and what these include."""

import pickle
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Final

from resource_server.conf.reading import Reading, strings
from resource_server.requirements import Requirement, requirement_of
from resource_server.requirements.rights import is_scope
from resource_server.tokens.claim_paths import claim_reader
from resource_server.tokens.policy import RightClaims

__all__ = ["RIGHTS", "right_claims", "right_names"]

# The keys of CLAIMS that are read here; conf/issuer.py reads the others.
RIGHTS: Final = frozenset({"permissions", "roles", "groups", "organisation"})


def right_names(claims: object) -> Mapping[str, str]:
    """The names of the claims of rights in CLAIMS. Raises ValueError for one that cannot be a name."""
    found = dict[str, str]()
    given: Mapping[str, object] = claims if isinstance(claims, Mapping) else {}
    for role in sorted(RIGHTS.intersection(given)):
        name = given[role]
        if not isinstance(name, str) or not name:
            raise ValueError(f"For {role} there is one name or JSON Pointer")
        claim_reader(name)
        found[role] = name
    return found


def right_claims(reading: Reading, of_provider: RightClaims) -> RightClaims:
    """The claims of rights: those of the provider, with those of the settings.

    Reports E036 and E037. Does not report names in CLAIMS that `right_names` refuses.
    """
    names: Mapping[str, str] = {}
    with suppress(ValueError):
        names = right_names(reading.settings.get("CLAIMS", {}))
    return replace(
        of_provider,
        **names,
        implied_scopes=_implied_scopes(reading),
        django_permissions=_django_permissions(reading),
    )


def _implied_scopes(reading: Reading) -> Mapping[str, frozenset[str]]:
    """The scopes that each scope of SCOPE_HIERARCHY implies, directly or through others."""
    setting = reading.settings.get("SCOPE_HIERARCHY", {})
    direct: dict[object, tuple[str, ...] | None] = {"": None}
    if isinstance(setting, Mapping):
        direct = {scope: strings(implied) for scope, implied in setting.items()}
    names = [*direct, *(scope for implied in direct.values() for scope in implied or ())]
    if not all(direct.values()) or not all(map(is_scope, names)):
        reading.report("E036")
        return {}
    known = {str(scope): frozenset(implied or ()) for scope, implied in direct.items()}
    return {scope: _all_implied(scope, known) for scope in known}


def _django_permissions(reading: Reading) -> Mapping[str, Requirement]:
    """The requirement for each permission in DJANGO_PERMISSIONS. Reports E037."""
    setting = reading.settings.get("DJANGO_PERMISSIONS", {})
    found: dict[str, Requirement] = {}
    try:
        for name, declared in setting.items():
            app, _, codename = name.partition(".")
            if not app.isidentifier() or not codename:
                raise ValueError(f"{name!r} is not a permission such as blog.change_post")
            if not isinstance(declared, Requirement | str):
                raise TypeError(f"{name} is given by no requirement")
            found[name] = requirement_of(declared)
        # A token can be pickled, and refers to them.
        pickle.dumps(found)
    except Exception as error:  # noqa: BLE001 - a value of the settings can be anything
        reading.report("E037", fault=error)
        return {}
    return found


def _all_implied(scope: str, direct: Mapping[str, frozenset[str]]) -> frozenset[str]:
    found: set[str] = set()
    pending = [scope]
    while pending:
        new = direct.get(pending.pop(), frozenset()) - found
        found |= new
        pending += new
    return frozenset(found)
