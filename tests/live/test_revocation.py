"""Four processes of gunicorn with one deny list in Redis: what one of them is asked to revoke, all refuse."""

import time
from collections.abc import Callable

import pytest
import redis
from tests.live.conftest import until
from tests.live.test_gunicorn import gunicorn
from tests.processes import call
from tests.servers import LiveIssuer

from resource_server.tokens.logout_tokens import LOGOUT_EVENT


@pytest.mark.parametrize("arguments", [(), ("--preload",)], ids=["", "preload"])
def test_a_logout_at_one_process_ends_the_tokens_in_all(
    free_port: Callable[[], int], issuer: LiveIssuer, arguments: tuple[str, ...], redis_url: str
) -> None:
    with redis.Redis.from_url(redis_url) as database:
        database.flushdb()
        with gunicorn(free_port(), issuer, *arguments, REDIS_URL=redis_url, REVOCATION="default") as site:
            now = int(time.time())
            old = issuer.token(scope="read", iat=now - 60)
            ada, bob = (issuer.token(scope="read", sub=name, iat=now + 10) for name in ("ada", "bob"))
            # The list is empty, so it begins now.
            assert site.statuses(old) == {401}
            assert (site.statuses(ada), site.statuses(bob)) == ({200}, {200})
            logout = issuer.keys.sign(
                {
                    "iss": issuer.issuer,
                    "aud": "web-client",
                    "sub": "ada",
                    "iat": now + 10,
                    "exp": now + 120,
                    "jti": "1",
                    "events": {LOGOUT_EVENT: {}},
                },
                header={"typ": "logout+jwt"},
            )
            assert call(site.address, "/backchannel-logout", form={"logout_token": logout}).status == 200
            ended = time.monotonic()
            until(lambda: site.statuses(ada) == {401}, what="the end of the token in all processes")
            assert time.monotonic() - ended < 20
            # From here on no process passes it, and the other person goes on.
            assert site.statuses(ada) == {401}
            assert site.statuses(bob) == {200}
            assert {reply.answer.json()["reason"] for reply in site.ask_all(ada)} == {"token_revoked"}
            # Replayed at any process, it is refused: of 8 at least two reach another process than the first.
            answers = [call(site.address, "/backchannel-logout", form={"logout_token": logout}) for _ in range(8)]
            assert {answer.status for answer in answers} == {400}


def test_redis_that_loses_its_data_passes_no_revoked_token_in_any_process(
    free_port: Callable[[], int], issuer: LiveIssuer, redis_url: str
) -> None:
    with redis.Redis.from_url(redis_url) as database:
        database.flushdb()
        with gunicorn(free_port(), issuer, REDIS_URL=redis_url, REVOCATION="default") as site:
            token = issuer.token(scope="read")
            site.ask_all(token)
            database.flushdb()
            # Each process may pass for 2 s what it has just looked up.
            until(lambda: site.statuses(token) == {401}, what="the end of the token in all processes")
            assert site.statuses(token) == {401}
            assert site.statuses(issuer.token(scope="read", iat=int(time.time()) + 20)) == {200}
