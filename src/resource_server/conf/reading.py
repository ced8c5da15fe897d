"""One settings dict while it is read: its values in a checked form, and the problems found so far."""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from typing import Any

from resource_server.conf.problems import Problem, problem

__all__ = ["Reading", "closest", "default_of", "strings"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """The settings that are read. `place` says in messages where they stand.

    `debug` admits http on loopback, and `http_hosts` at the hosts with these names.
    """

    settings: Mapping[Any, Any]
    place: str = "RESOURCE_SERVER"
    debug: bool = False
    http_hosts: frozenset[str] = frozenset()
    problems: list[Problem] = field(default_factory=list)

    def report(self, id_: str, /, **values: object) -> None:
        """Note a problem of this place."""
        self.problems.append(problem(id_, place=self.place, **values))

    def unknown_keys(self, keys: Sequence[str]) -> None:
        """Report each key that is not among `keys` (E002)."""
        for key in self.settings:
            if key not in keys:
                hint = closest(key, keys, "The keys are")
                if key == "AUTH0_DOMAIN":
                    hint = (
                        'Write "ISSUER": resource_server.auth0_issuer("tenant.eu.auth0.com") and "PROVIDER": "auth0".'
                    )
                self.report("E002", key=repr(key), suggestion=hint)

    def whole_number(self, id_: str, key: str, default: int, most: int) -> int:
        """A whole number from 0 to `most`, such as a number of entries or of seconds."""
        value = self.settings.get(key, default)
        # Python counts with True, so the type is compared.
        if type(value) is int and 0 <= value <= most:
            return value
        self.report(id_, most=most, default=default)
        return default

    def strings(self, key: str, default: tuple[str, ...]) -> tuple[str, ...] | None:
        """A string or a list of them, as a tuple without repeats; None for anything else, empty if there is none."""
        value = self.settings.get(key, default)
        if value is None or value == "":
            return ()
        return strings(value)


def strings(value: object) -> tuple[str, ...] | None:
    """A string or a list of strings that are not empty, as a tuple without repeats; None for anything else."""
    items = (value,) if isinstance(value, str) else value
    if not isinstance(items, list | tuple | set | frozenset):
        return None
    return tuple(dict.fromkeys(items)) if all(isinstance(item, str) and item for item in items) else None


def closest(word: object, words: Iterable[str], introduction: str) -> str:
    """A hint for a word that is not known: the one of `words` that was probably meant, else all of them."""
    known = {name.lower(): name for name in words}
    close = difflib.get_close_matches(str(word).lower(), known, n=1, cutoff=0.6)
    return f"Did you mean {known[close[0]]}?" if close else f"{introduction} {', '.join(known.values())}."


def default_of(cls: type[Any], name: str) -> Any:
    """The default of a dataclass's field: each default is written once, in the dataclass that it belongs to."""
    (found,) = (each for each in fields(cls) if each.name == name)
    return found.default_factory() if found.default_factory is not MISSING else found.default
