"""The setting USERS, a word, a dotted path or a dict -> UserSource. Imports nothing that it names."""

from collections.abc import Mapping
from typing import Any, Final

from resource_server.conf.problems import Problem, problem
from resource_server.conf.reading import Reading
from resource_server.tokens.claim_paths import claim_reader
from resource_server.tokens.user_source import NameMap, UserSource

__all__ = ["USERS_KEYS", "is_dotted_path", "unusable", "users_of"]

USERS_KEYS: Final = (
    "FIND",
    "FIELD",
    "CREATE",
    "UPDATE",
    "GROUPS",
    "GROUPS_CLAIM",
    "PERMISSIONS",
    "PERMISSIONS_CLAIM",
)
FOUND_BY: Final = ("token", "lookup", "provision")
# What each key of the dict needs of FIND.
_FOR_ROWS: Final = frozenset({"UPDATE", "GROUPS", "PERMISSIONS"})


def unusable(key: str, fault: str, correction: str, *, place: str = "RESOURCE_SERVER") -> Problem:
    """The problem (E035) of a key in the dict USERS."""
    return problem("E035", place=place, key=key, fault=fault, correction=correction)


def is_dotted_path(value: object) -> bool:
    """Whether a value can be the dotted path of something in a module."""
    parts = value.split(".") if isinstance(value, str) else []
    return len(parts) > 1 and all(part.isidentifier() for part in parts)


def users_of(reading: Reading) -> UserSource:
    """The UserSource of a place in the settings; reports E002, E014 and E035. The default without the setting."""
    users = reading.settings.get("USERS", "token")
    if not isinstance(users, Mapping):
        return UserSource(find=_find(reading, users, "USERS"))
    known = {key: value for key, value in users.items() if value is not None}
    inner = Reading(settings=known, place=f"{reading.place}: USERS", problems=reading.problems)
    inner.unknown_keys(USERS_KEYS)
    source = UserSource(
        find=_find(reading, known.get("FIND"), "USERS: FIND"),
        field=None if "FIELD" not in known else str(known["FIELD"]),
        create=_path(reading, known, "CREATE"),
        update=_path(reading, known, "UPDATE"),
        groups=_name_map(reading, known, "GROUPS"),
        permissions=_name_map(reading, known, "PERMISSIONS"),
    )
    _report_idle_keys(reading, known, source.find)
    return source


def _report(reading: Reading, key: str, fault: str, correction: str) -> None:
    reading.problems.append(unusable(key, fault, correction, place=reading.place))


def _find(reading: Reading, value: object, key: str) -> str:
    if value not in FOUND_BY and not is_dotted_path(value):
        reading.report("E014", key=key)
    return str(value)


def _path(reading: Reading, users: Mapping[Any, Any], key: str) -> str | None:
    path = users.get(key)
    if path is not None and not is_dotted_path(path):
        _report(reading, key, "is not a dotted path", "Name a function of the project.")
    return None if path is None else str(path)


def _name_map(reading: Reading, users: Mapping[Any, Any], key: str) -> NameMap | None:
    names, claim = users.get(key), users.get(f"{key}_CLAIM", key.lower())
    if names is None:
        return None
    if not _is_claim(claim):
        correction = "Name one claim, or a JSON Pointer such as /realm_access/roles."
        _report(reading, f"{key}_CLAIM", "does not name a claim", correction)
    pairs = [*names.items()] if isinstance(names, Mapping) else []
    if not pairs or not all(isinstance(text, str) and text for pair in pairs for text in pair):
        example = "editors" if key == "GROUPS" else "blog.change_post"
        correction = f'Write {{"value of the claim": "{example}"}}.'
        _report(reading, key, "is not a dict of values and names", correction)
        return None
    if key == "PERMISSIONS" and not all("." in name for _value, name in pairs):
        correction = "Name each permission with its app, such as blog.change_post."
        _report(reading, key, "names a permission without its app", correction)
    return NameMap(str(claim), tuple(pairs))


def _is_claim(claim: object) -> bool:
    try:
        return isinstance(claim, str) and bool(claim) and bool(claim_reader(claim))
    except ValueError:
        return False


def _report_idle_keys(reading: Reading, users: Mapping[Any, Any], find: str) -> None:
    """Report keys that do nothing beside this FIND: the project expects something of them."""
    for key in users:
        if key == "CREATE" and find != "provision":
            fault, correction = "needs FIND provision", "Nothing else makes users."
        elif key == "FIELD" and find not in {"lookup", "provision"}:
            fault, correction = "needs FIND lookup or provision", "Nothing else reads it."
        elif key in _FOR_ROWS and find == "token":
            fault, correction = "needs users in a database", "With FIND token there is no row of a user."
        elif key in {"GROUPS_CLAIM", "PERMISSIONS_CLAIM"} and key.removesuffix("_CLAIM") not in users:
            fault, correction = f"needs {key.removesuffix('_CLAIM')}", "Name what each value of the claim stands for."
        else:
            continue
        _report(reading, key, fault, correction)
