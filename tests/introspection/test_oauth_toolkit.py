"""The tokens of django-oauth-toolkit, which answers without `iss`, `sub` and `aud`, introspected over HTTP."""

import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pytest_django import Settings
from tests.processes import call, process

from resource_server import verify
from resource_server.errors import AuthorizationError

PERSON = "the-token-of-a-person"


@pytest.fixture(scope="module")
def toolkit(free_port: Callable[[], int], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if importlib.util.find_spec("oauth2_provider") is None:
        pytest.skip("django-oauth-toolkit is not installed: pip install django-oauth-toolkit")
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    command = [
        sys.executable,
        str(Path(__file__).parent / "toolkit.py"),
        str(port),
        str(tmp_path_factory.mktemp("dot")),
    ]
    with process(command, address, "/"):
        yield address


@pytest.fixture
def trust(settings: Settings, toolkit: str) -> Callable[..., None]:
    def configure(**changes: Any) -> None:
        settings.RESOURCE_SERVER = {
            "ISSUER": f"{toolkit}/o",
            "AUDIENCE": "https://api.test/",
            "CLAIMS": {"subject": "username"},
            "INTROSPECTION": {
                "ENDPOINT": f"{toolkit}/o/introspect/",
                "CLIENT_ID": "api",
                "CLIENT_SECRET": "the secret",
                "MAY_LACK": ["aud"],
                "CACHE_SECONDS": 0,
                **changes,
            },
        }

    return configure


def token_of_a_machine(toolkit: str) -> str:
    form = {"grant_type": "client_credentials", "client_id": "machines", "client_secret": "the secret", "scope": "read"}
    answer = call(toolkit, "/o/token/", form=form)
    assert answer.status == 200, answer.text
    return str(answer.json()["access_token"])


def refusal(token: str) -> str:
    with pytest.raises(AuthorizationError) as caught:
        verify(token)
    return caught.value.reason


@pytest.mark.parametrize("auth", ["client_secret_basic", "client_secret_post"])
def test_a_person(toolkit: str, trust: Callable[..., None], auth: str) -> None:
    trust(AUTH=auth)
    token = verify(PERSON)
    assert (token.issuer, token.subject, token.is_machine) == (f"{toolkit}/o", "ada", False)
    assert (token.scopes, token.client_id) == ({"read"}, "machines")


def test_a_machine_until_its_token_is_revoked(toolkit: str, trust: Callable[..., None]) -> None:
    trust()
    value = token_of_a_machine(toolkit)
    token = verify(value)
    assert (token.subject, token.client_id, token.is_machine) == ("machines", "machines", True)
    form = {"token": value, "client_id": "machines", "client_secret": "the secret"}
    assert call(toolkit, "/o/revoke_token/", form=form).status == 200
    assert refusal(value) == "token_inactive"


def test_what_it_lacks_is_refused_unless_it_is_named(trust: Callable[..., None]) -> None:
    trust(MAY_LACK=[])
    assert refusal(PERSON) == "aud_missing"


def test_wrong_credentials_are_answered_with_403(trust: Callable[..., None]) -> None:
    trust(CLIENT_SECRET="another")
    assert refusal(PERSON) == "introspection_refused"


def test_an_unknown_token(trust: Callable[..., None]) -> None:
    trust()
    assert refusal("unknown") == "token_inactive"
