"""What a request with a token that was seen before still decides for itself, and what it costs."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.contrib.auth import get_user_model
from django.test import AsyncRequestFactory, Client, RequestFactory
from tests.edges import views
from tests.edges.views import url

from resource_server import authentication, flow, signals
from resource_server.tokens import verified_tokens as cache


@pytest.fixture
def hops(monkeypatch):
    """The calls that async code has handed to a thread."""
    calls = []
    sync_to_async = flow.sync_to_async

    def counted(call, **options):
        calls.append(call)
        return sync_to_async(call, **options)

    monkeypatch.setattr(flow, "sync_to_async", counted)
    return calls


def in_the_event_loop(view, token):
    """The answer of an async view, called as Django's handler does."""
    return asyncio.run(view(AsyncRequestFactory().get("/", headers={"Authorization": f"Bearer {token}"})))


@pytest.mark.parametrize("view", views.ASYNC.values(), ids=views.ASYNC)
def test_a_known_key_costs_an_async_view_no_thread(issuer, hops, view):
    assert in_the_event_loop(view, issuer.token(scope="read")).status_code == 200
    assert len(hops) == 1  # the keys were fetched
    token = issuer.token(scope="read", jti="another")
    for _ in range(3):
        assert in_the_event_loop(view, token).status_code == 200
    assert in_the_event_loop(view, issuer.token(scope="other")).status_code == 403
    assert in_the_event_loop(view, issuer.token(scope="read", aud="other")).status_code == 401
    assert len(hops) == 1


@pytest.mark.parametrize("view", ["rest function", "rest permission class", "function", "async function"])
def test_scopes_are_judged_on_each_request(get, issuer, view):
    token = issuer.token(scope="write")
    for _ in range(3):
        assert get("/anyone", f"Bearer {token}").status_code == 200
        assert get(url(view), f"Bearer {token}").status_code == 403


@pytest.mark.django_db
@pytest.mark.parametrize("view", ["rest function", "function", "async function"])
def test_a_user_who_was_made_inactive_is_refused_on_the_next_request(get, issuer, settings, view):
    settings.RESOURCE_SERVER = issuer.settings(USERS="lookup")
    get_user_model().objects.create_user("auth0|ada")
    token = issuer.token(scope="read")
    assert [get(url(view), f"Bearer {token}").status_code for _ in range(2)] == [200, 200]
    get_user_model().objects.update(is_active=False)
    response = get(url(view), f"Bearer {token}")
    assert (response.status_code, response.headers["WWW-Authenticate"].count("invalid_token")) == (401, 1)
    get_user_model().objects.all().delete()
    assert get(url(view), f"Bearer {token}").status_code == 401


@pytest.mark.parametrize("view", ["rest function", "function", "async function"])
def test_each_request_is_told_to_the_receivers(get, issuer, view):
    token, told = issuer.token(scope="read"), []

    def accepted(sender, *, request, token, user, **_):
        told.append((request.path, token.subject, user.get_username()))

    signals.token_accepted.connect(accepted)
    try:
        for _ in range(3):
            get(url(view), f"Bearer {token}")
    finally:
        signals.token_accepted.disconnect(accepted)
    assert told == [(url(view), "auth0|ada", "auth0|ada")] * 3


def test_a_bound_token_is_refused_each_time_it_comes_as_a_bearer_token(get, issuer):
    get("/function", f"Bearer {issuer.token(scope='read')}")
    token = issuer.token(scope="read", cnf={"jkt": "thumbprint"})
    for _ in range(3):
        response = get("/function", f"Bearer {token}")
        assert (response.status_code, response.json()["reason"]) == (401, "proof_not_supported")


def test_a_token_that_was_seen_needs_its_scheme_all_the_same(get, issuer):
    token = issuer.token(scope="read")
    assert get("/function", f"Bearer {token}").status_code == 200
    refused = [
        f"DPoP {token}",
        f"Digest {token}",
        f"Bearer_{token}",
        f"Token {token}",
        token,
        f"Bearer{token}",
        f"Bearer {token} ,",
        f"Bearer {token} x",
    ]
    assert [get("/function", header).status_code for header in refused] == [401, 401, 401, 401, 401, 401, 400, 401]


def test_two_requests_share_no_user(issuer):
    def user():
        request = RequestFactory().get("/", headers={"Authorization": f"Bearer {token}"})
        return authentication.authenticate(request)[0]

    token = issuer.token()
    first = user()
    first.is_staff = True
    assert user().is_staff is False


@pytest.mark.django_db
@pytest.mark.parametrize("users", ["lookup", "provision"])
def test_a_token_that_was_seen_costs_one_query(get, issuer, settings, users, django_assert_num_queries):
    settings.RESOURCE_SERVER = issuer.settings(USERS=users)
    get_user_model().objects.create_user("auth0|ada")
    token = issuer.token(scope="read")
    assert get("/function", f"Bearer {token}").status_code == 200
    with django_assert_num_queries(1):
        assert get("/function", f"Bearer {token}").status_code == 200


def test_a_herd_of_first_requests_causes_one_fetch(issuer):
    tokens = [issuer.token(scope="read", jti=str(number)) for number in range(50)]
    begin = threading.Barrier(50)

    def call(token):
        begin.wait(30)
        return Client().get("/function", headers={"Authorization": f"Bearer {token}"}).status_code

    with ThreadPoolExecutor(50) as pool:
        assert list(pool.map(call, tokens)) == [200] * 50
    assert issuer.fetched.count(issuer.jwks_uri) == 1
    assert len(issuer.fetched) == 2


class CountedHash:
    """SHA-256 that counts how often a token was hashed."""

    def __init__(self, empty):
        self.empty = empty
        self.count = 0

    def copy(self):
        self.count += 1
        return self.empty.copy()


@pytest.mark.django_db
@pytest.mark.parametrize("users", ["token", "lookup", "provision"])
@pytest.mark.parametrize("view", ["rest function", "function", "async function", "rest function, decorated outside"])
def test_a_token_is_hashed_once_a_request(get, issuer, settings, monkeypatch, view, users):
    settings.RESOURCE_SERVER = issuer.settings(USERS=users)
    get_user_model().objects.create_user("auth0|ada")
    hashed = CountedHash(cache._EMPTY)
    monkeypatch.setattr(cache, "_EMPTY", hashed)
    token = issuer.token(scope="read")
    for requests in (1, 2, 3):  # at first sight, and when it was seen
        assert get(url(view), f"Bearer {token}").status_code == 200
        assert hashed.count == requests
