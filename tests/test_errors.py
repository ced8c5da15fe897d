"""Errors carry one reason each, which nobody invents and every queue keeps."""

import pickle

import pytest

from resource_server.errors import InsufficientScope, InvalidToken, NoCredentials, Unavailable, reasons


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
    with pytest.raises(KeyError):
        InvalidToken("invented")


def test_every_message_is_lower_case_and_short():
    for reason in reasons():
        message = reason.message
        assert message[0].islower() or message.startswith("RSA")
        assert len(message) < 80
        assert '"' not in message
