"""A claim of a token: it is there, equals a value, contains one, or satisfies a function."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from inspect import iscoroutinefunction
from typing import Any, Final, TypeAlias

from resource_server.requirements.requirement import Operation, Requirement
from resource_server.requirements.rights import require_texts
from resource_server.tokens.access_token import AccessToken
from resource_server.tokens.claim_paths import claim_reader

__all__ = ["Claim", "Scalar", "same"]

logger = logging.getLogger("resource_server")

Scalar: TypeAlias = str | int | float | bool

_UNSET: Final = None
_reader = lru_cache(maxsize=1024)(claim_reader)


def same(one: object, other: object) -> bool:
    """Whether two JSON values are equal. For Python, True equals 1; for JSON it does not."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    return one == other


@dataclass(frozen=True, slots=True, repr=False)
class Claim(Requirement):
    """A claim, by its name or by a JSON Pointer such as `/realm_access/roles`; null is absent.

    At most one of three conditions, else the claim has only to be there. `equals` is a text, a number or a boolean.
    `contains` is one in a list; a text is a list of itself, and no part of a text counts. `matches` is a plain function
    of the value that returns True or False. A function that raises or returns anything else refuses, also under `~`.
    Raises ValueError or TypeError for a claim that cannot be meant. Without the claim, a condition cannot be judged.
    """

    name: str
    equals: Scalar | None = _UNSET
    contains: Scalar | None = _UNSET
    matches: Callable[[Any], bool] | None = _UNSET

    def __post_init__(self) -> None:
        require_texts((self.name,), "claim")
        _reader(self.name)
        given = [value for value in (self.equals, self.contains, self.matches) if value is not _UNSET]
        if len(given) > 1:
            raise ValueError("name one of equals, contains and matches; compose claims with &")
        for value in (self.equals, self.contains):
            if value is not _UNSET and not isinstance(value, Scalar):
                raise TypeError(f"a claim is compared with a text, a number or a boolean, not with {value!r}")
        matches: object = self.matches
        if matches is not _UNSET and (not callable(matches) or iscoroutinefunction(matches)):
            raise TypeError("`matches` is a plain function that returns True or False")

    @property
    def words(self) -> str:
        claim = f"claim `{self.name}`"
        if self.equals is not _UNSET:
            return f"{claim} equal to `{self.equals}`"
        if self.contains is not _UNSET:
            return f"{claim} with `{self.contains}`"
        if self.matches is not _UNSET:
            return f"{claim} that passes `{_name(self.matches)}`"
        return claim

    def holds(self, token: AccessToken, operation: Operation) -> bool | None:
        value = _reader(self.name)(token.claims)
        if self.equals is _UNSET and self.contains is _UNSET and self.matches is _UNSET:
            return value is not None
        if value is None:
            return None
        if self.matches is not _UNSET:
            return self._matched(self.matches, value)
        if self.contains is not _UNSET:
            values = value if isinstance(value, tuple) else (value,)
            scalars = [each for each in values if isinstance(each, Scalar)]
            return None if len(scalars) < len(values) else any(same(each, self.contains) for each in scalars)
        return same(value, self.equals) if isinstance(value, Scalar) else None

    def _matched(self, matches: Callable[[Any], object], value: object) -> bool | None:
        try:
            result = matches(value)
        except Exception as error:  # noqa: BLE001 - the project's function
            # Without the error itself, whose message may hold the claim's value.
            logger.error(  # noqa: TRY400 - as above
                "the function of a requirement raised %s: %s", type(error).__name__, self.words
            )
            return None
        if isinstance(result, bool):
            return result
        logger.error("the function of a requirement returned neither True nor False: %s", self.words)
        return None

    def __repr__(self) -> str:
        conditions = {"equals": self.equals, "contains": self.contains}
        given = [f", {name}={value!r}" for name, value in conditions.items() if value is not _UNSET]
        if self.matches is not _UNSET:
            given.append(f", matches={_name(self.matches)}")
        return f"Claim({self.name!r}{''.join(given)})"


def _name(function: object) -> str:
    return str(getattr(function, "__qualname__", type(function).__name__))
