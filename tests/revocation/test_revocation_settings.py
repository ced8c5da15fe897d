"""The settings of the deny list: their problems, and the warnings about caches."""

from typing import Any

import pytest
from django.core.cache.backends import locmem
from django.core.checks import run_checks
from pytest_django import Settings

from resource_server import server
from resource_server.conf.revocation import unfit_cache

GOOD = {"ISSUER": "https://issuer.test/", "AUDIENCE": "https://api.test/"}


class LocMemCache(locmem.LocMemCache):
    """A backend of the project, of which nothing is known."""


CACHES = {
    "redis": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": "redis://127.0.0.1:6379"},
    "replicas": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": ["redis://127.0.0.1:6379", "redis://127.0.0.1:6380"],
    },
    "replicas in a text": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": "redis://127.0.0.1:6379;redis://127.0.0.1:6380",
    },
    "own": {"BACKEND": f"{__name__}.LocMemCache"},
    "memory": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"},
    "dummy": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"},
    "files": {"BACKEND": "django.core.cache.backends.filebased.FileBasedCache", "LOCATION": "cache"},
    "database": {"BACKEND": "django.core.cache.backends.db.DatabaseCache", "LOCATION": "cache"},
    "default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"},
}

# The settings, and the ids of their problems.
PROBLEMS: dict[str, tuple[dict[str, Any], list[str]]] = {
    "no such cache": ({"REVOCATION": "none"}, ["E045"]),
    "a cache that is a dict": ({"REVOCATION": {"CACHE": "redis"}}, ["E045"]),
    "an empty cache": ({"REVOCATION": ""}, ["E045"]),
    "fails in no way": ({"REVOCATION": "redis", "REVOCATION_FAILS": True}, ["E046"]),
    "fails in a list of ways": ({"REVOCATION": "redis", "REVOCATION_FAILS": ["open"]}, ["E046"]),
    "fails wrongly without a list": ({"REVOCATION_FAILS": "ajar"}, ["E046"]),
    "no seconds": ({"REVOCATION": "redis", "MAX_TOKEN_SECONDS": 0}, ["E047"]),
    "seconds that are True": ({"REVOCATION": "redis", "MAX_TOKEN_SECONDS": True}, ["E047"]),
    "two years": ({"REVOCATION": "redis", "MAX_TOKEN_SECONDS": 2 * 366 * 24 * 3600}, ["E047"]),
    "a client that is a number": ({"REVOCATION": "redis", "LOGOUT_AUDIENCE": 5}, ["E049"]),
    "a client in a list of numbers": ({"REVOCATION": "redis", "LOGOUT_AUDIENCE": [5]}, ["E049"]),
    "clients without a list": ({"LOGOUT_AUDIENCE": ["a", "b"]}, ["W014"]),
    "memory of one process": ({"REVOCATION": "memory"}, ["W013"]),
    "a cache that keeps nothing": ({"REVOCATION": "dummy"}, ["W013"]),
    "files": ({"REVOCATION": "files"}, ["W013"]),
    "a table": ({"REVOCATION": "database"}, ["W013"]),
    "Redis with replicas": ({"REVOCATION": "replicas"}, ["W013"]),
    "Redis with replicas in a text": ({"REVOCATION": "replicas in a text"}, ["W013"]),
    "Redis": ({"REVOCATION": "redis", "LOGOUT_AUDIENCE": "a"}, []),
    "all of them": ({"REVOCATION": "redis", "REVOCATION_FAILS": "open", "MAX_TOKEN_SECONDS": 3600}, []),
    "a cache of the project": ({"REVOCATION": "own"}, []),
}


def ids() -> list[str]:
    found = [message for message in run_checks() if (message.id or "").startswith("resource_server.")]
    assert all(message.hint for message in found)
    return [str(message.id)[-4:] for message in found]


@pytest.mark.parametrize(("changes", "expected"), PROBLEMS.values(), ids=PROBLEMS)
def test_each_problem_has_its_id(settings: Settings, changes: dict[str, Any], expected: list[str]) -> None:
    settings.CACHES = CACHES
    settings.RESOURCE_SERVER = {**GOOD, **changes}
    assert ids() == expected


def test_several_servers_of_memcached_are_no_replicas() -> None:
    servers = ["127.0.0.1:11211", "127.0.0.1:11212"]
    assert unfit_cache({"BACKEND": "django.core.cache.backends.memcached.PyMemcacheCache", "LOCATION": servers}) is None


def test_a_list_needs_a_secret_key(settings: Settings) -> None:
    settings.CACHES = CACHES
    settings.RESOURCE_SERVER = {**GOOD, "REVOCATION": "redis"}
    settings.SECRET_KEY = ""
    assert ids() == ["E048"]


def test_clients_of_one_of_several_issuers(settings: Settings) -> None:
    settings.CACHES = CACHES
    settings.RESOURCE_SERVER = {"ISSUERS": [{**GOOD, "LOGOUT_AUDIENCE": "a"}, {**GOOD, "ISSUER": "https://b.test/"}]}
    assert ids() == ["W014"]
    settings.RESOURCE_SERVER = {**settings.RESOURCE_SERVER, "REVOCATION": "redis"}
    assert ids() == []
    audiences = [issuer.policy.logout_audience for issuer in server.current().verifier.issuers]
    assert audiences == [("a",), ()]
