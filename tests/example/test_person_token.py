"""A person's token by one command: the sign-in of a browser, against the real issuer."""

import base64
import json
import os
import re
import shutil
import subprocess
import sys

import pytest
from tests.processes import EXAMPLE, call, environment

from resource_server.devissuer.clients import PEOPLE

SCRIPT = EXAMPLE / "person_token.py"


def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), *arguments]
    return subprocess.run(
        command, env=environment(**variables), capture_output=True, text=True, timeout=60, check=False
    )


def token_of(issuer: str, *arguments: str) -> str:
    done = run(*arguments, ISSUER_PORT=issuer.rpartition(":")[2])
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.strip()


def claims_of(token: str) -> dict[str, object]:
    payload = token.split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    assert isinstance(claims, dict)
    return claims


def status(example: str, path: str, token: str) -> int:
    return call(example, path, headers={"Authorization": f"Bearer {token}"}).status


@pytest.mark.parametrize(
    "subject", [PEOPLE[0].subject, PEOPLE[2].subject, "any subject & <name>", "\u0410\u0434\u0430"]
)
def test_the_token_is_the_persons(example: str, issuer: str, subject: str) -> None:
    token = token_of(issuer, subject, "example:scope")
    claims = claims_of(token)
    assert (claims["sub"], claims["client_id"], claims["scope"]) == (subject, "demo-browser", "example:scope")
    assert status(example, "/api/private-scoped", token) == 200


def test_only_the_scopes_that_are_named_are_in_the_token(example: str, issuer: str) -> None:
    assert status(example, "/api/private-scoped", token_of(issuer, "auth0|ada")) == 403
    assert status(example, "/api/private", token_of(issuer, "auth0|ada")) == 200
    both = token_of(issuer, "auth0|ada", "example:scope", "other:scope")
    assert claims_of(both)["scope"] == "example:scope other:scope"


def test_the_curl_line_of_the_page(example: str, issuer: str) -> None:
    """The lines of example/README.md in a real shell, with the ports of this test."""
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    page = (EXAMPLE / "README.md").read_text(encoding="utf-8")
    [line] = re.findall(r"^curl -i (?:.*\\\n)*.*person_token\.py.*$", page, re.MULTILINE)
    assert "http://127.0.0.1:8000" in line
    line = line.replace("http://127.0.0.1:8000", example).replace("python ", f"{sys.executable} ")
    variables = environment(ISSUER_PORT=issuer.rpartition(":")[2], PATH=os.environ["PATH"])
    done = subprocess.run(
        ["/bin/sh", "-c", line], cwd=EXAMPLE, env=variables, capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("HTTP/1.1 200 OK")
    assert "the access token has the appropriate scope" in done.stdout


def test_what_fails_is_one_line(issuer: str, free_port: object) -> None:
    port = issuer.rpartition(":")[2]
    assert (run().returncode, run().stderr) == (2, "usage: python person_token.py SUBJECT [SCOPE ...]\n")
    failures = {
        (
            "auth0|ada",
            "no:scope",
        ): "error: the issuer shows no sign-in page: 303 .*invalid_scope.*no(:|%3A)scope.*--scope.*\n",
        ("",): "error: the issuer gives no code: 400 .*Pick a person.*\n",
    }
    for arguments, message in failures.items():
        done = run(*arguments, ISSUER_PORT=port)
        assert (done.returncode, done.stdout) == (1, "")
        assert re.fullmatch(message, done.stderr), done.stderr
    done = run("auth0|ada", ISSUER_PORT="1")
    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(
        r"error: no issuer at http://127\.0\.0\.1:1 \(.*refused\); ISSUER_PORT names its port\n", done.stderr
    )
    assert run("auth0|ada", ISSUER_PORT="http").stderr == "error: ISSUER_PORT must be a number from 1 to 65535\n"
