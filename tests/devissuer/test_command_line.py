"""`python -m resource_server.devissuer`: its options, its messages and its end."""

import re
import signal
import socket
import subprocess
import sys
import textwrap

import pytest
import urllib3

COMMAND = [sys.executable, "-m", "resource_server.devissuer"]
EVERY_ADDRESS = "0.0.0.0"  # asked for so as to be refused
FLAG = "--let-other-machines-get-tokens"


def _run(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, timeout=30, check=False)


def test_help_documents_every_option_client_and_address():
    said = _run("--help")

    assert (said.returncode, said.stderr) == (0, "")
    for word in (
        *("--host", "--port", "--issuer", "--audience", "--scope", "--algorithm", "--token-seconds", FLAG),
        *("--rotate-seconds", "--redirect-uri", "--acr", "--opaque", "--dpop-nonce", "--verbose"),
        *("demo-machine", "demo-machine-secret", "demo-browser", "demo-opaque-secret", "demo-api-secret"),
        *("/register", "/introspect", "/revoke", "SSL_CERT_FILE", "Client-Cert"),
        *("/.well-known/openid-configuration", "/jwks.json", "/authorize", "/token", "/rotate", "withdraw=older"),
    ):
        assert word in said.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--port", "x"], "--port: a port is a number"),
        (["--port", "65536"], "--port: a port is a number"),
        (["--algorithm", "HS256"], "--algorithm: invalid choice"),
        (["--rotate-seconds", "0"], "--rotate-seconds: seconds are"),
        (["--token-seconds", "-1"], "--token-seconds: "),
        (["--scope", 'a"b'], "--scope: a scope is"),
        (["--audience", "a b"], "--audience: an audience is"),
        (["--acr", "a b"], "--acr: an authentication context is"),
        (["--issuer", "http://127.0.0.1/path"], "--issuer: an issuer here is"),
        (["--redirect-uri", "/relative"], "--redirect-uri: a redirect URI is absolute"),
        (["--redirect-uri", "https://app.example/#x"], "--redirect-uri: a redirect URI is absolute"),
        (["--redirect-uri", "https://[::1/"], "--redirect-uri: a redirect URI has a host"),
        (["--redirect-uri", "javascript:alert(1)"], "--redirect-uri: a redirect URI must not be a script"),
        (["--nonsense"], "unrecognized arguments: --nonsense"),
        (["--host", EVERY_ADDRESS], f"0.0.0.0 is not loopback; that needs {FLAG}"),
        (["--host", "::"], f":: is not loopback; that needs {FLAG}"),
        (["--host", "192.0.2.1"], f"192.0.2.1 is not loopback; that needs {FLAG}"),
        (["--host", EVERY_ADDRESS, "--let-other"], "unrecognized arguments: --let-other"),
        (["--host", EVERY_ADDRESS, FLAG], "with 0.0.0.0, give --issuer"),
        (["--host", "999.1.1.1"], "999.1.1.1 is not an address"),
    ],
)
def test_a_wrong_argument_is_one_line(arguments, message):
    said = _run(*arguments)

    assert (said.returncode, said.stdout) == (2, "")
    assert said.stderr.count("\n") == 1
    assert message in said.stderr


def test_a_port_in_use_is_one_line():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = _run("--port", str(port))

    assert (said.returncode, said.stdout) == (1, "")
    assert said.stderr == (
        f"python -m resource_server.devissuer: port {port} of 127.0.0.1 is in use; choose another with --port\n"
    )


def test_an_address_of_another_machine_is_one_line():
    said = _run("--host", "192.0.2.1", "--issuer", "http://192.0.2.1", FLAG)

    assert (said.returncode, said.stdout) == (1, "")
    assert re.fullmatch(r"\S+ -m \S+: cannot listen on port 9000 of 192\.0\.2\.1: [^\n]+\n", said.stderr)


def test_a_missing_authlib_is_one_line():
    program = (
        "import sys, runpy; sys.modules['authlib'] = None\n"
        "runpy.run_module('resource_server.devissuer', run_name='__main__')"
    )
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=False)

    assert (said.returncode, said.stdout) == (1, "")
    assert (
        said.stderr
        == "python -m resource_server.devissuer: authlib is not installed; pip install 'django-resource-server[dev]'\n"
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_at_once_and_quietly(run_issuer, number):
    issuer = run_issuer()
    idle = socket.create_connection(("127.0.0.1", int(issuer.address.rpartition(":")[2])))
    with idle:  # a browser's spare connection keeps nothing alive
        issuer.process.send_signal(number)
        assert issuer.process.wait(timeout=30) == 0


def test_two_signals_are_as_quiet_as_one(run_issuer):
    issuer = run_issuer()
    issuer.process.send_signal(signal.SIGINT)
    issuer.process.send_signal(signal.SIGTERM)

    assert issuer.process.wait(timeout=30) == 0


def test_a_second_signal_while_the_interpreter_ends_is_as_quiet():
    program = """
        import os, signal, sys, threading
        from resource_server.devissuer.__main__ import main

        class Late:
            def __del__(self, kill=os.kill, process=os.getpid(), number=signal.SIGTERM):
                kill(process, number)  # after Python has let go of its handlers of signals

        sys.late = Late()
        threading.Timer(1, os.kill, (os.getpid(), signal.SIGINT)).start()
        sys.exit(main(["--port", "0"]))
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_it_listens_on_the_other_loopback_too(run_issuer):
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            pass
    except OSError:
        pytest.skip("this machine has no IPv6")
    issuer = run_issuer("--host", "::1")

    assert issuer.address.startswith("http://[::1]:")
    assert issuer.get("/.well-known/openid-configuration").json()["issuer"] == issuer.address


def test_with_the_long_flag_others_may_call_it_by_its_name(run_issuer, free_port):
    port = free_port()
    name = f"http://issuer.test:{port}"
    issuer = run_issuer("--host", EVERY_ADDRESS, "--port", str(port), "--issuer", name, FLAG)
    assert issuer.address == name

    issuer.address = f"http://127.0.0.1:{port}"
    assert issuer.get("/jwks.json", Host=f"issuer.test:{port}").status == 200
    assert issuer.get("/jwks.json", Host=f"other.test:{port}").status == 400
    answer = issuer.post(
        "/token",
        {"grant_type": "client_credentials", "client_id": "demo-machine", "client_secret": "demo-machine-secret"},
        {"Host": f"issuer.test:{port}"},
    )
    assert issuer.verified(answer.json()["access_token"]).claims["iss"] == name


def test_requests_are_told_of_when_asked_to():
    process = subprocess.Popen([*COMMAND, "--port", "0", "--verbose"], stdout=-1, stderr=-1, text=True)
    with process:
        assert process.stdout is not None
        try:
            address = process.stdout.readline().rpartition(" ")[2].strip()
            with urllib3.PoolManager(maxsize=1, retries=False, timeout=10) as http:
                # The second request of a connection is read when the first has been told of.
                answers = [http.request("GET", f"{address}{path}") for path in ("/nowhere", "/jwks.json")]
        finally:
            process.terminate()
        _, said = process.communicate(timeout=30)

    assert [answer.status for answer in answers] == [404, 200]
    assert re.match(r'"GET /nowhere HTTP/1\.1" 404 [0-9]+\n', said)
