"""Processes that fork at the worst moment and that end while a fetch hangs, and event loops: each in an interpreter of its own."""

import json
import subprocess
import sys
import time
from typing import Any

import pytest
from tests.processes import ROOT, environment
from tests.servers import FAULTS, KEYS, METADATA, LiveIssuer

# An interpreter that has nothing to wait for ends at once; a fetch that hangs would hold it for five seconds.
PROMPT_SECONDS = 4.0


def script(source: str, issuer: LiveIssuer, *arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    """Run a script where every warning is an error; it must end by itself, say nothing to stderr and exit with 0."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", source, *arguments],
        cwd=ROOT,
        env=environment(ISSUER=issuer.address, PYTHONPATH=str(ROOT), **variables),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return done


def answer(source: str, issuer: LiveIssuer, *arguments: str, **variables: str) -> Any:
    return json.loads(script(source, issuer, *arguments, **variables).stdout.splitlines()[-1])


# Forks

FORKED = """
import json, os, sys, threading, time
from tests.live import project
from resource_server import server
from resource_server.keys.background import background

tokens, mode = sys.argv[2:], sys.argv[1]
assert project.verdict(tokens[0])["reason"] == "accepted"
verifier = server.current().verifier
keys = verifier.issuers[0].keys
held = {
    "no lock": [],
    "the locks of its keys and tokens": [
        background._changed, keys._flights._lock, verifier._issuers._lock, *verifier._seen._locks
    ],
    "the lock of its settings": [server._configuring],
}[mode]
if mode == "the lock of its settings":
    server.forget()
taken, done = threading.Event(), threading.Event()

def hold():
    for lock in held:
        lock.acquire()
    taken.set()
    done.wait(30)
    for lock in held:
        lock.release()

threading.Thread(target=hold, daemon=True).start()
taken.wait(30)
read, write = os.pipe()
child = os.fork()
if child == 0:
    seen = len(verifier._seen)
    first = project.verdict(tokens[0])["reason"]
    known = project.verdict(tokens[1])["reason"]
    keys = server.current().verifier.issuers[0].keys
    fetched_at = keys.trusted.fetched_at
    deadline = time.monotonic() + 15
    while keys.trusted.fetched_at == fetched_at and time.monotonic() < deadline:
        time.sleep(0.02)
    refreshed = keys.trusted.fetched_at > fetched_at
    os.write(write, json.dumps({"seen": seen, "first": first, "known": known, "refreshed": refreshed}).encode())
    os._exit(0)
os.close(write)
with os.fdopen(read) as pipe:
    print(pipe.read())
os.waitpid(child, 0)
done.set()
"""


@pytest.mark.parametrize("held", ["no lock", "the locks of its keys and tokens", "the lock of its settings"])
def test_a_child_is_not_stopped_by_a_lock_that_its_parent_held(issuer: LiveIssuer, held: str) -> None:
    issuer.fields = ("Cache-Control: no-store",)
    found = answer(FORKED, issuer, held, issuer.token(), issuer.token(), BRISK="1")
    assert found == {"seen": 0, "first": "accepted", "known": "accepted", "refreshed": True}


FORKED_IN_FLIGHT = """
import json, os, sys, threading, time
from tests.live import project
from resource_server import server

threading.Thread(target=project.verdict, args=(sys.argv[1],), daemon=True).start()
deadline = time.monotonic() + 30
while server._current is None or server._current.verifier.issuers[0].keys._flights._flight is None:
    assert time.monotonic() < deadline
    time.sleep(0.01)
time.sleep(0.3)  # so that the request is on its way
read, write = os.pipe()
child = os.fork()
if child == 0:
    os.write(write, json.dumps(project.verdict(sys.argv[1])).encode())
    os._exit(0)
os.close(write)
with os.fdopen(read) as pipe:
    print(pipe.read())
os.waitpid(child, 0)
"""


def test_a_child_does_not_wait_for_the_fetch_of_its_parent(issuer: LiveIssuer) -> None:
    """The thread that fetches was not forked with it: nobody would ever end its flight."""
    issuer.delay_seconds = 1.5
    found = answer(FORKED_IN_FLIGHT, issuer, issuer.token())
    assert found["reason"] == "accepted"
    assert issuer.counts[KEYS] == 2


# The end of an interpreter

ENDING = """
import atexit, sys, threading, time
from tests.live import project

token, when = sys.argv[1], sys.argv[2]
if when == "in a thread":
    threading.Thread(target=project.verdict, args=(token,), daemon=True).start()
    time.sleep(0.5)  # so that the request is on its way
elif when == "in the background":
    from resource_server.keys.background import background
    class Call:
        def make(self):
            project.verdict(token)
    call = Call()
    background.later(0, call.make)
    background.later(3600, call.make)
    time.sleep(0.5)  # as above
else:
    atexit.register(project.verdict, token)
print(time.time())
"""


@pytest.mark.parametrize("fault", ["hangs before the headers", "hangs in the body", "a byte per second"])
@pytest.mark.parametrize("when", ["in a thread", "in the background"])
def test_an_interpreter_ends_while_a_fetch_hangs(issuer: LiveIssuer, when: str, fault: str) -> None:
    issuer.fault = FAULTS[fault][0]
    ended_at = float(script(ENDING, issuer, issuer.token(), when).stdout)
    assert time.time() - ended_at < PROMPT_SECONDS
    assert sum(issuer.counts.values()) == 1


def test_a_request_while_the_interpreter_ends_is_answered(issuer: LiveIssuer) -> None:
    ended_at = float(script(ENDING, issuer, issuer.token(), "at exit").stdout)
    assert time.time() - ended_at < PROMPT_SECONDS


def test_a_request_while_the_interpreter_ends_waits_no_longer_than_its_deadline(issuer: LiveIssuer) -> None:
    issuer.fault = FAULTS["hangs before the headers"][0]
    ended_at = float(script(ENDING, issuer, issuer.token(), "at exit", BRISK="1").stdout)
    assert time.time() - ended_at < 1 + PROMPT_SECONDS


STARTED = """
import json, sys, threading
from tests.live import project
import resource_server.authentication, resource_server.decorators, resource_server.server
resource_server.server.current()
print(json.dumps([thread.name for thread in threading.enumerate()] + [name for name in sys.modules if name == "urllib3"]))
"""


@pytest.mark.parametrize("module", ["keys.http", "drf", "testing"])
def test_an_import_says_nothing_at_the_end(issuer: LiveIssuer, module: str) -> None:
    source = (
        f"import resource_server.{module}; from resource_server.tokens.verifier import Verifier; kept = Verifier([])"
    )
    script(source, issuer, DJANGO_SETTINGS_MODULE="tests.settings")


def test_no_thread_is_started_and_nothing_fetched_before_the_first_token(issuer: LiveIssuer) -> None:
    assert answer(STARTED, issuer) == ["MainThread"]
    assert issuer.counts == {}


# Event loops

ASYNC = """
import asyncio, json, sys, threading
from asgiref.testing import ApplicationCommunicator
from tests.live.project import asgi

async def call(token):
    scope = {"type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET",
             "path": "/private-async", "raw_path": b"/private-async", "query_string": b"", "scheme": "http",
             "server": ("127.0.0.1", 80),
             "headers": [(b"host", b"localhost"), (b"authorization", b"Bearer " + token.encode())]}
    communicator = ApplicationCommunicator(asgi, scope)
    await communicator.send_input({"type": "http.request", "body": b"", "more_body": False})
    start = await communicator.receive_output(30)
    await communicator.receive_output(30)
    await communicator.wait(30)
    return start["status"]

async def main():
    return await asyncio.gather(*(call(token) for token in sys.argv[1:]))

print(json.dumps(asyncio.run(main())))
"""


def test_fifty_first_requests_of_an_event_loop_cause_one_fetch(issuer: LiveIssuer) -> None:
    issuer.delay_seconds = 0.5
    tokens = [issuer.token(scope="read") for _ in range(50)]
    assert answer(ASYNC, issuer, *tokens) == [200] * 50
    assert issuer.counts == {METADATA: 1, KEYS: 1}


KNOWN = """
import asyncio, json, sys, threading
from django.http import HttpRequest
from tests.live import project
from resource_server.authentication import aauthenticate

def request(token):
    made = HttpRequest()
    made.META["HTTP_AUTHORIZATION"] = "Bearer " + token
    return made

async def main():
    loop, hops = asyncio.get_running_loop(), []
    submit = loop.run_in_executor
    def noted(*arguments):
        hops.append(arguments)
        return submit(*arguments)
    loop.run_in_executor = noted
    await aauthenticate(request(sys.argv[1]))
    cold = len(hops)
    await aauthenticate(request(sys.argv[2]))
    return [cold, len(hops)]

print(json.dumps(asyncio.run(main())))
"""


def test_a_known_key_costs_an_event_loop_no_thread(issuer: LiveIssuer) -> None:
    cold, warm = answer(KNOWN, issuer, issuer.token(), issuer.token())
    assert cold == warm == 1
