"""The settings that hold an issuer's keys themselves, JWKS, PUBLIC_KEY, KEY_FILE and SECRET -> KeySet."""

import codecs
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from resource_server.conf.reading import Reading
from resource_server.keys.document import MAX_DOCUMENT_BYTES, parse_document
from resource_server.keys.key_set import KeySet, parse_key_set, parse_pem, parse_secret

__all__ = ["KEY_SOURCES", "static_key_set"]

KEY_SOURCES: Final = ("JWKS_URI", "JWKS", "PUBLIC_KEY", "KEY_FILE", "SECRET")


def static_key_set(reading: Reading) -> KeySet | None:
    """The keys that the settings hold, None if they are fetched. Reads KEY_FILE and nothing else.

    Reports E011, E012 and E019 to E021, whose texts repeat nothing of a key or a secret.
    """
    sources = [key for key in KEY_SOURCES if reading.settings.get(key) is not None]
    if len(sources) > 1:
        reading.report("E011", first=sources[0], second=sources[1])
    found = None
    for key in sources:
        if key in _READERS:
            id_, read = _READERS[key]
            try:
                found = read(reading.settings[key])
            except (ValueError, OSError) as error:
                reason = error.strerror if isinstance(error, OSError) else str(error)
                reading.report(id_, reason=reason or "It cannot be read")
    return found


def _read_jwks(value: object) -> KeySet:
    if not isinstance(value, Mapping):
        raise ValueError("RFC 7517 section 5: it is not a dict with a list of keys")  # noqa: TRY004 - a setting's
    keys = parse_key_set(value)
    if keys.skipped or not keys.keys:
        raise ValueError(f"RFC 7517 section 5: {'; '.join(keys.skipped) or 'it holds no key'}")
    return keys


def _read_pem(value: object) -> KeySet:
    if not isinstance(value, str):
        raise ValueError("It is not text")  # noqa: TRY004 - as above
    return parse_pem(value)


def _read_file(value: object) -> KeySet:
    if not isinstance(value, str | os.PathLike):
        raise ValueError("It is not a path")  # noqa: TRY004 - as above
    with Path(value).open("rb") as file:
        content = file.read(MAX_DOCUMENT_BYTES + 1)
    if len(content) > MAX_DOCUMENT_BYTES:
        raise ValueError("It is larger than 256 KiB")
    # Editors on Windows write a byte order mark, also before PEM.
    content = content.removeprefix(codecs.BOM_UTF8)
    if content.lstrip().startswith(b"{"):
        return _read_jwks(parse_document(content))
    return parse_pem(content.decode("utf-8"))


def _read_secret(value: object) -> KeySet:
    if not isinstance(value, str | bytes):
        raise ValueError("It is not text or bytes")  # noqa: TRY004 - as above
    return parse_secret(value)


_READERS: Final[Mapping[str, tuple[str, Callable[[object], KeySet]]]] = {
    "JWKS": ("E012", _read_jwks),
    "PUBLIC_KEY": ("E019", _read_pem),
    "KEY_FILE": ("E020", _read_file),
    "SECRET": ("E021", _read_secret),
}
