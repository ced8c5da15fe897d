"""What the door tells others: signals, the log, error reports; and what it costs an async caller."""

import logging

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import Group
from django.http import HttpRequest, HttpResponse
from django.test import AsyncClient, Client, RequestFactory
from django.views.debug import ExceptionReporter
from hypothesis import HealthCheck, given, strategies
from hypothesis import settings as hypothesis_settings
from tests.edges.views import url

from resource_server import authentication, requires_scope, signals
from resource_server.tokens.credentials import parse_authorization
from resource_server.trusted import trusted_issuers


@pytest.fixture
def received():
    events = []

    def accepted(sender, **event):
        events.append(("accepted", event["token"].subject, event["user"].get_username()))

    def rejected(sender, **event):
        events.append(("rejected", event["error"].reason, event["error"].status))

    def refreshed(sender, **event):
        events.append(("refreshed", event["issuer"], len(event["kids"])))

    pairs = [
        (signals.token_accepted, accepted),
        (signals.token_rejected, rejected),
        (signals.keys_refreshed, refreshed),
    ]
    for signal, receiver in pairs:
        signal.connect(receiver)
    yield events
    for signal, receiver in pairs:
        signal.disconnect(receiver)


@pytest.mark.parametrize("view", ["rest function", "rest permission class", "function", "async function"])
def test_signals_tell_what_happened(get, issuer, received, view):
    get(url(view), f"Bearer {issuer.token(scope='read')}")
    get(url(view), f"Bearer {issuer.token(aud='other')}")
    get(url(view), f"Bearer {issuer.token()}")

    assert received == [
        ("refreshed", issuer.issuer, 1),
        ("accepted", "auth0|ada", "auth0|ada"),
        ("rejected", "audience_not_accepted", 401),
        ("accepted", "auth0|ada", "auth0|ada"),
        ("rejected", "scope_missing", 403),
    ]


@pytest.mark.django_db
def test_receivers_may_ask_the_database_and_may_fail(get, issuer):
    asked = []

    def database(sender, **event):
        asked.append(Group.objects.count())

    def broken(sender, **event):
        raise RuntimeError("a receiver's mistake")

    signals.token_accepted.connect(database)
    signals.token_accepted.connect(broken)
    try:
        assert get("/async-function", f"Bearer {issuer.token(scope='read')}").status_code == 200
    finally:
        signals.token_accepted.disconnect(database)
        signals.token_accepted.disconnect(broken)
    assert asked == [0]


@pytest.mark.parametrize("view", ["rest function", "function"])
def test_the_log_says_why_and_never_the_token(get, issuer, caplog, view):
    caplog.set_level(logging.INFO, logger="resource_server")
    token = issuer.token(aud="somebody-else", sub="a-secret-person")
    get(url(view) + "?secret=1", f"Bearer {token}")
    get(url(view), f"Bearer {issuer.token()}")

    records = [record for record in caplog.records if record.name == "resource_server"]
    assert [getattr(record, "reason", record.levelname) for record in records] == [
        "audience_not_accepted",
        "INFO",  # a new key is there, the keys are refreshed
        "INFO",
        "scope_missing",
    ]
    text = "\n".join(record.getMessage() for record in records)
    assert url(view) in text
    assert not any(part in text for part in (*token.split("."), "somebody-else", "a-secret-person", "secret=1"))


def test_a_line_break_in_the_path_forges_no_log_line(issuer, caplog):
    caplog.set_level(logging.INFO, logger="resource_server")
    request = HttpRequest()
    request.path, request.method = "/a\nforged: line", "GET\x1b[2J\r\nforged: line"
    request.META["HTTP_AUTHORIZATION"] = "Bearer x"

    with pytest.raises(Exception, match="compact"):
        authentication.authenticate(request)
    assert caplog.messages[0].endswith(r"(GET\x1b[2J\r\nforged: line '/a\nforged: line')")
    assert all(message.isprintable() for message in caplog.messages)


def test_error_reports_hold_no_token(issuer):
    token = issuer.token(scope="read")
    request = RequestFactory().get("/", headers={"Authorization": f"Bearer {token}"})

    @requires_scope("read")
    def fails(request):
        raise RuntimeError("the view's own mistake")

    try:
        fails(request)
    except RuntimeError as error:
        # The first frame is this test's own, which does hold the token.
        reporter = ExceptionReporter(request, RuntimeError, error, error.__traceback__.tb_next)
        reports = reporter.get_traceback_text() + reporter.get_traceback_html()
    assert "the view&#x27;s own mistake" in reports
    assert not any(part in reports for part in token.split("."))


def test_reprs_hold_no_token(issuer):
    token = issuer.token()
    credentials = parse_authorization(f"Bearer {token}")
    request = RequestFactory().get("/", headers={"Authorization": f"Bearer {token}"})
    user, access_token = authentication.authenticate(request)

    for thing in (credentials, user, access_token):
        assert not any(part in repr(thing) for part in token.split("."))
        assert "ada" not in repr(thing)


def test_a_known_key_costs_an_async_caller_no_thread(issuer):
    request = RequestFactory().get("/", headers={"Authorization": f"Bearer {issuer.token()}"})
    authentication.authenticate(request)

    # Nothing is awaited: the coroutine ends at its first step.
    with pytest.raises(StopIteration) as finished:
        authentication.aauthenticate(request).send(None)
    assert finished.value.value[1].subject == "auth0|ada"


def test_a_post_with_a_token_needs_no_csrf_cookie(issuer):
    client = Client(enforce_csrf_checks=True)

    assert client.post("/class", headers={"Authorization": f"Bearer {issuer.token(scope='read')}"}).status_code == 200
    assert client.post("/class").status_code == 401


@hypothesis_settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(header=strategies.text(strategies.characters(max_codepoint=255), max_size=80), bearer=strategies.booleans())
@pytest.mark.parametrize("view", ["rest permission class", "function", "async function"])
def test_no_header_is_anything_but_400_or_401(issuer, view, header, bearer):
    text = f"Bearer {header}" if bearer else header
    if view == "async function":
        response = async_to_sync(AsyncClient().get)(url(view), headers={"Authorization": text})
    else:
        response = Client().get(url(view), headers={"Authorization": text})

    assert response.status_code in {400, 401}
    assert "WWW-Authenticate" in response


@pytest.mark.parametrize("scopes", [(), ("",), ("a b",), ('a"',), ("a\\",), ("ä",), (None,)])
def test_a_decorator_that_demands_nothing_sensible_is_an_error_at_once(scopes):
    with pytest.raises(ValueError, match="scope"):
        requires_scope(*scopes)


def test_a_decorated_function_without_a_request_fails_loudly():
    @requires_scope("read")
    def view(something):
        return something

    with pytest.raises(TypeError, match="without a request"):
        view("no request")


def test_a_class_that_is_no_view_cannot_be_decorated():
    with pytest.raises(TypeError, match="not a view class"):

        @requires_scope("read")
        class NoView:
            pass


def test_decorators_that_are_stacked_verify_once(issuer, received):
    @requires_scope("read")
    @requires_scope("write")
    def view(request):
        return HttpResponse(request.auth.subject)

    def answer(scope):
        return view(RequestFactory().get("/", headers={"Authorization": f"Bearer {issuer.token(scope=scope)}"}))

    assert answer("read write").content == b"auth0|ada"
    assert [kind for kind, *_ in received] == ["refreshed", "accepted"]
    assert answer("read").status_code == answer("write").status_code == 403


def test_what_is_trusted_can_be_read(issuer):
    (trusted,) = trusted_issuers()

    assert (trusted.issuer, trusted.audience, trusted.token_types) == (issuer.issuer, (issuer.audience,), ("at+jwt",))
    assert [(key.kid, key.kty, key.algorithms) for key in trusted.keys] == [(issuer.keys.current_kid, "EC", ("ES256",))]
    assert (trusted.metadata["jwks_uri"], trusted.error) == (issuer.jwks_uri, None)


def test_what_is_trusted_of_an_issuer_that_is_down(issuer):
    issuer.failure = "fetch_timeout"
    (trusted,) = trusted_issuers()

    assert (trusted.keys, trusted.metadata, trusted.error) == ((), None, "fetch_timeout")
