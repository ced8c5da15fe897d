"""The name of a claim, or its place in nested claims as a JSON Pointer (RFC 6901) -> the claim's value.

A name that starts with a slash is a pointer: `/realm_access/roles` is the member `roles` of the claim `realm_access`.
Any other name is one claim, taken whole, also with slashes or dots in it: `https://example.com/roles`.
"""

import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final, TypeAlias

__all__ = ["ClaimReader", "claim_reader", "is_pointer", "outermost"]

# The value of one claim; None if the token does not have it, or has null there.
ClaimReader: TypeAlias = Callable[[Mapping[str, Any]], Any]

# RFC 6901 section 3: a tilde stands before 0 or 1 alone.
_POINTER: Final = re.compile(r"(?:/(?:[^/~]|~[01])*)+")
# RFC 6901 section 4: no leading zeros. No list of a token has more members than seven digits can count.
_INDEX: Final = re.compile(r"0|[1-9][0-9]{0,6}")


def is_pointer(name: str) -> bool:
    """Whether the name of a claim is a JSON Pointer."""
    return name.startswith("/")


def claim_reader(name: str, astray: object = None) -> ClaimReader:
    """The function that reads a claim: by its name, or by a JSON Pointer, which is compiled here once.

    The function returns None for a claim that is absent or null, and `astray` for a pointer that leads through a value
    which cannot have the member, such as a text. It raises nothing and judges no value. Raises ValueError for a name that
    starts with a slash and is not a JSON Pointer.
    """
    if not is_pointer(name):
        return partial(_member, name)
    if _POINTER.fullmatch(name) is None:
        raise ValueError("a name that starts with a slash is a JSON Pointer, in which ~ stands as ~0 and / as ~1")
    return partial(_at, _steps(name), astray)


def outermost(name: str) -> str:
    """The claim that a name is in: for a pointer its first member, else the name itself."""
    return _steps(name)[0] if is_pointer(name) else name


def _steps(pointer: str) -> tuple[str, ...]:
    # RFC 6901 section 4: ~1 before ~0, or ~01 would become a slash.
    return tuple(step.replace("~1", "/").replace("~0", "~") for step in pointer[1:].split("/"))


def _member(name: str, claims: Mapping[str, Any]) -> Any:
    return claims.get(name)


def _at(steps: tuple[str, ...], astray: object, claims: Mapping[str, Any]) -> Any:
    value: Any = claims
    for step in steps:
        if isinstance(value, Mapping):
            value = value.get(step)
        elif isinstance(value, list | tuple) and _INDEX.fullmatch(step):
            value = value[int(step)] if int(step) < len(value) else None
        else:
            return None if value is None else astray
    return value
