"""One development issuer, one example that trusts it, and one example that trusts an issuer which signs anything."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.processes import (
    AUDIENCE,
    api,
    call,
    copy_of_example,
    development_issuer,
    manage,
    request_token,
)
from tests.servers import LiveIssuer

USERNAME, PASSWORD = "reader", "reads-only-this"


@pytest.fixture(scope="session")
def database_url(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A migrated SQLite database with one user, who may use the admin."""
    url = f"sqlite:///{tmp_path_factory.mktemp('database') / 'db.sqlite3'}"
    variables = {"DEBUG": "1", "DATABASE_URL": url}
    for command in (
        ["migrate"],
        ["createsuperuser", "--noinput", "--username", USERNAME, "--email", "reader@api.test"],
    ):
        done = manage(*command, **variables, DJANGO_SUPERUSER_PASSWORD=PASSWORD)
        assert done.returncode == 0, done.stderr
    return url


@pytest.fixture(scope="session")
def issuer(free_port: Callable[[], int]) -> Iterator[str]:
    with development_issuer(free_port(), "--scope", "example:scope", "--scope", "other:scope") as (address, _):
        yield address


@pytest.fixture(scope="session")
def example(free_port: Callable[[], int], issuer: str, database_url: str) -> Iterator[str]:
    """Address of the example that trusts the development issuer."""
    port = issuer.rpartition(":")[2]
    with api(free_port(), ISSUER_PORT=port, DATABASE_URL=database_url) as address:
        yield address


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """Tokens that the development issuer gave a machine."""

    none: str
    other: str
    scoped: str
    several: str


@pytest.fixture(scope="session")
def tokens(issuer: str) -> Tokens:
    return Tokens(
        none=request_token(issuer),
        other=request_token(issuer, "other:scope"),
        scoped=request_token(issuer, "example:scope"),
        several=request_token(issuer, "other:scope example:scope"),
    )


@pytest.fixture(scope="session")
def signing_issuer(free_port: Callable[[], int]) -> Iterator[LiveIssuer]:
    with LiveIssuer(audience=AUDIENCE, algorithm="RS256") as running:
        yield running


@pytest.fixture(scope="session")
def other_example(free_port: Callable[[], int], signing_issuer: LiveIssuer, database_url: str) -> Iterator[str]:
    """Address of the example that trusts `signing_issuer`."""
    variables = {"ISSUER": signing_issuer.address, "API_IDENTIFIER": AUDIENCE, "DATABASE_URL": database_url}
    with api(free_port(), **variables) as address:
        yield address


@pytest.fixture(scope="session")
def session(example: str) -> Mapping[str, str]:
    """The cookies of a person who signed in at the admin."""
    path = "/admin/login/?next=/admin/"
    form = call(example, path)
    field = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', form.text)
    assert field is not None
    filled = {"csrfmiddlewaretoken": field[1], "username": USERNAME, "password": PASSWORD}
    answer = call(example, path, form=filled, cookies=form.cookies)
    assert (answer.status, answer.headers["Location"]) == (302, "/admin/")
    assert call(example, "/admin/", cookies=answer.cookies).status == 200
    return answer.cookies


@pytest.fixture
def example_copy(tmp_path: Path) -> Path:
    return copy_of_example(tmp_path)
