"""Django's cache as the store of what processes share.

These are documents (`keys/shared_documents.py`), answers (`tokens/shared_answers.py`) and the deny list
(`tokens/revocations.py`). A project without them imports none of their modules.
"""

import contextlib
from typing import TYPE_CHECKING, Any

from django.core.cache import caches
from django.db import connections
from django.utils.crypto import salted_hmac

from resource_server.keys.document import Fetch

if TYPE_CHECKING:
    from resource_server.tokens.revocations import Revocations
    from resource_server.tokens.shared_answers import SharedAnswers

__all__ = ["RequestCache", "deny_list", "shared_answers", "shared_documents"]


class _Cache:
    """Django's cache behind an alias. Each call runs in its own thread, and closes that thread's connections."""

    def __init__(self, alias: str) -> None:
        self._alias = alias
        # Imports the client's library now, without a connection: that may take longer than a call may wait for the
        # cache. A missing library is reported by the first call.
        with contextlib.suppress(Exception):
            getattr(caches[alias], "_cache", None)

    def get(self, key: str, /) -> Any:
        return self._call("get", key)

    def set(self, key: str, value: str, /, timeout: float) -> Any:
        return self._call("set", key, value, timeout=timeout)

    def add(self, key: str, value: str, /, timeout: float) -> bool:
        return bool(self._call("add", key, value, timeout=timeout))

    def delete(self, key: str, /) -> Any:
        return self._call("delete", key)

    def _call(self, method: str, *arguments: Any, **options: Any) -> Any:
        cache = caches[self._alias]
        try:
            return getattr(cache, method)(*arguments, **options)
        finally:
            cache.close()
            # Django leaves the connections of this thread to the garbage collector if the cache is a table or Redis.
            connections.close_all()
            for pool in getattr(getattr(cache, "_cache", None), "_pools", {}).values():
                pool.disconnect()


class RequestCache:
    """Django's cache behind an alias, for calls within a request: Django closes the connections after it."""

    def __init__(self, alias: str) -> None:
        self._alias = alias

    def get_many(self, keys: list[str], /) -> Any:
        return caches[self._alias].get_many(keys)

    def set(self, key: str, value: int, /, timeout: int | None) -> Any:
        caches[self._alias].set(key, value, timeout)

    def add(self, key: str, value: object, /, timeout: float | None) -> object:
        return caches[self._alias].add(key, value, timeout)


def shared_documents(fetch: Fetch, alias: str) -> Fetch:
    """Shares fetched documents through the cache with this alias. Raises ImproperlyConfigured without SECRET_KEY."""
    from resource_server.keys.shared_documents import SharedDocuments

    return SharedDocuments(fetch, _Cache(alias), secret=_secret("resource_server.documents"))


def shared_answers(alias: str) -> "SharedAnswers":
    """Shares answers about tokens through the cache with this alias. Raises ImproperlyConfigured without SECRET_KEY."""
    from resource_server.tokens.shared_answers import SharedAnswers

    return SharedAnswers(_Cache(alias), secret=_secret("resource_server.introspection"))


def deny_list(alias: str, *, fails_open: bool, max_token_seconds: int) -> "Revocations":
    """The deny list in the cache with this alias. Raises ImproperlyConfigured without SECRET_KEY."""
    from resource_server.tokens.revocations import Revocations

    secret = _secret("resource_server.revocations")
    return Revocations(RequestCache(alias), secret=secret, fails_open=fails_open, max_token_seconds=max_token_seconds)


def _secret(purpose: str) -> bytes:
    # Sealed by the project's secret key: an entry of another project, or of an attacker at the cache, is ignored.
    return salted_hmac(purpose, "", algorithm="sha256").digest()
