"""An issuer that is really stopped: known keys go on, and without one the answer is 503 and not the caller's fault."""

from collections.abc import Callable, Iterator
from subprocess import Popen

import pytest
from tests.processes import api, call, development_issuer, request_token

from resource_server.reasons import UnavailableReason

ENDPOINTS = ("/api/public", "/api/private", "/api/private-scoped")


@pytest.fixture(scope="module")
def stopped(free_port: Callable[[], int]) -> Iterator[tuple[str, str, dict[str, str]]]:
    """An example that knew the key before the issuer stopped, one that did not, and tokens of before."""
    port = free_port()
    with development_issuer(port) as (issuer, process), api(free_port(), ISSUER_PORT=str(port)) as warm:
        tokens = {"none": request_token(issuer), "scoped": request_token(issuer, "example:scope")}
        assert call(warm, "/api/private", authorization=f"Bearer {tokens['none']}").status == 200
        _stop(process)
        with api(free_port(), ISSUER_PORT=str(port)) as cold:
            yield warm, cold, tokens


def _stop(process: "Popen[str]") -> None:
    process.kill()
    process.wait()


@pytest.mark.parametrize("slash", ["", "/"], ids=["without-slash", "with-slash"])
@pytest.mark.parametrize("endpoint", ENDPOINTS)
@pytest.mark.parametrize(("token", "scoped_status"), [("none", 403), ("scoped", 200)], ids=["no-scope", "scope"])
def test_key_already_known(
    stopped: tuple[str, str, dict[str, str]], endpoint: str, slash: str, token: str, scoped_status: int
) -> None:
    warm, _, tokens = stopped
    answer = call(warm, endpoint + slash, authorization=f"Bearer {tokens[token]}")
    assert answer.status == (scoped_status if endpoint == "/api/private-scoped" else 200)


@pytest.mark.parametrize("slash", ["", "/"], ids=["without-slash", "with-slash"])
@pytest.mark.parametrize("endpoint", ENDPOINTS)
@pytest.mark.parametrize("token", ["none", "scoped"])
def test_no_key_known(stopped: tuple[str, str, dict[str, str]], endpoint: str, slash: str, token: str) -> None:
    _, cold, tokens = stopped
    answer = call(cold, endpoint + slash, authorization=f"Bearer {tokens[token]}")
    if endpoint == "/api/public":
        assert answer.status == 200
        return
    assert answer.status == 503
    assert int(answer.headers["Retry-After"]) >= 1
    assert answer.headers["WWW-Authenticate"] is None
    assert answer.headers["Content-Type"] == "application/json"
    message, remedy = UnavailableReason.FETCH_FAILED.message, UnavailableReason.FETCH_FAILED.remedy
    assert answer.json()["hint"].endswith(f"openid-configuration: connection refused. {remedy}")
    assert answer.refusal(remedy) == {"detail": message, "error": "temporarily_unavailable", "reason": "fetch_failed"}


def test_hopeless_tokens_are_not_the_issuers_fault(stopped: tuple[str, str, dict[str, str]]) -> None:
    _, cold, _ = stopped
    assert call(cold, "/api/private", authorization="Bearer invalidToken").status == 401
    assert call(cold, "/api/private").status == 401


def test_the_page_is_shown(stopped: tuple[str, str, dict[str, str]]) -> None:
    _, cold, _ = stopped
    page = call(cold, "/")
    assert page.status == 200
    assert "<code>fetch_failed</code>" in page.text
    assert "No key is known yet." in page.text


def test_the_description_is_as_with_the_issuer(stopped: tuple[str, str, dict[str, str]]) -> None:
    warm, cold, _ = stopped
    described = [call(address, "/docs/schema", headers={"Accept": "application/json"}) for address in (warm, cold)]
    assert [answer.status for answer in described] == [200, 200]
    assert described[0].text == described[1].text
    assert list(described[0].json()["components"]["securitySchemes"]["accessToken"]["flows"]) == ["authorizationCode"]
