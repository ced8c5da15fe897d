"""Which tokens the issuer is asked about, how often, and how it is asked."""

import base64
import json
import threading
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from tests.introspection.conftest import ACTIVE, NOW, OPAQUE, Api, Endpoint, answer
from tests.policies import policy as make_policy
from tests.servers import LiveIssuer

from resource_server.errors import InvalidToken, Unavailable
from resource_server.flow import arun
from resource_server.forks import _forked
from resource_server.keys.answer import Answer
from resource_server.keys.http import fetch, post
from resource_server.testing import FakeIssuer
from resource_server.tokens import introspection
from resource_server.tokens.client_authentication import ClientAuthentication
from resource_server.tokens.credentials import Credentials
from resource_server.tokens.introspection_answer import IntrospectionAnswer
from resource_server.tokens.introspection_policy import IntrospectionPolicy

METADATA = FakeIssuer().metadata()

# The kind


def test_an_opaque_token_is_asked_about_and_a_jwt_is_not(endpoint: Endpoint, api: Api) -> None:
    assert api.token(api.issuer.token()).claims["jti"] == "id-1"
    assert endpoint.asked == []
    assert api.token(OPAQUE).subject == "auth0|ada"
    assert [question.form["token"] for question in endpoint.asked] == [OPAQUE]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"header": {"alg": "none"}}, "alg_not_allowed"),
        ({"exp": NOW - 60}, "token_expired"),
        ({"iss": "https://other.test/"}, "issuer_not_trusted"),
        ({"iss": None}, "iss_missing"),
    ],
)
def test_a_jwt_that_fails_is_not_asked_about(
    endpoint: Endpoint, api: Api, changes: dict[str, Any], reason: str
) -> None:
    assert api.refusal(api.issuer.token(**changes)) == f"401 {reason}"
    assert endpoint.asked == []


def test_a_forged_jwt_is_not_asked_about(endpoint: Endpoint, api: Api) -> None:
    token = api.issuer.token()
    forged = f"{token[:-8]}{'A' * 8}"
    assert api.refusal(forged) == "401 signature_invalid"
    assert endpoint.asked == []


@pytest.mark.parametrize(
    "token",
    [
        "x",
        "a.b",
        "a.b.c",
        "eyJhbGciOiJFUzI1NiJ9.e30",
        "e30.e30.e30.e30.e30",
        f"{base64.urlsafe_b64encode(b'[1]').decode().rstrip('=')}.e30.e30",
        "a" * 16 * 1024,
        "with+every/character~of-a_token==",
    ],
    ids=lambda token: token[:30],
)
def test_every_other_form_is_asked_about(endpoint: Endpoint, api: Api, token: str) -> None:
    assert api.token(token).subject == "auth0|ada"
    assert [question.form["token"] for question in endpoint.asked] == [token]


def test_for_all_asks_about_jwts_too(endpoint: Endpoint) -> None:
    api = Api(endpoint.url, for_all=True)
    token = api.issuer.token()
    assert api.token(token).scopes == {"read", "write"}, "the claims are those of the answer"
    assert [question.form["token"] for question in endpoint.asked] == [token]
    endpoint.body = b'{"active": false}'
    assert api.refusal(api.issuer.token(jti="another")) == "401 token_inactive"


def test_for_all_asks_nothing_about_the_jwt_of_another_issuer(endpoint: Endpoint) -> None:
    api = Api(endpoint.url, for_all=True)
    assert api.refusal(api.issuer.token(iss="https://other.test/")) == "401 issuer_not_trusted"
    assert api.refusal(api.issuer.token(iss=5)) == "401 iss_malformed"
    assert api.refusal(f"{api.issuer.token().split('.')[0]}.e3.x") == "401 token_malformed"
    assert endpoint.asked == []


def test_for_all_asks_the_only_issuer_about_a_jwt_without_issuer(endpoint: Endpoint) -> None:
    api = Api(endpoint.url, for_all=True)
    assert api.token(api.issuer.token(iss=None)).subject == "auth0|ada"


def test_of_two_issuers_each_gets_its_own_tokens(endpoint: Endpoint) -> None:
    other = FakeIssuer("https://other.test/")
    asked = IntrospectionPolicy(
        client=ClientAuthentication(client_id="other", method="client_secret_post", secret="y"),
        endpoint=endpoint.url,
        for_all=True,
    )
    others = (make_policy(issuer=other.issuer, audience=(other.audience,), introspection=asked),)
    api = Api(endpoint.url, for_all=True, others=others)
    endpoint.body = answer(iss=None)
    assert api.token(api.issuer.token()).issuer == "https://issuer.test/"
    assert api.token(other.token()).issuer == "https://other.test/"
    assert [question.form.get("client_id") for question in endpoint.asked] == [None, "other"]
    # An opaque token names no issuer, and none may see the token of the other.
    assert api.refusal(OPAQUE) == "401 token_malformed"
    assert api.refusal(api.issuer.token(iss=None)) == "401 iss_missing"
    assert len(endpoint.asked) == 2


# The question


def test_the_form_and_the_headers(endpoint: Endpoint, api: Api) -> None:
    api.token()
    (question,) = endpoint.asked
    assert question.line == "POST /introspect HTTP/1.1"
    assert question.form == {"token": OPAQUE, "token_type_hint": "access_token"}
    assert question.headers["content-type"] == "application/x-www-form-urlencoded"
    assert question.headers["accept"] == "application/json"
    assert question.headers["authorization"] == f"Basic {base64.b64encode(b'api:the+secret').decode()}"


class Introspecting(LiveIssuer):
    """An issuer whose metadata name this introspection endpoint, or none."""

    named: str | None = None

    def metadata(self) -> dict[str, Any]:
        members = {**super().metadata(), "introspection_endpoint": self.named}
        return {name: member for name, member in members.items() if member is not None}


def test_the_endpoint_of_the_metadata(endpoint: Endpoint) -> None:
    endpoint.body = answer(iss=None)
    with Introspecting() as issuer:
        members = {"http_on_loopback": True}
        assert Api(None, issuer=issuer, fetch=fetch, members=members).refusal() == "503 introspection_not_offered"
        issuer.named = endpoint.url
        assert Api(None, issuer=issuer, fetch=fetch, members=members).token().issuer == issuer.issuer


def test_metadata_from_elsewhere_lead_to_no_service_of_this_machine(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FakeIssuer, "metadata", lambda self: {**METADATA, "introspection_endpoint": endpoint.url})
    # By its name the endpoint may be anywhere; by its address it is here.
    monkeypatch.setattr(introspection, "is_allowed_address", lambda url, source: True)
    assert Api(None).refusal() == "503 address_not_allowed"
    assert endpoint.asked == []


@pytest.mark.parametrize(
    "address",
    ["http://issuer.test/introspect", "https://127.0.0.1/introspect", "https://169.254.169.254/", 5, "ftp://a/"],
)
def test_an_endpoint_in_the_metadata_that_must_not_be_asked(monkeypatch: pytest.MonkeyPatch, address: object) -> None:
    monkeypatch.setattr(FakeIssuer, "metadata", lambda self: {**METADATA, "introspection_endpoint": address})
    assert Api(None).refusal() == "503 address_not_allowed"


# How often


def test_an_answer_is_remembered_for_a_minute(endpoint: Endpoint, api: Api) -> None:
    first = api.token()
    api.now, api.clock = api.now + 59, api.clock + 59
    assert api.token() is first
    endpoint.body = b'{"active": false}'
    api.now, api.clock = api.now + 1, api.clock + 1
    assert api.refusal() == "401 token_inactive"
    assert len(endpoint.asked) == 2


def test_an_answer_that_is_not_remembered_shows_a_revocation_at_once(endpoint: Endpoint) -> None:
    api = Api(endpoint.url, cache_seconds=0)
    api.token()
    endpoint.body = b'{"active": false}'
    assert api.refusal() == "401 token_inactive"
    api = Api(endpoint.url, cache_seconds=5)
    endpoint.body = answer()
    api.token()
    api.now, api.clock = api.now + 5, api.clock + 5
    endpoint.body = b'{"active": false}'
    assert api.refusal() == "401 token_inactive"


@pytest.mark.parametrize("life", [5, 0.5])
def test_an_answer_is_not_remembered_longer_than_the_token(endpoint: Endpoint, api: Api, life: float) -> None:
    endpoint.body = answer(exp=NOW + life)
    api.token()
    api.now, api.clock = api.now + life - 0.1, api.clock + life - 0.1
    api.token()
    assert len(endpoint.asked) == 1
    # Within the clock skew the token passes, but each time the issuer is asked.
    for seconds, questions in ((0.1, 2), (29, 3)):
        api.now, api.clock = api.now + seconds, api.clock + seconds
        api.token()
        assert len(endpoint.asked) == questions
    api.now, api.clock = api.now + 1, api.clock + 1
    assert api.refusal() == "401 token_expired"
    assert len(endpoint.asked) == 4


def test_a_clock_that_is_put_forward_ends_an_answer_with_its_token(endpoint: Endpoint, api: Api) -> None:
    endpoint.body = answer(exp=NOW + 5)
    api.token()
    api.now += 5
    api.clock += 1
    endpoint.body = b'{"active": false}'
    assert api.refusal() == "401 token_inactive"


@pytest.mark.parametrize(
    ("expires_at", "life"),
    [
        (None, 60),
        (NOW + 10**6, 60),
        (NOW + 7, 7),
        (NOW, 0),
        (0, 0),
        (10**400, 60),
        (-(10**400), 0),
        (True, 60),
        ("1", 60),
    ],
    ids=["none", "late", "soon", "now", "long ago", "400 digits", "400 digits ago", "True", "text"],
)
def test_the_life_of_an_answer(expires_at: object, life: float) -> None:
    found = IntrospectionAnswer(members={"active": True, "exp": expires_at}, asked_at=NOW)
    assert found.life_seconds(60) == life


@pytest.mark.parametrize(
    ("body", "reason"),
    [(b'{"active": false}', "token_inactive"), (answer(aud="https://other.test/"), "audience_not_accepted")],
)
def test_a_refusal_is_remembered_for_ten_seconds(endpoint: Endpoint, api: Api, body: bytes, reason: str) -> None:
    endpoint.body = body
    for _ in range(3):
        assert api.refusal() == f"401 {reason}"
    endpoint.body = answer()
    api.now, api.clock = api.now + 9.9, api.clock + 9.9
    assert api.refusal() == f"401 {reason}"
    assert len(endpoint.asked) == 1
    api.now, api.clock = api.now + 0.1, api.clock + 0.1
    assert api.outcome() == "200"


def test_a_refusal_that_is_remembered_needs_no_thread(endpoint: Endpoint, api: Api) -> None:
    credentials = Credentials(unverified_token=OPAQUE)
    assert api.verifier.known(credentials) is None
    endpoint.body = b'{"active": false}'
    api.refusal()
    with pytest.raises(InvalidToken):
        api.verifier.known(credentials)


def test_a_fault_is_remembered_for_a_second_and_for_its_token_alone(endpoint: Endpoint, api: Api) -> None:
    endpoint.status = "500 Internal Server Error"
    for _ in range(3):
        assert api.refusal("one") == "503 fetch_status"
    assert len(endpoint.asked) == 1
    endpoint.status = "200 OK"
    assert api.outcome("two") == "200", "a token that breaks the issuer takes nothing from others"
    api.clock += 1
    assert api.outcome("one") == "200"


def test_fifty_requests_at_once_are_one_question(endpoint: Endpoint, api: Api) -> None:
    endpoint.gate.clear()
    results: list[str] = []
    threads = [threading.Thread(target=lambda: results.append(api.outcome())) for _ in range(50)]
    for thread in threads:
        thread.start()
    while not endpoint.asked:
        pass
    endpoint.gate.set()
    for thread in threads:
        thread.join(30)
    assert results == ["200"] * 50
    assert len(endpoint.asked) == 1


def test_a_slow_answer_for_one_token_delays_no_other(endpoint: Endpoint, api: Api) -> None:
    def body(form: Any) -> bytes:
        if form["token"] == "slow":
            held.set()
            go.wait(20)
        return answer()

    held, go = threading.Event(), threading.Event()
    endpoint.body = body
    thread = threading.Thread(target=api.outcome, args=("slow",))
    thread.start()
    assert held.wait(20)
    assert api.outcome("fast") == "200"
    go.set()
    thread.join(20)


def test_an_issuer_that_never_answers_is_left_at_the_deadline(
    endpoint: Endpoint, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("resource_server.tokens.introspection.FETCH_SECONDS", 0.3)
    endpoint.gate.clear()
    assert api.refusal() == "503 fetch_timeout"
    endpoint.gate.set()


def test_an_async_caller_waits_in_a_thread(endpoint: Endpoint) -> None:
    threads: list[threading.Thread] = []

    def recording(url: str, /, **options: Any) -> Answer:
        threads.append(threading.current_thread())
        return post(url, **options)

    api = Api(endpoint.url, post=recording)

    async def verify() -> tuple[str, threading.Thread]:
        verdict = await arun(api.verifier.verify(Credentials(unverified_token=OPAQUE)))
        return verdict.token.subject, threading.current_thread()

    subject, loop = async_to_sync(verify)()
    assert subject == "auth0|ada"
    assert len(threads) == 1
    assert loop not in threads


def test_without_a_cache_of_tokens_each_request_asks(endpoint: Endpoint) -> None:
    api = Api(endpoint.url, token_cache=0)
    api.token()
    api.clock += 1
    endpoint.body = b'{"active": false}'
    assert api.refusal() == "401 token_inactive"


def test_a_forked_child_forgets_the_refusals_and_the_questions_of_its_parent(endpoint: Endpoint, api: Api) -> None:
    endpoint.body = b'{"active": false}'
    api.refusal()
    endpoint.body = answer()
    _forked()
    assert api.outcome() == "200"


def test_a_bug_in_a_project_s_client_is_no_500(endpoint: Endpoint, caplog: pytest.LogCaptureFixture) -> None:
    from resource_server.tokens.answer_flights import AnswerFlights

    def fail() -> Any:
        raise RuntimeError("a fault")

    flights = AnswerFlights(lambda: 0.0, lambda _: 0.0, cache_seconds=60)
    with pytest.raises(Unavailable) as caught:
        flights.ask(b"key", fail)
    assert caught.value.reason == "fetch_failed"
    assert "a token could not be introspected" in caplog.text


def test_many_refusals_evict_the_oldest(endpoint: Endpoint, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("resource_server.tokens.introspection.MAX_REFUSALS", 2)
    endpoint.body = json.dumps({**ACTIVE, "active": False}).encode()
    for token in ("one", "two", "three"):
        assert api.refusal(token) == "401 token_inactive"
    endpoint.body = answer()
    api.clock += 1
    assert [api.outcome(token) for token in ("one", "two", "three")] == ["200", *["401 token_inactive"] * 2]
