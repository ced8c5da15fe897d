"""JSON as a security document must be: one reading, or none (RFC 8259 section 4, RFC 7515 section 10.12).

Two parsers that read one document in two ways let a signed claim say one thing to the issuer and another here. So:
UTF-8 without a byte order mark, no member name twice, no NaN or Infinity, no number that overflows, no lone surrogate,
no deep nesting.
"""

import re
from itertools import accumulate
from math import isinf
from typing import Any

from jiter import from_json

__all__ = ["MAX_DEPTH", "parse_object"]

MAX_DEPTH = 32

# A string, which ends with the document if it is not closed. Possessive, so that no document makes it go back.
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
# By the byte: one level more for an opener, one less for anything else that is left.
_STEPS = tuple(1 if byte in b"[{" else -1 for byte in range(256))
# A number overflows by its exponent, which then is `0e0` in this alphabet, or by some 309 digits.
_TO_NUMBERS = bytes.maketrans(b"123456789+E", b"0000000000e")
_EXPONENT = b"0e0"
_DIGITS = 300
_MANY_DIGITS = b"0" * _DIGITS


def parse_object(document: bytes) -> dict[str, Any]:
    """The JSON object that the bytes are. Raises ValueError for anything else; its text holds nothing of the document."""
    # The depth is known before a recursive parser reads the document on the stack of a small thread. A document with
    # few openers cannot be deep.
    if document.count(b"[") + document.count(b"{") > MAX_DEPTH and _is_deep(document):
        raise ValueError("nested too deeply")
    try:
        # Without the parser's cache of strings, which unverified tokens could fill.
        value = from_json(document, allow_inf_nan=False, cache_mode="none", catch_duplicate_keys=True)
    except ValueError:
        raise ValueError("not one well-formed JSON value") from None
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")  # noqa: TRY004 - one error for all that the bytes may be
    # The parser reads 1e999 as infinity.
    numbers = document.translate(_TO_NUMBERS)
    if (_EXPONENT in numbers or (len(numbers) > _DIGITS and _MANY_DIGITS in numbers)) and _has_infinity(value):
        raise ValueError("not one well-formed JSON value")
    return value


def _has_infinity(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(_has_infinity, value.values()))
    if isinstance(value, list):
        return any(map(_has_infinity, value))
    return isinstance(value, float) and isinf(value)


def _is_deep(document: bytes) -> bool:
    """Whether more than MAX_DEPTH objects and lists are open at once, as far as the document is JSON. Recurses nowhere."""
    brackets = _STRING.sub(b"", document).translate(None, _NO_BRACKETS)
    depths = accumulate(map(_STEPS.__getitem__, brackets))
    return next(filter(MAX_DEPTH.__lt__, depths), None) is not None
