"""`manage.py resource_server keys`: what is trusted, told to a person at a terminal."""

import re
import threading
import time
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from tests.servers import FAULTS, KEYS, LiveIssuer

from resource_server import server, verify
from resource_server.errors import Unavailable
from resource_server.reasons import UnavailableReason
from resource_server.testing import FakeIssuer
from resource_server.trusted import trusted_issuers

TENANT = FakeIssuer("https://tenant.test/")


def tenants(issuer):
    settings = {"ISSUER": TENANT.issuer, "AUDIENCE": TENANT.audience, "JWKS": TENANT.keys.jwks()}
    return settings if issuer == TENANT.issuer else None


def said(*arguments):
    out = StringIO()
    call_command("resource_server", "keys", *arguments, stdout=out, no_color=True)
    return out.getvalue()


def refused(issuer):
    """What the command prints where an issuer has no key, which is an error."""
    out = StringIO()
    with pytest.raises(CommandError, match=f"no key is trusted of {re.escape(issuer)}"):
        call_command("resource_server", "keys", stdout=out, no_color=True)
    return out.getvalue()


@pytest.fixture
def issuer(settings):
    issuer = FakeIssuer(algorithm="ES256")
    with issuer.serving():
        settings.RESOURCE_SERVER = issuer.settings()
        yield issuer


def test_the_keys_of_an_issuer_since_when_and_until_when(issuer):
    text = said()

    moment = r"20\d\d-\d\d-\d\d \d\d:\d\d:\d\d UTC"
    assert text.startswith("https://issuer.test/\n")
    assert "audience    https://api.test/" in text
    assert re.search(rf"current     until {moment}\n", text)
    assert re.search(rf"trusted     until {moment} while the issuer cannot be reached\n", text)
    kid = issuer.keys.current_kid
    assert re.search(rf"key         kid '{kid}', EC for ES256, since {moment}\n", text)
    assert f"thumbprint {kid}" in text
    assert "failing" not in text


def test_an_issuer_without_keys_is_an_error_with_its_reason(issuer, capsys):
    issuer.failure = "fetch_timeout"
    text = refused(issuer.issuer)

    reason = UnavailableReason.FETCH_TIMEOUT
    assert f"failing     fetch_timeout: {reason.message}\n              {reason.remedy}\n" in text


def test_a_failed_attempt_has_its_address_and_cause(settings, free_port):
    with LiveIssuer() as live:
        settings.DEBUG = True  # http on loopback
        settings.RESOURCE_SERVER = live.settings()
        live.fault = FAULTS["500"][0]
        text = refused(live.issuer)
        assert (
            f"  attempt     {live.address}/.well-known/openid-configuration: answered 500; "
            f"{live.address}/.well-known/oauth-authorization-server: answered 500\n"
            "  meanwhile   no key is known, so a token is answered 503; the first request after 1 s asks again\n"
        ) in text
        live.fault, live.faulty = FAULTS["HTML"][0], (KEYS,)
        server.forget()
        assert f"  attempt     {live.address}/jwks.json: not a JWK Set\n" in refused(live.issuer)
    nowhere = f"http://127.0.0.1:{free_port()}"
    settings.RESOURCE_SERVER = {**live.settings(), "ISSUER": nowhere}
    assert f"  attempt     {nowhere}/.well-known/openid-configuration: connection refused\n" in refused(nowhere)


def test_known_keys_serve_on_after_a_failed_attempt(issuer):
    said()
    issuer.failures[issuer.jwks_uri] = "fetch_timeout"
    with pytest.raises(Unavailable):
        verify(issuer.token(header={"kid": "new"}))

    text = said()
    assert "  failing     fetch_timeout: " in text
    assert f"  attempt     {issuer.jwks_uri}: issuer did not answer in time\n" in text
    (trusted,) = trusted_issuers()
    until = re.search(r"  trusted     until (.*) while", text)[1]
    assert f"  meanwhile   the known keys serve until {until}; the next attempt is in 1 s\n" in text
    assert trusted.outcome == f"{issuer.jwks_uri}: issuer did not answer in time"
    assert 0 < trusted.next_attempt.timestamp() - time.time() < 2
    issuer.failures.clear()
    server.forget()
    assert (trusted_issuers()[0].outcome, trusted_issuers()[0].next_attempt) == ("", None)


def test_an_issuer_whose_first_attempt_takes_too_long_has_no_next_one(issuer, monkeypatch):
    ends, begun = threading.Event(), threading.Event()

    def hangs(url, /, **_):
        begun.set()
        ends.wait(10)
        raise Unavailable("fetch_timeout")

    monkeypatch.setattr("resource_server.keys.issuer_keys.FETCH_SECONDS", -1)  # joins no attempt in flight
    server.fetch_with(hangs)
    attempt = threading.Thread(target=trusted_issuers)
    attempt.start()
    try:
        assert begun.wait(10)
        text = refused(issuer.issuer)
    finally:
        ends.set()
        attempt.join()
    assert "  failing     fetch_timeout: " in text
    assert "  attempt  " not in text
    assert "  meanwhile  " not in text


def test_secrets_of_an_address_are_not_printed(issuer, settings):
    settings.RESOURCE_SERVER = issuer.settings(JWKS_URI="https://issuer.test/keys?p=b2c&code=hunter2")
    text = refused(issuer.issuer)
    assert "  attempt     https://issuer.test/keys?...: issuer answered with another status than 200\n" in text
    assert "hunter2" not in text


def test_static_keys_have_no_end(issuer, settings):
    settings.RESOURCE_SERVER = issuer.settings(JWKS=issuer.keys.jwks())

    text = said()
    assert "trusted     without end: the keys stand in the settings" in text
    assert "from the settings" in text


def test_a_secret_is_not_shown(issuer, settings):
    secret = "of the tests, and 32 bytes long at least"
    settings.RESOURCE_SERVER = issuer.settings(SECRET=secret)

    text = said()
    assert "key         without kid, oct for HS256, from the settings" in text
    assert secret not in text
    assert "thumbprint" not in text


def test_issuers_of_a_function_are_named_on_the_command_line(settings):
    settings.RESOURCE_SERVER = {"ISSUERS": f"{__name__}.tenants"}

    assert "No issuer is listed" in said()
    assert said("https://tenant.test/").startswith("https://tenant.test/\n")
    with pytest.raises(CommandError, match=r"issuer is not trusted: https://other\.test/"):
        said("https://other.test/")


def test_invalid_settings_are_an_error_and_no_traceback(settings):
    settings.RESOURCE_SERVER = {"ISSUER": "https://issuer.test/"}
    with pytest.raises(CommandError, match="settings of the resource server are invalid"):
        said()


def test_a_topic_is_compulsory():
    with pytest.raises(CommandError, match="topic"):
        call_command("resource_server")
