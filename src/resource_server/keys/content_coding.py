"""The content codings of a document, gzip and deflate, decoded within a size limit (RFC 9110 section 8.4.1)."""

import zlib

__all__ = ["TooLarge", "decode"]

# Some servers send deflate as RFC 1950 says, with a zlib header, and some without.
_WINDOW_BITS = {
    "gzip": (16 + zlib.MAX_WBITS,),
    "x-gzip": (16 + zlib.MAX_WBITS,),
    "deflate": (zlib.MAX_WBITS, -zlib.MAX_WBITS),
}


class TooLarge(ValueError):
    """The decoded body exceeds the limit."""


def decode(body: bytes, codings: str, *, at_most: int) -> bytes:
    """Return the body without its coding; `codings` is the Content-Encoding header.

    Raises TooLarge past `at_most` bytes, and ValueError for another coding, more than one coding, and a stream that is
    broken, truncated or followed by other bytes. Does not limit the size of a body without coding.
    """
    names = [name for each in codings.lower().split(",") if (name := each.strip()) not in ("", "identity")]
    if not names:
        return body
    if len(names) > 1 or names[0] not in _WINDOW_BITS:
        raise ValueError("content coding is not gzip or deflate")
    for bits in _WINDOW_BITS[names[0]]:
        decoder = zlib.decompressobj(bits)
        try:
            decoded = decoder.decompress(body, at_most + 1)
        except zlib.error:
            continue
        if len(decoded) > at_most:
            raise TooLarge("decoded body is too large")
        if decoder.eof and not decoder.unused_data:
            return decoded
        break
    raise ValueError("compressed stream is broken")
