"""The example's settings: from the environment, without the network, and one line where one is wrong."""

import json
import re
import socket
import time
from collections.abc import Callable

import pytest
from tests.processes import EXAMPLE, manage

READ = "import json; from django.conf import settings; print(json.dumps(settings.RESOURCE_SERVER))"


def resource_server(**variables: str) -> dict[str, object]:
    done = manage("shell", "--no-imports", "-c", READ, DEBUG="1", **variables)
    assert done.returncode == 0, done.stderr
    value = json.loads(done.stdout)
    assert isinstance(value, dict)
    return value


def test_without_variables_it_trusts_the_development_issuer() -> None:
    assert resource_server() == {
        "ISSUER": "http://127.0.0.1:9000",
        "AUDIENCE": "https://api.example.test",
        "TOKEN_TYPE": ["at+jwt"],
    }


def test_auth0() -> None:
    assert resource_server(AUTH0_DOMAIN="tenant.eu.auth0.com", API_IDENTIFIER="https://api.test") == {
        "ISSUER": "https://tenant.eu.auth0.com/",
        "AUDIENCE": "https://api.test",
        "TOKEN_TYPE": ["at+jwt", "JWT"],
    }


def test_every_variable_of_the_library() -> None:
    variables = {
        "ISSUER": "https://issuer.test",
        "API_IDENTIFIER": "https://api.test",
        "JWKS_URI": "https://keys.test/jwks",
        "ALGORITHMS": "RS256, ES256",
        "TOKEN_TYPE": "JWT",
        "USERS": "provision",
    }
    assert resource_server(**variables) == {
        "ISSUER": "https://issuer.test",
        "AUDIENCE": "https://api.test",
        "JWKS_URI": "https://keys.test/jwks",
        "ALGORITHMS": ["RS256", "ES256"],
        "TOKEN_TYPE": ["JWT"],
        "USERS": "provision",
    }


WRONG = {
    "no-secret-key": ({}, "SECRET_KEY is not set: set it, or set DEBUG=1 on a development machine"),
    "debug-is-no-flag": ({"DEBUG": "maybe"}, "DEBUG must be 1 or 0"),
    "two-issuers": (
        {"DEBUG": "1", "ISSUER": "https://issuer.test", "AUTH0_DOMAIN": "tenant.eu.auth0.com"},
        "ISSUER and AUTH0_DOMAIN are both set: keep the one that is meant",
    ),
    "no-audience": (
        {"DEBUG": "1", "ISSUER": "https://issuer.test"},
        "API_IDENTIFIER is not set: it is the audience that the issuer writes into tokens",
    ),
    "no-domain": (
        {"DEBUG": "1", "AUTH0_DOMAIN": "not a domain", "API_IDENTIFIER": "https://api.test"},
        "AUTH0_DOMAIN: not an Auth0 domain, such as tenant.eu.auth0.com: 'not a domain'",
    ),
}


@pytest.mark.parametrize(("variables", "message"), WRONG.values(), ids=WRONG)
def test_a_wrong_environment_is_one_line(variables: dict[str, str], message: str) -> None:
    done = manage("check", **variables)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", f"error: {message}\n")


def test_http_issuers_need_debug() -> None:
    done = manage("check", SECRET_KEY="of the tests")
    assert done.returncode == 1
    assert "resource_server.E004" in done.stderr


def test_check_is_clean_and_asks_no_issuer(free_port: Callable[[], int]) -> None:
    with socket.create_server(("127.0.0.1", free_port())) as silent:  # would take a connection and never answer it
        silent.settimeout(0)
        started = time.monotonic()
        done = manage("check", "--fail-level", "INFO", DEBUG="1", ISSUER_PORT=str(silent.getsockname()[1]))
        assert done.stdout == "System check identified no issues (0 silenced).\n"
        assert (done.returncode, done.stderr) == (0, "")
        assert time.monotonic() - started < 30
        with pytest.raises(BlockingIOError):
            silent.accept()


def test_check_of_a_deployment_has_no_error() -> None:
    variables = {
        "SECRET_KEY": "0123456789abcdefghijklmnopqrstuvwxyz-ABCDEFGHIJKLMNOPQRSTUVWXYZ",
        "ISSUER": "https://issuer.test",
        "API_IDENTIFIER": "https://api.test",
    }
    done = manage("check", "--fail-level", "INFO", **variables)
    assert (done.returncode, done.stderr) == (0, "")


def test_no_migration_is_missing() -> None:
    assert manage("makemigrations", "--check", "--dry-run", DEBUG="1").returncode == 0


def test_env_example_lists_every_variable() -> None:
    settings = (EXAMPLE / "mysite" / "settings.py").read_text(encoding="utf-8")
    read = set(re.findall(r'env(?:_list)?\([\'"](\w+)[\'"]\)', settings)) | {"DATABASE_URL"}
    listed = re.findall(r"^(\w+)=", (EXAMPLE / ".env.example").read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(read) == sorted(listed)
