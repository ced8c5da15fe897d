"""The memory behind the cache of verified tokens: how full it gets, what makes way, threads, forks; and that what it shares cannot be changed."""

import copy
import hashlib
import itertools
import json
import os
import pickle
import subprocess
import sys
import textwrap
import threading
import tracemalloc
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from django.http import JsonResponse
from tests.tokens.conftest import Api

from resource_server.stamp import Stamp
from resource_server.strict_json import parse_object
from resource_server.testing import FakeIssuer
from resource_server.tokens import verified_tokens as cache
from resource_server.tokens.access_token import access_token
from resource_server.tokens.authority import Verdict
from resource_server.tokens.verified_tokens import MAX_BYTES, VerifiedTokens, digest, entry_bytes

POLICY: Any = None  # which the cache does not read
STAMP = Stamp()
# For a token of 800 characters with 12 claims, whether they were read or not.
ENTRY_BYTES = 3_000


def key_of(number: int) -> bytes:
    return hashlib.sha256(str(number).encode()).digest()


def verified(*, until: float = 60.0, token: Any = None, size: int = 100) -> Verdict:
    return Verdict(
        token=token,
        policy=POLICY,
        stamp=STAMP,
        is_bound=False,
        not_before=0,
        expires_at=1e9,
        good_until=until,
        size=size,
    )


class Counted(OrderedDict[bytes, Verdict]):
    """A part that counts what is taken out of it to make way."""

    pops = 0

    def popitem(self, last: bool = True) -> tuple[bytes, Verdict]:
        self.pops += 1
        return super().popitem(last)


def counted(tokens: VerifiedTokens) -> Callable[[], int]:
    parts = tokens._parts = [Counted(part) for part in tokens._parts]
    return lambda: sum(part.pops for part in parts)


@pytest.mark.parametrize("size", [1, 2, 3, 1023, 1024, 1025, 2047, 2048, 2049, 4096, 10_000, 262_143, 262_144, 300_000])
def test_it_never_holds_more_than_its_size(size: int) -> None:
    tokens = VerifiedTokens(size)
    for part in tokens._parts:
        assert tokens._limit >= 1
        part.update({key_of(number): verified() for number in range(min(tokens._limit, 3))})
    assert tokens._limit * tokens._count <= size
    assert tokens._limit * tokens._count > size - tokens._count
    assert 256 % tokens._count == 0  # or the first byte of a digest would fill some parts more than others


@pytest.mark.parametrize("size", [1, 2, 1023, 1025, 2048, 2500])
def test_the_oldest_make_way_under_load(size: int) -> None:
    tokens = VerifiedTokens(size)
    for number in range(4 * size):
        tokens.add(key_of(number), verified(), 0.0)
        assert len(tokens) <= size
        assert tokens.get(key_of(number), 1.0, 1.0) is not None
    assert len(tokens) == tokens._limit * tokens._count
    kept = [number for number in range(4 * size) if tokens.get(key_of(number), 1.0, 1.0)]
    assert len(kept) == len(tokens)
    # Parts fill by chance, so an old one may outlive a younger one of another part, though not by much.
    assert kept[0] >= 2 * size


def test_a_token_that_comes_in_again_counts_once_and_as_the_youngest() -> None:
    tokens = VerifiedTokens(2)
    for number in (1, 2, 1, 3):
        tokens.add(key_of(number), verified(), 0.0)
    assert [tokens.get(key_of(number), 1.0, 1.0) is not None for number in (1, 2, 3)] == [True, False, True]


def test_to_come_in_is_as_much_work_at_any_size() -> None:
    work = {}
    for size in (1000, 50_000):
        tokens = VerifiedTokens(size)
        numbers = itertools.count()
        while len(tokens) < tokens._limit * tokens._count:
            tokens.add(key_of(next(numbers)), verified(), 0.0)
        pops = counted(tokens)
        for _ in range(100):
            tokens.add(key_of(next(numbers)), verified(), 0.0)
        work[size] = pops()
    assert work == {1000: 100, 50_000: 100}


def test_after_a_pause_no_request_pays_for_all_that_has_ended() -> None:
    tokens = VerifiedTokens(5000)
    for number in range(5000):
        tokens.add(key_of(number), verified(until=60.0), 0.0)
    pops, most = counted(tokens), 0
    for number in range(5000, 5100):
        before = pops()
        tokens.add(key_of(number), verified(until=120.0), 60.0)
        most = max(most, pops() - before)
    assert most == 3


def test_what_has_ended_leaves_faster_than_others_come_in() -> None:
    tokens = VerifiedTokens(10_000)
    for number in range(1000):
        tokens.add(key_of(number), verified(until=60.0), 0.0)
    for number in range(1000, 2200):
        tokens.add(key_of(number), verified(until=120.0), 60.0)
    assert len(tokens) == 1200


@pytest.mark.parametrize("until", [59.0, 60.0])
@pytest.mark.parametrize("others", [0, 1, 5])
def test_what_has_ended_already_does_not_come_in(until: float, others: int) -> None:
    tokens = VerifiedTokens(3)
    for number in range(others):
        tokens.add(key_of(number), verified(until=100.0), 0.0)
    tokens.add(key_of(99), verified(until=until), 60.0)
    assert len(tokens) == min(others, 3)


def test_threads_stay_within_the_size_and_never_fail() -> None:
    tokens = VerifiedTokens(2500)
    failures: list[BaseException] = []
    begin = threading.Barrier(8)
    # What is kept under each key is told by its end, so that a hit can be seen to be of its key.
    keys = [key_of(number) for number in range(6000)]

    def hammer(seed: int) -> None:
        try:
            begin.wait()
            for step in range(4000):
                number = (seed * 7919 + step * 31) % 6000
                clock = float(step // 100)
                tokens.add(keys[number], verified(until=number + 10.0), clock)
                hit = tokens.get(keys[(number + 1) % 6000], 1.0, clock)
                assert hit is None or hit.good_until == (number + 1) % 6000 + 10.0
                assert len(tokens) <= 2500 + 8  # one that is being added by each
        except BaseException as error:  # noqa: BLE001 - shown below
            failures.append(error)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        threads = [threading.Thread(target=hammer, args=(seed,)) for seed in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    finally:
        sys.setswitchinterval(interval)
    assert failures == []
    assert 0 < len(tokens) <= 2500


def test_reading_takes_no_lock() -> None:
    tokens = VerifiedTokens(5000)
    tokens.add(key_of(1), verified(), 0.0)
    for lock in tokens._locks:
        lock.acquire()
    assert tokens.get(key_of(1), 1.0, 1.0) is not None
    assert tokens.get(key_of(2), 1.0, 1.0) is None


def texts() -> Iterator[str]:
    lengths = {*range(0, 10_001, 97), *(2047 * pieces + beyond for pieces in range(1, 5) for beyond in (-1, 0, 1))}
    for length in sorted(lengths):
        yield "".join(chr(33 + (place * 7) % 90) for place in range(length))
        yield "é" * length
    yield from ("\ud800", "a\udfff" * 2000, "\U0001f511" * 600, "")


def test_a_digest_in_pieces_is_that_of_the_whole() -> None:
    for text in texts():
        assert digest(text) == hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def test_no_piece_is_long_enough_to_give_the_interpreter_lock_away(monkeypatch: pytest.MonkeyPatch) -> None:
    pieces: list[int] = []

    class Recorder:
        def copy(self) -> "Recorder":
            return self

        def update(self, piece: bytes) -> None:
            pieces.append(len(piece))

        def digest(self) -> bytes:
            return b""

    monkeypatch.setattr(cache, "_EMPTY", Recorder())
    for length in (0, 800, 2047, 2048, 10_000):
        digest("a" * length)
    assert sum(pieces) == 800 + 2047 + 2048 + 10_000
    assert max(pieces) < 2048  # HASHLIB_GIL_MINSIZE of CPython


@pytest.mark.parametrize("length", [1, 2046, 2047, 2048, 4094, 4095, 10_000])
def test_the_first_and_the_last_character_count(length: int) -> None:
    text = "a" * length
    assert len({digest(text), digest("b" + text[1:]), digest(text[:-1] + "c"), digest(text + "a")}) == 4


@pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing forks here")
def test_a_forked_child_starts_with_none_and_with_free_locks() -> None:
    program = """
        import os
        from resource_server.stamp import Stamp
        from resource_server.tokens.authority import Verdict
        from resource_server.tokens.verified_tokens import VerifiedTokens

        verified = Verdict(
            token=1, policy=1, stamp=Stamp(), is_bound=False, not_before=0, expires_at=1e9, good_until=60.0, size=1000
        )
        tokens, key = VerifiedTokens(5000), b"k" * 32
        tokens.add(key, verified, 0.0)
        for lock in tokens._locks:  # as another thread of the parent may at that moment
            lock.acquire()
        child = os.fork()
        if child == 0:
            empty = len(tokens) == 0 and tokens.get(key, 1.0, 1.0) is None
            tokens.add(key, verified, 0.0)
            os._exit(0 if empty and tokens.get(key, 1.0, 1.0) is verified else 1)
        assert os.waitpid(child, 0)[1] == 0
        assert tokens.get(key, 1.0, 1.0) is verified
        print("done")
    """
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(program)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.stdout.strip(), done.stderr) == ("done", "")


def payload(number: int) -> bytes:
    """The 12 claims of a person's token, which has some 800 characters when it is signed with RS256."""
    claims = {
        "iss": "https://issuer.test/",
        "aud": "https://api.test/",
        "sub": f"auth0|{number:024}",
        "client_id": "web",
        "iat": 1_800_000_000,
        "nbf": 1_800_000_000,
        "exp": 1_800_000_600 + number,
        "jti": f"{number:016}",
        "scope": "openid read:items",
        "permissions": ["read:items"],
        "azp": "web",
        "sid": f"{number:012}",
    }
    return json.dumps(claims, separators=(",", ":")).encode()


def measured_bytes(entries: int, *, is_read: bool, make: Callable[[int], bytes] | None = None) -> float:
    """How much memory an entry takes, strings and all."""
    tokens = VerifiedTokens(entries * 2)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for number in range(entries):
            document = (make or payload)(number)
            token = access_token(parse_object(document))
            if is_read:
                assert len(token.claims) >= 4
            now = 1_800_000_000 + number / 7
            entry = Verdict(
                token=token,
                policy=POLICY,
                stamp=STAMP,
                is_bound=False,
                not_before=now,
                expires_at=token.expires_at + 30,
                good_until=number + 60.0,
                size=entry_bytes(document, len(token.scopes)),
            )
            tokens.add(key_of(number), entry, 0.0)
        return (tracemalloc.get_traced_memory()[0] - before) / len(tokens)
    finally:
        tracemalloc.stop()


def test_the_token_that_is_measured_is_as_long_as_is_said() -> None:
    assert 780 <= len(FakeIssuer().keys.sign(payload(1))) <= 880


@pytest.mark.parametrize("is_read", [False, True], ids=["claims unread", "claims read"])
def test_an_entry_takes_no_more_memory_than_is_said(is_read: bool) -> None:
    """MEASURE_ENTRIES=100000 pytest -s prints what each takes when there are as many."""
    entries = int(os.environ.get("MEASURE_ENTRIES", "2000"))
    measured = measured_bytes(entries, is_read=is_read)
    if "MEASURE_ENTRIES" in os.environ:
        print(f"\n{entries} entries, claims read: {is_read}: {measured:.0f} bytes each")  # noqa: T201
    assert measured < ENTRY_BYTES


def document(claims: str) -> Callable[[int], bytes]:
    """Makes payloads of which each has strings and numbers of its own; `claims` is JSON that it has beside what it must."""
    must = '{"iss":"https://issuer.test/","aud":"https://api.test/","sub":"%024d","exp":18000000%02d,'
    return lambda number: (must % (number, number) + claims + "}").encode()


def repeated(value: str, length: int) -> str:
    return f'"x":[{",".join([value] * (length // (len(value) + 1)))}]'


def names(number: int) -> list[str]:
    return [f"{n:x}" for n in range(256, 256 + number)]


# Claims that take far more memory than text, as a function of the length of their JSON.
SHAPES: dict[str, Callable[[int], str]] = {
    "empty lists": lambda length: repeated("[]", length),
    "empty objects": lambda length: repeated("{}", length),
    "objects of one member": lambda length: repeated('{"":1}', length),
    "lists of one member": lambda length: repeated("[1]", length),
    "lists within lists": lambda length: repeated("[" * 20 + "]" * 20, length),
    "objects within objects": lambda length: repeated('{"":' * 8 + "1" + "}" * 8, length),
    "numbers": lambda length: repeated("999", length),
    "fractions": lambda length: repeated("0.5", length),
    "short texts": lambda length: repeated('"ab"', length),
    "short texts of the world": lambda length: repeated('"€"', length // 2),
    "a long text": lambda length: f'"x":"{"a" * length}"',
    "a long text with an emoji": lambda length: f'"x":"\U0001f511{"a" * length}"',
    "a long text with an escaped emoji": lambda length: f'"x":"\\ud83d\\ude00{"a" * length}"',
    "many names": lambda length: json.dumps({"x": {f"{n:x}": 1 for n in range(length // 8)}})[1:-1],
    "many scopes": lambda length: json.dumps({"scope": " ".join(names(length // 4))})[1:-1],
    "a list of scopes": lambda length: json.dumps({"scope": names(length // 8)})[1:-1],
}


@pytest.mark.parametrize("length", [100, 1500, 11_000])
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_no_claims_take_more_memory_than_is_counted(shape: Callable[[int], str], length: int) -> None:
    make = document(shape(length))
    scopes = len(access_token(parse_object(make(1))).scopes)
    for is_read in (False, True):
        assert measured_bytes(20, is_read=is_read, make=make) <= entry_bytes(make(1), scopes)


@pytest.mark.parametrize("is_read", [False, True], ids=["claims unread", "claims read"])
def test_a_usual_token_is_counted_with_twice_its_memory_at_most(is_read: bool) -> None:
    assert entry_bytes(payload(1), 2) <= 2 * measured_bytes(1000, is_read=is_read)


@pytest.mark.parametrize("size", [1, 1000, 10_000, 10_000_000])
@pytest.mark.parametrize("bytes_each", [1000, 4000, 250_000, 1_000_000])
def test_remembered_tokens_stay_within_their_bytes(size: int, bytes_each: int) -> None:
    tokens = VerifiedTokens(size)
    for number in range(3 * MAX_BYTES // bytes_each):
        tokens.add(key_of(number), verified(size=bytes_each), 0.0)
    assert sum(tokens._used) == len(tokens) * bytes_each <= MAX_BYTES
    assert len(tokens) <= size
    if size == 10_000_000 and bytes_each == 4000:
        assert len(tokens) * bytes_each > 0.95 * MAX_BYTES


def test_a_large_token_makes_as_many_go_as_it_needs_and_never_all() -> None:
    tokens = VerifiedTokens(1000)
    for number in range(1000):
        tokens.add(key_of(number), verified(size=MAX_BYTES // 1000), 0.0)
    tokens.add(key_of(-1), verified(size=MAX_BYTES // 10), 0.0)
    assert 895 <= len(tokens) <= 901
    assert tokens.get(key_of(-1), 1.0, 1.0) is not None
    assert [tokens.get(key_of(number), 1.0, 1.0) is None for number in (0, 98, 102, 999)] == [True, True, False, False]
    tokens.add(key_of(-2), verified(size=MAX_BYTES // 4 + 1), 0.0)
    assert tokens.get(key_of(-2), 1.0, 1.0) is None, "it is not remembered at all"
    assert 895 <= len(tokens) <= 901


def test_bytes_are_counted_once_for_a_token_that_comes_in_again_or_ends() -> None:
    tokens = VerifiedTokens(100)
    for size in (1000, 2000, 500):
        tokens.add(key_of(1), verified(size=size), 0.0)
    assert tokens._used == [500]
    tokens.add(key_of(2), verified(size=700, until=120.0), 60.0)
    assert (len(tokens), tokens._used) == (1, [700])


def test_large_tokens_of_one_issuer_do_not_fill_the_memory(new_api: type[Api]) -> None:
    """Ten thousand of them took 2.5 GiB."""
    api = new_api("ES256")
    claims = {"x": [[] for _ in range(2500)]}
    for number in range(3):
        api.verify(api.token(jti=str(number), **claims))
    seen = api.verifier._seen
    assert len(seen) == 3
    assert sum(seen._used) > 3 * 64 * 2500


CHANGES: dict[str, Callable[[Any], object]] = {
    "an attribute": lambda token: setattr(token, "subject", "root"),
    "a new attribute": lambda token: setattr(token, "is_admin", True),
    "no attribute": lambda token: delattr(token, "scopes"),
    "a claim": lambda token: token.claims.__setitem__("sub", "root"),
    "no claim": lambda token: token.claims.__delitem__("sub"),
    "a claim within a claim": lambda token: token.claims["realm"].__setitem__("admin", True),
    "a member of a list": lambda token: token.claims["roles"].append("admin"),
    "a claim within a list": lambda token: token.claims["grants"][0].__setitem__("to", "root"),
    "a list within a list": lambda token: token.claims["deep"][0][0].append("admin"),
    "the scopes": lambda token: token.scopes.add("admin"),
    "the audience": lambda token: token.audience.append("other"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_no_request_can_change_the_token_of_another(new_api: type[Api], change: Callable[[Any], object]) -> None:
    api = new_api("ES256")
    claims = {"realm": {"admin": False}, "roles": ["user"], "grants": [{"to": "ada"}], "deep": [[["user"]]]}
    token = api.token(scope="read", aud=[api.issuer.audience], **claims)
    first = api.verify(token)
    with pytest.raises((AttributeError, TypeError)):
        change(first)
    second = api.verify(token)
    assert (second.subject, second.scopes, second.audience) == ("auth0|ada", {"read"}, (api.issuer.audience,))
    assert second.claims["realm"] == {"admin": False}
    assert second.claims["roles"] == ("user",)
    assert second.claims["grants"] == ({"to": "ada"},)
    assert second.claims["deep"] == ((("user",),),)


NESTED: dict[str, Any] = {
    "realm": {"admin": False, "roles": ["a", {"b": ["c"]}]},
    "empty": [{}, []],
    "text": "é",
    "number": 1.5,
    "none": None,
    "sub": "ada",
}
METHODS: dict[str, Callable[[Any], object]] = {
    "set": lambda claims: claims.__setitem__("a", 1),
    "delete": lambda claims: claims.__delitem__("admin"),
    "clear": lambda claims: claims.clear(),
    "pop": lambda claims: claims.pop("admin"),
    "pop with a default": lambda claims: claims.pop("admin", None),
    "popitem": lambda claims: claims.popitem(),
    "setdefault": lambda claims: claims.setdefault("a", 1),
    "update": lambda claims: claims.update(a=1),
    "or": lambda claims: claims.__ior__({"a": 1}),
    "an attribute": lambda claims: setattr(claims, "a", 1),
}


def token_with(claims: dict[str, Any], *, is_read: bool = False) -> Any:
    token = access_token({"iss": "https://issuer.test/", "aud": "a", "sub": "ada", "exp": 1, **copy.deepcopy(claims)})
    if is_read:
        assert token.claims
    return token


@pytest.mark.parametrize("change", METHODS.values(), ids=METHODS)
def test_claims_refuse_every_way_of_changing_them(change: Callable[[Any], object]) -> None:
    token = token_with(NESTED)
    for claims in (token.claims, token.claims["realm"], token.claims["realm"]["roles"][1]):
        before = dict(claims)
        with pytest.raises((TypeError, AttributeError)):
            change(claims)
        claims.__init__({"a": 1})
        assert claims == before


@pytest.mark.parametrize("is_read", [False, True], ids=["claims unread", "claims read"])
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_token_is_pickled_whether_its_claims_were_read_or_not(is_read: bool, protocol: int) -> None:
    token = token_with(NESTED, is_read=is_read)
    again = pickle.loads(pickle.dumps(token, protocol))  # noqa: S301 - made one line above
    assert again.claims == token.claims
    assert (again.issuer, again.subject, again.scopes) == (token.issuer, token.subject, token.scopes)
    with pytest.raises(TypeError):
        again.claims["realm"]["admin"] = True
    claims = pickle.loads(pickle.dumps(token.claims, protocol))  # noqa: S301 - as above
    assert (type(claims), claims) == (type(token.claims), token.claims)


@pytest.mark.parametrize("is_read", [False, True], ids=["claims unread", "claims read"])
@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy])
def test_a_token_is_copied_whether_its_claims_were_read_or_not(is_read: bool, copied: Callable[[Any], Any]) -> None:
    token = token_with(NESTED, is_read=is_read)
    again = copied(token)
    assert again.claims == token.claims
    claims = copied(token.claims)
    assert claims == token.claims
    with pytest.raises(TypeError):
        claims["realm"]["admin"] = True


def test_nested_claims_are_json() -> None:
    token = token_with(NESTED)
    assert isinstance(token.claims, Mapping)
    whole = {"iss": "https://issuer.test/", "aud": "a", "exp": 1, **NESTED}
    assert json.loads(json.dumps(token.claims)) == whole
    assert json.loads(json.dumps(dict(token.claims), indent=1)) == whole
    assert json.loads(JsonResponse(dict(token.claims)).content) == whole
    assert token.claims | {"exp": 2} == {**token.claims, "exp": 2}


@pytest.mark.parametrize("is_read", [False, True], ids=["claims unread", "claims read"])
def test_plain_claims_are_dicts_and_lists_that_the_caller_owns(is_read: bool) -> None:
    token = token_with(NESTED, is_read=is_read)
    plain = token.plain_claims()
    assert plain == {"iss": "https://issuer.test/", "aud": "a", "exp": 1, **NESTED}
    assert {type(value) for value in plain.values()} <= {dict, list, str, int, float, type(None)}
    assert type(plain["realm"]["roles"][1]) is dict
    plain["realm"]["roles"].append("admin")
    plain["sub"] = "root"
    assert token.plain_claims() == {"iss": "https://issuer.test/", "aud": "a", "exp": 1, **NESTED}
    assert token.claims["realm"]["roles"] == ("a", {"b": ("c",)})
