"""Whole requests in this process: Django's handler with routing, view, DRF and rendering, from environment to response.

`BaseHandler.get_response` and not the view alone, because it is what a request pays for, and not the WSGI application
either: sockets and the server's own work are measured over HTTP. No middleware, so that nothing flatters a ratio.
"""

import gc
import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from time import perf_counter
from typing import Any
from unittest import mock

from benchmarks import databases, stores
from benchmarks.cases import CASES, Case, added_settings, check, headers, known_here
from benchmarks.results import Sample
from benchmarks.rounds import interleave
from benchmarks.tenant import REVOKED, Tenant
from benchmarks.urls import Request
from django.conf import settings
from django.core.handlers.base import BaseHandler
from django.db import connections
from django.http import HttpResponseBase
from django.test import override_settings
from django.test.utils import CaptureQueriesContext

from resource_server import revoke
from resource_server.revocation import begin_deny_list
from resource_server.tokens import revocations

__all__ = ["measure"]

# What gunicorn hands over.
_ENVIRON = {
    "REQUEST_METHOD": "GET",
    "SCRIPT_NAME": "",
    "QUERY_STRING": "",
    "SERVER_NAME": "127.0.0.1",
    "SERVER_PORT": "8000",
    "SERVER_PROTOCOL": "HTTP/1.1",
    "REMOTE_ADDR": "127.0.0.1",
    "HTTP_HOST": "127.0.0.1:8000",
    "HTTP_ACCEPT": "*/*",
    "HTTP_USER_AGENT": "benchmark",
    "wsgi.url_scheme": "http",
}


def measure(
    tenant: Tenant, *, rounds: int, requests: int, cases: Sequence[Case] = CASES, part: str = "handler"
) -> list[Sample]:
    """Seconds per request of every case."""
    prepared = {case.name: _Prepared(case, tenant) for case in cases if _is_known(case)}
    # What stands now stands for good; collections in the timed parts look at requests alone, as in a forked server.
    gc.collect()
    gc.freeze()
    values = interleave({name: each.block(requests) for name, each in prepared.items()}, rounds)
    return [
        Sample(
            part=part,
            name=name,
            values=values[name],
            details={
                "package": each.case.package,
                "baseline": each.case.baseline,
                "database_user": int(each.case.database_user),
                "queries": each.queries,
                "commands": each.commands,
                "floor": each.case.floor,
            },
        )
        for name, each in prepared.items()
    ]


def _is_known(case: Case) -> bool:
    known = known_here(case, settings.RESOURCE_SERVER, settings.DATABASES, settings.CACHES)
    if not known:
        print(f"  not here: {case.name}")
    return known


class _Prepared:
    """A case with its handler and its requests, checked. `commands` is how many a seen token sends to Redis."""

    def __init__(self, case: Case, tenant: Tenant) -> None:
        self.case = case
        self._tenant = tenant
        self._settings = {
            "RESOURCE_SERVER": {**settings.RESOURCE_SERVER, **added_settings(case, tenant)},
            "DATABASE_ROUTERS": databases.routers(case.database),
            "BENCHMARK_CACHE": case.cache,
            "DEBUG": case.is_development,
        }
        self._environs = [_environ(case, each) for each in headers(case, tenant, good=True)]
        self._warm = _environ(case, {"Authorization": f"Bearer {tenant.token}"}) if case.sends == "pool" else None
        self._next = 0
        with override_settings(MIDDLEWARE=case.middleware):
            handler = BaseHandler()
            handler.load_middleware()
        self._get_response = handler.get_response
        with self._circumstances():
            if "REVOCATION" in case.settings:
                begin_deny_list()
                revoke(tenant.issuer, jti=REVOKED)
            check(case, tenant, lambda sent: self._respond(_environ(case, sent)).status_code)
            (*_others, environ) = self._take(len(self._environs))
            with CaptureQueriesContext(connections[case.database]) as queries, stores.commands_counted() as commands:
                self._respond(environ)
        self.queries, self.commands = len(queries), len(commands)

    @contextmanager
    def _circumstances(self) -> Iterator[None]:
        """The settings of the case; the package reads them anew."""
        copy_seconds = self.case.copy_seconds
        patched = revocations.COPY_SECONDS if copy_seconds is None else copy_seconds
        with override_settings(**self._settings), mock.patch.object(revocations, "COPY_SECONDS", patched):
            yield

    def block(self, requests: int) -> Callable[[], float]:
        """Seconds per request, as the mean of so many."""

        def timed() -> float:
            warm, environs = self._take(5), self._take(requests)
            # The settings are read anew for each block, so that a pool of tokens is seen for the first time again.
            with self._circumstances():
                for environ in warm:
                    self._respond(self._warm or environ)
                gc.collect()
                begin = perf_counter()
                for environ in environs:
                    self._respond(environ)
                return (perf_counter() - begin) / requests

        return timed

    def _take(self, requests: int) -> list[dict[str, Any]]:
        if "proof" in self.case.sends:
            return [_environ(self.case, headers(self.case, self._tenant, good=True)[0]) for _ in range(requests)]
        first, self._next = self._next, self._next + requests
        return [self._environs[number % len(self._environs)] for number in range(first, self._next)]

    def _respond(self, environ: dict[str, Any]) -> HttpResponseBase:
        response = self._get_response(Request(environ.copy()))
        response.close()
        return response


def _environ(case: Case, sent: dict[str, str]) -> dict[str, Any]:
    added = {f"HTTP_{name.upper()}": value for name, value in sent.items()}
    return {**_ENVIRON, "PATH_INFO": case.path, "wsgi.input": io.BytesIO(), **added}
