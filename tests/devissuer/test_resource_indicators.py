"""`resource` (RFC 8707) at each endpoint, also as clients spell it that add or drop a slash at the end."""

import pytest
from tests.devissuer.conftest import running

MCP, ORIGIN = "http://127.0.0.1:8000/mcp", "http://127.0.0.1:8000/"


@pytest.fixture(scope="module")
def two():
    with running("--audience", MCP, ORIGIN) as issuer:
        yield issuer


def _audience(issuer, answer):
    assert answer.status == 200, answer.data
    return issuer.verified(answer.json()["access_token"]).claims["aud"]


SPELLINGS = [
    (MCP, MCP),
    (f"{MCP}/", MCP),
    (ORIGIN, ORIGIN),
    (ORIGIN.rstrip("/"), ORIGIN),
    ("HTTP://127.0.0.1:8000/mcp", MCP),
    ("HTTP://127.0.0.1:8000", ORIGIN),
]


@pytest.mark.parametrize(("asked", "audience"), SPELLINGS)
def test_it_is_the_configured_audience_at_each_step(two, asked, audience):
    body = two.redeem(two.code(resource=asked), resource=asked)
    refreshed = two.refresh(body.json()["refresh_token"], resource=asked)
    without = two.refresh(refreshed.json()["refresh_token"])

    assert [_audience(two, answer) for answer in (body, refreshed, without)] == [audience] * 3
    assert _audience(two, two.machine(resource=asked)) == audience
    assert _audience(two, two.machine(resource=[asked, audience])) == audience


@pytest.mark.parametrize(
    "resource",
    [
        f"{MCP}//",
        f"{MCP}?x",
        f"{MCP}#x",
        MCP.upper(),
        "x?HTTP://127.0.0.1:8000/mcp",
        "http://127.0.0.1:8000/mc",
        "/",
        "http://127.0.0.1:8000/mcp/more",
        "",
    ],
)
def test_another_resource_is_an_invalid_target(two, resource):
    sent_back = two.redirected(two.get(two.authorize_url(resource=resource)))

    assert sent_back["error"] == "invalid_target"
    assert two.machine(resource=resource).json()["error"] == "invalid_target"
    for other in (resource, ORIGIN):
        assert two.redeem(two.code(resource=MCP), resource=other).json()["error"] == "invalid_target"
        granted = two.redeem(two.code(resource=MCP)).json()["refresh_token"]
        assert two.refresh(granted, resource=other).json()["error"] == "invalid_target"


def test_scheme_and_host_may_be_in_capitals(run_issuer):
    issuer = run_issuer("--audience", "https://api.example.test/MCP")

    for name in ("https://API.Example.test/MCP", "HTTPS://api.example.TEST/MCP/"):
        assert _audience(issuer, issuer.machine(resource=name)) == "https://api.example.test/MCP"
    assert issuer.machine(resource="https://api.example.test/mcp").json()["error"] == "invalid_target"


def test_two_spellings_that_are_both_configured_are_two_audiences(run_issuer):
    issuer = run_issuer("--audience", MCP, f"{MCP}/")

    assert [_audience(issuer, issuer.machine(resource=name)) for name in (MCP, f"{MCP}/")] == [MCP, f"{MCP}/"]
