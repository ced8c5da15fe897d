"""JSON as a security document must be: one reading, or none (RFC 8259 section 4, RFC 7515 section 10.12).

Two parsers that read one document in two ways are how a signed claim says one thing to the issuer and another to us.
So: UTF-8 without a byte order mark, no member name twice, no NaN or Infinity, no number that overflows, no lone
surrogate, no deep nesting.
"""

import json
import re
from collections.abc import Callable
from itertools import accumulate
from typing import Any, NoReturn

__all__ = ["MAX_DEPTH", "parse_object"]

MAX_DEPTH = 32

_SURROGATE_ESCAPE = re.compile(rb"\\u[dD][89a-fA-F]")
# A string, which ends with the document where it is not closed. Possessive, so that no document makes it go back.
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
# By the byte: one level more for an opener, one less for anything else that is left.
_STEPS = tuple(1 if byte in b"[{" else -1 for byte in range(256))


def parse_object(document: bytes) -> dict[str, Any]:
    """The JSON object that the bytes are. Raises ValueError for anything else; its text holds nothing of the document."""
    # The scanner of the standard library recurses in C, where a deep document overflows the stack of a small thread and
    # ends the process; so the depth is known before. A document with few openers cannot be deep.
    if document.count(b"[") + document.count(b"{") > MAX_DEPTH and _is_deep(document):
        raise ValueError("nested too deeply")
    try:
        # RFC 8259 section 2: whitespace around the value; what the scanner leaves over is none. `decode` does the same
        # in half as much time again.
        text = document.decode("utf-8").strip(" \t\n\r")
        value, end = _scan(text, 0)
        if end != len(text):
            raise ValueError("more than one value")
        # A lone surrogate cannot be encoded, so it would fail far from here: in a log, a header, a database.
        if "\\" in text and _SURROGATE_ESCAPE.search(document):
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except (ValueError, RecursionError, StopIteration):
        raise ValueError("not one well-formed JSON value") from None
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")  # noqa: TRY004 - one error for all that the bytes may be
    return value


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member name stands twice")
    return members


def _constant(_name: str) -> NoReturn:
    raise ValueError("NaN and Infinity are not JSON")


def _float(digits: str) -> float:
    value = float(digits)
    if value in (float("inf"), float("-inf")):
        raise ValueError("a number overflows")
    return value


def _is_deep(document: bytes) -> bool:
    """Whether more than MAX_DEPTH objects and lists are open at once, as far as the document is JSON. Recurses nowhere."""
    brackets = _STRING.sub(b"", document).translate(None, _NO_BRACKETS)
    depths = accumulate(map(_STEPS.__getitem__, brackets))
    return next(filter(MAX_DEPTH.__lt__, depths), None) is not None


_DECODER = json.JSONDecoder(object_pairs_hook=_members, parse_constant=_constant, parse_float=_float)
_scan: Callable[[str, int], tuple[Any, int]] = _DECODER.scan_once  # type: ignore[attr-defined] # what raw_decode calls
