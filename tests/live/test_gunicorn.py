"""Four processes of gunicorn, forked before and after the application was loaded: what one issuer does, all of them see."""

import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest
import redis
from tests.live.conftest import until
from tests.processes import ROOT, Answer, call, process
from tests.servers import FAULTS, KEYS, METADATA, LiveIssuer

WORKERS = 4
# The deadline of a fetch, and what a machine that is busy with other things may add.
DEADLINE_SECONDS = 6.0
SLACK_SECONDS = 4.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    worker: str
    answer: Answer
    seconds: float


@dataclass(slots=True, kw_only=True)
class Site:
    """A running gunicorn. `statuses` and `states` are of all its workers."""

    address: str
    workers: set[str] = field(default_factory=set)

    def ask(self, token: str | None, path: str = "/private?nap=0.05") -> Reply:
        started = time.monotonic()
        answer = call(self.address, path, authorization=f"Bearer {token}" if token else None)
        return Reply(worker=answer.headers["X-Worker"], answer=answer, seconds=time.monotonic() - started)

    def ask_all(self, token: str | None, path: str = "/private?nap=0.05") -> list[Reply]:
        """Replies of all workers; each has given at least one."""
        replies: list[Reply] = []
        with ThreadPoolExecutor(16) as pool:
            until(
                lambda: (
                    replies.extend(pool.map(lambda _: self.ask(token, path), range(16)))
                    or len({reply.worker for reply in replies}) == WORKERS
                ),
                what="an answer of every worker",
            )
        return replies

    def statuses(self, token: str) -> set[int]:
        return {reply.answer.status for reply in self.ask_all(token)}


@contextmanager
def gunicorn(port: int, issuer: LiveIssuer, *arguments: str, **variables: str) -> Iterator[Site]:
    address = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "gunicorn", "tests.live.project:application", "--bind", f"127.0.0.1:{port}"]
    command += ["--chdir", str(ROOT), "--workers", str(WORKERS), "--threads", "4", "--worker-class", "gthread"]
    command += ["--no-control-socket", *arguments]
    with process(command, address, "/state", ISSUER=issuer.address, PYTHONPATH=str(ROOT), **variables):
        yield Site(address=address)


@pytest.fixture(params=[(), ("--preload",)], ids=["", "preload"])
def arguments(request: pytest.FixtureRequest) -> tuple[str, ...]:
    """With and without --preload."""
    chosen: tuple[str, ...] = request.param
    return chosen


def test_the_life_of_a_key(free_port: Callable[[], int], issuer: LiveIssuer, arguments: tuple[str, ...]) -> None:
    """Cold start, rotation, outage, recovery and withdrawal."""
    issuer.fields = ("Cache-Control: no-store",)
    first, old = issuer.token(scope="read"), issuer.keys.current_kid
    with gunicorn(free_port(), issuer, *arguments, BRISK="1") as site:
        assert site.statuses(first) == {200}

        issuer.keys.rotate()
        assert site.statuses(issuer.token(scope="read")) == {200}
        assert site.statuses(first) == {200}, "the old key is still published"

        # Down for longer than a key set lives.
        issuer.fault = FAULTS["a connection that is reset"][0]
        issuer.forget()
        until(lambda: len(issuer.asked) >= 2 * WORKERS, what="attempts of all workers")
        for token in (first, issuer.token(scope="read"), issuer.token(kid=old, scope="read")):
            assert site.statuses(token) == {200}
        issuer.keys.rotate()
        new = issuer.token(scope="read")
        assert site.statuses(new) == {503}, "nobody knows whether there is such a key"

        issuer.fault = None
        until(lambda: site.statuses(new) == {200}, what="the recovery of all workers")

        issuer.keys.withdraw(old)
        until(lambda: site.statuses(first) == {401}, what="the end of the key in all workers")
        assert site.statuses(issuer.token(kid=old, scope="read")) == {401}
        assert site.statuses(new) == {200}


def test_each_worker_fetches_once(free_port: Callable[[], int], issuer: LiveIssuer, arguments: tuple[str, ...]) -> None:
    issuer.delay_seconds = 0.3
    with gunicorn(free_port(), issuer, *arguments) as site:
        assert site.statuses(issuer.token(scope="read")) == {200}
        assert issuer.counts == {METADATA: WORKERS, KEYS: WORKERS}
        issuer.forget()
        # Forged kids: a handful for each worker, and good requests go on.
        with ThreadPoolExecutor(8) as pool:
            forged = [issuer.forged(f"kid-{number}") for number in range(400)]
            statuses = set(pool.map(lambda token: site.ask(token, "/private").answer.status, forged))
            assert statuses == {401}
        assert site.statuses(issuer.token(scope="read")) == {200}
        assert issuer.counts[KEYS] <= 3 * WORKERS
        assert issuer.counts.keys() == {KEYS}


def test_with_a_cache_all_workers_fetch_once_and_see_one_rotation(
    free_port: Callable[[], int], issuer: LiveIssuer, arguments: tuple[str, ...], redis_url: str
) -> None:
    with redis.Redis.from_url(redis_url) as database:
        database.flushdb()
    issuer.delay_seconds = 0.3
    with gunicorn(free_port(), issuer, *arguments, REDIS_URL=redis_url) as site:
        assert site.statuses(issuer.token(scope="read")) == {200}
        assert issuer.counts == {METADATA: 1, KEYS: 1}
        issuer.keys.rotate()
        assert site.statuses(issuer.token(scope="read")) == {200}
        assert issuer.counts == {METADATA: 1, KEYS: 2}


def test_children_of_a_parent_that_knew_the_keys(free_port: Callable[[], int], issuer: LiveIssuer) -> None:
    issuer.fields = ("Cache-Control: no-store",)
    first = issuer.token(scope="read")
    with gunicorn(free_port(), issuer, "--preload", BRISK="1", FIRST_TOKEN=first) as site:
        # They have its keys, none of its verdicts, and none of its threads.
        for reply in site.ask_all(None, "/state?nap=0.05"):
            state = reply.answer.json()
            assert (state["keys"], state["tokens"]) == (1, 0)
            assert "resource-server-background" not in state["threads"]
        # A known key is enough, and sets off the refresh of its own process.
        assert site.statuses(first) == {200}
        names = [reply.answer.json()["threads"] for reply in site.ask_all(None, "/state?nap=0.05")]
        assert all("resource-server-background" in threads for threads in names)
        issuer.keys.rotate()
        issuer.keys.withdraw(issuer.keys.jwks()["keys"][0]["kid"])
        until(lambda: site.statuses(first) == {401}, what="the end of the key in all children")


def test_each_fault_leaves_known_keys_in_service(free_port: Callable[[], int], issuer: LiveIssuer) -> None:
    issuer.fields = ("Cache-Control: no-store",)
    known, seconds = issuer.token(scope="read"), []
    with gunicorn(free_port(), issuer, BRISK="1") as site:
        assert site.statuses(known) == {200}
        for name, (fault, _reason) in FAULTS.items():
            issuer.fault = fault
            issuer.forget()
            until(lambda: len(issuer.asked) >= WORKERS, what=f"attempts, at {name},")
            replies = [site.ask(issuer.token(scope="read"), "/private") for _ in range(8)]
            assert {reply.answer.status for reply in replies} == {200}, name
            seconds += [reply.seconds for reply in replies]
        issuer.fault = None
        issuer.keys.rotate()
        until(lambda: site.statuses(issuer.token(scope="read")) == {200}, what="the recovery")
    # Nobody waited for the issuer, where a fetch that hangs takes a second; a busy machine may have let one wait.
    assert sorted(seconds)[-3] < 0.7


def test_fifty_requests_at_an_issuer_that_hangs_are_answered_within_the_deadline(
    free_port: Callable[[], int], issuer: LiveIssuer
) -> None:
    issuer.fault = FAULTS["hangs before the headers"][0]
    with gunicorn(free_port(), issuer, "--threads", "16") as site, ThreadPoolExecutor(50) as pool:
        tokens = [issuer.token(scope="read") for _ in range(50)]
        replies = list(pool.map(lambda token: site.ask(token, "/private"), tokens))
        assert {reply.answer.status for reply in replies} == {503}
        assert all(int(reply.answer.headers["Retry-After"]) >= 1 for reply in replies)
        assert max(reply.seconds for reply in replies) < DEADLINE_SECONDS + SLACK_SECONDS
        # One at a time asks in each worker; a second attempt follows a second after the first.
        assert issuer.counts[METADATA] <= 2 * WORKERS
        issuer.fault = None
        until(lambda: site.statuses(tokens[0]) == {200}, what="the recovery")
