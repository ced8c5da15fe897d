"""Bound tokens over real sockets: replays across four processes of gunicorn, and a store that is down."""

import json
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import redis
from tests.lacking import lacking
from tests.live.conftest import at_once, until
from tests.live.test_gunicorn import Reply, gunicorn
from tests.processes import call
from tests.servers import LiveIssuer

from resource_server.testing import ProofKey

ORIGIN = "https://api.test"
CALLS = 50


def dpop(**changes: str) -> str:
    return json.dumps({"DPOP": "allowed", "PUBLIC_ORIGIN": ORIGIN, **changes})


@pytest.mark.parametrize("path", ["/private", "/private-async"])
def test_of_50_identical_proofs_exactly_one_passes(
    free_port: Callable[[], int], issuer: LiveIssuer, redis_url: str, path: str
) -> None:
    key = ProofKey()
    token = issuer.token(scope="read", cnf=key.confirmation)
    with gunicorn(free_port(), issuer, REDIS_URL=redis_url, MORE_SETTINGS=dpop()) as site:

        def ask(_: int) -> Reply:
            answer = call(site.address, f"{path}?nap=0.05", headers=headers)
            return Reply(worker=answer.headers["X-Worker"], answer=answer, seconds=0)

        workers: set[str] = set()
        for _ in range(4):
            headers = key.headers("GET", f"{ORIGIN}{path}", token)
            replies = at_once(CALLS, ask)
            workers |= {reply.worker for reply in replies}
            outcomes = Counter((reply.answer.status, reply.answer.json().get("reason")) for reply in replies)
            assert outcomes == {(200, None): 1, (401, "proof_replayed"): CALLS - 1}
        assert len(workers) == 4
        # And 50 different ones all pass.
        proofs = [key.headers("GET", f"{ORIGIN}{path}", token) for _ in range(CALLS)]
        assert {call(site.address, path, headers=each).status for each in proofs} == {200}


@contextmanager
def redis_server(port: int) -> Iterator[str]:
    program = shutil.which("redis-server")
    if program is None:
        lacking("redis-server is not installed")
    command = [program, "--port", str(port), "--save", "", "--appendonly", "no", "--bind", "127.0.0.1"]
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        with redis.Redis(port=port) as client:
            until(lambda: _answers(client), what="an answer of Redis")
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        child.terminate()
        child.wait(10)


def _answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.ConnectionError:
        return False


def test_while_the_store_is_down_nothing_passes(free_port: Callable[[], int], issuer: LiveIssuer) -> None:
    key, port = ProofKey(), free_port()
    token = issuer.token(scope="read", cnf=key.confirmation)

    def ask(_: int = 0) -> tuple[int, str | None]:
        answer = call(address, "/private", headers=key.headers("GET", f"{ORIGIN}/private", token))
        return answer.status, answer.json().get("reason")

    with redis_server(port) as url:
        running = gunicorn(free_port(), issuer, REDIS_URL=url, MORE_SETTINGS=dpop())
        site = running.__enter__()
        address = site.address
        assert set(at_once(16, ask)) == {(200, None)}
        used = key.headers("GET", f"{ORIGIN}/private", token)
        assert call(address, "/private", headers=used).status == 200
    try:
        assert set(at_once(16, ask)) == {(503, "proof_store_failed")}
        assert call(address, "/private", headers=used).status == 503
        assert call(address, "/private", authorization=f"Bearer {issuer.token(scope='read')}").status == 200
        with redis_server(port):
            assert set(at_once(16, ask)) == {(200, None)}
    finally:
        running.__exit__(None, None, None)
