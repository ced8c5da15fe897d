"""Opaque tokens that are bound to a key or to a certificate, over HTTP: of oidc-provider and of the development issuer."""

import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.bound.conftest import EDGES
from tests.interop.oidc_provider import API_SECRET, OidcProvider, resource
from tests.live.conftest import until
from tests.mutual_tls import PROXIES, ClientCertificate, behind, fetch_tls
from tests.processes import AUDIENCE, ROOT, Answer, call, development_issuer, process

from resource_server.testing import ProofKey

# How long each process remembers an answer, and what its clocks may differ by from those of the test.
CACHE_SECONDS = 2
SLACK_SECONDS = 0.2
# Under uvicorn the other edges run in threads of Django.
SERVERS = {
    "WSGI": ["gunicorn", "tests.bound.project:application", "--workers", "2", "--threads", "2", "--no-control-socket"],
    "ASGI": ["uvicorn", "tests.bound.project:asgi", "--no-proxy-headers", "--lifespan", "off"],
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """An issuer that is asked about its opaque tokens, and how a client gets and revokes one."""

    address: str
    audience: str
    token_path: str
    introspection: Mapping[str, Any]
    bound_token: Callable[[Mapping[str, str]], str]
    revoke: Callable[[str], None]


def of_oidc_provider(provider: OidcProvider, client_id: str) -> Asked:
    return Asked(
        address=provider.address,
        audience=resource("opaque"),
        token_path="/token",
        introspection={"CLIENT_ID": "api-basic", "CLIENT_SECRET": API_SECRET},
        bound_token=lambda headers: provider.bound_token(headers, client_id),
        revoke=lambda token: provider.revoke(token, client_id),
    )


def of_development_issuer(address: str) -> Asked:
    client = {"client_id": "demo-opaque", "client_secret": "demo-opaque-secret"}
    asks = {"grant_type": "client_credentials", "audience": AUDIENCE, "scope": "read", **client}

    def bound_token(headers: Mapping[str, str]) -> str:
        answer = call(address, "/token", form=asks, headers=headers)
        assert answer.status == 200, answer.text
        return str(answer.json()["access_token"])

    def revoke(token: str) -> None:
        assert call(address, "/revoke", form={**client, "token": token}).status == 200

    return Asked(
        address=address,
        audience=AUDIENCE,
        token_path="/token",
        introspection={"CLIENT_ID": "demo-api", "CLIENT_SECRET": "demo-api-secret"},
        bound_token=bound_token,
        revoke=revoke,
    )


@pytest.fixture(scope="module")
def dev_issuer(free_port: Callable[[], int]) -> Iterator[str]:
    with development_issuer(free_port(), "--audience", AUDIENCE, "--scope", "read") as (address, _):
        yield address


@pytest.fixture(params=["oidc-provider", "development issuer"])
def asked(request: pytest.FixtureRequest) -> Callable[[str], Asked]:
    """The issuer; the argument is the client of oidc-provider."""
    if request.param == "development issuer":
        address = request.getfixturevalue("dev_issuer")
        return lambda _: of_development_issuer(address)
    provider = request.getfixturevalue("issuer")
    return lambda client_id: of_oidc_provider(provider, client_id)


@pytest.fixture(params=SERVERS)
def serve(request: pytest.FixtureRequest, free_port: Callable[[], int], redis_url: str) -> Callable[..., Any]:
    """Serves the API of `tests/bound/views.py` with settings beside those of the issuer; gives its address."""

    @contextmanager
    def run(issuer: Asked, **settings: Any) -> Iterator[str]:
        port = free_port()
        address = f"http://127.0.0.1:{port}"
        module, application, *options = SERVERS[request.param]
        bind = ["--bind", f"127.0.0.1:{port}", "--chdir", str(ROOT)]
        bind = bind if module == "gunicorn" else ["--port", str(port), "--app-dir", str(ROOT)]
        introspection = {**issuer.introspection, "CACHE_SECONDS": CACHE_SECONDS}
        more = {"INTROSPECTION": introspection, "PUBLIC_ORIGIN": address, **settings}
        variables = {"ISSUER": issuer.address, "AUDIENCE": issuer.audience, "REDIS_URL": redis_url}
        variables |= {"PYTHONPATH": str(ROOT), "MORE_SETTINGS": json.dumps(more)}
        with process([sys.executable, "-m", module, application, *options, *bind], address, "/none", **variables):
            yield address

    return run


def refused(answer: Answer, reason: str) -> bool:
    assert (answer.status, answer.json().get("reason")) == (401, reason), answer.text
    return True


def test_a_key_bound_opaque_token(asked: Callable[[str], Asked], serve: Callable[..., Any]) -> None:
    issuer, key = asked("machine"), ProofKey()
    token = issuer.bound_token({"DPoP": key.proof("POST", f"{issuer.address}{issuer.token_path}")})
    bearer = issuer.bound_token({})
    with serve(issuer, DPOP="allowed") as api:

        def proof(edge: str, by: ProofKey = key, of: str = token) -> dict[str, str]:
            return by.headers("GET", f"{api}/{edge}", of)

        for edge in EDGES:
            path, headers = f"/{edge}", proof(edge)
            assert call(api, path, headers=headers).status == 200
            assert refused(call(api, path, headers=headers), "proof_replayed")
            assert call(api, path, headers=proof(edge)).status == 200
            assert refused(call(api, path, authorization=f"Bearer {token}"), "token_bound_to_key")
            stolen = {**proof(edge), "Authorization": f"Bearer {token}"}
            assert refused(call(api, path, headers=stolen), "token_bound_to_key")
            assert refused(call(api, path, authorization=f"DPoP {token}"), "proof_missing")
            assert refused(call(api, path, headers=proof(edge, ProofKey())), "proof_key_differs")
            assert refused(call(api, path, headers=proof("another")), "proof_url_differs")
            assert call(api, path, authorization=f"Bearer {bearer}").status == 200
            assert refused(call(api, path, headers=proof(edge, of=bearer)), "token_not_bound")
        challenge = call(api, "/rest", authorization=f"Bearer {token}").headers["WWW-Authenticate"]
        assert challenge.startswith('Bearer realm="api", error="invalid_token"')
        assert ', DPoP realm="api", algs="' in challenge
        issuer.revoke(token)
        ends = time.monotonic() + CACHE_SECONDS + SLACK_SECONDS
        until(lambda: time.monotonic() > ends)
        for edge in EDGES:
            assert refused(call(api, f"/{edge}", headers=proof(edge)), "token_inactive")


def test_a_certificate_bound_opaque_token(
    asked: Callable[[str], Asked], serve: Callable[..., Any], free_port: Callable[[], int], tmp_path: Path
) -> None:
    issuer = asked("machine-tls")
    one, other = ClientCertificate(tmp_path, "one"), ClientCertificate(tmp_path, "other")
    token = issuer.bound_token({"Client-Cert": one.client_cert})
    nginx = PROXIES["nginx"]
    setting = {**nginx.settings, "PROXIES": ["127.0.0.1"]}
    with (
        serve(issuer, CLIENT_CERTIFICATE=setting) as upstream,
        behind(nginx, tmp_path, free_port(), upstream) as api,
    ):

        def ask(edge: str, client: ClientCertificate | None, scheme: str = "Bearer") -> tuple[int, str | None]:
            status, body = fetch_tls(api, f"/{edge}", client, {"Authorization": f"{scheme} {token}"})
            return status, body.get("reason")

        for edge in EDGES:
            for scheme in ("Bearer", "DPoP", "Bearer"):
                assert ask(edge, one, scheme) == (200, None)
                assert ask(edge, other, scheme) == (401, "certificate_differs")
                assert ask(edge, None, scheme) == (401, "certificate_missing")
            forged = {"Authorization": f"Bearer {token}", **nginx.forged(one)}
            assert fetch_tls(api, f"/{edge}", other, forged)[1]["reason"] == "certificate_differs"
        issuer.revoke(token)
        ends = time.monotonic() + CACHE_SECONDS + SLACK_SECONDS
        until(lambda: time.monotonic() > ends)
        for edge in EDGES:
            assert ask(edge, one) == (401, "token_inactive")
