"""What must not grow: with keys, issuers, waiting requests, a busy thread, entries in the cache, and what an import costs."""

import gc
import os
import subprocess
import sys
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterable, Sequence
from math import inf
from statistics import quantiles
from time import perf_counter
from types import SimpleNamespace
from typing import Any

from benchmarks.results import Sample
from benchmarks.rounds import interleave
from benchmarks.verification import our_verifier

from resource_server.flow import run
from resource_server.keys.document import Document
from resource_server.keys.key_set import parse_key_set
from resource_server.keys.key_source import KeySource
from resource_server.stamp import Stamp
from resource_server.testing import FakeIssuer
from resource_server.tokens.authority import Verdict
from resource_server.tokens.credentials import Credentials
from resource_server.tokens.policy import Policy
from resource_server.tokens.verified_tokens import VerifiedTokens, digest
from resource_server.tokens.verifier import Verifier

__all__ = ["measure"]

KEYS = (1, 10, 100)
ISSUERS = (1, 10, 100, 1000)
TOKENS = 1000
HERD = 50
# An entry that is always good, with just what the cache looks at.
_ENTRY = Verdict(
    token=SimpleNamespace(),
    policy=SimpleNamespace(),
    stamp=Stamp(),
    is_bound=False,
    not_before=0.0,
    expires_at=inf,
    good_until=inf,
    size=1,  # so that a million entries fit
)
IMPORT = """
import time
import django
from django.conf import settings
settings.configure(INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "rest_framework"])
django.setup()
import rest_framework.views
begin = time.process_time()
import resource_server.drf
import resource_server.checks
print(time.process_time() - begin)
"""


def measure(*, rounds: int, entries: Sequence[int], imports: int) -> list[Sample]:
    """Everything of this part, the quick things first."""
    return [
        *_imports(imports),
        *_herd(),
        *_busy_thread(),
        *_keys(rounds),
        *_issuers(rounds),
        *_cache(rounds, entries),
    ]


def _imports(count: int) -> list[Sample]:
    command = [sys.executable, "-c", IMPORT]
    # The first run writes the compiled files that an installed package has, and is not counted.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    seconds = [
        float(subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout)
        for _ in range(count + 1)
    ]
    return [Sample(part="import", name="CPU time after Django and DRF", values=seconds[1:])]


def _herd() -> list[Sample]:
    """How often each document is fetched for 50 threads whose first tokens come at once."""
    issuer = FakeIssuer()

    def slow_fetch(url: str, /, **options: Any) -> Document:
        time.sleep(0.05)
        return issuer.fetch(url, **options)

    verifier = Verifier(
        [Policy(key_source=KeySource(issuer=issuer.issuer), audience=(issuer.audience,))], fetch=slow_fetch
    )
    tokens = [Credentials(unverified_token=issuer.token(jti=f"herd-{number}")) for number in range(HERD)]
    together, passed = threading.Barrier(HERD), []

    def first_request(credentials: Credentials) -> None:
        together.wait()
        passed.append(run(verifier.verify(credentials)))

    threads = [threading.Thread(target=first_request, args=(token,)) for token in tokens]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if len(passed) != HERD:
        raise RuntimeError("not every request of the herd passed")
    return [
        Sample(
            part="herd",
            name=f"fetches of {what} for {HERD} first requests at once",
            values=[issuer.fetched.count(url)],
            unit="integer",
        )
        for what, url in (("the key set", issuer.jwks_uri), ("the metadata", issuer.fetched[0]))
    ]


def _busy_thread() -> list[Sample]:
    """Each of many seen tokens, while another thread computes; the 95th percentile of each round."""
    issuer = FakeIssuer()
    verify = our_verifier(**issuer.settings(JWKS=issuer.keys.jwks()))
    stop = threading.Event()

    def compute() -> None:
        while not stop.is_set():
            sum(number * number for number in range(1000))

    samples = []
    thread = threading.Thread(target=compute, daemon=True)
    thread.start()
    try:
        for size in (0, 3000):
            token = issuer.token(padding="x" * size)
            credentials = Credentials(unverified_token=token)
            values = [_percentile(verify, credentials) for _ in range(5)]
            name = f"95th percentile of a seen token of {len(token)} characters beside one busy thread"
            samples.append(Sample(part="busy thread", name=name, values=values))
    finally:
        stop.set()
        thread.join()
    return samples


def _percentile(verify: Callable[[Credentials], object], credentials: Credentials) -> float:
    verify(credentials)
    seconds = []
    # Long enough that the interpreter lock changes hands a few times, every 5 ms.
    for _ in range(10_000):
        begin = perf_counter()
        verify(credentials)
        seconds.append(perf_counter() - begin)
    return quantiles(seconds, n=20)[-1]


def _keys(rounds: int) -> list[Sample]:
    issuer = FakeIssuer()
    for _ in range(max(KEYS) - 1):
        issuer.keys.rotate()
    every = issuer.keys.jwks()["keys"]
    # All sets hold the key that signs, so the same tokens are verified under each.
    tokens = _credentials(issuer.token(jti=f"key-{number}") for number in range(TOKENS))
    cases = {str(count): (tokens, issuer.settings(JWKS={"keys": every[-count:]})) for count in KEYS}
    return _growth("keys", cases, rounds)


def _issuers(rounds: int) -> list[Sample]:
    """Tokens of one issuer among many, which is what a search through them would slow down; and of all of them in turn.

    A thousand issuers that all send have a thousand keys, which no processor keeps near: that cost is real, but it is
    not one of looking for them.
    """
    first = FakeIssuer()
    jwks = first.keys.jwks()
    samples = []
    for part, asked in (("issuers", 1), ("issuers that all send", max(ISSUERS))):
        cases = {}
        for count in ISSUERS:
            names = [f"https://issuer-{number}.test/" for number in range(count)]
            # Each issuer has a key set of its own; that it is the same key spares a minute of making them.
            listed = [{"ISSUER": name, "AUDIENCE": first.audience, "JWKS": jwks} for name in names]
            senders = names[-asked:]
            tokens = _credentials(
                first.token(iss=senders[number % len(senders)], jti=f"issuer-{number}") for number in range(TOKENS)
            )
            cases[str(count)] = (tokens, {"ISSUERS": listed})
        samples += _growth(part, cases, rounds)
    return samples


def _growth(part: str, cases: dict[str, tuple[list[Credentials], dict[str, Any]]], rounds: int) -> list[Sample]:
    """First sights and seen tokens; the first case is what the others are held against."""
    blocks = {}
    for name, (tokens, added) in cases.items():
        blocks[f"{name}, first sight"] = _each(_alone(added, TOKEN_CACHE=0), tokens)
        blocks[f"{name}, seen"] = _each(_alone(added), tokens)
    gc.collect()
    gc.freeze()
    values = interleave(blocks, rounds)
    smallest = next(iter(cases))
    return [
        Sample(
            part=part, name=name, values=values[name], details={"baseline": f"{smallest}, {name.partition(', ')[2]}"}
        )
        for name in blocks
    ]


def _alone(added: dict[str, Any], **more: Any) -> Callable[[Credentials], object]:
    # `our_verifier` adds to the settings of the benchmarks, whose own issuer must not stand beside a list.
    nothing = {"ISSUER": None, "AUDIENCE": None, "JWKS": None} if "ISSUERS" in added else {}
    return our_verifier(**{**nothing, **added, **more})


def _each(verify: Callable[[Credentials], object], tokens: list[Credentials]) -> Callable[[], float]:
    def timed() -> float:
        gc.collect()
        begin = perf_counter()
        for credentials in tokens:
            verify(credentials)
        return (perf_counter() - begin) / len(tokens)

    return timed


def _cache(rounds: int, entries: Sequence[int]) -> list[Sample]:
    """A full cache that takes one more: the oldest makes way. And what an entry weighs, with its token."""
    blocks: dict[str, Callable[[], float]] = {}
    for size in entries:
        full = _filled(size)
        blocks[f"{size:,} entries, add and evict"] = _adding(full)
        blocks[f"{size:,} entries, longest of 2,000 additions"] = _adding(full, longest=True)
        blocks[f"{size:,} entries, get"] = _getting(_filled(size), size)
    gc.collect()
    gc.freeze()
    values = interleave(blocks, rounds)
    smallest = f"{entries[0]:,} entries"
    samples = [
        Sample(
            part="token cache",
            name=name,
            values=values[name],
            details={"baseline": f"{smallest}, {name.partition(', ')[2]}"},
        )
        for name in blocks
    ]
    return [*samples, Sample(part="token cache", name="memory per entry", values=[_memory()], unit="byte")]


def _filled(size: int) -> VerifiedTokens:
    """A cache with as many entries as it takes. All hold one token, or a million would not fit into memory."""
    cache = VerifiedTokens(size)
    # Each of its parts fills to its own limit, so more than `size` must go in for the last one to be full.
    for number in range(size + size // 10):
        cache.add(digest(str(number)), _ENTRY, 0.0)
    return cache


def _adding(cache: VerifiedTokens, *, longest: bool = False) -> Callable[[], float]:
    counter = 0

    def timed() -> float:
        nonlocal counter
        counter += 1
        # Python enlarges and compacts a dict in one go, and the longest addition is the one that waits for that.
        seconds = []
        for key in [digest(f"{longest}:{counter}:{number}") for number in range(2000)]:
            begin = perf_counter()
            cache.add(key, _ENTRY, 0.0)
            seconds.append(perf_counter() - begin)
        return max(seconds) if longest else sum(seconds) / len(seconds)

    return timed


def _getting(cache: VerifiedTokens, size: int) -> Callable[[], float]:
    # From all over the younger half, which is there whatever has made way.
    keys = [digest(str(size // 2 + number * (size // 4000))) for number in range(2000)]
    if not all(cache.get(key, 1.0, 0.0) for key in keys):
        raise RuntimeError("the cache has lost a token")

    def timed() -> float:
        begin = perf_counter()
        for key in keys:
            cache.get(key, 1.0, 0.0)
        return (perf_counter() - begin) / len(keys)

    return timed


def _memory() -> float:
    """Bytes per entry of a cache that 10,000 real tokens went through: digest, claims and all."""
    count = 10_000
    issuer = FakeIssuer()
    policy = Policy(
        key_source=KeySource(issuer=issuer.issuer, key_set=parse_key_set(issuer.keys.jwks())),
        audience=(issuer.audience,),
    )
    tokens = [
        issuer.token(jti=f"entry-{number}", sub=f"auth0|{number}", scope="read:orders") for number in range(count)
    ]
    verifier = Verifier([policy], token_cache=count)
    run(verifier.verify(_credentials(tokens[:1])[0]))
    gc.collect()
    tracemalloc.start()
    before, _peak = tracemalloc.get_traced_memory()
    for token in tokens:
        run(verifier.verify(Credentials(unverified_token=token)))
    gc.collect()
    after, _peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return (after - before) / count


def _credentials(tokens: Iterable[str]) -> list[Credentials]:
    return [Credentials(unverified_token=token) for token in tokens]
