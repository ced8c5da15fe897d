"""Texts without a class of their own: what a project writes as a member of `class Role(str, Enum)` is meant as its value."""

from typing import Any, Final

__all__ = ["plain_text", "plain_texts"]

# The settings are six containers deep at most: ISSUERS, an issuer, JWKS, its keys, a key, a member.
_DEEPEST: Final = 8


def plain_text(value: Any) -> Any:
    """The text of a subclass of str as a str, anything else as it is.

    `str()` would be wrong: of such a member it is the name, and its hash is not that of its value.
    """
    return str.__str__(value) if isinstance(value, str) else value


def plain_texts(value: Any, _depth: int = 0) -> Any:
    """A value of the settings with each text in it as a str: in dicts, their keys, lists, tuples and sets."""
    if _depth == _DEEPEST:
        return value
    if isinstance(value, dict):
        return {plain_text(key): plain_texts(each, _depth + 1) for key, each in value.items()}
    for kind in (list, tuple, set, frozenset):
        if isinstance(value, kind):
            return kind(plain_texts(each, _depth + 1) for each in value)
    return plain_text(value)
