"""Clients whose id is the https address of their metadata: fetched for real, under a certificate of the tests."""

import json
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from tests.devissuer.conftest import RunningIssuer, running
from tests.devissuer.documents import DocumentServer, document_server

from resource_server.devissuer.client_metadata import MetadataError
from resource_server.devissuer.metadata_documents import MetadataDocuments
from resource_server.errors import Unavailable
from resource_server.keys.document import Document
from resource_server.reasons import UnavailableReason


@pytest.fixture(scope="module")
def documents(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DocumentServer]:
    with document_server(tmp_path_factory.mktemp("documents")) as served:
        yield served


@pytest.fixture(scope="module")
def trusting(documents: DocumentServer) -> Iterator[RunningIssuer]:
    """An issuer that trusts the authority of the documents, by SSL_CERT_FILE."""
    with ExitStack() as stack:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("SSL_CERT_FILE", str(documents.authority))
            issuer = stack.enter_context(running())
        yield issuer


def test_a_person_signs_in_to_a_client_with_a_document(documents, trusting):
    url = documents.publish("/client.json")
    page = trusting.sign_in_page(client_id=url)
    code = trusting.redirected(trusting.decide(page, agreed=["example:scope"]))["code"]
    body = trusting.redeem(code, client_id=url).json()

    assert "Sign in to A client with a document" in page.answer.data.decode()
    assert url in page.answer.data.decode()
    assert trusting.verified(body["access_token"]).claims["client_id"] == url
    assert trusting.refresh(body["refresh_token"], client_id=url).status == 200
    # The document is fetched once for all these requests.
    assert documents.asked.count("/client.json") == 1


@pytest.mark.parametrize(
    ("redirect_uris", "warns"),
    [
        (["http://127.0.0.1:8000/callback"], True),
        (["http://127.0.0.1:8000/callback", "http://localhost/cb"], True),
        (["http://127.0.0.1:8000/callback", "https://app.example/cb"], False),
    ],
)
def test_the_page_warns_of_a_client_that_any_program_can_pretend_to_be(documents, trusting, redirect_uris, warns):
    url = documents.publish(f"/on-loopback-{len(redirect_uris)}-{warns}.json", redirect_uris=redirect_uris)
    text = trusting.sign_in_page(client_id=url).answer.data.decode()

    assert ("Any program on this machine can pretend to be this client" in text) == warns
    assert "http://127.0.0.1:8000/callback" in text


def test_a_registered_client_has_an_id_of_its_own_so_the_page_does_not_warn(trusting):
    client_id = trusting.register(redirect_uris=["http://127.0.0.1:8000/callback"])["client_id"]

    assert b"Any program" not in trusting.sign_in_page(client_id=client_id).answer.data


def test_without_the_authority_nothing_is_fetched(documents, issuer):
    url = documents.publish("/untrusted.json")
    page = issuer.sign_in_page(client_id=url)

    assert page.answer.status == 400
    assert "cannot be fetched: fetch_failed" in page.answer.data.decode()
    assert "/untrusted.json" not in documents.asked


def test_the_token_endpoint_says_what_is_wrong_too(documents, trusting):
    answer = trusting.redeem("code", client_id=documents.address + "/nowhere.json")

    assert (answer.status, answer.json()["error"]) == (400, "invalid_client")
    assert "fetch_status" in answer.json()["error_description"]


def test_the_redirect_uri_must_be_in_the_document(documents, trusting):
    url = documents.publish("/redirect.json", redirect_uris=["https://app.example/cb", "http://localhost/cb"])

    for uri, status in {
        "https://app.example/cb": 200,
        "http://localhost:3000/cb": 200,  # RFC 8252 section 7.3
        "http://127.0.0.1:8000/callback": 400,
        "https://app.example/other": 400,
    }.items():
        assert trusting.sign_in_page(client_id=url, redirect_uri=uri).answer.status == status, uri


BAD_DOCUMENTS = {
    "another client_id": ({"client_id": "https://localhost/other.json"}, "client_id in the client metadata document"),
    "no client_id": ({"client_id": None}, "client_id in the client metadata document"),
    "no redirect URIs": ({"redirect_uris": None}, "redirect_uris is missing"),
    "a redirect URI elsewhere": ({"redirect_uris": ["http://app.example/"]}, "a redirect URI is https"),
    "a client with a secret": ({"token_endpoint_auth_method": "client_secret_basic"}, "has no secret"),
    "an unknown method": ({"token_endpoint_auth_method": "private_key_jwt"}, "token_endpoint_auth_method is one of"),
    "a machine": ({"grant_types": ["client_credentials"]}, "needs a client with a secret"),
    "more than 5 KiB": ({"x": "x" * 5120}, "more than 5120 bytes"),
}


@pytest.mark.parametrize(("changes", "message"), BAD_DOCUMENTS.values(), ids=BAD_DOCUMENTS)
def test_a_document_that_makes_no_client_is_refused(documents, trusting, changes, message, request):
    path = f"/bad/{request.node.callspec.id.replace(' ', '-')}.json"
    answer = trusting.get(trusting.authorize_url(client_id=documents.publish(path, **changes)))

    assert answer.status == 400
    assert "Location" not in answer.headers
    assert message in answer.data.decode()


BAD_ANSWERS = {
    "404": (404, b"{}", {}, "fetch_status"),
    "500": (500, b"{}", {}, "fetch_status"),
    "a redirect": (302, b"", {"Location": "/client.json"}, "fetch_status"),
    "no JSON": (200, b"<!doctype html>", {}, "this is not one well-formed JSON value"),
    "a list": (200, b"[]", {}, "this is not a JSON object"),
    "a megabyte": (200, b" " * 1_000_000, {}, "document_too_large"),
}


@pytest.mark.parametrize(("status", "body", "headers", "message"), BAD_ANSWERS.values(), ids=BAD_ANSWERS)
def test_an_answer_without_a_document_is_refused(documents, trusting, status, body, headers, message, request):
    documents.publish("/client.json")
    path = f"/answers/{request.node.callspec.id.replace(' ', '-')}.json"
    documents.answers[path] = (status, body, headers)
    answer = trusting.get(trusting.authorize_url(client_id=documents.address + path))

    assert answer.status == 400
    assert message in answer.data.decode()


def test_a_server_that_never_answers_costs_five_seconds(trusting):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        before = time.monotonic()
        answer = trusting.get(
            trusting.authorize_url(client_id=f"https://localhost:{silent.getsockname()[1]}/client.json")
        )

    assert answer.status == 400
    assert "fetch_timeout" in answer.data.decode()
    assert 4 < time.monotonic() - before < 9


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("", "has no path"),
        ("/", "has no path"),
        ("/a/../client.json", "a path with dots"),
        ("/a/%2E%2e/client.json", "a path with dots"),
        ("/./client.json", "a path with dots"),
        ("/client.json#x", "holds a fragment"),
        ("/\u00fc", "is not a URL"),
    ],
)
def test_an_id_that_is_not_an_address_of_a_document_is_refused(documents, trusting, path, message):
    asked = len(documents.asked)
    answer = trusting.get(trusting.authorize_url(client_id=documents.address + path))

    assert answer.status == 400
    assert message in answer.data.decode()
    assert len(documents.asked) == asked


def test_http_and_credentials_in_an_id_are_refused(trusting):
    assert trusting.get(trusting.authorize_url(client_id="http://127.0.0.1:1/client.json")).status == 400
    answer = trusting.get(trusting.authorize_url(client_id="https://user:x@localhost:1/client.json"))

    assert answer.status == 400
    assert "a user name or a password" in answer.data.decode()


class TestKept:
    URL = "https://app.example/client.json"

    def _documents(self, *, public=False, fails=False, cache_control="", age=0):
        now = [0.0]
        fetched = []

        def fetch(url, /, *, seconds, known=None, public=False):
            fetched.append(public)
            if fails:
                raise Unavailable(UnavailableReason.FETCH_FAILED)
            body = json.dumps({"client_id": url, "redirect_uris": ["https://app.example/"]}).encode()
            return Document(body=body, cache_control=cache_control, age_seconds=age)

        return MetadataDocuments(fetch, frozenset(), public=public, clock=lambda: now[0]), now, fetched

    def test_a_document_is_kept_for_a_minute(self):
        documents, now, fetched = self._documents()
        for at in (0, 59.9, 60):
            now[0] = at
            documents.client(self.URL)

        assert len(fetched) == 2

    @pytest.mark.parametrize(
        ("cache_control", "age", "kept"),
        [
            ("max-age=5", 0, 5),
            ("public, max-age=900", 600, 300),
            ("max-age=86400", 0, 3600),
            ("max-age=0", 0, 0),
            ("max-age=5", 9, 0),
            ("no-store", 0, 0),
            ("no-cache, max-age=900", 0, 0),
            ("public", 0, 60),
        ],
    )
    def test_a_document_is_kept_as_its_headers_say(self, cache_control, age, kept):
        documents, now, fetched = self._documents(cache_control=cache_control, age=age)
        for at, times in ((0, 1), (kept - 0.1, 1 if kept else 2), (kept, 2 if kept else 3)):
            now[0] = max(at, 0)
            documents.client(self.URL)
            assert len(fetched) == times

    def test_a_failure_is_not_kept(self):
        documents, _, fetched = self._documents(fails=True)
        for _ in range(2):
            with pytest.raises(MetadataError, match="cannot be fetched"):
                documents.client(self.URL)

        assert len(fetched) == 2

    @pytest.mark.parametrize("public", [False, True])
    def test_an_issuer_for_other_machines_asks_no_server_of_its_own_machine(self, public):
        documents, _, fetched = self._documents(public=public)
        documents.client(self.URL)

        assert fetched == [public]


def test_an_issuer_that_other_machines_reach_refuses_documents_of_its_own(documents, free_port, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(documents.authority))
    port = free_port()
    host = ("--host", "0.0.0.0", "--let-other-machines-get-tokens")
    with running(*host, "--port", str(port), "--issuer", f"http://localhost:{port}") as issuer:
        answer = issuer.get(issuer.authorize_url(client_id=documents.publish("/own.json")))

    assert answer.status == 400
    assert "address_not_allowed" in answer.data.decode()
    assert "/own.json" not in documents.asked
