"""Mutual TLS over real sockets: through proxies that nobody here wrote, with forged headers, and by gunicorn itself."""

import json
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import pytest
from tests.certificates import certificate
from tests.live.conftest import until
from tests.live.test_gunicorn import gunicorn
from tests.mutual_tls import PROXIES, ClientCertificate, TlsProxy, accepts, behind, call_tls
from tests.processes import ROOT, environment
from tests.servers import LiveIssuer


@pytest.fixture
def clients(tmp_path: Path) -> tuple[ClientCertificate, ClientCertificate]:
    return ClientCertificate(tmp_path, "one"), ClientCertificate(tmp_path, "other")


# Envoy with another rule than SANITIZE_SET has a test of its own.
@pytest.mark.parametrize("name", [name for name in PROXIES if "Envoy" not in name or "SANITIZE_SET" in name])
def test_mutual_tls_through_a_proxy(
    free_port: Callable[[], int],
    issuer: LiveIssuer,
    tmp_path: Path,
    clients: tuple[ClientCertificate, ClientCertificate],
    name: str,
) -> None:
    proxy, (one, other) = PROXIES[name], clients
    token = issuer.token(scope="read", cnf=one.confirmation)
    with api_behind(proxy, "127.0.0.1", free_port, issuer, tmp_path, clients) as address:
        forged = proxy.forged(one)
        for _ in range(2):
            assert call_tls(address, token, one) == (200, None)
            assert call_tls(address, token, other) == (401, "certificate_differs")
            assert call_tls(address, token) == (401, "certificate_missing")
            for spelling in (str, str.lower, lambda name: name.replace("-", "_")):
                headers = {spelling(header): value for header, value in forged.items()}
                # The proxy replaces the header of the client, and gunicorn drops it if it has an underscore.
                assert call_tls(address, token, other, headers) == (401, "certificate_differs")
                assert call_tls(address, token, None, headers) == (401, "certificate_missing")
                assert call_tls(address, token, one, proxy.forged(other)) == (200, None)
        assert call_tls(address, issuer.token(scope="read")) == (200, None)


# How Envoy forwards the header -> what a client with another certificate gets with a forged header, and one without any.
RULES = {
    "APPEND_FORWARD": ((401, "certificate_missing"), (401, "certificate_missing")),
    "SANITIZE": ((401, "certificate_missing"), (401, "certificate_missing")),
    # As the documentation warns: Envoy passes on what the client writes.
    "FORWARD_ONLY": ((200, None), (401, "certificate_missing")),
    "ALWAYS_FORWARD_ONLY": ((200, None), (200, None)),
}


@pytest.mark.parametrize("rule", RULES)
def test_the_rules_of_envoy(
    free_port: Callable[[], int],
    issuer: LiveIssuer,
    tmp_path: Path,
    clients: tuple[ClientCertificate, ClientCertificate],
    rule: str,
) -> None:
    proxy, (one, other) = PROXIES[f"Envoy {rule}"], clients
    token = issuer.token(scope="read", cnf=one.confirmation)
    with api_behind(proxy, "127.0.0.1", free_port, issuer, tmp_path, clients) as address:
        known = (200, None) if rule == "APPEND_FORWARD" else (401, "certificate_missing")
        assert call_tls(address, token, one) == known
        forged = proxy.forged(one)
        assert (call_tls(address, token, other, forged), call_tls(address, token, None, forged)) == RULES[rule]
        # Two elements are refused, also if both name the right certificate.
        if rule == "APPEND_FORWARD":
            assert call_tls(address, token, one, forged) == (401, "certificate_missing")


def test_behind_another_proxy_than_the_trusted_one_the_header_says_nothing(
    free_port: Callable[[], int],
    issuer: LiveIssuer,
    tmp_path: Path,
    clients: tuple[ClientCertificate, ClientCertificate],
) -> None:
    token = issuer.token(scope="read", cnf=clients[0].confirmation)
    with api_behind(PROXIES["nginx"], "10.0.0.7", free_port, issuer, tmp_path, clients) as address:
        assert call_tls(address, token, clients[0]) == (401, "certificate_missing")
        forwarded = {"X-Forwarded-For": "10.0.0.7"}
        assert call_tls(address, token, clients[0], forwarded) == (401, "certificate_missing")


@contextmanager
def api_behind(
    proxy: TlsProxy,
    trusted_address: str,
    free_port: Callable[[], int],
    issuer: LiveIssuer,
    folder: Path,
    clients: tuple[ClientCertificate, ...],
) -> Iterator[str]:
    settings = {"CLIENT_CERTIFICATE": {**proxy.settings, "PROXIES": [trusted_address]}}
    with (
        gunicorn(free_port(), issuer, "--workers", "1", MORE_SETTINGS=json.dumps(settings)) as site,
        behind(proxy, folder, free_port(), site.address, clients) as address,
    ):
        yield address


def test_mutual_tls_that_gunicorn_ends(
    free_port: Callable[[], int],
    issuer: LiveIssuer,
    tmp_path: Path,
    clients: tuple[ClientCertificate, ClientCertificate],
) -> None:
    one, other = clients
    certificate(tmp_path / "server.pem")
    (tmp_path / "trusted.pem").write_bytes(one.pem + other.pem)
    token, port = issuer.token(scope="read", cnf=one.confirmation), free_port()
    command = [sys.executable, "-m", "gunicorn", "tests.live.project:application", "--bind", f"127.0.0.1:{port}"]
    command += ["--chdir", str(ROOT), "--worker-class", "gthread", "--threads", "4", "--no-control-socket"]
    command += ["--certfile", str(tmp_path / "server.pem"), "--keyfile", str(tmp_path / "server.pem")]
    command += ["--cert-reqs", str(int(ssl.CERT_OPTIONAL)), "--ca-certs", str(tmp_path / "trusted.pem")]
    settings = json.dumps({"CLIENT_CERTIFICATE": {"FROM": "server"}})
    address = f"https://127.0.0.1:{port}"
    running = subprocess.Popen(
        command,
        env=environment(ISSUER=issuer.address, PYTHONPATH=str(ROOT), MORE_SETTINGS=settings),
        stderr=subprocess.DEVNULL,
    )
    try:
        until(lambda: accepts(address), what="an answer of gunicorn")
        assert call_tls(address, token, one) == (200, None)
        assert call_tls(address, token, one) == (200, None)
        assert call_tls(address, token, other) == (401, "certificate_differs")
        assert call_tls(address, token) == (401, "certificate_missing")
        forged = {"X-SSL-Client-Cert": quote(one.pem.decode(), safe=""), "SSL-CLIENT-CERT": quote(one.pem.decode())}
        assert call_tls(address, token, None, forged) == (401, "certificate_missing")
    finally:
        running.terminate()
        running.wait(10)
