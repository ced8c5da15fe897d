#!/usr/bin/env python
"""The quickstart with real tokens: starts the development issuer and the API, calls the endpoints, keeps serving.

Environment: PORT of the API (8000), ISSUER_PORT of the issuer (9000). With ONCE=1 it checks each answer and stops; the
exit status is 1 if an answer is wrong. SIGINT, SIGTERM and SIGHUP stop everything.
"""

import base64
import http.client
import json
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

from resource_server.tokens.dpop import DPOP_ALGORITHMS

HERE = Path(__file__).resolve().parent
HOST = "127.0.0.1"
AUDIENCE = "https://api.example.test"
START_SECONDS = 60  # for the slowest machine; a server that died is noticed at once

# The program of a child. It ends with its standard input, so it ends with this process, even if this one is killed.
CHILD = """
import os, runpy, sys, threading
threading.Thread(target=lambda: os._exit(len(os.read(0, 1))), daemon=True).start()
sys.path.insert(0, os.getcwd())
kind, name, *sys.argv[1:] = sys.argv[1:]
sys.argv[0] = name
(runpy.run_path if kind == "path" else runpy.run_module)(name, run_name="__main__")
"""

PUBLIC = {"message": "All good. You don't need to be authenticated to call this"}
PRIVATE = {"message": "All good. You only get this message if you're authenticated"}
SCOPED = {"message": "All good. You're authenticated and the access token has the appropriate scope"}
ANONYMOUS = {"detail": "Authentication credentials were not provided."}
NO_TOKEN = {"realm": "api"}
BOUND_CALLS = 3
NO_SCOPE = {"realm": "api", "error": "insufficient_scope", "scope": "example:scope"}
WELL_KNOWN = "/.well-known/oauth-protected-resource"


class Failure(Exception):
    """A failure that the reader sees as one line."""


class Stopped(Exception):
    """A signal asked to stop."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    path: str
    token: str | None  # name of the shell variable
    status: int
    body: Mapping[str, object]
    challenge: Mapping[str, str] | None = None  # without error_description and resource_metadata
    revoked: bool = False  # the token is revoked before the call


CALLS = (
    Call(path="/api/public", token=None, status=200, body=PUBLIC),
    Call(path="/api/public", token="TOKEN", status=200, body=PUBLIC),
    Call(path="/api/public", token="SCOPED", status=200, body=PUBLIC),
    Call(path="/api/private", token=None, status=401, body=ANONYMOUS, challenge=NO_TOKEN),
    Call(path="/api/private", token="TOKEN", status=200, body=PRIVATE),
    Call(path="/api/private", token="SCOPED", status=200, body=PRIVATE),
    Call(
        path="/api/private-scoped",
        token=None,
        status=401,
        body=ANONYMOUS,
        challenge={"realm": "api", "scope": "example:scope"},
    ),
    Call(
        path="/api/private-scoped", token="TOKEN", status=403, body={"error": "insufficient_scope"}, challenge=NO_SCOPE
    ),
    Call(path="/api/private-scoped", token="SCOPED", status=200, body=SCOPED),
)
# The API asks the issuer about an opaque token (RFC 7662).
OPAQUE_CALLS = (
    Call(path="/api/private", token="OPAQUE", status=200, body=PRIVATE),
    Call(
        path="/api/private",
        token="OPAQUE",
        revoked=True,
        status=401,
        body={"error": "invalid_token"},
        challenge={"realm": "api", "error": "invalid_token"},
    ),
)
OPAQUE_CLIENT = "demo-opaque"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: str

    def json(self) -> object:
        try:
            return json.loads(self.body)
        except ValueError:
            return None


def request(
    port: int,
    path: str,
    *,
    headers: Mapping[str, str] | None = None,
    form: Mapping[str, str | Sequence[str]] | None = None,
) -> Answer:
    # http.client, because urllib.request would use a proxy of the environment, also for loopback.
    connection = http.client.HTTPConnection(HOST, port, timeout=30)
    try:
        if form is None:
            connection.request("GET", path, headers=dict(headers or {}))
        else:
            content_type = {"Content-Type": "application/x-www-form-urlencoded"}
            connection.request(
                "POST", path, body=urlencode(form, doseq=True), headers={**content_type, **(headers or {})}
            )
        response = connection.getresponse()
        return Answer(status=response.status, headers=response.headers, body=response.read().decode("utf-8", "replace"))
    finally:
        connection.close()


class Server:
    """A child process that serves on a port, with its last lines of output."""

    def __init__(
        self, name: str, port: int, kind: str, arguments: Sequence[str], environment: Mapping[str, str]
    ) -> None:
        self.name = name
        self.port = port
        self.echo = False
        self._lines: deque[str] = deque(maxlen=15)
        self._process = subprocess.Popen(
            [sys.executable, "-c", CHILD, kind, *arguments],
            cwd=HERE,
            env={**environment, "PYTHONUNBUFFERED": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,  # Ctrl-C in the terminal reaches only this process, which stops the children in order
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        for line in self._process.stdout or ():
            self._lines.append(line.rstrip())
            if self.echo:
                say(f"{self.name}: {line.rstrip()}")

    def check_alive(self) -> None:
        status = self._process.poll()
        if status is not None:
            self._reader.join(timeout=5)
            last = "".join(f"\n  {line}" for line in self._lines)
            raise Failure(f"{self.name} ended by itself with status {status}; its last lines:{last}")

    def wait_until_ready(self, path: str, stop: threading.Event) -> None:
        deadline = time.monotonic() + START_SECONDS
        while True:
            self.check_alive()
            try:
                request(self.port, path)
            except OSError:
                pass
            else:
                return
            if time.monotonic() > deadline:
                raise Failure(f"{self.name} does not answer on port {self.port} after {START_SECONDS} seconds")
            if stop.wait(0.1):
                raise Stopped

    def stop(self) -> None:
        self.echo = False
        self._process.terminate()
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def say(line: str = "") -> None:
    print(line, flush=True)


def port_of(variable: str, default: int) -> int:
    text = os.environ.get(variable, "").strip() or str(default)
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 65536):
        raise Failure(f"{variable} must be a number from 1 to 65535")
    return int(text)


def check_free(variable: str, port: int) -> None:
    taken = f"port {port} is in use: choose another one with {variable}, as in: make demo {variable}={port + 10}"
    with socket.socket() as probe:
        if probe.connect_ex((HOST, port)) == 0:
            raise Failure(taken)
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the servers do
        try:
            probe.bind((HOST, port))
        except PermissionError:
            raise Failure(f"port {port} is not allowed to this user: choose another one with {variable}") from None
        except OSError:
            raise Failure(taken) from None


def settings_environment(port: int, issuer_port: int) -> dict[str, str]:
    """The environment of this shell without the variables of `.env.example`.

    The demo has its own settings. It must not migrate another database and must not call another issuer.
    """
    names = set(re.findall(r"^([A-Z0-9_]+)=", (HERE / ".env.example").read_text(encoding="utf-8"), re.MULTILINE))
    ignored = sorted(name for name in names - {"ISSUER_PORT"} if os.environ.get(name))
    if ignored:
        say(f"The demo has settings of its own; not used here: {', '.join(ignored)}.")
    kept = {name: value for name, value in os.environ.items() if name not in names}
    own = {"DJANGO_SETTINGS_MODULE": "mysite.settings", "DEBUG": "1", "ISSUER_PORT": str(issuer_port)}
    # No answer is remembered, so that the demonstration need not wait to see a revocation.
    api = {"CLIENT_ID": "demo-api", "CLIENT_SECRET": "demo-api-secret", "CACHE_SECONDS": "0"}
    introspection = {f"INTROSPECTION_{name}": value for name, value in api.items()}
    return {**kept, **own, **introspection, "PUBLIC_ORIGIN": f"http://{HOST}:{port}", "DPOP": "allowed"}


def prepare_database(environment: Mapping[str, str]) -> None:
    os.environ.clear()
    os.environ.update(environment)
    sys.path.insert(0, str(HERE))
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0, interactive=False)


def new_admin() -> str | None:
    """Makes the user `admin` and returns its password; None if there is one, which stays as it is."""
    from django.contrib.auth import get_user_model

    users = get_user_model()
    if users.objects.filter(username="admin").exists():
        return None
    password = secrets.token_urlsafe(12)
    users.objects.create_superuser(username="admin", password=password)
    return password


@contextmanager
def signals_set(stop: threading.Event) -> Iterator[None]:
    # The handler raises nothing, so each child that has started is also in the list to be stopped.
    names = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {name: signal.signal(name, lambda *_: stop.set()) for name in names}
    try:
        yield
    finally:
        for name, handler in before.items():
            signal.signal(name, handler)


def credentials_of(client: str) -> dict[str, str]:
    pair = base64.b64encode(f"{client}:{client}-secret".encode("ascii")).decode("ascii")
    return {"Authorization": f"Basic {pair}"}


def get_token(port: int, scope: str, client: str = "demo-machine", proof: Mapping[str, str] | None = None) -> str:
    form = {"grant_type": "client_credentials", "audience": AUDIENCE} | ({"scope": scope} if scope else {})
    answer = request(port, "/token", headers={**credentials_of(client), **(proof or {})}, form=form)
    body = answer.json()
    if answer.status != 200 or not isinstance(body, dict) or not isinstance(body.get("access_token"), str):
        raise Failure(f"the issuer gave no token: {answer.status} {answer.body}")
    return body["access_token"]


def revoke(port: int, name: str, token: str) -> None:
    """Revokes a token at the issuer (RFC 7009), and prints how."""
    say()
    say(f"curl -u {OPAQUE_CLIENT}:{OPAQUE_CLIENT}-secret -d token=${name} http://{HOST}:{port}/revoke")
    answer = request(port, "/revoke", headers=credentials_of(OPAQUE_CLIENT), form={"token": token})
    say(f"  {answer.status}")
    if answer.status != 200:
        raise Failure(f"the issuer did not revoke the token: {answer.status} {answer.body}")


def faults(call: Call, answer: Answer, metadata_url: str) -> list[str]:
    """The differences between the answer and the contract."""
    challenge = answer.headers.get("WWW-Authenticate")
    expected = None if call.challenge is None else {**call.challenge, "resource_metadata": metadata_url}
    # The challenge for Bearer is first; that for DPoP follows.
    bearer = None if challenge is None else challenge.partition(", DPoP ")[0]
    parameters = None if bearer is None else dict(re.findall(r'(\w+)="([^"]*)"', bearer))
    found = []
    if answer.status != call.status:
        found.append(f"status is not {call.status}")
    if answer.headers.get("Content-Type") != "application/json":
        found.append("content type is not application/json")
    if parameters is not None:
        parameters.pop("error_description", None)
    if parameters != expected:
        found.append(f"challenge is not {expected}")
    body = answer.json()
    if not isinstance(body, dict):
        found.append("body is not a JSON object")
    elif call.status == 200 and body != call.body:
        found.append(f"body is not {json.dumps(call.body)}")
    elif not call.body.items() <= body.items():
        found.append(f"body does not say {json.dumps(call.body)}")
    return found


def metadata_call(issuer_port: int) -> Call:
    """The call that a client makes after a 401, to learn where it gets a token."""
    body = {
        "resource": AUDIENCE,
        "authorization_servers": [f"http://{HOST}:{issuer_port}"],
        "scopes_supported": ["example:scope"],
        "bearer_methods_supported": ["header"],
        "dpop_signing_alg_values_supported": list(DPOP_ALGORITHMS),
    }
    return Call(path=WELL_KNOWN, token=None, status=200, body=body)


def show_calls(port: int, issuer_port: int, calls: Sequence[Call], tokens: Mapping[str, str]) -> int:
    """Makes every call and prints it with its answer; returns how many answers were wrong."""
    wrong = 0
    for number, call in enumerate(calls):
        if call.revoked and call.token:
            revoke(issuer_port, call.token, tokens[call.token])
        headers = {"Authorization": f"Bearer {tokens[call.token]}"} if call.token else {}
        answer = request(port, call.path, headers=headers)
        if number % 3 == 0:  # the three calls of an endpoint
            say()
        header = f' -H "Authorization: Bearer ${call.token}"' if call.token else ""
        say(f"curl -i http://{HOST}:{port}{call.path}{header}")
        say(f"  {answer.status}  {answer.body.strip()}")
        if challenge := answer.headers.get("WWW-Authenticate"):
            say(f"       WWW-Authenticate: {challenge}")
        found = faults(call, answer, f"http://{HOST}:{port}{WELL_KNOWN}")
        for fault in found:
            say(f"       WRONG: {fault}")
        wrong += bool(found)
    return wrong


def show_bound_calls(port: int, issuer_port: int) -> int:
    """Calls with a token that is bound to a key: with a proof, with the same proof, and without it, as a thief would."""
    from resource_server.testing import ProofKey

    path, key = "/api/private-scoped", ProofKey()
    proof = {"DPoP": key.proof("POST", f"http://{HOST}:{issuer_port}/token")}
    token = get_token(issuer_port, "example:scope", proof=proof)
    headers = key.headers("GET", f"http://{HOST}:{port}{path}", token)
    say()
    say(f"Three calls to {path} with a token that is bound to a key (DPoP):")
    calls = (
        ("with a new proof", headers, 200, None),
        ("with the same proof again", headers, 401, "proof_replayed"),
        ("stolen, as a bearer token", {"Authorization": f"Bearer {token}"}, 401, "token_bound_to_key"),
    )
    wrong = 0
    for name, sent, status, reason in calls:
        answer = request(port, path, headers=sent)
        body = answer.json()
        found = body.get("reason") if isinstance(body, dict) else None
        say(f"  {answer.status}  {name}: {answer.body.strip()}")
        if (answer.status, found) != (status, reason):
            say(f"       WRONG: the answer is not {status} {reason or ''}")
            wrong += 1
    return wrong


def run(stop: threading.Event, servers: list[Server]) -> None:
    port, issuer_port = port_of("PORT", 8000), port_of("ISSUER_PORT", 9000)
    once = os.environ.get("ONCE", "").strip() not in {"", "0"}
    if port == issuer_port:
        raise Failure(f"PORT and ISSUER_PORT are both {port}: choose two different ones")
    check_free("PORT", port)
    check_free("ISSUER_PORT", issuer_port)

    environment = settings_environment(port, issuer_port)
    say(f"Starting the development issuer on port {issuer_port} and the API on port {port} ...")
    issuer_arguments = ["resource_server.devissuer", "--port", str(issuer_port), "--audience", AUDIENCE]
    issuer = Server("issuer", issuer_port, "module", issuer_arguments, environment)
    servers.append(issuer)
    prepare_database(environment)
    api_arguments = ["manage.py", "runserver", "--noreload", f"{HOST}:{port}"]
    api = Server("api", port, "path", api_arguments, environment)
    servers.append(api)
    issuer.wait_until_ready("/.well-known/openid-configuration", stop)
    api.wait_until_ready("/api/public", stop)

    tokens = {
        "TOKEN": get_token(issuer_port, ""),
        "SCOPED": get_token(issuer_port, "example:scope"),
        "OPAQUE": get_token(issuer_port, "", OPAQUE_CLIENT),
    }
    say(
        "Access tokens from the issuer: one without a scope, one with a scope, and an opaque one, which the calls below"
    )
    say("revoke. These lines can be pasted into a shell:")
    say()
    for name, token in tokens.items():
        say(f"{name}={token}")
    calls = (*CALLS, metadata_call(issuer_port), *OPAQUE_CALLS)
    if wrong := show_calls(port, issuer_port, calls, tokens) + show_bound_calls(port, issuer_port):
        raise Failure("1 answer is not as it must be" if wrong == 1 else f"{wrong} answers are not as they must be")
    say()
    if once:
        say(f"All {len(calls) + BOUND_CALLS} answers are right.")
        return
    person = f"$(ISSUER_PORT={issuer_port} {sys.executable} {HERE / 'person_token.py'} 'auth0|ada' example:scope)"
    say("A call with the token of a person, who signs in at the issuer first:")
    say(f'curl -i http://{HOST}:{port}/api/private-scoped -H "Authorization: Bearer {person}"')
    say()
    # The last step: a password that is not shown would be lost.
    password = new_admin()
    known = f"password {password}" if password else "with its password of before; manage.py changepassword sets another"
    say(f"The page     http://{HOST}:{port}/")
    say(f"Swagger UI   http://{HOST}:{port}/docs/")
    say(f"The admin    http://{HOST}:{port}/admin/   user admin, {known}")
    say("Ctrl-C stops everything.")
    api.echo = issuer.echo = True
    while not stop.wait(0.5):
        for server in servers:
            server.check_alive()


def main() -> int:
    stop = threading.Event()
    servers: list[Server] = []
    with signals_set(stop):
        try:
            run(stop, servers)
        except Stopped:
            return 130
        except Failure as failure:
            print(f"error: {failure}", file=sys.stderr, flush=True)
            return 1
        except Exception as error:  # noqa: BLE001 - whatever it was, the reader gets a line and not a traceback
            print(f"error: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
            return 1
        finally:
            for server in reversed(servers):
                server.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
