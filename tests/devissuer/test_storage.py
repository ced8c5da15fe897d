"""What the issuer remembers, for how long, and how much of it."""

from resource_server.devissuer.storage import CODE_SECONDS, REFRESH_TOKEN_SECONDS, AccessToken, OneTime, Storage


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def _shelf(**changes):
    return OneTime(**{"limit": 3, "seconds": 10, "clock": Clock(), **changes})


def test_a_thing_is_taken_once_and_still_found():
    shelf = _shelf()
    shelf.add("secret", "thing")

    assert shelf.find("secret") == "thing"
    assert [shelf.take("secret"), shelf.take("secret")] == [True, False]
    assert shelf.find("secret") == "thing"


def test_what_was_never_there_is_neither_found_nor_taken():
    assert _shelf().find("secret") is None
    assert not _shelf().take("secret")


def test_a_thing_expires():
    clock = Clock()
    shelf = _shelf(clock=clock)
    shelf.add("secret", "thing")

    clock.now = 9.9
    assert shelf.find("secret") == "thing"
    clock.now = 10
    assert shelf.find("secret") is None


def test_the_oldest_is_forgotten_first():
    shelf = _shelf()
    for name in "abcd":
        shelf.add(name, name)

    assert [shelf.find(name) for name in "abcd"] == [None, "b", "c", "d"]


def test_a_thing_is_new_once_until_it_expires():
    clock = Clock()
    shelf = _shelf(clock=clock)

    assert [shelf.add("proof", 1), shelf.add("proof", 2)] == [True, False]
    assert shelf.find("proof") == 1
    clock.now = 10
    assert shelf.add("proof", 3)
    assert shelf.find("proof") == 3


def test_an_access_token_is_known_until_it_expires_or_is_revoked():
    clock = Clock()
    storage = Storage(access_token_seconds=60, clock=clock)
    token = AccessToken(claims={"sub": "x"}, sign_in=None)
    storage.issue("one", token)
    storage.issue("two", token)
    storage.revoke("two")

    assert [storage.access_token(value) for value in ("one", "two", "three")] == [token, None, None]
    clock.now = 60
    assert storage.access_token("one") is None


def test_a_session_that_ended_is_remembered_as_long_as_its_tokens():
    clock = Clock()
    storage = Storage(access_token_seconds=60, clock=clock)
    storage.end("session")

    clock.now = REFRESH_TOKEN_SECONDS - 1
    assert storage.has_ended("session")
    assert not storage.has_ended("another")


def test_a_code_lives_shorter_than_the_standard_allows():
    assert CODE_SECONDS <= 600
