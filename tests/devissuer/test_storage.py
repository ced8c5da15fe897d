"""What the issuer remembers, for how long, and how much of it."""

from resource_server.devissuer.storage import CODE_SECONDS, REFRESH_TOKEN_SECONDS, OneTime, Storage


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


def test_a_session_that_ended_is_remembered_as_long_as_its_tokens():
    clock = Clock()
    storage = Storage(clock)
    storage.end("session")

    clock.now = REFRESH_TOKEN_SECONDS - 1
    assert storage.has_ended("session")
    assert not storage.has_ended("another")


def test_a_code_lives_shorter_than_the_standard_allows():
    assert CODE_SECONDS <= 600
