"""One logic runs for sync and async callers; it gets values and exceptions of its blocking calls, and blocks for nothing that is known."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any, TypeAlias

import pytest
from tests.tokens.conftest import Api

from resource_server.errors import InvalidToken
from resource_server.flow import Blocking, Flow, arun, run
from resource_server.keys.document import Document
from resource_server.tokens.credentials import Credentials

Runner: TypeAlias = Callable[[Flow[Any]], Any]


def sync_runner(flow: Flow[Any]) -> Any:
    return run(flow)


def async_runner(flow: Flow[Any]) -> Any:
    return asyncio.run(arun(flow))


@pytest.fixture(params=[sync_runner, async_runner], ids=["sync", "async"])
def runner(request: pytest.FixtureRequest) -> Runner:
    runner: Runner = request.param
    return runner


def calls(*values: Any) -> Flow[list[Any]]:
    results: list[Any] = []
    for value in values:
        result = yield Blocking(call=lambda value=value: value)
        results += [result]
    return results


def fails(error: Exception) -> Callable[[], Any]:
    def call() -> Any:
        raise error

    return call


def test_a_flow_gets_the_values_of_its_calls_in_order(runner: Runner) -> None:
    assert runner(calls(1, None, "three")) == [1, None, "three"]


def test_a_flow_without_calls_gives_its_value(runner: Runner) -> None:
    assert runner(calls()) == []


def test_a_flow_within_a_flow(runner: Runner) -> None:
    def outer() -> Flow[Any]:
        inner = yield from calls(1, 2)
        last = yield Blocking(call=lambda: 3)
        return [*inner, last]

    assert runner(outer()) == [1, 2, 3]


def test_an_exception_of_a_call_is_thrown_into_the_flow(runner: Runner) -> None:
    def flow() -> Flow[Any]:
        try:
            yield Blocking(call=fails(KeyError("k")))
        except KeyError as error:
            arguments = error.args
        return (yield Blocking(call=lambda: arguments))

    assert runner(flow()) == ("k",)


def test_an_exception_that_the_flow_does_not_catch_is_the_callers(runner: Runner) -> None:
    closed = []

    def flow() -> Flow[Any]:
        try:
            yield Blocking(call=fails(KeyError("k")))
        finally:
            closed.append(True)

    with pytest.raises(KeyError):
        runner(flow())
    assert closed == [True]


@pytest.mark.parametrize("steps", [0, 1, 2])
def test_what_the_flow_raises_is_the_callers(runner: Runner, steps: int) -> None:
    def flow() -> Flow[Any]:
        yield from calls(*range(steps))
        raise InvalidToken("signature_invalid")

    with pytest.raises(InvalidToken, match="signature is not valid"):
        runner(flow())


def test_an_exit_is_not_handed_to_the_flow(runner: Runner) -> None:
    def flow() -> Flow[Any]:
        try:
            yield Blocking(call=fails(KeyboardInterrupt()))  # type: ignore[arg-type]
        except Exception:  # noqa: BLE001 - what a careless flow might do
            return "caught"

    with pytest.raises(KeyboardInterrupt):
        runner(flow())


def where(*, thread_sensitive: bool = False) -> Flow[int]:
    return (yield Blocking(call=threading.get_ident, thread_sensitive=thread_sensitive))


def test_a_sync_caller_runs_the_calls_where_it_stands() -> None:
    assert run(where()) == threading.get_ident()
    assert run(where(thread_sensitive=True)) == threading.get_ident()


def test_an_async_caller_awaits_the_calls_in_another_thread() -> None:
    async def caller() -> tuple[int, int]:
        return threading.get_ident(), await arun(where())

    loop, call = asyncio.run(caller())
    assert loop != call


def test_thread_sensitive_calls_of_an_async_caller_share_one_thread() -> None:
    async def caller() -> set[int]:
        return {await arun(where(thread_sensitive=True)) for _ in range(5)}

    assert len(asyncio.run(caller())) == 1


def test_an_async_caller_goes_on_while_a_call_blocks() -> None:
    released = threading.Event()

    def flow() -> Flow[bool]:
        return (yield Blocking(call=lambda: released.wait(20)))

    async def caller() -> bool:
        waiting = asyncio.create_task(arun(flow()))
        for _ in range(10):
            await asyncio.sleep(0)
        assert not waiting.done()
        released.set()
        return await waiting

    assert asyncio.run(caller()) is True


def test_a_token_whose_key_is_known_yields_nothing(new_api: type[Api]) -> None:
    # No thread, no lock, no round trip: the flow ends before its first step.
    api = new_api("ES256")
    credentials = Credentials(unverified_token=api.token())
    first = api.verifier.verify(credentials)
    assert isinstance(next(first), Blocking)
    first.close()
    run(api.verifier.verify(credentials))
    with api.keys._flights._lock, pytest.raises(StopIteration) as stop:
        next(api.verifier.verify(credentials))
    assert stop.value.value.token.subject == "auth0|ada"


def test_a_token_that_is_refused_without_its_key_yields_nothing(new_api: type[Api]) -> None:
    api = new_api("ES256")
    with pytest.raises(InvalidToken):
        next(api.verifier.verify(Credentials(unverified_token=api.token(exp=1))))


def test_the_verdict_is_the_same_for_sync_and_async_callers(new_api: type[Api], runner: Runner) -> None:
    api = new_api("ES256")
    token = runner(api.verifier.verify(Credentials(unverified_token=api.token(scope="read")))).token
    assert token.scopes == {"read"}
    with pytest.raises(InvalidToken, match="audience is not accepted"):
        runner(api.verifier.verify(Credentials(unverified_token=api.token(aud="other"))))
    api.issuer.failure = "fetch_failed"
    with pytest.raises(Exception, match="issuer cannot be reached"):
        runner(api.verifier.verify(Credentials(unverified_token=api.token(header={"kid": "new"}))))


def test_a_token_that_expires_while_its_key_is_fetched_is_refused(new_api: type[Api]) -> None:
    def fetch(url: str, /, *, seconds: float, **_: Any) -> Document:
        api.now += 2
        return api.issuer.fetch(url, seconds=seconds)

    api = new_api("ES256", fetch=fetch, clock_skew_seconds=0)
    assert api.refusal(api.token(exp=api.now + 3)) == "token_expired"
    api.verify(api.token(exp=api.now + 3))
