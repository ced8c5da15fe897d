"""The caches: local memory, and Redis where a server answers. The keys of a run share a prefix, and are deleted after it."""

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["commands_counted", "configured", "fresh_redis"]

SERVER = os.environ.get("REDIS_URL", "redis://127.0.0.1:6379")


@contextmanager
def fresh_redis() -> Iterator[tuple[str, str]]:
    """URL of Redis, and the prefix of this run's keys; two empty strings if no server answers."""
    import redis

    prefix = f"resource-server-bench:{uuid.uuid4().hex}"
    with redis.Redis.from_url(SERVER, socket_connect_timeout=5) as server:
        try:
            server.ping()
        except redis.ConnectionError:
            print("  left out: Redis, because no server answers at REDIS_URL")
            yield "", ""
            return
        try:
            yield SERVER, prefix
        finally:
            for key in server.scan_iter(f"{prefix}:*", count=1000):
                server.delete(key)


def configured() -> dict[str, dict[str, Any]]:
    """CACHES of this run, from the environment."""
    found: dict[str, dict[str, Any]] = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
    if location := os.environ.get("BENCHMARK_REDIS"):
        found["redis"] = {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": location,
            "KEY_PREFIX": os.environ["BENCHMARK_REDIS_PREFIX"],
        }
    return found


@contextmanager
def commands_counted() -> Iterator[list[str]]:
    """The commands that this process sends to Redis meanwhile."""
    from redis.connection import AbstractConnection

    sent: list[str] = []
    send = AbstractConnection.send_command

    def counted(connection: Any, *command: Any, **options: Any) -> None:
        sent.append(str(command[0]))
        send(connection, *command, **options)

    AbstractConnection.send_command = counted
    try:
        yield sent
    finally:
        AbstractConnection.send_command = send
