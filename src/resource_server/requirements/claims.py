"""A claim of a token: it is there, equals a value, contains one, or satisfies a function."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from inspect import iscoroutinefunction
from typing import Any, Final, TypeAlias

from resource_server.plain_texts import plain_text
from resource_server.requirements.requirement import Operation, Requirement
from resource_server.requirements.rights import UNSET, given, require_texts
from resource_server.tokens.access_token import AccessToken
from resource_server.tokens.claim_paths import claim_reader

__all__ = ["Claim", "Scalar", "same"]

logger = logging.getLogger("resource_server")

Scalar: TypeAlias = str | int | float | bool

_ASTRAY: Final = object()
_reader = lru_cache(maxsize=1024)(claim_reader)


def same(one: object, other: object) -> bool:
    """Whether two JSON values are equal. For Python, True equals 1; for JSON it does not."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    return one == other


@dataclass(frozen=True, slots=True, init=False, repr=False)
class Claim(Requirement):
    """A claim, by its name or by a JSON Pointer such as `/realm_access/roles`; null is absent.

    At most one of three conditions, else the claim has only to be there. `equals` is a text, a number or a boolean.
    `contains` is one in a list; a text is a list of itself, and no part of a text counts. `matches` is a plain function
    of the value that returns True or False. A function that raises or returns anything else refuses, also under `~`.
    Raises ValueError or TypeError for a claim that cannot be meant, and for a condition that is None. Without the claim,
    a condition cannot be judged; nor can a pointer that leads through a value which cannot have the member.
    """

    name: str
    equals: Scalar | None
    contains: Scalar | None
    matches: Callable[[Any], bool] | None

    def __init__(
        self,
        name: str,
        equals: Scalar = UNSET,
        contains: Scalar = UNSET,
        matches: Callable[[Any], bool] = UNSET,
    ) -> None:
        (name,) = require_texts((name,), "claim")
        _reader(name, _ASTRAY)
        conditions = {"equals": equals, "contains": contains, "matches": matches}
        values = {key: plain_text(given(key, value)) for key, value in conditions.items()}
        if len([value for value in values.values() if value is not None]) > 1:
            raise ValueError("name one of equals, contains and matches; compose claims with &")
        for value in (values["equals"], values["contains"]):
            if value is not None and not isinstance(value, Scalar):
                raise TypeError(f"a claim is compared with a text, a number or a boolean, not with {value!r}")
        function = values["matches"]
        if function is not None and (not callable(function) or iscoroutinefunction(function)):
            raise TypeError("`matches` is a plain function that returns True or False")
        object.__setattr__(self, "name", name)
        for key, value in values.items():
            object.__setattr__(self, key, value)

    @property
    def _has_condition(self) -> bool:
        return self.equals is not None or self.contains is not None or self.matches is not None

    @property
    def words(self) -> str:
        # Without the value: refusals and API descriptions show the words to callers.
        return f"claim `{self.name}`{' with an accepted value' if self._has_condition else ''}"

    def holds(self, token: AccessToken, operation: Operation) -> bool | None:
        value = _reader(self.name, _ASTRAY)(token.claims)
        if value is _ASTRAY:
            return None
        if not self._has_condition:
            return value is not None
        if value is None:
            return None
        if self.matches is not None:
            return self._matched(self.matches, value)
        if self.contains is not None:
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
                "the function of a requirement raised %s: %r", type(error).__name__, self
            )
            return None
        if isinstance(result, bool):
            return result
        logger.error("the function of a requirement returned neither True nor False: %r", self)
        return None

    def __repr__(self) -> str:
        conditions = {"equals": self.equals, "contains": self.contains}
        members = [f", {name}={value!r}" for name, value in conditions.items() if value is not None]
        if self.matches is not None:
            members.append(f", matches={_name(self.matches)}")
        return f"Claim({self.name!r}{''.join(members)})"


def _name(function: object) -> str:
    return str(getattr(function, "__qualname__", type(function).__name__))
