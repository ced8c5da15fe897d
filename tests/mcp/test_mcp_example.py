"""The MCP example as a process: what it answers to a client without a token, with one, and with too small a one."""

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
from tests.processes import ROOT, Answer, call, process, request_token
from tests.servers import LiveIssuer

from resource_server.testing import FakeIssuer

WELL_KNOWN = "/.well-known/oauth-protected-resource"
ACCEPT = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    address: str
    issuer: LiveIssuer

    def post(self, message: object, scope: str | None = None, **headers: str) -> Answer:
        """The answer to a message, with a token that has this scope, or without one."""
        body = message if isinstance(message, str) else json.dumps(message)
        token = None if scope is None else f"Bearer {self.issuer.token(scope=scope)}"
        sent = {**ACCEPT, **{name.replace("_", "-"): value for name, value in headers.items()}}
        return call(self.address, "/mcp", method="POST", authorization=token, headers=sent, body=body)


@pytest.fixture(scope="module")
def site(free_port: Callable[[], int]) -> Iterator[Site]:
    with serving(free_port) as site:
        yield site


@contextmanager
def serving(free_port: Callable[[], int], **others: str) -> Iterator[Site]:
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    with LiveIssuer(audience=f"{address}/mcp", algorithm="ES256") as issuer:
        command = [sys.executable, "-m", "uvicorn", "mcpsite.asgi:application", "--port", str(port)]
        variables = {"ISSUER": issuer.address, "PUBLIC_ORIGIN": address, "DEBUG": "1", **others}
        folder = str(ROOT / "examples" / "mcp")
        with process([*command, "--app-dir", folder], address, WELL_KNOWN, PYTHONPATH=folder, **variables):
            yield Site(address=address, issuer=issuer)


def tool(name: str, **more: object) -> dict[str, object]:
    return {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": name, "arguments": {}}, **more}


LIST = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}


def result(answer: Answer) -> Mapping[str, object]:
    """The result in an answer, which is JSON or one event of a stream."""
    assert answer.status == 200, answer.text
    text = answer.text
    if answer.headers["Content-Type"].startswith("text/event-stream"):
        [text] = [line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: ")]
    value = json.loads(text)["result"]
    assert isinstance(value, dict)
    return value


ANOTHER_ISSUER = {
    "a provider": ({"PROVIDER": "keycloak"}, {"typ": "Bearer"}, 200),
    "a type": ({"TOKEN_TYPE": "JWT"}, {}, 200),
    "neither, as a shell leaves them empty": ({"PROVIDER": "", "TOKEN_TYPE": ""}, {}, 401),
}


@pytest.mark.parametrize(("variables", "claims", "status"), ANOTHER_ISSUER.values(), ids=ANOTHER_ISSUER)
def test_another_issuer_has_its_provider_or_its_type(
    free_port: Callable[[], int], variables: dict[str, str], claims: dict[str, str], status: int
) -> None:
    with serving(free_port, **variables) as site:
        token = site.issuer.token(header={"typ": "JWT"}, scope="mcp:read", **claims)
        answer = call(
            site.address, "/mcp", method="POST", authorization=f"Bearer {token}", headers=ACCEPT, body=json.dumps(LIST)
        )
        assert answer.status == status, answer.text


def test_a_401_names_the_metadata_and_the_least_scope_alone(site: Site) -> None:
    named = f'resource_metadata="{site.address}{WELL_KNOWN}/mcp"'
    expected = f'Bearer realm="api", {named}, scope="mcp:read"'
    for message in (LIST, tool("whoami"), tool("delete_everything"), "no JSON"):
        answer = site.post(message)
        assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, expected)
        assert answer.headers["Cache-Control"] == "no-store"
    for header in ("Basic dTpw", "DPoP abc", ""):
        assert site.post(LIST, Authorization=header).headers["WWW-Authenticate"] == expected
    for method in ("GET", "DELETE", "OPTIONS"):
        assert call(site.address, "/mcp", method=method).status == 401


def test_the_metadata_name_the_issuer_and_the_least_scope(site: Site) -> None:
    assert call(site.address, f"{WELL_KNOWN}/mcp").json() == {
        "resource": f"{site.address}/mcp",
        "authorization_servers": [site.issuer.address],
        "scopes_supported": ["mcp:read"],
        "bearer_methods_supported": ["header"],
    }
    assert call(site.address, WELL_KNOWN).status == 404


def test_a_token_for_another_resource_is_refused(site: Site) -> None:
    token = site.issuer.token(aud=f"{site.address}/other", scope="mcp:read")
    answer = site.post(LIST, Authorization=f"Bearer {token}")

    assert (answer.status, answer.json()["reason"]) == (401, "audience_not_accepted")


def test_a_token_without_an_audience_is_refused(site: Site) -> None:
    answer = site.post(LIST, Authorization=f"Bearer {site.issuer.token(aud=None, scope='mcp:read')}")

    assert (answer.status, answer.json()["reason"]) == (401, "aud_missing")


INVALID: Mapping[str, tuple[Callable[[LiveIssuer], str], str]] = {
    "expired": (lambda issuer: issuer.token(scope="mcp:write", exp=1), "token_expired"),
    "of another issuer": (
        lambda issuer: issuer.token(scope="mcp:write", iss="https://other.test"),
        "issuer_not_trusted",
    ),
    "forged": (
        lambda issuer: FakeIssuer(issuer.issuer, issuer.audience, algorithm="ES256").token(
            scope="mcp:write", header={"kid": issuer.keys.current_kid}
        ),
        "signature_invalid",
    ),
    "not a JWT": (lambda issuer: "abc", "token_malformed"),
}


@pytest.mark.parametrize("case", INVALID)
def test_a_call_with_an_invalid_token_is_401_and_does_nothing(site: Site, case: str) -> None:
    make, reason = INVALID[case]
    answer = site.post(tool("delete_everything"), Authorization=f"Bearer {make(site.issuer)}")

    assert (answer.status, answer.json()["reason"]) == (401, reason)
    assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]
    assert f'resource_metadata="{site.address}{WELL_KNOWN}/mcp"' in answer.headers["WWW-Authenticate"]
    assert set(answer.json()) <= {"detail", "error", "reason", "hint"}


def test_malformed_credentials_are_400(site: Site) -> None:
    token = site.issuer.token(scope="mcp:read")
    answer = site.post(LIST, Authorization=f"Bearer {token}, Bearer {token}")

    assert (answer.status, answer.json()["error"]) == (400, "invalid_request")


def test_each_request_needs_its_own_token(site: Site) -> None:
    assert site.post(LIST, "mcp:read").status == 200
    assert site.post(LIST).status == 401
    assert site.post(LIST, Mcp_Session_Id="1").status == 401


def test_the_scopes_of_a_challenge_depend_on_the_operation_alone(site: Site) -> None:
    for message in (LIST, tool("whoami")):
        for scope in ("", "other", "mcp:write", "offline_access"):
            answer = site.post(message, scope)
            assert (answer.status, answer.headers["WWW-Authenticate"].rpartition(", ")[2]) == (403, 'scope="mcp:read"')
    for scope in ("", "mcp:read", "mcp:read offline_access"):
        answer = site.post(tool("delete_everything"), scope)
        assert (answer.status, answer.headers["WWW-Authenticate"].rpartition(", ")[2]) == (403, 'scope="mcp:write"')


def test_the_resource_is_written_without_a_slash_at_its_end(site: Site) -> None:
    resource = call(site.address, f"{WELL_KNOWN}/mcp").json()["resource"]

    assert resource == resource.lower().rstrip("/") == site.issuer.audience


def test_a_token_in_the_query_is_not_read(site: Site) -> None:
    token = site.issuer.token(scope="mcp:read")
    assert call(site.address, f"/mcp?access_token={token}", method="POST", headers=ACCEPT).status == 401


def test_a_token_is_never_passed_on(free_port: Callable[[], int]) -> None:
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    with LiveIssuer(audience=f"{address}/mcp", algorithm="ES256") as issuer:
        token = issuer.token(scope="mcp:read")
        variables = {"ISSUER": issuer.address, "PUBLIC_ORIGIN": address, "DEBUG": "1"}
        folder = f"{ROOT / 'examples' / 'mcp'}:{ROOT / 'tests' / 'mcp'}"
        command = [sys.executable, "-m", "uvicorn", "recording:application", "--port", str(port), "--lifespan", "off"]
        with process(command, address, WELL_KNOWN, PYTHONPATH=folder, **variables):
            answer = call(
                address,
                "/mcp",
                method="POST",
                authorization=f"Bearer {token}",
                headers=ACCEPT,
                body=json.dumps(LIST),
            )
    got = answer.json()
    assert (got["subject"], json.loads(got["body"])) == ("auth0|ada", LIST)
    assert got["headers"]["accept"] == ACCEPT["Accept"]
    assert "authorization" not in got["headers"]
    assert token.rpartition(".")[2] not in got["all"]


def test_a_tool_knows_who_calls(site: Site) -> None:
    assert {each["name"] for each in result(site.post(LIST, "mcp:read"))["tools"]} == {"whoami", "delete_everything"}
    [content] = result(site.post(tool("whoami"), "mcp:read"))["content"]
    assert content["text"] == "auth0|ada"
    [content] = result(site.post(tool("delete_everything"), "mcp:read mcp:write"))["content"]
    assert content["text"] == "Everything is deleted."


def test_a_tool_without_its_scope_is_403_and_names_it(site: Site) -> None:
    answer = site.post(tool("delete_everything"), "mcp:read")

    assert answer.status == 403
    assert answer.json()["error"] == "insufficient_scope"
    assert answer.headers["WWW-Authenticate"].startswith('Bearer realm="api", error="insufficient_scope", ')
    assert answer.headers["WWW-Authenticate"].endswith(
        f'resource_metadata="{site.address}{WELL_KNOWN}/mcp", scope="mcp:write"'
    )
    assert answer.headers["Cache-Control"] == "no-store"


TWO_READINGS = {
    "a method twice": json.dumps(tool("delete_everything")).replace('"id": 1', '"id": 1, "method": "tools/list"'),
    "a name twice": json.dumps(tool("whoami")).replace('"arguments"', '"name": "delete_everything", "arguments"'),
    "a batch": json.dumps([LIST, tool("delete_everything")]),
    "no JSON": "{",
    "no body": "",
    "another encoding": json.dumps(tool("delete_everything")).encode("utf-16").decode("latin-1"),
    "too large": json.dumps(LIST) + " " * 1024 * 1024,
}


@pytest.mark.parametrize("body", TWO_READINGS.values(), ids=TWO_READINGS)
def test_a_message_that_can_be_read_in_two_ways_is_400(site: Site, body: str) -> None:
    answer = site.post(body, "mcp:read")

    assert (answer.status, answer.headers["Cache-Control"]) == (400, "no-store")


NEARLY = ("delete_everything ", "DELETE_EVERYTHING", "delete\u005feverything\u0000", "nothing")


@pytest.mark.parametrize("name", NEARLY)
def test_a_tool_by_nearly_its_name_deletes_nothing(site: Site, name: str) -> None:
    answer = site.post(tool(name), "mcp:read")

    assert "Everything is deleted" not in answer.text
    escaped = json.dumps(tool("delete_everything")).replace("delete_", "delete\\u005f")
    assert site.post(escaped, "mcp:read").status == 403


def test_a_page_of_a_foreign_origin_is_403(site: Site) -> None:
    for scope in (None, "mcp:read"):
        answer = site.post(LIST, scope, Origin="https://stolen.test")
        assert (answer.status, answer.headers["Cache-Control"]) == (403, "no-store")
    assert site.post(LIST, "mcp:read", Origin=site.address).status == 200


def test_errors_of_the_mcp_package_are_not_stored(site: Site) -> None:
    answer = site.post(LIST, "mcp:read", Accept="text/html")
    assert answer.status == 406
    assert answer.headers["Cache-Control"] == "no-store"


def test_an_issuer_that_is_down_is_503(free_port: Callable[[], int]) -> None:
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    with LiveIssuer(audience=f"{address}/mcp", algorithm="ES256") as issuer:
        variables = {"ISSUER": f"http://127.0.0.1:{free_port()}", "PUBLIC_ORIGIN": address, "DEBUG": "1"}
        token = issuer.token(scope="mcp:read", iss=variables["ISSUER"])
        command = [sys.executable, "-m", "uvicorn", "mcpsite.asgi:application", "--port", str(port)]
        folder = str(ROOT / "examples" / "mcp")
        with process([*command, "--app-dir", folder], address, WELL_KNOWN, PYTHONPATH=folder, **variables):
            answer = call(address, "/mcp", method="POST", authorization=f"Bearer {token}", headers=ACCEPT)
    assert (answer.status, answer.headers["Cache-Control"]) == (503, "no-store")
    assert int(answer.headers["Retry-After"]) >= 1


def test_make_mcp_runs_both_and_stops_both(free_port: Callable[[], int]) -> None:
    port, issuer_port = free_port(), free_port()
    addresses = [f"http://127.0.0.1:{port}", f"http://127.0.0.1:{issuer_port}"]
    command = [sys.executable, str(ROOT / "examples" / "mcp" / "run.py")]
    with process(command, addresses[0], WELL_KNOWN, PORT=str(port), ISSUER_PORT=str(issuer_port)) as running:
        found = call(addresses[0], f"{WELL_KNOWN}/mcp").json()
        assert found["authorization_servers"] == [addresses[1]]
        token = request_token(addresses[1], "mcp:read", audience=found["resource"])
        answer = call(
            addresses[0], "/mcp", method="POST", authorization=f"Bearer {token}", headers=ACCEPT, body=json.dumps(LIST)
        )
        assert answer.status == 200
        running.terminate()
        assert running.wait(timeout=30) == 0
    for address in addresses:
        with pytest.raises(OSError, match="refused"):
            call(address, "/")
