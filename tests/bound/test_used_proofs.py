"""A proof is used once, or the store gives no clear answer: then nothing passes."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.core.cache import caches

from resource_server.errors import InvalidProof, Unavailable
from resource_server.shared_cache import RequestCache
from resource_server.tokens import used_proofs
from resource_server.tokens.used_proofs import KEPT_SECONDS, UsedProofs

BACKENDS = "django.core.cache.backends"


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


class Liar:
    """A store that answers as it is set: `add` by each value of `added` in turn, the last one for ever."""

    def __init__(self, *added):
        self.added, self.calls = list(added), []

    def add(self, key, value, timeout):
        self.calls.append((key, value, timeout))
        answer = self.added.pop(0) if len(self.added) > 1 else self.added[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


class Memory:
    """A store that keeps entries, and fails while `is_down`."""

    def __init__(self):
        self.entries, self.is_down, self.calls = {}, False, 0

    def add(self, key, value, timeout):
        self.calls += 1
        if self.is_down:
            raise ConnectionError("secret-of-the-store")
        if key in self.entries:
            return False
        self.entries[key] = value
        return True


def reason(call, *arguments):
    with pytest.raises((InvalidProof, Unavailable)) as caught:
        call(*arguments)
    return caught.value.reason


def test_a_proof_is_used_once():
    used = UsedProofs(Memory())

    used.use("key", "1")
    used.use("key", "2")
    used.use("other key", "1")
    assert reason(used.use, "key", "1") == "proof_replayed"
    assert reason(used.use, "key", "1") == "proof_replayed"


@pytest.mark.parametrize("jti", ["\ud800", "\x00\n", "a" * 512, "jti with spaces", "☃"])
def test_the_store_learns_a_digest_alone(jti):
    store = Memory()
    UsedProofs(store).use("key", jti)

    proofs = [key for key in store.entries if "test" not in key]
    assert len(proofs) == 1
    assert len(proofs[0]) == len("resource_server.proof.") + 64
    assert jti not in proofs[0]


LIARS = {
    "True for all": Liar(True),
    "False for all": Liar(False),
    "False, and a string": Liar(False, "True"),
    "None for all": Liar(None),
    "1 for all": Liar(1),
    "a string": Liar("True"),
    "an error": Liar(ConnectionError("down")),
    "an error later": Liar(True, ConnectionError("down")),
    "False, and an error": Liar(False, OSError("down")),
    "an error of its own kind": Liar(RuntimeError("down")),
}


@pytest.mark.parametrize("store", LIARS.values(), ids=LIARS)
def test_a_store_that_lies_lets_nothing_pass(store):
    used = UsedProofs(store)

    for jti in ("1", "2", "1"):
        assert reason(used.use, "key", jti) == "proof_store_failed"


@pytest.mark.parametrize("answer", [None, False, 1, "OK", ConnectionError("down")])
def test_a_store_that_begins_to_lie_lets_nothing_more_pass(answer):
    # An entry is tested first: it was added, and is there when it is added again.
    used = UsedProofs(Liar(True, False, True, True, answer) if answer is not False else Liar(True, answer))

    if answer is not False:
        used.use("key", "1")
        assert reason(used.use, "key", "2") == "proof_store_failed"
    assert reason(used.use, "key", "3") == "proof_store_failed"


def test_a_store_that_loses_its_entries_is_found_out_within_a_minute():
    clock, store = Clock(), Memory()
    used = UsedProofs(store, clock=clock)
    used.use("key", "1")
    store.add = lambda *_, **__: True

    clock.now += 60
    assert reason(used.use, "key", "2") == "proof_store_failed"


def test_an_outage_ends():
    store = Memory()
    used = UsedProofs(store)
    used.use("key", "1")
    store.is_down = True
    assert reason(used.use, "key", "2") == "proof_store_failed"
    store.is_down = False

    used.use("key", "2")
    assert reason(used.use, "key", "1") == "proof_replayed"


def test_the_error_of_the_store_is_not_in_ours():
    store = Memory()
    store.is_down = True
    with pytest.raises(Unavailable) as caught:
        UsedProofs(store).use("key", "1")
    assert caught.value.__suppress_context__


def test_a_used_proof_costs_one_call_of_the_store():
    store = Memory()
    used = UsedProofs(store)
    used.use("key", "0")
    before = store.calls
    for jti in "12345":
        used.use("key", jti)
    assert store.calls - before == 5


def test_one_key_cannot_fill_the_store(monkeypatch):
    monkeypatch.setattr(used_proofs, "MAX_PROOFS_PER_KEY", 3)
    clock = Clock()
    used = UsedProofs(Memory(), clock=clock)
    for jti in "123":
        used.use("key", jti)
        if jti != "3":
            assert [reason(used.use, "key", jti) for _ in range(5)] == ["proof_replayed"] * 5

    with pytest.raises(Unavailable) as caught:
        used.use("key", "4")
    assert (caught.value.reason, caught.value.retry_after) == ("proof_limit_reached", KEPT_SECONDS + 1)
    used.use("other key", "4")
    clock.now += KEPT_SECONDS
    used.use("key", "4")


def test_an_entry_outlives_every_proof():
    store = Liar(True, False, True)
    UsedProofs(store).use("key", "1")

    assert [timeout for key, _, timeout in store.calls if "test" not in key] == [KEPT_SECONDS]
    assert KEPT_SECONDS >= 60 + 5


MEMORY = {"BACKEND": f"{BACKENDS}.locmem.LocMemCache", "LOCATION": "proofs"}
DUMMY = {"BACKEND": f"{BACKENDS}.dummy.DummyCache"}
DOWN = {"BACKEND": f"{BACKENDS}.redis.RedisCache", "LOCATION": "redis://127.0.0.1:1/0"}


def used_in(settings, cache):
    settings.CACHES = {"default": MEMORY, "proofs": cache}
    return UsedProofs(RequestCache("proofs"))


@pytest.mark.parametrize("kind", ["memory", "redis"])
def test_of_many_threads_exactly_one_uses_a_proof(settings, request, kind):
    cache = MEMORY
    if kind == "redis":
        cache = {"BACKEND": f"{BACKENDS}.redis.RedisCache", "LOCATION": request.getfixturevalue("redis_url")}
    used = used_in(settings, cache)
    caches["proofs"].clear()
    start = threading.Barrier(16)

    def use(_):
        start.wait()
        try:
            used.use("key", "1")
        except InvalidProof as error:
            return str(error.reason)
        return "passed"

    with ThreadPoolExecutor(16) as pool:
        outcomes = list(pool.map(use, range(16)))
    assert sorted(outcomes) == ["passed"] + ["proof_replayed"] * 15


def test_a_replica_that_lags_behind_is_not_asked(settings, redis_url):
    # Django writes to the first server and reads from the others. This one never gets what is written.
    replica = redis_url.rpartition("/")[0] + "/0"
    used = used_in(settings, {"BACKEND": f"{BACKENDS}.redis.RedisCache", "LOCATION": [redis_url, replica]})
    caches["proofs"].clear()
    used.use("key", "1")
    assert reason(used.use, "key", "1") == "proof_replayed"


@pytest.mark.parametrize("cache", [DUMMY, DOWN], ids=["dummy", "down"])
def test_a_cache_that_keeps_nothing_or_is_down_lets_nothing_pass(settings, cache, caplog):
    used = used_in(settings, cache)

    assert reason(used.use, "key", "1") == "proof_store_failed"
    kind = "ConnectionError" if cache is DOWN else "ValueError"
    assert [(each.levelname, each.getMessage()) for each in caplog.records] == [
        ("ERROR", f"the cache of CACHE does not work ({kind}); DPoP proofs are answered 503")
    ]


def test_an_outage_is_logged_once_and_without_the_error_of_the_store(caplog):
    store = Memory()
    used = UsedProofs(store)
    for _ in range(2):
        store.is_down = True
        for _ in range(3):
            assert reason(used.use, "key", "1") == "proof_store_failed"
        store.is_down = False
        used.use("key", str(len(store.entries)))
    levels = [each.levelname for each in caplog.records]
    assert [level for level in levels if level != "DEBUG"] == ["ERROR", "WARNING"] * 2
    assert "secret-of-the-store" not in caplog.text


def test_a_table_without_the_table_lets_nothing_pass(settings, transactional_db):
    used = used_in(settings, {"BACKEND": f"{BACKENDS}.db.DatabaseCache", "LOCATION": "no_such_table"})

    assert reason(used.use, "key", "1") == "proof_store_failed"
