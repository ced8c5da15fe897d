"""`manage.py resource_server revoke`."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
import redis
from django.core.management import CommandError, call_command
from pytest_django import Settings
from tests.revocation.conftest import redis_cache

from resource_server import verify
from resource_server.errors import AuthorizationError
from resource_server.management.commands.resource_server import Command
from resource_server.testing import FakeIssuer

OTHER = FakeIssuer("https://other.test/", algorithm="ES256")


def revoked(*arguments: str) -> str:
    out = StringIO()
    call_command("resource_server", "revoke", *arguments, stdout=out)
    return out.getvalue()


def reason_of(token: str) -> str:
    try:
        verify(token)
    except AuthorizationError as error:
        return error.reason
    return "accepted"


@pytest.mark.parametrize(
    "arguments",
    [
        ["--jti", "id-1"],
        ["--jti", "id-1", "--expires-at", "SOON"],
        ["--subject", "auth0|ada"],
        ["--client", "client"],
        ["--session", "s1"],
        ["--issued-before", "now"],
        ["--subject", "auth0|ada", "--issued-before", "SOON, ISO 8601"],
        ["https://issuer.test/", "--client", "client", "--issued-before", "SOON"],
    ],
    ids=["jti", "jti until", "subject", "client", "session", "before now", "subject before", "client before"],
)
def test_the_tokens_that_are_named_are_refused(issuer: FakeIssuer, arguments: list[str]) -> None:
    soon = datetime.now(UTC) + timedelta(minutes=9)
    times = {"SOON": str(soon.timestamp()), "SOON, ISO 8601": soon.isoformat()}
    token = issuer.token(sid="s1")
    assert reason_of(token) == "accepted"
    assert (
        revoked(*(times.get(each, each) for each in arguments))
        == "Revoked. All processes refuse these tokens of https://issuer.test/ within 2 s.\n"
    )
    assert reason_of(token) == "token_revoked"
    other = issuer.token(jti="id-2", sub="auth0|bob", client_id="other", sid="s2", iat=int(time.time()) + 5)
    assert reason_of(other) == "accepted"


@pytest.mark.parametrize(
    ("arguments", "piece"),
    [
        ([], "give one of --jti"),
        (["--jti", ""], "not empty"),
        (["--jti", "a", "--subject", "b"], "not allowed with"),
        (["--jti", "a", "--issued-before", "now"], "does not go with"),
        (["--subject", "a", "--expires-at", "now"], "does not go with"),
        (["--subject", "a", "--issued-before", "yesterday"], "is not a time"),
        (["--subject", "a", "--issued-before", "2026-11-27T09:00:00"], "no time zone"),
        (["--subject", "a", "--issued-before", "nan"], "is not a time"),
        (["--subject", "a", "--issued-before", "1e20"], "up to the year 9999"),
        (["https://issuer.test", "--jti", "a"], "is not trusted"),
        (["--begin", "--issued-before", "now"], "stands alone"),
        (["https://issuer.test/", "--begin"], "stands alone"),
    ],
)
def test_wrong_arguments_are_an_error(issuer: FakeIssuer, arguments: list[str], piece: str) -> None:
    with pytest.raises(CommandError, match=piece):
        revoked(*arguments)
    assert reason_of(issuer.token()) == "accepted"


def test_with_several_issuers_one_is_named(issuer: FakeIssuer, settings: Settings) -> None:
    settings.RESOURCE_SERVER = {"REVOCATION": "default", "ISSUERS": [issuer.settings(), OTHER.settings()]}
    with issuer.serving(OTHER):
        with pytest.raises(CommandError, match="name the issuer"):
            revoked("--jti", "id-1")
        revoked(OTHER.issuer, "--jti", "id-1")
        assert (reason_of(issuer.token()), reason_of(OTHER.token())) == ("accepted", "token_revoked")


def tenants(name: str) -> dict[str, object] | None:
    return OTHER.settings(JWKS=OTHER.keys.jwks()) if name == OTHER.issuer else None


def test_an_issuer_that_the_function_knows(issuer: FakeIssuer, settings: Settings) -> None:
    settings.RESOURCE_SERVER = {"REVOCATION": "default", "ISSUERS": f"{__name__}.tenants"}
    token = OTHER.token()  # one that is issued in the next second would be a new one
    assert reason_of(token) == "accepted"
    revoked(OTHER.issuer, "--subject", "auth0|ada")
    assert reason_of(token) == "token_revoked"


def test_a_list_that_was_lost_is_declared_complete(issuer: FakeIssuer, redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as database:
        database.flushdb()
    token = issuer.token()
    assert reason_of(token) == "token_before_deny_list"
    assert "complete" in revoked("--begin")
    assert reason_of(token) == "accepted"


def test_a_list_that_ends_with_the_command_is_an_error(
    issuer: FakeIssuer, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "LOCATION": "revoke"}}
    for arguments in (["--jti", "id-1"], ["--begin"]):
        with pytest.raises(SystemExit):
            Command().run_from_argv(["manage.py", "resource_server", "revoke", *arguments])
        assert "nothing would be revoked" in capsys.readouterr().err
    # In a process that goes on, the list is kept.
    revoked("--begin")
    token = issuer.token()
    revoked("--subject", "auth0|ada")
    assert reason_of(token) == "token_revoked"


def test_what_was_not_revoked_is_an_error(issuer: FakeIssuer, settings: Settings, free_port: Callable[[], int]) -> None:
    settings.CACHES = {"default": redis_cache(f"redis://127.0.0.1:{free_port()}/1")}
    for arguments in (["--jti", "id-1"], ["--begin"]):
        with pytest.raises(CommandError, match="revocations cannot be looked up"):
            revoked(*arguments)
    settings.RESOURCE_SERVER = issuer.settings()
    with pytest.raises(CommandError, match="REVOCATION is not set"):
        revoked("--jti", "id-1")
    settings.RESOURCE_SERVER = {}
    with pytest.raises(CommandError, match="settings of the resource server are invalid"):
        revoked("--jti", "id-1")
