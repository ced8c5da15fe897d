"""The databases that hold the users: SQLite, and a fresh one of PostgreSQL where a server answers. Connections stay open."""

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

__all__ = ["Sends", "configured", "fresh_postgresql", "routers"]

SERVER = os.environ.get("POSTGRES_URL", "postgresql://postgres@127.0.0.1:5432/postgres")


@contextmanager
def fresh_postgresql() -> Iterator[str]:
    """URL of a new database, dropped afterwards; an empty string if no server answers."""
    import psycopg

    try:
        server = psycopg.connect(SERVER, autocommit=True, connect_timeout=5)
    except psycopg.OperationalError:
        print("  left out: PostgreSQL, because no server answers at POSTGRES_URL")
        yield ""
        return
    name = f"resource_server_bench_{uuid.uuid4().hex}"
    with server:
        server.execute(f'CREATE DATABASE "{name}"'.encode())
        try:
            yield f"{SERVER.rpartition('/')[0]}/{name}"
        finally:
            server.execute(f'DROP DATABASE "{name}" WITH (FORCE)'.encode())


def configured() -> dict[str, dict[str, Any]]:
    """DATABASES of this run, from the environment."""
    found: dict[str, dict[str, Any]] = {
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": Path(os.environ["BENCHMARK_TENANT"]) / "db.sqlite3",
            "CONN_MAX_AGE": None,
        }
    }
    url = urlsplit(os.environ.get("BENCHMARK_POSTGRES", ""))
    if url.scheme:
        found["postgresql"] = {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": url.path[1:],
            "USER": url.username or "",
            "PASSWORD": url.password or "",
            "HOST": url.hostname or "",
            "PORT": str(url.port or 5432),
            "CONN_MAX_AGE": None,
        }
    return found


class Sends:
    """A router that sends every model to one database."""

    def __init__(self, alias: str) -> None:
        self._alias = alias

    def db_for_read(self, _model: Any, **_hints: Any) -> str:
        return self._alias

    db_for_write = db_for_read


def routers(alias: str) -> list[Sends]:
    """DATABASE_ROUTERS of a case; none for the default database."""
    return [] if alias == "default" else [Sends(alias)]
