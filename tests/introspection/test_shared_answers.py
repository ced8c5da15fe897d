"""Answers that processes share: one question for all, and a store that is trusted with nothing."""

import base64
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
import redis
from django.core.cache import caches
from django.test import override_settings
from tests.introspection.conftest import NOW, OPAQUE, Api, Endpoint, answer

from resource_server.shared_cache import _Cache
from resource_server.tokens import shared_answers
from resource_server.tokens.introspection_answer import IntrospectionAnswer
from resource_server.tokens.shared_answers import SharedAnswers

SECRET = b"of this project"
INACTIVE = b'{"active": false}'


class Store:
    """What Django's cache framework looks like, in one dict that the processes of a test share."""

    def __init__(self) -> None:
        self.entries: dict[str, Any] = {}
        self.failure: Callable[[], object] | None = None
        self._lock = threading.Lock()

    def get(self, key: str, /) -> Any:
        self._fail()
        return self.entries.get(key)

    def set(self, key: str, value: str, /, timeout: float) -> Any:
        self._fail()
        self.entries[key] = value

    def add(self, key: str, value: str, /, timeout: float) -> bool:
        self._fail()
        with self._lock:
            return self.entries.setdefault(key, mine := object()) is mine

    def delete(self, key: str, /) -> Any:
        self._fail()
        self.entries.pop(key, None)

    def _fail(self) -> None:
        if self.failure is not None:
            self.failure()

    @property
    def answers(self) -> dict[str, Any]:
        return {key: entry for key, entry in self.entries.items() if not key.endswith(":lock")}


class World:
    """An endpoint, a store, and as many processes as a test asks for."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self.store = Store()
        self.now: float = NOW

    def process(self, *, secret: bytes = SECRET, ahead: float = 0.0, **options: Any) -> Api:
        shared = SharedAnswers(self.store, secret=secret, now=lambda: self.now + ahead)
        api = Api(options.pop("url", self.endpoint.url), shared=shared, **options)
        api.now = self.now + ahead
        return api

    def put(self, **changes: Any) -> None:
        """Let another process ask and store the answer."""
        self.endpoint.body = answer(**changes) if changes.get("active", True) else INACTIVE
        self.process().outcome()


@pytest.fixture
def world(endpoint: Endpoint) -> World:
    return World(endpoint)


def test_one_process_asks_for_all(world: World) -> None:
    tokens = [world.process().token() for _ in range(3)]
    assert [token.subject for token in tokens] == ["auth0|ada"] * 3
    assert len(world.endpoint.asked) == 1


def test_an_inactive_token_is_asked_about_once_in_ten_seconds(world: World) -> None:
    world.endpoint.body = INACTIVE
    assert [world.process().refusal() for _ in range(3)] == ["401 token_inactive"] * 3
    world.endpoint.body = answer()
    world.now += 9.9
    assert world.process().refusal() == "401 token_inactive"
    assert len(world.endpoint.asked) == 1
    world.now += 0.1
    assert world.process().outcome() == "200"


def test_the_age_of_an_answer_counts(world: World) -> None:
    world.put()
    world.now += 40
    api = world.process()
    api.token()
    api.now, api.clock = api.now + 19, api.clock + 19
    api.token()
    assert len(world.endpoint.asked) == 1
    world.now, api.now, api.clock = world.now + 20, api.now + 1, api.clock + 1
    world.endpoint.body = INACTIVE
    assert api.refusal() == "401 token_inactive"


def test_an_answer_is_not_shared_longer_than_its_token(world: World) -> None:
    world.put(exp=NOW + 5)
    world.now += 4
    world.process().token()
    assert len(world.endpoint.asked) == 1
    world.now += 1
    world.process().token()
    assert len(world.endpoint.asked) == 2
    world.process().token()
    assert len(world.endpoint.asked) == 3, "an answer about a token that has ended is not stored"


def test_each_process_judges_by_its_own_settings(world: World) -> None:
    world.put()
    other = world.process(members={"audience": ("https://other.test/",)})
    assert other.refusal() == "401 audience_not_accepted"
    assert len(world.endpoint.asked) == 1


LIES: dict[str, Callable[[World, str], None]] = {
    "nothing of ours": lambda world, name: world.store.entries.update({name: answer().decode()}),
    "base64 of an answer": lambda world, name: world.store.entries.update({name: base64.b64encode(answer()).decode()}),
    "bytes": lambda world, name: world.store.entries.update({name: world.store.entries[name].encode()}),
    "an object": lambda world, name: world.store.entries.update({name: {"active": True}}),
    "empty": lambda world, name: world.store.entries.update({name: ""}),
    "cut": lambda world, name: world.store.entries.update({name: world.store.entries[name][:-4]}),
    "huge": lambda world, name: world.store.entries.update({name: "A" * 3_000_000}),
}


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES)
def test_a_lie_of_the_store_is_no_answer(world: World, lie: Callable[[World, str], None]) -> None:
    world.put()
    (name,) = world.store.answers
    lie(world, name)
    world.endpoint.body = INACTIVE
    assert world.process().refusal() == "401 token_inactive"
    assert len(world.endpoint.asked) == 2


def test_an_answer_about_one_token_is_none_about_another(world: World) -> None:
    world.put()
    (name,) = world.store.answers
    entry = world.store.entries.pop(name)
    world.endpoint.body = INACTIVE
    world.process().refusal("stolen")
    (other,) = world.store.answers
    world.store.entries[other] = entry
    assert world.process().refusal("stolen") == "401 token_inactive"


def test_an_answer_of_another_project_is_none(world: World) -> None:
    world.put()
    ((_, entry),) = world.store.answers.items()
    world.endpoint.body = INACTIVE
    theirs = world.process(secret=b"of another project")
    theirs.refusal()
    for name in world.store.answers:
        world.store.entries[name] = entry
    assert world.process(secret=b"of another project").refusal() == "401 token_inactive"


def test_an_answer_to_another_client_is_none(world: World) -> None:
    world.put()
    world.endpoint.body = INACTIVE
    other = f"{world.endpoint.url}?for=others"
    assert world.process(url=other).refusal() == "401 token_inactive"


def test_an_old_answer_that_is_put_back_is_none(world: World) -> None:
    world.put()
    ((name, entry),) = world.store.answers.items()
    world.now += 60
    world.endpoint.body = INACTIVE
    assert world.process().refusal() == "401 token_inactive"
    world.store.entries[name] = entry
    assert world.process().refusal() == "401 token_inactive"


def test_a_process_that_has_seen_the_revocation_takes_no_answer_from_before(world: World) -> None:
    world.put()
    ((name, entry),) = world.store.answers.items()
    world.store.entries.clear()
    world.now += 1
    world.endpoint.body = INACTIVE
    shared = SharedAnswers(world.store, secret=SECRET, now=lambda: world.now)
    api = Api(world.endpoint.url, shared=shared)
    api.now = world.now
    assert api.refusal() == "401 token_inactive"
    world.store.entries[name] = entry
    world.now, api.now, api.clock = world.now + 20, api.now + 20, api.clock + 20
    assert api.refusal() == "401 token_inactive"
    assert len(world.endpoint.asked) == 3


def test_an_answer_from_the_future_is_none(world: World) -> None:
    world.process(ahead=20).token()
    world.endpoint.body = INACTIVE
    assert world.process().refusal() == "401 token_inactive"


def test_the_store_holds_neither_the_token_nor_a_claim(world: World) -> None:
    world.put()
    ((name, entry),) = world.store.answers.items()
    for text in (name, entry, base64.b64decode(entry).decode("latin-1")):
        assert OPAQUE not in text
        assert "ada" not in text


@pytest.mark.parametrize("failure", [OSError, ValueError])
def test_a_store_that_is_down_costs_sharing_and_no_more(world: World, failure: type[Exception]) -> None:
    def fail() -> None:
        raise failure

    world.store.failure = fail
    assert [world.process().outcome() for _ in range(2)] == ["200", "200"]
    assert len(world.endpoint.asked) == 2


def test_a_lock_that_is_never_released_delays_one_question(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("resource_server.tokens.introspection.FETCH_SECONDS", 1.0)
    world.put()
    ((name, _),) = world.store.answers.items()
    world.store.entries = {f"{name}:lock": "1"}
    api, started = world.process(), time.monotonic()
    assert api.outcome() == "200"
    assert 0.4 < time.monotonic() - started < 4
    world.store.entries = {f"{name}:lock": "1"}
    api.now, api.clock, started = api.now + 60, api.clock + 60, time.monotonic()
    api.outcome()
    assert time.monotonic() - started < 0.4, "the next questions do without the lock"


def test_processes_that_ask_at_once_cause_one_question(world: World) -> None:
    world.endpoint.gate.clear()
    outcomes: list[str] = []
    processes = [world.process() for _ in range(4)]
    threads = [threading.Thread(target=lambda api=api: outcomes.append(api.outcome())) for api in processes]
    for thread in threads:
        thread.start()
    while not world.endpoint.asked:
        time.sleep(0.01)  # between two looks
    time.sleep(0.1)  # so that the others wait for the lock
    world.endpoint.gate.set()
    for thread in threads:
        thread.join(20)
    assert outcomes == ["200"] * 4
    assert len(world.endpoint.asked) == 1


def test_without_a_life_an_active_token_is_not_shared(world: World) -> None:
    assert [world.process(cache_seconds=0).outcome() for _ in range(2)] == ["200", "200"]
    assert len(world.endpoint.asked) == 2
    assert world.store.entries == {}


def test_a_question_that_fails_releases_the_lock(world: World) -> None:
    world.endpoint.status = "500 Internal Server Error"
    world.process().refusal()
    assert world.store.entries == {}


def test_through_redis(endpoint: Endpoint, redis_url: str) -> None:
    cache = {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": redis_url}
    with override_settings(CACHES={"default": cache}):
        try:
            for _ in range(2):
                shared = SharedAnswers(_Cache("default"), secret=SECRET, now=lambda: NOW)
                assert Api(endpoint.url, shared=shared).outcome() == "200"
            assert len(endpoint.asked) == 1
            (key,) = redis.Redis.from_url(redis_url).keys("*introspection*")
            assert 0 < int(redis.Redis.from_url(redis_url).ttl(key)) <= 60  # type: ignore[arg-type] # not the async client
        finally:
            caches["default"].clear()


def test_an_answer_is_itself_after_the_store() -> None:
    place = shared_answers._Place(name="n", secret=b"k" * 32, context=b"c", active_seconds=60)
    for members in (None, {"active": True, "x": [1, 0.5, "ü", None]}):
        given = IntrospectionAnswer(members=members, asked_at=0.25)
        assert shared_answers._unsealed(place, shared_answers._sealed(place, given)) == given
