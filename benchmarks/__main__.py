"""`python -m benchmarks`: measure everything, one part after the other, and write docs/performance.md.

Each part runs in processes of its own, several for those in which the place of things in memory matters; their values
are joined. The raw values are in benchmarks/results/run.json, and `--report` writes the page from them again.
"""

import argparse
import json
import logging
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks import databases, report, results, stores, tenant

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results"


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """How much is measured."""

    processes: int
    rounds: int
    requests: int
    http_rounds: int
    http_seconds: int
    entries: tuple[int, ...]
    imports: int


FULL = Effort(
    processes=5,
    rounds=20,
    requests=200,
    http_rounds=6,
    http_seconds=2,
    entries=(10_000, 100_000, 1_000_000),
    imports=21,
)
QUICK = Effort(processes=1, rounds=4, requests=50, http_rounds=1, http_seconds=1, entries=(10_000, 100_000), imports=3)
PARTS = ("handler", "additions", "verification", "scaling", "http")
# In several processes each, so that the layout of memory decides nothing.
REPEATED = ("handler", "additions", "verification")


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench")
    parser.add_argument("--quick", action="store_true", help="about a minute; writes nothing into docs/")
    parser.add_argument("--only", choices=PARTS, action="append", help="measure this part alone; writes nothing")
    parser.add_argument("--report", action="store_true", help="write docs/performance.md from the last full run")
    parser.add_argument("--part", choices=("database", *PARTS), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    effort = QUICK if arguments.quick else FULL
    if arguments.part:
        _measure(arguments.part, effort, Path(os.environ["BENCHMARK_RESULT"]))
    elif arguments.report:
        _write(RESULTS / "run.json")
    else:
        _run(tuple(arguments.only or PARTS), effort, quick=arguments.quick, partial=bool(arguments.only))


def _run(parts: tuple[str, ...], effort: Effort, *, quick: bool, partial: bool) -> None:
    begin = time.monotonic()
    shutil.rmtree(RESULTS / "tenant", ignore_errors=True)
    (RESULTS / "tenant").mkdir(parents=True)
    result = RESULTS / ("quick.json" if quick or partial else "run.json")
    result.unlink(missing_ok=True)
    with (
        databases.fresh_postgresql() as postgresql,
        stores.fresh_redis() as (redis, prefix),
        tenant.documents_served() as (address, documents),
    ):
        os.environ |= {
            "BENCHMARK_POSTGRES": postgresql,
            "BENCHMARK_REDIS": redis,
            "BENCHMARK_REDIS_PREFIX": prefix,
        }
        made = tenant.make(RESULTS / "tenant", address)
        documents["/.well-known/openid-configuration"] = json.dumps(
            {"issuer": made.issuer, "jwks_uri": f"{address}/jwks.json"}
        ).encode()
        documents["/jwks.json"] = json.dumps(made.jwks).encode()
        documents[f"/introspect/{made.introspected}"] = json.dumps(made.answer).encode()
        _in_process("database", result, quick=quick)
        for part in parts:
            print(f"{part} ...", flush=True)
            for _ in range(effort.processes if part in REPEATED else 1):
                _in_process(part, result, quick=quick)
    samples, _machine = results.load(result)
    print(report.text(samples))
    if quick or partial:
        print("Nothing was written: only a full run writes docs/performance.md.")
    else:
        _write(result)
    print(f"{time.monotonic() - begin:.0f} s")


def _in_process(part: str, result: Path, *, quick: bool) -> None:
    command = [sys.executable, "-m", "benchmarks", "--part", part, *(["--quick"] if quick else [])]
    environment = {
        "BENCHMARK_TENANT": str(RESULTS / "tenant"),
        "BENCHMARK_RESULT": str(result),
        "DJANGO_SETTINGS_MODULE": "benchmarks.settings",
    }
    done = subprocess.run(command, cwd=ROOT, env={**os.environ, **environment}, check=False)
    if done.returncode:
        sys.exit(f"error: the part {part} failed")


def _measure(part: str, effort: Effort, result: Path) -> None:
    import django

    django.setup()
    # The bad credentials of the checks are refused, and everybody's refusals are logged.
    logging.disable(logging.ERROR)
    made = tenant.load()
    if part == "database":
        from django.conf import settings
        from django.test import override_settings

        for alias in settings.DATABASES:
            with override_settings(DATABASE_ROUTERS=databases.routers(alias)):
                tenant.fill_database(made, alias)
        return
    results.save(result, _samples(part, effort, made))


def _samples(part: str, effort: Effort, made: tenant.Tenant) -> list[results.Sample]:
    # Each part imports what it measures, and no part pays for another.
    if part == "handler":
        from benchmarks import handler

        return handler.measure(made, rounds=effort.rounds, requests=effort.requests)
    if part == "additions":
        from benchmarks import handler
        from benchmarks.additions import ADDITIONS

        return handler.measure(made, rounds=effort.rounds, requests=effort.requests, cases=ADDITIONS, part=part)
    if part == "verification":
        from benchmarks import verification

        return verification.measure(made, rounds=effort.rounds, tokens=effort.requests)
    if part == "scaling":
        from benchmarks import scaling

        return scaling.measure(rounds=effort.rounds, entries=effort.entries, imports=effort.imports)
    from benchmarks import over_http

    return over_http.measure(made, rounds=effort.http_rounds, seconds=effort.http_seconds)


def _write(result: Path) -> None:
    samples, machine = results.load(result)
    report.write(ROOT / "docs", samples, machine)
    print("Written: docs/performance.md, docs/performance.png")


if __name__ == "__main__":
    main()
