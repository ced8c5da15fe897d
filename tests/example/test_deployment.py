"""The example on PostgreSQL and Redis, and as an ASGI application."""

import json
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
import redis
from tests.processes import AUDIENCE, EXAMPLE, api, call, environment, manage
from tests.servers import LiveIssuer


def test_twenty_first_requests_make_one_user(
    free_port: Callable[[], int], signing_issuer: LiveIssuer, postgres_url: str
) -> None:
    variables = {"ISSUER": signing_issuer.address, "API_IDENTIFIER": AUDIENCE, "DATABASE_URL": postgres_url}
    migrated = manage("migrate", DEBUG="1", **variables)
    assert migrated.returncode == 0, migrated.stderr
    with api(free_port(), workers=2, USERS="provision", **variables) as address, ThreadPoolExecutor(20) as pool:

        def first_request(number: int) -> int:
            token = signing_issuer.token(sub="auth0|the same person")
            return call(address, "/api/private", authorization=f"Bearer {token}").status

        assert list(pool.map(first_request, range(20))) == [200] * 20
        another = signing_issuer.token(sub="auth0.the same person")  # the defect: replace("|", ".") made two people one
        assert call(address, "/api/private", authorization=f"Bearer {another}").status == 200
    with psycopg.connect(postgres_url) as database:
        rows = database.execute("SELECT is_staff, is_superuser, password LIKE '!%' FROM auth_user").fetchall()
        assert rows == [(False, False, True)] * 2


def test_redis_is_the_cache(free_port: Callable[[], int], signing_issuer: LiveIssuer, redis_url: str) -> None:
    variables = {"ISSUER": signing_issuer.address, "API_IDENTIFIER": AUDIENCE, "REDIS_URL": redis_url}
    script = "from django.core.cache import cache; cache.set('from the example', 1)"
    done = manage("shell", "--no-imports", "-c", script, DEBUG="1", **variables)
    assert done.returncode == 0, done.stderr
    with redis.Redis.from_url(redis_url) as server:
        assert any(b"from the example" in key for key in server.scan_iter())
    with api(free_port(), **variables) as address:
        answer = call(address, "/api/private", authorization=f"Bearer {signing_issuer.token()}")
        assert answer.status == 200


ASGI = """
import asyncio, json, sys
from asgiref.testing import ApplicationCommunicator
from mysite.asgi import application

async def call(path, headers):
    scope = {"type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "path": path,
             "raw_path": path.encode(), "query_string": b"", "scheme": "http", "server": ("127.0.0.1", 80),
             "headers": [(b"host", b"localhost"), *headers]}
    communicator = ApplicationCommunicator(application, scope)
    await communicator.send_input({"type": "http.request", "body": b"", "more_body": False})
    start = await communicator.receive_output(30)
    body = await communicator.receive_output(30)
    return start["status"], json.loads(body["body"])

async def main():
    token = sys.argv[1].encode()
    bearer = [(b"authorization", b"Bearer " + token)]
    return [await call("/api/private", []), await call("/api/private", bearer), await call("/api/private-scoped", bearer)]

print(json.dumps(asyncio.run(main())))
"""


def test_asgi(signing_issuer: LiveIssuer, database_url: str) -> None:
    variables = {"ISSUER": signing_issuer.address, "API_IDENTIFIER": AUDIENCE, "DATABASE_URL": database_url}
    done = subprocess.run(
        [sys.executable, "-c", ASGI, signing_issuer.token()],
        cwd=EXAMPLE,
        env=environment(DEBUG="1", PYTHONPATH=str(EXAMPLE), **variables),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert [status for status, _ in json.loads(done.stdout)] == [401, 200, 403]


@pytest.mark.parametrize(
    "path", ["/static/drf_spectacular_sidecar/swagger-ui-dist/swagger-ui.css", "/static/admin/css/base.css"]
)
def test_static_files_without_debug(free_port: Callable[[], int], path: str) -> None:
    variables = {"DEBUG": "0", "ISSUER": "https://issuer.test", "API_IDENTIFIER": AUDIENCE}
    with api(free_port(), **variables) as address:
        answer = call(address, path)
        assert (answer.status, answer.headers["Content-Type"]) == (200, 'text/css; charset="utf-8"')
        assert call(address, "/admin/login/").status == 200
        assert call(address, "/api/public", headers={"Host": "elsewhere.test"}).status == 400
