"""The output of `explain` in docs/commands.md is that of the command."""

import io
import re
import sys
from types import SimpleNamespace

import pytest
from django.core.management import call_command
from django.test import override_settings
from tests.docs.pages import ROOT

from resource_server.testing import FakeIssuer

PAGE = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")


def test_the_output_on_the_page_is_that_of_the_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    issuer = FakeIssuer("https://tenant.eu.auth0.com/", "https://api.example.com")
    settings = {"PROVIDER": "auth0", "ISSUER": issuer.issuer, "AUDIENCE": issuer.audience}
    token = issuer.token(header={"typ": "JWT"}, aud="https://other.example.com", client_id=None, azp="client")
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(token.encode()), isatty=lambda: False))

    with issuer.serving(), override_settings(RESOURCE_SERVER=settings), pytest.raises(SystemExit) as ended:
        call_command("resource_server", "explain", no_color=True)

    [sample] = re.findall(r"^```text\n(The token claims.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    printed = iter(capsys.readouterr().out.splitlines())
    assert ended.value.code == 1
    # The page leaves lines out; the others are in the same order.
    assert [line for line in sample.splitlines() if line != "  ..." and line not in printed] == []
