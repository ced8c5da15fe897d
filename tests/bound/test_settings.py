"""The settings of bound tokens, and the checks of the cache that knows the used proofs."""

import pytest

from resource_server.checks import check_proof_cache
from resource_server.conf.project import parse

BACKENDS = "django.core.cache.backends"
ISSUER = {"ISSUER": "https://issuer.test/", "AUDIENCE": "https://api.test/"}
DPOP = {**ISSUER, "DPOP": "allowed", "PUBLIC_ORIGIN": "https://api.test", "CACHE": "default"}


def problems(settings):
    config, found = parse(settings, debug=False, caches=["default"])
    assert (config is None) == bool(found)
    return [(each.id, each.key) for each in found]


@pytest.mark.parametrize("value", ["on", "", "Allowed", True, None, 1, ["allowed"], {}])
def test_dpop_is_one_of_three_words(value):
    assert problems({**DPOP, "DPOP": value}) == [("E050", "DPOP")]


@pytest.mark.parametrize("value", ["on", "", "Required", True, None, 1, ["required"], {}])
def test_dpop_nonce_is_one_of_three_words(value):
    assert problems({**DPOP, "DPOP_NONCE": value}) == [("E051", "DPOP_NONCE")]


@pytest.mark.parametrize("missing", ["PUBLIC_ORIGIN", "CACHE"])
@pytest.mark.parametrize("rule", ["allowed", "required"])
def test_dpop_needs_an_origin_and_a_cache(missing, rule):
    settings = {**DPOP, "DPOP": rule}
    del settings[missing]
    assert problems(settings) == [("E053", "DPOP")]
    settings = {name: value for name, value in settings.items() if name not in ISSUER}
    assert problems({**settings, "ISSUERS": "project.issuers.settings_of", "AUDIENCE": "a"}) == [("E053", "DPOP")]
    assert problems({**settings, "DPOP": "off", **ISSUER}) == []


def test_an_empty_origin_is_none():
    assert problems({**DPOP, "PUBLIC_ORIGIN": ""}) == [("E053", "DPOP")]


@pytest.mark.parametrize(
    ("backend", "is_warned"),
    [
        ("locmem.LocMemCache", True),
        ("dummy.DummyCache", True),
        ("filebased.FileBasedCache", True),
        ("db.DatabaseCache", True),
        ("redis.RedisCache", False),
        ("memcached.PyMemcacheCache", False),
    ],
)
@pytest.mark.parametrize("several", [False, True])
def test_a_cache_that_lets_a_proof_pass_twice_is_warned_of(settings, backend, is_warned, several):
    settings.CACHES = {"default": {"BACKEND": f"{BACKENDS}.{backend}", "LOCATION": "x"}}
    common = {name: value for name, value in DPOP.items() if name not in ("ISSUER", "DPOP")}
    entries = {"ISSUERS": [{"ISSUER": "https://issuer.test/", "DPOP": "required"}], **common}
    settings.RESOURCE_SERVER = entries if several else DPOP

    assert [each.id for each in check_proof_cache()] == ["resource_server.W015"] * is_warned
    settings.RESOURCE_SERVER = {**ISSUER, "CACHE": "default"}
    assert check_proof_cache() == []
