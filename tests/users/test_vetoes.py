"""A receiver of `user_provisioned` that raises: nobody gets in, on the first request and on each after it."""

import pytest
from django.contrib.auth import get_user_model
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, connection, connections, transaction
from django.test import RequestFactory

from resource_server import authentication
from resource_server.accounts.models import Account
from resource_server.errors import InsufficientScope, InvalidToken, Unavailable


def nothing_is_left():
    return not get_user_model().objects.exists() and not Account.objects.exists()


@pytest.fixture
def veto(transactional_db, users_are, on_provisioned):
    """Sets what the receiver raises; None to let everybody in."""
    users_are("provision")
    raised = []

    def receive(sender, user, **_):
        user.first_name = "changed"
        user.save()
        if raised[-1] is not None:
            raise raised[-1]

    on_provisioned(receive)
    return raised.append


ANSWERS = {
    "a user whom the project does not know": (InvalidToken("user_unknown"), 401, "user_unknown"),
    "no right": (InsufficientScope("scope_missing", scopes=("a",), missing=("a",)), 403, "scope_missing"),
    "no answer": (Unavailable("issuer_lookup_failed", retry_after=7), 503, "issuer_lookup_failed"),
}


@pytest.mark.parametrize(("error", "status", "reason"), ANSWERS.values(), ids=ANSWERS)
def test_an_authorization_error_of_a_receiver_is_the_answer(veto, call_any, error, status, reason):
    veto(error)
    for _ in range(3):
        response = call_any()
        assert (response.status_code, response.json()["reason"]) == (status, reason)
        assert nothing_is_left()
    veto(None)
    assert call_any().status_code == 200
    assert get_user_model().objects.get().first_name == "changed"


OTHERS = {
    "an error of its own": RuntimeError("not in this company"),
    "a rule of its database": IntegrityError("company is full"),
    "a wrong value": ValueError("no such company"),
}


@pytest.mark.parametrize("error", OTHERS.values(), ids=OTHERS)
def test_any_other_error_of_a_receiver_is_raised_and_lets_nobody_in(veto, call_any, error):
    veto(error)
    for _ in range(2):
        with pytest.raises(type(error), match=str(error)):
            call_any()
        assert nothing_is_left()


def test_permission_denied_is_403(veto, call_any):
    veto(PermissionDenied())
    assert [call_any().status_code for _ in range(2)] == [403, 403]
    assert nothing_is_left()


def test_a_veto_holds_under_atomic_requests(veto, call, monkeypatch):
    monkeypatch.setitem(connections.settings["default"], "ATOMIC_REQUESTS", True)
    veto(InvalidToken("user_unknown"))
    for _ in range(2):
        assert call().json()["reason"] == "user_unknown"
        assert nothing_is_left()


def test_a_veto_holds_in_a_transaction_of_the_project(veto, call):
    veto(InvalidToken("user_unknown"))
    with transaction.atomic(), transaction.atomic(savepoint=False):
        get_user_model().objects.create_user("of the project")
        assert call().json()["reason"] == call().json()["reason"] == "user_unknown"
        assert not Account.objects.exists()
    assert [user.username for user in get_user_model().objects.all()] == ["of the project"]


def test_a_veto_holds_where_the_project_commits_by_hand(veto, call):
    veto(InvalidToken("user_unknown"))
    transaction.set_autocommit(False)
    try:
        assert call().json()["reason"] == "user_unknown"
        transaction.commit()
        assert call().json()["reason"] == "user_unknown"
        transaction.commit()
    finally:
        transaction.set_autocommit(True)
    assert nothing_is_left()


def test_a_veto_holds_where_rows_are_kept_for_seconds(veto, call, issuer, settings):
    settings.RESOURCE_SERVER = issuer.settings(USERS="provision", USER_CACHE_SECONDS=30)
    veto(InvalidToken("user_unknown"))
    assert [call().status_code for _ in range(2)] == [401, 401]
    veto(None)
    assert [call().status_code for _ in range(2)] == [200, 200]


def test_a_veto_after_a_statement_that_commits_undoes_everything(veto, call_any, on_provisioned):
    """As DDL does in MySQL, and as every statement does in its tables without transactions."""

    def commit(sender, **_):
        connection.cursor().execute("COMMIT")

    def refuse(sender, **_):
        raise InvalidToken("user_unknown")

    veto(None)
    on_provisioned(commit)
    on_provisioned(refuse)
    for _ in range(2):
        assert call_any().json()["reason"] == "user_unknown"
        assert nothing_is_left()


def test_one_veto_of_several_receivers_is_enough(veto, call, on_provisioned):
    seen = []

    def admit(sender, user, **_):
        seen.append(user.pk)

    veto(InvalidToken("user_unknown"))
    on_provisioned(admit)
    assert call().status_code == 401
    assert nothing_is_left()


def test_an_async_receiver_may_veto(transactional_db, users_are, call_any, on_provisioned):
    async def refuse(sender, **_):
        raise InvalidToken("user_unknown")

    users_are("provision")
    on_provisioned(refuse)
    assert [call_any().status_code for _ in range(2)] == [401, 401]
    assert nothing_is_left()


def test_the_frames_of_a_veto_do_not_hold_the_token(veto, issuer):
    veto(RuntimeError("not in this company"))
    raw = issuer.token(scope="read")
    request = RequestFactory().get("/", headers={"Authorization": f"Bearer {raw}"})
    with pytest.raises(RuntimeError) as raised:
        authentication.authenticate(request)
    assert_no_frame_holds(raw, raised.value)


def assert_no_frame_holds(raw, error):
    seen = 0
    while error is not None:
        traceback = error.__traceback__
        while traceback is not None:
            frame = traceback.tb_frame
            if "resource_server" in frame.f_globals.get("__name__", ""):
                seen += 1
                assert raw not in "".join(map(repr, frame.f_locals.values())), frame.f_code.co_qualname
            traceback = traceback.tb_next
        error = error.__cause__ or error.__context__
    assert seen
