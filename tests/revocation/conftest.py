"""A project with a deny list in a real Redis."""

from collections.abc import Iterator
from typing import Any

import pytest
import redis
from django.core.cache import caches
from pytest_django import Settings

from resource_server import server
from resource_server.revocation import begin_deny_list
from resource_server.testing import FakeIssuer

CLIENT = "web-client"


def redis_cache(url: str, **options: Any) -> dict[str, Any]:
    return {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": url, **options}


@pytest.fixture
def issuer(settings: Settings, redis_url: str) -> Iterator[FakeIssuer]:
    """An issuer that the project trusts. The list is empty and complete."""
    issuer = FakeIssuer(algorithm="ES256")
    with redis.Redis.from_url(redis_url) as database:
        database.flushdb()
    settings.CACHES = {"default": redis_cache(redis_url)}
    settings.RESOURCE_SERVER = issuer.settings(REVOCATION="default", LOGOUT_AUDIENCE=CLIENT)
    with issuer.serving():
        begin_deny_list()
        yield issuer
    caches["default"].close()


def forget_copies() -> None:
    """As after 2 s, or in another process."""
    deny_list = server.current().revocations
    assert deny_list is not None
    deny_list._passed_until.clear()
