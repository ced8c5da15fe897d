"""The example's settings: from the environment, without the network, and one line where one is wrong."""

import ast
import importlib.metadata
import json
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from tests.processes import EXAMPLE, environment, manage

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


def test_introspection() -> None:
    variables = {"INTROSPECTION_CLIENT_ID": "api", "INTROSPECTION_CLIENT_SECRET": "x"}
    assert resource_server(**variables)["INTROSPECTION"] == {"CLIENT_ID": "api", "CLIENT_SECRET": "x"}
    more = {"INTROSPECTION_ENDPOINT": "https://issuer.test/i", "INTROSPECTION_CACHE_SECONDS": "0"}
    assert resource_server(**variables, **more)["INTROSPECTION"] == {
        "ENDPOINT": "https://issuer.test/i",
        "CLIENT_ID": "api",
        "CLIENT_SECRET": "x",
        "CACHE_SECONDS": 0,
    }
    checked = manage("check", DEBUG="1", INTROSPECTION_CACHE_SECONDS="a minute")
    assert "resource_server.E043" in checked.stderr


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


def test_a_provider_knows_its_token_types() -> None:
    variables = {"ISSUER": "https://login.test/realms/staff", "API_IDENTIFIER": "orders", "PROVIDER": "keycloak"}
    trusted = {"ISSUER": "https://login.test/realms/staff", "AUDIENCE": "orders", "PROVIDER": "keycloak"}
    assert resource_server(**variables) == trusted
    assert resource_server(**variables, TOKEN_TYPE="at+jwt") == {**trusted, "TOKEN_TYPE": ["at+jwt"]}


def test_a_copy_of_env_example_is_used_as_it_says(tmp_path: Path) -> None:
    text = (EXAMPLE / ".env.example").read_text(encoding="utf-8")
    [use] = re.findall(r"^# To use a copy named \.env:  (.*; )python manage\.py runserver$", text, re.MULTILINE)
    (tmp_path / ".env").write_text(text.replace("PROVIDER=", "PROVIDER=auth0"), encoding="utf-8")
    shown = subprocess.run(
        ["/bin/sh", "-c", f'{use}"$0" "$1" shell --no-imports -c "$2"', sys.executable, EXAMPLE / "manage.py", READ],
        env=environment(), cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert json.loads(shown.stdout) == {
        "ISSUER": "http://127.0.0.1:9000", "AUDIENCE": "https://api.example.test", "PROVIDER": "auth0",
    }  # fmt: skip


REQUIREMENTS = (EXAMPLE / "requirements.txt").read_text(encoding="utf-8")


def test_the_requirements_are_what_the_example_imports() -> None:
    imported = {
        name.partition(".")[0]
        for file in EXAMPLE.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        for name in (
            [alias.name for alias in node.names] if isinstance(node, ast.Import)
            else [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        )
    }  # fmt: skip
    own = {path.stem for path in EXAMPLE.iterdir()} | sys.stdlib_module_names
    packages = {"rest_framework": "djangorestframework", "resource_server": "django-resource-server"}
    distributions = {packages.get(name, name.replace("_", "-")) for name in imported - own}
    installed = {Requirement(line).name for line in REQUIREMENTS.splitlines() if line and not line.startswith("#")}
    # What the package brings by itself, and by the extras that the file names.
    metadata = importlib.metadata.requires("django-resource-server") or []
    [ours] = [Requirement(line) for line in REQUIREMENTS.splitlines() if line.startswith("django-resource-server")]
    needed = [Requirement(line) for line in metadata]
    brought = {
        each.name
        for each in needed
        if each.marker is None or any(each.marker.evaluate({"extra": extra}) for extra in ours.extras)
    }
    assert distributions <= installed | brought
    # Not imported by the example, and named in its settings.
    assert {"whitenoise", "psycopg", "gunicorn", "authlib"} <= installed


def test_the_requirements_are_satisfied_here() -> None:
    for line in REQUIREMENTS.splitlines():
        if line and not line.startswith("#"):
            requirement = Requirement(line)
            assert requirement.specifier.contains(importlib.metadata.version(requirement.name)), line


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
