"""What a bound, an opaque and a revocable token add to a seen bearer token: cases beside floors, which do the bare part."""

from benchmarks.cases import Case
from benchmarks.proofs import ORIGIN

__all__ = ["ADDITIONS", "SEEN"]

SEEN = "ours, seen token"
_BOUND = {"DPOP": "allowed", "PUBLIC_ORIGIN": ORIGIN}
_PROVED = "seen token, with a bare ES256 check and cache.add"
_READ = "seen token, with cache.get_many"

ADDITIONS = (
    Case(name="open view", path="/open", sends="nothing", package="djangorestframework"),
    Case(name=SEEN, path="/ours"),
    Case(name="seen token, with a bare ES256 check", path="/es256", sends="token and proof", package="cryptography"),
    Case(
        name="seen token, with cache.add, Redis", path="/add", sends="token and proof", package="redis", cache="redis"
    ),
    Case(name="seen token, with cache.add, local memory", path="/add", sends="token and proof", package="Django"),
    Case(name=f"{_PROVED}, Redis", path="/es256-and-add", sends="token and proof", package="redis", cache="redis"),
    Case(name=f"{_PROVED}, local memory", path="/es256-and-add", sends="token and proof", package="cryptography"),
    Case(name=f"{_READ}, Redis", path="/get-many", package="redis", cache="redis"),
    Case(
        name="ours, seen DPoP token, Redis",
        path="/ours",
        sends="proof",
        settings={**_BOUND, "CACHE": "redis"},
        cache="redis",
        floor=f"{_PROVED}, Redis",
    ),
    Case(
        name="ours, seen DPoP token, local memory",
        path="/ours",
        sends="proof",
        settings={**_BOUND, "CACHE": "default"},
        floor=f"{_PROVED}, local memory",
    ),
    Case(
        name="ours, seen opaque token",
        path="/ours",
        sends="introspected",
        is_development=True,
        floor=SEEN,
    ),
    Case(
        name="ours, deny list, own copy",
        path="/ours",
        settings={"REVOCATION": "redis"},
        cache="redis",
        floor=SEEN,
    ),
    Case(
        name="ours, deny list, asked for each request",
        path="/ours",
        settings={"REVOCATION": "redis"},
        cache="redis",
        copy_seconds=0.0,
        floor=f"{_READ}, Redis",
    ),
)
