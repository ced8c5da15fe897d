"""One logic for sync and async: calls are made or awaited, and what they raise goes back into the flow."""

import asyncio
import pickle
import threading

import pytest

from resource_server.errors import InsufficientScope, InvalidToken, Unavailable, reasons
from resource_server.tokens.flow import Blocking, arun, run

RUNNERS = {"sync": run, "async": lambda flow: asyncio.run(arun(flow))}
runners = pytest.mark.parametrize("runner", RUNNERS.values(), ids=RUNNERS)


def fail():
    raise ValueError("from the call")


@runners
def test_a_flow_gets_what_its_calls_return(runner):
    def flow():
        first = yield Blocking(call=lambda: 1)
        second = yield Blocking(call=lambda: first + 1)
        return [first, second]

    assert runner(flow()) == [1, 2]


@runners
def test_a_flow_may_handle_what_a_call_raises(runner):
    def flow():
        try:
            yield Blocking(call=fail)
        except ValueError as error:
            return str(error)

    assert runner(flow()) == "from the call"


@runners
def test_what_a_flow_does_not_handle_is_raised(runner):
    def flow():
        yield Blocking(call=fail)

    with pytest.raises(ValueError, match="from the call"):
        runner(flow())


def test_an_async_caller_waits_in_another_thread():
    def flow():
        return (yield Blocking(call=threading.get_ident))

    assert asyncio.run(arun(flow())) != threading.get_ident()
    assert run(flow()) == threading.get_ident()


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


def test_an_unlisted_reason_cannot_be_raised():
    with pytest.raises(KeyError):
        InvalidToken("invented")


def test_every_message_is_lower_case_and_short():
    for reason, leaf in reasons().items():
        message = leaf.messages[reason]
        assert message[0].islower() or message.startswith("RSA")
        assert len(message) < 80
        assert '"' not in message
