"""Errors carry one reason each, which nobody invents and every queue keeps."""

import pickle

import pytest

from resource_server.errors import (
    AuthorizationError,
    InsufficientScope,
    InvalidToken,
    NoCredentials,
    NonceNeeded,
    Rejected,
    Unavailable,
    reasons,
)


@pytest.mark.parametrize(
    "error",
    [
        InvalidToken("token_expired"),
        Unavailable("fetch_failed"),
        InsufficientScope("scope_missing", scopes=("a", "b"), missing=("b",)),
    ],
    ids=lambda error: error.reason,
)
def test_an_error_survives_a_queue(error):
    again = pickle.loads(pickle.dumps(error))  # noqa: S301 - made one line above

    assert (type(again), again.reason, str(again)) == (type(error), error.reason, str(error))


def test_the_scopes_of_an_error_survive_a_queue():
    lacking = InsufficientScope("scope_missing", scopes=("a", "b"), missing=("b",))
    lacking.granted = ("c",)
    for error in (lacking, NoCredentials("credentials_missing", scopes=("a",))):
        again = pickle.loads(pickle.dumps(error))  # noqa: S301 - made one line above
        assert vars(again) == vars(error)


def test_an_unlisted_reason_cannot_be_raised():
    with pytest.raises(ValueError, match=r"the reason of InvalidToken is one of .*, user_not_storable"):
        InvalidToken("invented")


@pytest.mark.parametrize("error", list(dict.fromkeys(reasons().values())), ids=lambda leaf: leaf.__name__)
@pytest.mark.parametrize("reason", ["no e-mail", None, ["no e-mail"]], ids=str)
def test_each_leaf_names_its_reasons_to_code_that_invents_one(error, reason):
    with pytest.raises(ValueError, match=f"the reason of {error.__name__} is one of ") as raised:
        error(reason, **({"nonce": "n"} if error is NonceNeeded else {}))
    assert all(each in str(raised.value) for each in error.reasons)


@pytest.mark.parametrize("error", [AuthorizationError, Rejected])
def test_a_class_of_several_errors_names_those_to_raise(error):
    with pytest.raises(
        TypeError, match=f"{error.__name__} cannot be raised itself; raise one of InvalidRequest, .*InvalidToken"
    ):
        error("no e-mail")


def test_a_right_that_no_scope_gives_needs_only_its_reason():
    assert InsufficientScope("right_missing", missing=("membership",)).scopes == ()


def test_every_message_is_lower_case_and_short():
    for reason in reasons():
        message = reason.message
        assert message[0].islower() or message.startswith("RSA")
        assert len(message) < 80
        assert '"' not in message
