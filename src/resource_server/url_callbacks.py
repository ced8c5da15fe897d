"""The views of the root URLconf, for the system checks and the metadata. Raises nothing."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from inspect import unwrap
from re import DOTALL, findall, match
from typing import Any

from django.conf import settings
from django.urls import URLPattern, URLResolver, get_resolver
from django.urls.resolvers import LocalePrefixPattern, RegexPattern, RoutePattern

__all__ = ["Place", "callbacks", "ninja_operations", "placed_callbacks"]


@dataclass(frozen=True, slots=True)
class Place:
    """The path of a view, or the part of it before the first variable one, of which `variable` is the regex.

    `variable` is None if the path is whole, and empty if anything may follow.
    """

    path: str
    variable: str | None = None

    def may_begin(self, path: str) -> bool:
        """Whether the variable part may go on as this path does. The rest of the address is not compared."""
        if self.variable is None or not path.startswith(self.path):
            return False
        return match(self.variable, path.removeprefix(self.path)) is not None


def callbacks() -> Iterator[Any]:
    """Each view, as its URL pattern has it. A URLconf that cannot be loaded is skipped: Django itself reports it."""
    pending: list[Any] = []
    with suppress(Exception):
        pending = [get_resolver()]
    seen: set[int] = set()
    while pending:
        pattern = pending.pop(0)
        if isinstance(pattern, URLPattern):
            yield pattern.callback
        elif isinstance(pattern, URLResolver):
            with suppress(Exception):
                inside = pattern.url_patterns
                if id(inside) not in seen:  # one that is included twice, or in itself
                    seen.add(id(inside))
                    pending = [*inside, *pending]


def placed_callbacks(script_prefix: str = "/") -> Iterator[tuple[Any, frozenset[Place]]]:
    """Each view with its places, in each language. One that is included several times is there several times."""
    with suppress(Exception):
        yield from _placed(get_resolver().url_patterns, frozenset({Place(script_prefix)}), frozenset())


def _placed(
    patterns: Iterable[Any], places: frozenset[Place], outside: frozenset[int]
) -> Iterator[tuple[Any, frozenset[Place]]]:
    for pattern in patterns:
        with suppress(Exception):
            here = frozenset(end for place in places for end in _extended(place, pattern.pattern))
            if isinstance(pattern, URLPattern):
                yield pattern.callback, here
            elif id(pattern.url_patterns) not in outside:  # one that is included in itself
                yield from _placed(pattern.url_patterns, here, outside | {id(pattern.url_patterns)})


def _extended(place: Place, pattern: object) -> list[Place]:
    """A place with the text of a pattern behind it."""
    if place.variable is not None:
        return [place]
    if isinstance(pattern, LocalePrefixPattern):
        prefixes = [f"{language}/" for language, _ in settings.LANGUAGES]
        without = [] if pattern.prefix_default_language else [""]
        return [Place(place.path + prefix) for prefix in without + prefixes]
    text, variable = _literal(pattern)
    return [Place(place.path + text, variable)]


def _literal(pattern: object) -> tuple[str, str | None]:
    """The text that each match of a pattern begins with, and the regex of the variable part after it."""
    if isinstance(pattern, RoutePattern):
        text, variable, _ = str(pattern).partition("<")
        converters = [converter.regex for converter in pattern.converters.values()]
        return text, converters[0] if variable else None
    return _literal_of_regex(str(pattern)) if isinstance(pattern, RegexPattern) else ("", "")


def _literal_of_regex(regex: str) -> tuple[str, str | None]:
    text: list[str] = []
    is_open, depth = False, 0
    inside = regex.removeprefix("^").removesuffix("$").removesuffix("\\Z").removesuffix("/?")
    for token in findall(r"\\?.", inside, DOTALL):
        if token == "|" and not depth:
            return "", ""
        depth += (token == "(") - (token == ")")
        if is_open:
            continue
        if token in "*?{":
            text = text[:-1]  # the quantifier of the character before it
        is_open = token in ".^$*+?{[(" or (token[0] == "\\" and token[1:].isalnum())
        if not is_open:
            text.append(token[-1])
    return "".join(text), "" if is_open else None


def ninja_operations(callback: Any) -> Iterator[Any]:
    """The operations of a view of django-ninja, a function that holds its PathView in its closure."""
    for cell in getattr(unwrap(callback), "__closure__", None) or ():
        with suppress(ValueError):  # the cell is still empty
            yield from getattr(cell.cell_contents, "operations", ())
