"""Bound tokens over real sockets: replays across four processes of gunicorn, and mutual TLS through nginx and gunicorn."""

import base64
import hashlib
import http.client
import json
import re
import shutil
import ssl
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest
import redis
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from tests.certificates import certificate
from tests.lacking import lacking
from tests.live.conftest import at_once, until
from tests.live.test_gunicorn import Reply, gunicorn
from tests.processes import ROOT, call, environment
from tests.servers import LiveIssuer

from resource_server.testing import ProofKey

ORIGIN = "https://api.test"
CALLS = 50


def dpop(**changes: str) -> str:
    return json.dumps({"DPOP": "allowed", "PUBLIC_ORIGIN": ORIGIN, **changes})


@pytest.mark.parametrize("path", ["/private", "/private-async"])
def test_of_50_identical_proofs_exactly_one_passes(
    free_port: Callable[[], int], issuer: LiveIssuer, redis_url: str, path: str
) -> None:
    key = ProofKey()
    token = issuer.token(scope="read", cnf=key.confirmation)
    with gunicorn(free_port(), issuer, REDIS_URL=redis_url, MORE_SETTINGS=dpop()) as site:

        def ask(_: int) -> Reply:
            answer = call(site.address, f"{path}?nap=0.05", headers=headers)
            return Reply(worker=answer.headers["X-Worker"], answer=answer, seconds=0)

        workers: set[str] = set()
        for _ in range(4):
            headers = key.headers("GET", f"{ORIGIN}{path}", token)
            replies = at_once(CALLS, ask)
            workers |= {reply.worker for reply in replies}
            outcomes = Counter((reply.answer.status, reply.answer.json().get("reason")) for reply in replies)
            assert outcomes == {(200, None): 1, (401, "proof_replayed"): CALLS - 1}
        assert len(workers) == 4
        # And 50 different ones all pass.
        proofs = [key.headers("GET", f"{ORIGIN}{path}", token) for _ in range(CALLS)]
        assert {call(site.address, path, headers=each).status for each in proofs} == {200}


@contextmanager
def redis_server(port: int) -> Iterator[str]:
    program = shutil.which("redis-server")
    if program is None:
        lacking("redis-server is not installed")
    command = [program, "--port", str(port), "--save", "", "--appendonly", "no", "--bind", "127.0.0.1"]
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        with redis.Redis(port=port) as client:
            until(lambda: _answers(client), what="an answer of Redis")
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        child.terminate()
        child.wait(10)


def _answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.ConnectionError:
        return False


def test_while_the_store_is_down_nothing_passes(free_port: Callable[[], int], issuer: LiveIssuer) -> None:
    key, port = ProofKey(), free_port()
    token = issuer.token(scope="read", cnf=key.confirmation)

    def ask(_: int = 0) -> tuple[int, str | None]:
        answer = call(address, "/private", headers=key.headers("GET", f"{ORIGIN}/private", token))
        return answer.status, answer.json().get("reason")

    with redis_server(port) as url:
        running = gunicorn(free_port(), issuer, REDIS_URL=url, MORE_SETTINGS=dpop())
        site = running.__enter__()
        address = site.address
        assert set(at_once(16, ask)) == {(200, None)}
        used = key.headers("GET", f"{ORIGIN}/private", token)
        assert call(address, "/private", headers=used).status == 200
    try:
        assert set(at_once(16, ask)) == {(503, "proof_store_failed")}
        assert call(address, "/private", headers=used).status == 503
        assert call(address, "/private", authorization=f"Bearer {issuer.token(scope='read')}").status == 200
        with redis_server(port):
            assert set(at_once(16, ask)) == {(200, None)}
    finally:
        running.__exit__(None, None, None)


# Mutual TLS


class ClientCertificate:
    """A self-signed certificate of a client: its files, and the thumbprint that a token is bound to."""

    def __init__(self, folder: Path, name: str) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        now = datetime.now(UTC)
        signed = (
            x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(hours=1))
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(key, hashes.SHA256())
        )
        self.pem = signed.public_bytes(serialization.Encoding.PEM)
        self.path = folder / f"{name}.pem"
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        self.path.write_bytes(private + self.pem)
        digest = hashlib.sha256(signed.public_bytes(serialization.Encoding.DER)).digest()
        self.confirmation = {"x5t#S256": base64.urlsafe_b64encode(digest).rstrip(b"=").decode()}


def call_tls(
    address: str, token: str, client: ClientCertificate | None = None, **headers: str
) -> tuple[int, str | None]:
    """The status and the reason of a call over TLS, with the certificate of a client."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if client is not None:
        context.load_cert_chain(client.path)
    connection = http.client.HTTPSConnection(urlsplit(address).netloc, timeout=30, context=context)
    try:
        sent = {
            "Authorization": f"Bearer {token}",
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        connection.request("GET", "/private", headers=sent)
        response = connection.getresponse()
        return response.status, json.loads(response.read()).get("reason")
    finally:
        connection.close()


@pytest.fixture
def clients(tmp_path: Path) -> tuple[ClientCertificate, ClientCertificate]:
    return ClientCertificate(tmp_path, "one"), ClientCertificate(tmp_path, "other")


NGINX = """
daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log stderr;
events {{ worker_connections 64; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{port} ssl;
    ssl_certificate {folder}/server.pem; ssl_certificate_key {folder}/server.pem;
    # The directives of docs/bound-tokens.md; its `location` has a header of its own, and so inherits none.
    {documented}
  }}
}}
"""


@contextmanager
def nginx(folder: Path, port: int, upstream: str) -> Iterator[str]:
    program = shutil.which("nginx") or shutil.which("/usr/sbin/nginx")
    if program is None:
        lacking("nginx is not installed")
    certificate(folder / "server.pem")
    path = folder / "nginx.conf"
    (documented,) = re.findall(
        r"^```nginx\n(.*?)^```", (ROOT / "docs" / "bound-tokens.md").read_text("utf-8"), re.DOTALL | re.MULTILINE
    )
    documented = documented.replace("http://127.0.0.1:8000", upstream)
    assert upstream in documented
    path.write_text(NGINX.format(folder=folder, port=port, documented=documented))
    address = f"https://127.0.0.1:{port}"
    child = subprocess.Popen([program, "-p", str(folder), "-c", str(path)], stderr=subprocess.DEVNULL)
    try:
        until(lambda: _accepts(address), what="an answer of nginx")
        yield address
    finally:
        child.terminate()
        child.wait(10)


def _accepts(address: str) -> bool:
    try:
        return call_tls(address, "none")[0] == 401
    except OSError:
        return False


def test_mutual_tls_through_nginx(
    free_port: Callable[[], int],
    issuer: LiveIssuer,
    tmp_path: Path,
    clients: tuple[ClientCertificate, ClientCertificate],
) -> None:
    @contextmanager
    def behind_nginx(settings: str) -> Iterator[str]:
        with (
            gunicorn(free_port(), issuer, MORE_SETTINGS=settings) as site,
            nginx(tmp_path, free_port(), site.address) as address,
        ):
            yield address

    one, other = clients
    token = issuer.token(scope="read", cnf=one.confirmation)
    settings = json.dumps({"CLIENT_CERTIFICATE": {"FROM": "nginx", "PROXIES": ["127.0.0.1"]}})
    forged = {"X_SSL_Client_Cert": quote(one.pem.decode(), safe="")}
    with behind_nginx(settings) as address:
        for _ in range(2):
            assert call_tls(address, token, one) == (200, None)
            assert call_tls(address, token, other) == (401, "certificate_differs")
            assert call_tls(address, token) == (401, "certificate_missing")
            # nginx replaces what the client sends in its header.
            assert call_tls(address, token, other, **forged) == (401, "certificate_differs")
            assert call_tls(address, token, **forged) == (401, "certificate_missing")
        assert call_tls(address, issuer.token(scope="read")) == (200, None)
    # Behind another proxy than the trusted one, the header says nothing.
    settings = json.dumps({"CLIENT_CERTIFICATE": {"FROM": "nginx", "PROXIES": ["10.0.0.7"]}})
    with behind_nginx(settings) as address:
        assert call_tls(address, token, one) == (401, "certificate_missing")
        assert call_tls(address, token, one, X_Forwarded_For="10.0.0.7") == (401, "certificate_missing")


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
        until(lambda: _accepts(address), what="an answer of gunicorn")
        assert call_tls(address, token, one) == (200, None)
        assert call_tls(address, token, one) == (200, None)
        assert call_tls(address, token, other) == (401, "certificate_differs")
        assert call_tls(address, token) == (401, "certificate_missing")
        forged = {"X_SSL_Client_Cert": quote(one.pem.decode(), safe=""), "SSL_CLIENT_CERT": quote(one.pem.decode())}
        assert call_tls(address, token, **forged) == (401, "certificate_missing")
    finally:
        running.terminate()
        running.wait(10)
