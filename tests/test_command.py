"""`manage.py resource_server keys`: what is trusted, told to a person at a terminal."""

import re
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from resource_server.reasons import UnavailableReason
from resource_server.testing import FakeIssuer

TENANT = FakeIssuer("https://tenant.test/")


def tenants(issuer):
    settings = {"ISSUER": TENANT.issuer, "AUDIENCE": TENANT.audience, "JWKS": TENANT.keys.jwks()}
    return settings if issuer == TENANT.issuer else None


def said(*arguments):
    out = StringIO()
    call_command("resource_server", "keys", *arguments, stdout=out, no_color=True)
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
    out = StringIO()
    with pytest.raises(CommandError, match=r"no key is trusted of https://issuer\.test/"):
        call_command("resource_server", "keys", stdout=out, no_color=True)

    reason = UnavailableReason.FETCH_TIMEOUT
    assert f"failing     fetch_timeout: {reason.message}\n              {reason.remedy}\n" in out.getvalue()


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
