"""The fixtures of tests/conftest.py give real services, each test's own."""

import subprocess
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pymysql
import pytest
import redis
from tests.processes import run_pytest


def test_postgres_url_is_a_fresh_database(postgres_url: str) -> None:
    with psycopg.connect(postgres_url) as connection:
        tables = connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone()
        assert tables == (0,)
        name = connection.execute("SELECT current_database()").fetchone()
    assert name is not None
    assert name[0] in postgres_url


def test_mariadb_url_is_a_fresh_database(mariadb_url: str) -> None:
    url = urlsplit(mariadb_url)
    with (
        pymysql.connect(
            host=url.hostname,
            port=url.port or 3306,
            user=url.username,
            password=url.password or "",
            database=url.path[1:],
        ) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute("SELECT count(*) FROM information_schema.tables WHERE table_schema = database()")
        assert cursor.fetchone() == (0,)


def test_redis_url_is_an_empty_database(redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as database:
        assert database.dbsize() == 0
        assert database.set("key", "value")
    assert not redis_url.endswith("/0")


def test_chromium_runs(chromium: str) -> None:
    version = subprocess.run([chromium, "--version"], capture_output=True, text=True, timeout=60, check=True)
    assert "Chrom" in version.stdout


def test_free_ports_differ(free_port: Callable[[], int]) -> None:
    assert len({free_port() for _ in range(5)}) > 1


@pytest.mark.parametrize(("service", "scheme"), [("PostgreSQL", "postgresql"), ("MariaDB", "mysql")])
@pytest.mark.parametrize(("ci", "outcome"), [("true", "1 error"), (None, "1 skipped")])
def test_an_absent_service_is_skipped_but_in_ci(
    tmp_path: Path, free_port: Callable[[], int], ci: str | None, outcome: str, service: str, scheme: str
) -> None:
    fixture = {"PostgreSQL": "postgres_url", "MariaDB": "mariadb_url"}[service]
    (tmp_path / "test_database.py").write_text(f"def test_database({fixture}): pass\n")
    done = run_pytest(
        tmp_path,
        **{fixture.upper(): f"{scheme}://root@127.0.0.1:{free_port()}/postgres"},
        **({} if ci is None else {"CI": ci}),
    )
    assert outcome in done.stdout.splitlines()[-1]
    assert f"no {service} answers" in done.stdout
