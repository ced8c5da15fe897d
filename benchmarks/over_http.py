"""Requests per second over HTTP: gunicorn with one worker, and wrk beside it, a case at a time.

All servers are up from the beginning, and idle but for one. Connections are kept alive, so that what is measured is
the answer and not the handshake. A worker with one thread is the fairest to compare: it does nothing else.
"""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.cases import CASES, Case, CaseRefused, check, headers, known_here
from benchmarks.results import Sample
from benchmarks.rounds import interleave
from benchmarks.tenant import Tenant
from django.conf import settings

__all__ = ["measure"]

CONNECTIONS = 8
_GUNICORN = ("--worker-class", "sync", "--workers", "1")


def measure(tenant: Tenant, *, rounds: int, seconds: int) -> list[Sample]:
    """Seconds per request at full load of one worker, which is 1 / throughput. Empty where wrk is not installed."""
    wrk = shutil.which("wrk")
    if wrk is None:
        print("  left out: wrk is not on PATH (Debian: apt-get install wrk)")
        return []
    cases = [
        case
        for case in CASES
        if not case.is_development and known_here(case, settings.RESOURCE_SERVER, settings.DATABASES, settings.CACHES)
    ]
    with _servers() as server_for:
        urls = {case.name: f"http://127.0.0.1:{server_for(case)}{case.path}" for case in cases}
        blocks: dict[str, Callable[[], float]] = {}
        for case in cases:
            _await(urls[case.name])
            check(case, tenant, lambda sent, url=urls[case.name]: _status(url, sent))
            # wrk sends one request over and over: a first sight is one because the token cache is off.
            sent = headers(case, tenant, good=True)[0]
            blocks[case.name] = lambda url=urls[case.name], sent=sent: 1 / _load(wrk, url, sent, seconds)
        values = interleave(blocks, rounds)
    return [
        Sample(
            part="http",
            name=case.name,
            values=values[case.name],
            details={"package": case.package, "baseline": case.baseline, "database_user": int(case.database_user)},
        )
        for case in cases
    ]


@contextmanager
def _servers() -> Iterator[Callable[[Case], int]]:
    """Gives the port of the server with a case's settings, started at the first call for them."""
    ports: dict[str, int] = {}
    running: list[subprocess.Popen[bytes]] = []

    def server_for(case: Case) -> int:
        changes = {**case.settings, **({"TOKEN_CACHE": 0} if case.is_ours and case.sends == "pool" else {})}
        environment = {
            "BENCHMARK_RESOURCE_SERVER": json.dumps(changes),
            "BENCHMARK_MIDDLEWARE": json.dumps(case.middleware),
            "BENCHMARK_DATABASE": case.database,
        }
        key = json.dumps(environment)
        if key not in ports:
            ports[key] = _free_port()
            command = [sys.executable, "-m", "gunicorn", "benchmarks.wsgi", "--bind", f"127.0.0.1:{ports[key]}"]
            log = Path(os.environ["BENCHMARK_TENANT"]) / f"gunicorn-{ports[key]}.log"
            with log.open("wb") as output:
                running.append(
                    subprocess.Popen(
                        [*command, *_GUNICORN], env={**os.environ, **environment}, stdout=output, stderr=output
                    )
                )
        return ports[key]

    try:
        yield server_for
    finally:
        for process in running:
            process.terminate()
        for process in running:
            process.wait(timeout=30)


def _load(wrk: str, url: str, sent: dict[str, str], seconds: int) -> float:
    options = [option for name, value in sent.items() for option in ("-H", f"{name}: {value}")]
    command = [wrk, "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", *options, url]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = re.search(r"Requests/sec:\s+([\d.]+)", output)
    if found is None or "Non-2xx" in output or "Socket errors" in output:
        raise CaseRefused(f"{url}: wrk says {output.strip()}")
    return float(found[1])


def _status(url: str, sent: dict[str, str]) -> int:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=sent), timeout=10) as response:  # noqa: S310 - ours
            return int(response.status)
    except urllib.error.HTTPError as error:
        return error.code


def _await(url: str) -> None:
    until = time.monotonic() + 30
    while time.monotonic() < until:
        try:
            _status(url, {})
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise CaseRefused(f"{url}: gunicorn does not answer (its log is beside the database)")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
