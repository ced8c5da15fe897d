"""Bound tokens over WebSockets, by a real client: the handshake is a GET, and its proof is judged as that of any request."""

import asyncio
import base64
import hashlib
import json
import socket
import ssl

import pytest
from asgiref.testing import ApplicationCommunicator
from tests.certificates import certificate
from tests.edges.websocket_server import websocket_server
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from resource_server.channels import AccessTokenWebSocketMiddleware
from resource_server.testing import FakeIssuer, ProofKey

UNTRUSTED = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
UNTRUSTED.check_hostname, UNTRUSTED.verify_mode = False, ssl.CERT_NONE


@pytest.fixture(scope="module")
def issuer():
    return FakeIssuer(algorithm="ES256")


@pytest.fixture(scope="module")
def server(issuer, tmp_path_factory):
    """A server with TLS; the address and its form for `htu`."""
    folder = tmp_path_factory.mktemp("uvicorn")
    certificate(folder / "server.pem")
    listener = socket.create_server(("127.0.0.1", 0))
    origin = f"https://localhost:{listener.getsockname()[1]}"
    settings = issuer.settings(
        JWKS=issuer.keys.jwks(),
        DPOP="allowed",
        DPOP_NONCE="optional",
        PUBLIC_ORIGIN=origin,
        CACHE="default",
        CLIENT_CERTIFICATE={"FROM": "rfc9440", "PROXIES": ["127.0.0.1"]},
    )
    files = ("--ssl-certfile", str(folder / "server.pem"), "--ssl-keyfile", str(folder / "server.pem"))
    with websocket_server(folder, settings, *files, listener=listener) as address:
        yield address.replace("ws:", "wss:"), origin


@pytest.fixture
def call(server):
    """Connects with these headers or subprotocols; the subject, or the status and reason of the refusal."""
    address, _ = server

    # The client with threads can hang where the server ends TLS after a refusal (Python 3.14).
    async def attempt(headers, path, options):
        try:
            async with connect(
                address + path, additional_headers=headers, ssl=UNTRUSTED, open_timeout=30, **options
            ) as websocket:
                text = await asyncio.wait_for(websocket.recv(), 10)
                return json.loads(text)["subject"], websocket.response.headers
        except InvalidStatus as refusal:
            response = refusal.response
            return (response.status_code, json.loads(response.body)["reason"]), response.headers

    def attempt_now(headers=(), path="/echo?room=1", **options):
        return asyncio.run(attempt(headers, path, options))

    return attempt_now


@pytest.fixture(scope="module")
def key():
    return ProofKey()


@pytest.fixture
def token(issuer, key):
    return issuer.token(scope="chat:read", cnf=key.confirmation)


def test_a_bound_token_passes_with_a_new_proof_each_time(call, server, key, token):
    headers = key.headers("GET", f"{server[1]}/echo", token)
    assert call(headers)[0] == "auth0|ada"
    assert call(headers)[0] == (401, "proof_replayed")
    assert call(key.headers("GET", f"{server[1]}/echo", token))[0] == "auth0|ada"


def test_a_stolen_token_is_worth_nothing(call, server, key, token):
    headers = key.headers("GET", f"{server[1]}/echo", token)
    bearer = {"Authorization": f"Bearer {token}"}
    assert call(bearer)[0] == (401, "token_bound_to_key")
    assert call({**headers, **bearer})[0] == (401, "token_bound_to_key")
    # A subprotocol carries no proof, also beside one in the header.
    stolen = {"subprotocols": [f"bearer.{token}", "bearer"]}
    assert call(**stolen)[0] == (401, "token_bound_to_key")
    assert call({"DPoP": headers["DPoP"]}, **stolen)[0] == (401, "token_bound_to_key")
    assert call(headers, **stolen)[0] == (400, "credentials_repeated")
    assert call(headers)[0] == "auth0|ada"


# The address of a proof relative to the server's -> why it is refused.
PROOFS = {
    "the wss form": ({"htu": "wss://{host}/echo"}, "proof_url_differs"),
    "another path": ({"htu": "https://{host}/talkative"}, "proof_url_differs"),
    "another host": ({"htu": "https://evil.test/echo"}, "proof_url_differs"),
    "another method": ({"htm": "CONNECT"}, "proof_method_differs"),
    "an old one": ({"iat": 1}, "nonce_missing"),  # which would tell when the proof was made
    "of another token": ({"ath": "x"}, "proof_token_differs"),
}


@pytest.mark.parametrize(("claims", "reason"), PROOFS.values(), ids=PROOFS)
def test_each_part_of_the_proof_counts(call, server, key, token, claims, reason):
    host = server[1].partition("://")[2]
    claims = {name: each.format(host=host) if isinstance(each, str) else each for name, each in claims.items()}
    assert call(key.headers("GET", f"{server[1]}/echo", token, **claims))[0] == (401, reason)


def test_the_host_header_says_nothing(call, server, key, token):
    evil = key.headers("GET", "https://evil.test/echo", token)
    for header in ("X-Forwarded-Host", "Forwarded"):
        assert call({**evil, header: "evil.test"})[0] == (401, "proof_url_differs")


def test_without_a_proof_or_with_two_it_is_refused(call, server, key, token):
    headers = [("Authorization", f"DPoP {token}")]
    proofs = [("DPoP", key.proof("GET", f"{server[1]}/echo", token)) for _ in range(2)]
    answer, answered = call(headers)
    assert answer == (401, "proof_missing")
    assert answered["WWW-Authenticate"].startswith("DPoP ")
    assert call([*headers, *proofs])[0] == (401, "proof_repeated")
    assert call(key.headers("GET", f"{server[1]}/echo", token, header={"typ": "JWT"}))[0][1] == "proof_type_differs"
    assert call(ProofKey().headers("GET", f"{server[1]}/echo", token))[0] == (401, "proof_key_differs")


def test_the_answer_offers_a_nonce(call, server, issuer, key, token, one_nonce):
    answer, headers = call(key.headers("GET", f"{server[1]}/echo", token))
    nonce = headers["DPoP-Nonce"]
    assert (answer, bool(nonce)) == ("auth0|ada", True)
    answer, headers = call(key.headers("GET", f"{server[1]}/echo", token, nonce=nonce))
    assert (answer, "DPoP-Nonce" in headers) == ("auth0|ada", False)
    answer, headers = call(key.headers("GET", f"{server[1]}/echo", token, nonce="invented"))
    assert (answer, headers["DPoP-Nonce"]) == ((401, "nonce_not_current"), nonce)
    without = issuer.token(cnf=key.confirmation)
    answer, headers = call(key.headers("GET", f"{server[1]}/echo", without))
    assert (answer, headers["DPoP-Nonce"]) == ((403, "scope_missing"), nonce)
    bearer = {"Authorization": f"Bearer {issuer.token(scope='chat:read')}"}
    answer, headers = call(bearer)
    assert (answer, "DPoP-Nonce" in headers) == ("auth0|ada", False)


DER = b"the certificate of a client"
CLIENT_CERT = f":{base64.b64encode(DER).decode()}:"
OTHER_CERT = f":{base64.b64encode(b'another').decode()}:"
DIGEST = base64.urlsafe_b64encode(hashlib.sha256(DER).digest()).rstrip(b"=").decode()


def test_a_certificate_bound_token_passes_with_its_certificate(call, issuer):
    token = issuer.token(scope="chat:read", cnf={"x5t#S256": DIGEST})
    for scheme in ("Bearer", "DPoP"):
        headers = {"Authorization": f"{scheme} {token}"}
        assert call({**headers, "Client-Cert": CLIENT_CERT})[0] == "auth0|ada"
        assert call({**headers, "Client-Cert": OTHER_CERT})[0] == (401, "certificate_differs")
        assert call(headers)[0] == (401, "certificate_missing")
        # As Django drops them: the proxy removes the other spelling alone.
        assert call({**headers, "Client_Cert": CLIENT_CERT})[0] == (401, "certificate_missing")
        assert call([*headers.items(), *[("Client-Cert", CLIENT_CERT)] * 2])[0] == (401, "certificate_missing")
    assert call({"Client-Cert": CLIENT_CERT}, subprotocols=[f"bearer.{token}"])[0] == "auth0|ada"


def close_code(settings, issuer, headers, **scope):
    """The code of the close by which a server without HTTP answers refuses, None if the connection is accepted."""
    settings.RESOURCE_SERVER = issuer.settings(JWKS=issuer.keys.jwks(), **scope.pop("changes"))
    lines = [(name.lower().encode(), value.encode()) for name, value in headers.items()]

    async def accepts(_scope, receive, send):
        await receive()
        await send({"type": "websocket.accept"})

    async def connects():
        given = {"type": "websocket", "path": "/chat", "headers": lines, **scope}
        connection = ApplicationCommunicator(AccessTokenWebSocketMiddleware(accepts), given)
        await connection.send_input({"type": "websocket.connect"})
        return await connection.receive_output(timeout=10)

    return asyncio.run(connects()).get("code")


def test_a_proxy_that_is_not_trusted_names_no_certificate(settings, issuer):
    headers = {"Authorization": f"Bearer {issuer.token(cnf={'x5t#S256': DIGEST})}", "Client-Cert": CLIENT_CERT}
    changes = {"CLIENT_CERTIFICATE": {"FROM": "rfc9440", "PROXIES": ["10.0.0.7"]}}
    for client, code in ((("10.0.0.7", 1), None), (("10.0.0.8", 1), 4401), (None, 4401)):
        assert close_code(settings, issuer, headers, changes=changes, client=client) == code


def test_the_server_gives_the_certificate_by_the_tls_extension(settings, issuer):
    headers = {"Authorization": f"Bearer {issuer.token(cnf={'x5t#S256': DIGEST})}"}
    changes = {"CLIENT_CERTIFICATE": {"FROM": "server"}}
    pem = ssl.DER_cert_to_PEM_cert(DER)
    for tls, code in (({"client_cert_chain": [pem]}, None), ({"client_cert_chain": []}, 4401), (None, 4401)):
        extensions = {"tls": tls}
        assert close_code(settings, issuer, headers, changes=changes, extensions=extensions) == code


def test_where_dpop_is_off_its_scheme_is_no_credential(settings, issuer, key):
    token = issuer.token(cnf=key.confirmation)
    headers = key.headers("GET", "https://api.test/chat", token)
    assert close_code(settings, issuer, headers, changes={}) == 4401
    more = {"DPOP": "allowed", "PUBLIC_ORIGIN": "https://api.test", "CACHE": "default"}
    assert close_code(settings, issuer, headers, changes=more) is None


def test_the_prefix_that_the_server_knows_belongs_to_the_address(settings, issuer, key):
    more = {"DPOP": "allowed", "PUBLIC_ORIGIN": "https://api.test", "CACHE": "default"}
    headers = key.headers("GET", "https://api.test/prefix/chat", issuer.token(cnf=key.confirmation))
    scope = {"path": "/prefix/chat", "root_path": "/prefix"}
    assert close_code(settings, issuer, headers, changes=more, **scope) is None
