"""Networks as projects have them: http in development and in tests, issuers that are names, a company's certificates."""

import codecs
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.core.checks import run_checks
from django.test import Client
from tests.certificates import certificate
from tests.edges.views import url
from tests.proxy import proxying
from tests.servers import KEYS, METADATA, LiveIssuer, Server

from resource_server.conf.networks import is_development
from resource_server.devissuer.signing import SigningKeys
from resource_server.testing import FakeIssuer

GOOD = {"ISSUER": "https://issuer.test/", "AUDIENCE": "https://api.test/"}
AUDIENCE = "https://api.test/"


@pytest.fixture(autouse=True)
def _views(settings):
    settings.ROOT_URLCONF = "tests.edges.views"


@pytest.fixture
def issuer() -> Iterator[LiveIssuer]:
    with LiveIssuer() as running:
        yield running


@pytest.fixture
def names(monkeypatch):
    """Hosts that this machine resolves to itself, as a container does that shares a network with the issuer."""
    known = {"keycloak", "host.docker.internal", "elsewhere"}
    resolve = socket.getaddrinfo

    def getaddrinfo(host, *arguments, **options):
        return resolve("127.0.0.1" if host in known else host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


def status(token):
    return Client().get(url("function"), headers={"Authorization": f"Bearer {token}"}).status_code


def checks():
    """The errors; the views of these tests have warnings of their own."""
    return [message.id for message in run_checks() if (message.id or "").startswith("resource_server.E")]


# http on loopback while tests run


PROJECT = """
from mysite.settings_of_startproject import *

DEBUG = False
ALLOWED_HOSTS = ["testserver"]
ROOT_URLCONF = "mysite.views"
INSTALLED_APPS += ["resource_server"]
RESOURCE_SERVER = {{"ISSUER": "{issuer}", "AUDIENCE": "{audience}"}}
"""
VIEWS = """
from django.http import HttpResponse
from django.urls import path
from resource_server import requires_scope

@requires_scope("read")
def orders(request):
    return HttpResponse(request.auth.subject)

urlpatterns = [path("orders", orders)]
"""
TESTS = """
import os
from django.conf import settings
from django.test import SimpleTestCase

class Orders(SimpleTestCase):
    def test_a_real_token_of_the_development_issuer(self):
        assert not settings.DEBUG
        headers = {"Authorization": "Bearer " + os.environ["TOKEN"]}
        response = self.client.get("/orders", headers=headers)
        self.assertEqual((response.status_code, response.content), (200, b"auth0|ada"))

class Others(SimpleTestCase):  # so that two processes have something to do
    def test_no_token(self):
        self.assertEqual(self.client.get("/orders").status_code, 401)
"""


@pytest.fixture
def project(tmp_path, issuer):
    run(tmp_path, issuer, "-m", "django", "startproject", "mysite", ".")
    package = tmp_path / "mysite"
    (package / "settings.py").rename(package / "settings_of_startproject.py")
    (package / "settings.py").write_text(PROJECT.format(issuer=issuer.issuer, audience=issuer.audience))
    (package / "views.py").write_text(VIEWS)
    (tmp_path / "test_orders.py").write_text(TESTS)
    return tmp_path


def run(folder, issuer, *arguments):
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("DJANGO_", "PYTEST_"))}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={**environment, "TOKEN": issuer.token(scope="read")},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    "command",
    [
        ("manage.py", "test"),
        ("manage.py", "test", "--parallel", "2"),
        ("-m", "pytest", "-q", "--ds=mysite.settings", "-p", "no:randomly", "-p", "no:cacheprovider"),
    ],
    ids=["manage.py test", "in two processes", "pytest"],
)
def test_a_project_tests_with_an_issuer_on_http_loopback(project, issuer, command):
    done = run(project, issuer, *command)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "OK" in done.stderr or "2 passed" in done.stdout
    assert set(issuer.counts) == {METADATA, KEYS}


def test_outside_tests_the_same_project_is_refused(project, issuer):
    done = run(project, issuer, "manage.py", "check")
    assert done.returncode == 1
    assert "resource_server.E004" in done.stderr
    # Importing Django's tests does not make a process one of tests.
    code = "import django.test.utils, django; django.setup(); from resource_server.conf.networks import is_development as d; print(d())"
    done = run(project, issuer, "-c", "import os; os.environ['DJANGO_SETTINGS_MODULE'] = 'mysite.settings'; " + code)
    assert (done.stdout.strip(), done.returncode) == ("False", 0), done.stderr


def test_what_development_is(settings, request):
    settings.DEBUG = False
    assert is_development()  # tests run
    request.getfixturevalue("in_production")
    assert not is_development()
    settings.DEBUG = True
    assert is_development()


# DEVELOPMENT_HTTP: an issuer in another container


def at_host(issuer: LiveIssuer, host: str) -> None:
    issuer.issuer = issuer.address.replace("127.0.0.1", host)


@pytest.mark.parametrize("host", ["keycloak", "host.docker.internal"])
@pytest.mark.usefixtures("names")
def test_an_issuer_at_a_host_of_development_is_found_by_its_metadata(settings, issuer, host):
    at_host(issuer, host)
    settings.RESOURCE_SERVER = issuer.settings()
    assert status(issuer.token(scope="read")) == 503
    settings.RESOURCE_SERVER = issuer.settings(DEVELOPMENT_HTTP=["KeyCloak", "host.docker.internal"])
    assert checks() == []
    assert status(issuer.token(scope="read")) == 200


@pytest.mark.usefixtures("names")
def test_tokens_of_localhost_have_their_keys_at_another_host(settings, issuer):
    # Keycloak in Docker: the browser knows it as localhost:8080, this project as keycloak:8080.
    jwks_uri = issuer.jwks_uri.replace("127.0.0.1", "keycloak")
    issuer.issuer = "http://localhost:8080/realms/staff"
    settings.RESOURCE_SERVER = issuer.settings(JWKS_URI=jwks_uri, DEVELOPMENT_HTTP="keycloak", PROVIDER="keycloak")
    assert checks() == []
    assert status(issuer.token(scope="read")) == 200
    assert set(issuer.counts) == {KEYS}


@pytest.mark.usefixtures("names")
@pytest.mark.parametrize("beside", [{}, {"ISSUERS": []}], ids=["one issuer", "ISSUERS"])
def test_several_issuers_share_the_hosts_of_development(settings, issuer, beside):
    at_host(issuer, "keycloak")
    entry = issuer.settings()
    whole = {"ISSUERS": [entry]} if beside else entry
    settings.RESOURCE_SERVER = {**whole, "DEVELOPMENT_HTTP": ["keycloak"]}
    assert checks() == []
    assert status(issuer.token(scope="read")) == 200


@pytest.mark.usefixtures("names", "in_production")
def test_hosts_of_development_are_refused_in_production(settings, issuer):
    at_host(issuer, "keycloak")
    settings.RESOURCE_SERVER = issuer.settings(DEVELOPMENT_HTTP=["keycloak"])
    assert checks() == ["resource_server.E032"]
    assert status(issuer.token(scope="read")) == 503
    assert issuer.asked == []
    settings.RESOURCE_SERVER = {**GOOD, "DEVELOPMENT_HTTP": []}
    assert checks() == []
    settings.DEBUG = True
    settings.RESOURCE_SERVER = issuer.settings(DEVELOPMENT_HTTP=["keycloak"])
    assert checks() == []
    assert status(issuer.token(scope="read")) == 200


@pytest.mark.usefixtures("names")
def test_metadata_lead_to_no_host_that_is_not_listed(settings, issuer, monkeypatch):
    at_host(issuer, "keycloak")
    settings.RESOURCE_SERVER = issuer.settings(DEVELOPMENT_HTTP=["keycloak"])
    for host in ("elsewhere", "localhost", "127.0.0.1"):
        elsewhere = issuer.jwks_uri.replace("keycloak", host)
        monkeypatch.setattr(issuer, "metadata", lambda uri=elsewhere: {"issuer": issuer.issuer, "jwks_uri": uri})
        settings.RESOURCE_SERVER = issuer.settings(DEVELOPMENT_HTTP=["keycloak"])
        assert status(issuer.token(scope="read")) == 503
    assert issuer.counts[KEYS] == 0


def test_an_https_issuer_has_no_keys_at_a_host_of_development(settings):
    issuer = FakeIssuer()
    issuer.documents = {
        "https://issuer.test/.well-known/openid-configuration": json.dumps(
            {"issuer": issuer.issuer, "jwks_uri": "http://keycloak:8080/keys"}
        ).encode()
    }
    settings.RESOURCE_SERVER = issuer.settings(DEVELOPMENT_HTTP=["keycloak"])
    with issuer.serving():
        assert status(issuer.token(scope="read")) == 503
    assert "http://keycloak:8080/keys" not in issuer.fetched


# Issuers that are names, where the keys are given


NAMES = [
    "http://adfs.example/adfs/services/trust",
    "urn:example:issuer",
    "sts",
    "an issuer with spaces",
    "ten\u00e4nt \U0001f511",
    "https://issuer.test/?query#fragment",
    "http://[half an address",
    "x" * 2000,
]
SIGNING = SigningKeys("ES256")
PEM = SIGNING._find(None).private.public_key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


@pytest.mark.parametrize("name", NAMES, ids=lambda name: ascii(name[:40]))
@pytest.mark.parametrize("source", ["JWKS_URI", "JWKS", "PUBLIC_KEY", "KEY_FILE"])
@pytest.mark.usefixtures("in_production")
def test_an_issuer_whose_keys_are_given_is_any_name(settings, tmp_path, name, source):
    issuer = FakeIssuer(name)
    issuer.keys = SIGNING
    issuer.documents = {"https://keys.test/": json.dumps(SIGNING.jwks()).encode()}
    path = tmp_path / "keys.pem"
    path.write_text(PEM)
    value = {"JWKS_URI": "https://keys.test/", "JWKS": SIGNING.jwks(), "PUBLIC_KEY": PEM, "KEY_FILE": path}[source]
    settings.RESOURCE_SERVER = issuer.settings(**{source: value})
    assert checks() == []
    with issuer.serving():
        assert status(issuer.token(scope="read")) == 200
        assert status(issuer.token(scope="read", iss=name + "/")) == 401
    assert issuer.fetched == (["https://keys.test/"] if source == "JWKS_URI" else [])


@pytest.mark.parametrize(
    "name", ["", "a\nb", "a\0", "\x7f", "\ud800", "x" * 2001, 5, ["sts"], b"sts"], ids=lambda name: ascii(name)[:40]
)
def test_an_issuer_that_no_token_can_name_is_refused(settings, name):
    settings.RESOURCE_SERVER = {**GOOD, "ISSUER": name, "PUBLIC_KEY": PEM}
    assert checks() == ["resource_server.E004" if name else "resource_server.E003"]


# CA_FILE and HTTPS_PROXY


@contextmanager
def over_tls(issuer, context):
    """Serve the documents of an issuer on a real TLS socket."""

    def serve(connection, request):
        document = issuer.metadata() if METADATA.encode() in request else issuer.keys.jwks()
        body = json.dumps(document).encode()
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

    server = Server(serve, context=context)
    server.start()
    try:
        yield server
    finally:
        server.close()


def test_the_company_ca_is_trusted_by_its_setting(settings, tmp_path):
    issuer = FakeIssuer(algorithm="ES256")
    with over_tls(issuer, certificate(tmp_path / "ca.pem")) as server:
        issuer.issuer = server.url("")
        settings.RESOURCE_SERVER = issuer.settings()
        assert status(issuer.token(scope="read")) == 503
        assert server.requests == []
        for ca_file in (tmp_path / "ca.pem", str(tmp_path / "ca.pem")):
            settings.RESOURCE_SERVER = issuer.settings(CA_FILE=ca_file)
            assert checks() == []
            assert status(issuer.token(scope="read")) == 200


@pytest.mark.usefixtures("in_production")
def test_an_issuer_behind_the_egress_proxy_is_found(settings, tmp_path, monkeypatch, refused_connections):
    for name in ("https_proxy", "NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    issuer = FakeIssuer(algorithm="ES256")
    context = certificate(tmp_path / "ca.pem", "issuer.test")
    settings.RESOURCE_SERVER = issuer.settings(CA_FILE=tmp_path / "ca.pem")
    assert status(issuer.token(scope="read")) == 503
    assert refused_connections, "without a proxy the name is looked up here"
    refused_connections.clear()
    with over_tls(issuer, context) as server, proxying({"issuer.test:443": server.port}) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url())
        settings.RESOURCE_SERVER = issuer.settings(CA_FILE=tmp_path / "ca.pem")
        assert status(issuer.token(scope="read")) == 200
        assert [request.split(b" ")[:2] for request in proxy.requests] == [[b"CONNECT", b"issuer.test:443"]] * 2


# A byte order mark


def test_documents_with_a_byte_order_mark_are_read_and_shared(settings, issuer, monkeypatch):
    body = issuer.body
    monkeypatch.setattr(issuer, "body", lambda path: codecs.BOM_UTF8 + body(path) if body(path) else None)
    settings.RESOURCE_SERVER = issuer.settings(CACHE="default")
    assert status(issuer.token(scope="read")) == 200
    asked = len(issuer.asked)
    settings.RESOURCE_SERVER = issuer.settings(CACHE="default", REALM="as another process")
    assert status(issuer.token(scope="read")) == 200
    assert len(issuer.asked) == asked == 2


@pytest.mark.parametrize("text", [json.dumps(SIGNING.jwks()), PEM], ids=["JWK Set", "PEM"])
def test_a_key_file_with_a_byte_order_mark_is_read(settings, tmp_path: Path, text):
    path = tmp_path / "keys"
    path.write_text(text, encoding="utf-8-sig")
    issuer = FakeIssuer()
    issuer.keys = SIGNING
    settings.RESOURCE_SERVER = issuer.settings(KEY_FILE=path)
    assert checks() == []
    assert status(issuer.token(scope="read")) == 200
