"""Whole requests in this process: Django's handler with routing, view, DRF and rendering, from environment to response.

`BaseHandler.get_response` and not the view alone, because it is what a request pays for, and not the WSGI application
either: sockets and the server's own work are measured over HTTP. No middleware, so that nothing flatters a ratio.
"""

import gc
import io
from collections.abc import Callable
from time import perf_counter
from typing import Any

from benchmarks import databases
from benchmarks.cases import CASES, Case, check, headers, known_here
from benchmarks.results import Sample
from benchmarks.rounds import interleave
from benchmarks.tenant import Tenant
from benchmarks.urls import Request
from django.conf import settings
from django.core.handlers.base import BaseHandler
from django.db import connections
from django.http import HttpResponseBase
from django.test import override_settings
from django.test.utils import CaptureQueriesContext

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


def measure(tenant: Tenant, *, rounds: int, requests: int) -> list[Sample]:
    """Seconds per request of every case."""
    cases = {case.name: case for case in CASES if known_here(case, settings.RESOURCE_SERVER, settings.DATABASES)}
    for case in CASES:
        if case.name not in cases:
            print(f"  not here: {case.name}")
    prepared = {name: _Prepared(case, tenant) for name, case in cases.items()}
    # What stands now stands for good; collections in the timed parts look at requests alone, as in a forked server.
    gc.collect()
    gc.freeze()
    values = interleave({name: each.block(requests) for name, each in prepared.items()}, rounds)
    return [
        Sample(
            part="handler",
            name=name,
            values=values[name],
            details={
                "package": case.package,
                "baseline": case.baseline,
                "database_user": int(case.database_user),
                "queries": prepared[name].queries,
            },
        )
        for name, case in cases.items()
    ]


class _Prepared:
    """A case with its handler and its requests, checked."""

    def __init__(self, case: Case, tenant: Tenant) -> None:
        self._settings = {
            "RESOURCE_SERVER": {**settings.RESOURCE_SERVER, **case.settings},
            "DATABASE_ROUTERS": databases.routers(case.database),
        }
        self._environs = [_environ(case, each) for each in headers(case, tenant, good=True)]
        self._warm = _environ(case, {"Authorization": f"Bearer {tenant.token}"}) if case.sends == "pool" else None
        self._next = 0
        with override_settings(MIDDLEWARE=case.middleware):
            handler = BaseHandler()
            handler.load_middleware()
        self._get_response = handler.get_response
        with override_settings(**self._settings):
            check(case, tenant, lambda sent: self._respond(_environ(case, sent)).status_code)
            with CaptureQueriesContext(connections[case.database]) as queries:
                self._respond(self._environs[-1])
        self.queries = len(queries)

    def block(self, requests: int) -> Callable[[], float]:
        """Seconds per request, as the mean of so many."""

        def timed() -> float:
            environs = self._take(requests)
            # The settings are read anew for each block, so that a pool of tokens is seen for the first time again.
            with override_settings(**self._settings):
                for _ in range(5):
                    self._respond(self._warm or environs[0])
                gc.collect()
                begin = perf_counter()
                for environ in environs:
                    self._respond(environ)
                return (perf_counter() - begin) / requests

        return timed

    def _take(self, requests: int) -> list[dict[str, Any]]:
        first, self._next = self._next, self._next + requests
        return [self._environs[number % len(self._environs)] for number in range(first, self._next)]

    def _respond(self, environ: dict[str, Any]) -> HttpResponseBase:
        response = self._get_response(Request(environ.copy()))
        response.close()
        return response


def _environ(case: Case, sent: dict[str, str]) -> dict[str, Any]:
    added = {f"HTTP_{name.upper()}": value for name, value in sent.items()}
    return {**_ENVIRON, "PATH_INFO": case.path, "wsgi.input": io.BytesIO(), **added}
