"""Several issuers: those of a list, and those that a function of the project knows. No key serves two of them."""

import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from tests.keys.simulation import DAY, HOUR, MINUTE, Fault, Simulation
from tests.policies import policy as make_policy

from resource_server.errors import InvalidToken, Unavailable
from resource_server.flow import run
from resource_server.keys.issuer_keys import IssuerKeys
from resource_server.keys.key_set import parse_key_set
from resource_server.testing import FakeIssuer
from resource_server.tokens import issuers as issuers_module
from resource_server.tokens import jwt_authority
from resource_server.tokens.issuers import MAX_ISSUERS, Issuers
from resource_server.tokens.policy import Policy

OTHER = "https://other.test/"


class Tenants:
    """The project's function, and the table behind it."""

    def __init__(self) -> None:
        self.policies: dict[str, Policy] = {}
        self.asked: list[str] = []
        self.failure: Exception | None = None

    def add(self, issuer: str, **policy: Any) -> None:
        self.policies[issuer] = make_policy(**{"issuer": issuer, "audience": ("https://api.test/",), **policy})

    def __call__(self, issuer: str) -> Policy | None:
        self.asked.append(issuer)
        if self.failure is not None:
            raise self.failure
        return self.policies.get(issuer)


@pytest.fixture
def tenants() -> Tenants:
    tenants = Tenants()
    tenants.add("https://issuer.test/")
    return tenants


@pytest.fixture
def simulation(tenants: Tenants) -> Simulation:
    """A process whose issuers only a function knows."""
    return Simulation(policies=(), policy_of=tenants)


# Keys belong to their issuer


def test_a_key_of_one_issuer_does_not_sign_for_another() -> None:
    other = FakeIssuer(OTHER, algorithm="ES256")
    simulation = Simulation(other)
    ours, theirs = simulation.issuer, other
    theirs._now = ours._now
    for issuer in (ours, theirs):
        assert simulation.refusal(issuer.token()) is None
    forged = theirs.keys.sign(ours.claims())
    assert simulation.refusal(forged) == "key_unknown"
    assert simulation.refusal(theirs.keys.sign(ours.claims(), header={"kid": ours.keys.current_kid})) == (
        "signature_invalid"
    )
    assert simulation.refusal(theirs.keys.sign(ours.claims(), header={"kid": None})) == "signature_invalid"


def test_two_issuers_may_use_one_kid() -> None:
    other = FakeIssuer(OTHER, algorithm="ES256")
    simulation = Simulation(other)
    other._now = simulation.issuer._now
    tokens = {}
    for issuer in simulation.issuers:
        (member,) = issuer.keys.jwks()["keys"]
        issuer.documents[issuer.jwks_uri] = json.dumps({"keys": [{**member, "kid": "1"}]}).encode()
        tokens[issuer.issuer] = issuer.token(header={"kid": "1"})
    for issuer in simulation.issuers:
        assert simulation.verify(tokens[issuer.issuer]).issuer == issuer.issuer
        stolen = issuer.keys.sign(
            issuer.claims(iss=OTHER if issuer.issuer != OTHER else "https://issuer.test/"), header={"kid": "1"}
        )
        assert simulation.refusal(stolen) == "signature_invalid"


def test_an_issuer_that_is_down_or_under_attack_hinders_no_other() -> None:
    other = FakeIssuer(OTHER, algorithm="ES256")
    simulation = Simulation(other)
    other._now = simulation.issuer._now
    token = simulation.token()
    simulation.verify(token)
    simulation.faults[other.jwks_uri] = Fault(takes=DAY)
    for number in range(20):
        assert simulation.refusal(other.token(header={"kid": f"forged-{number}"})) == "fetch_timeout"
        assert simulation.at_once(token) is None
    simulation.issuer.keys.rotate()
    assert simulation.refusal(simulation.token()) is None, "each issuer has a bucket of its own"


# Which issuers there are


def test_an_issuer_is_compared_exactly(simulation: Simulation, tenants: Tenants) -> None:
    for almost in ("https://issuer.test", "https://ISSUER.test/", "https://issuer.test//", "https://issuer.test/?"):
        assert simulation.refusal(simulation.issuer.token(iss=almost)) == "issuer_not_trusted"
    assert simulation.fetched() == []


@pytest.mark.parametrize(
    "issuer",
    ["", " ", "tenänt", "https://a/" + "x" * 2000, "https://tenänt.test/", "https://tenant.test/ä", "https://a.test/\U0001f511",
     "https://a.test/\x7f", "https://a.test/\x00", "https://a.test/\n", "https://a b.test/", " https://a.test/", "https://a.test/ ",
     "https://a.test/\u202e", "https://a.test/\u00a0", "https://\uff41.test/", "https://a.test/\ue000", "a\r\nb", "x" * 2001],
)  # fmt: skip
def test_what_cannot_be_an_issuer_is_not_even_looked_up(simulation: Simulation, tenants: Tenants, issuer: str) -> None:
    assert simulation.refusal(simulation.issuer.token(iss=issuer)) in ("issuer_not_trusted", "iss_malformed")
    assert tenants.asked == []


@pytest.mark.parametrize(
    "issuer",
    ["https://a.test", "https://a.test/t/Acme~1/(x)", "https://a.test:8443/realms/r%20x", "https://[::1]:9/", "https://10.0.0.1/", "https://a_b.test/",
     "http://localhost:8000", "https://a/" + "x" * 1990, "http://host/adfs/services/trust", "urn:example:sts", "sts", "x" * 2000],
)  # fmt: skip
def test_what_can_be_an_issuer_is_looked_up(simulation: Simulation, tenants: Tenants, issuer: str) -> None:
    assert simulation.refusal(simulation.issuer.token(iss=issuer)) == "issuer_not_trusted"
    assert tenants.asked == [issuer]


def test_a_stranger_is_remembered_for_a_minute_and_costs_no_fetch(simulation: Simulation, tenants: Tenants) -> None:
    token = simulation.token(iss=OTHER)
    for _ in range(60):
        assert simulation.refusal(token) == "issuer_not_trusted"
        simulation.advance(0.99)
    assert tenants.asked == [OTHER]
    simulation.advance(1)
    assert simulation.refusal(token) == "issuer_not_trusted"
    assert tenants.asked == [OTHER, OTHER]
    assert simulation.fetched() == []


def test_a_flood_of_strangers_is_bounded_in_memory_and_hinders_nobody(
    simulation: Simulation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(issuers_module, "MAX_STRANGERS", 100)
    token = simulation.token()
    simulation.verify(token)
    issuers = simulation.verifier._issuers
    for number in range(1000):
        with pytest.raises(Exception, match="issuer is not trusted"):
            run(issuers.find(f"https://{number}.evil.test/"))
        assert len(issuers._strangers) <= 100
    assert simulation.at_once(token) is None
    assert [issuer.policy.issuer for issuer in simulation.verifier.issuers] == ["https://issuer.test/"]


def test_a_tenant_that_was_asked_for_longest_ago_makes_way(tenants: Tenants, monkeypatch: pytest.MonkeyPatch) -> None:
    assert MAX_ISSUERS == 1000
    monkeypatch.setattr(issuers_module, "MAX_ISSUERS", 3)
    made, moment = [], [0.0]

    def keys_of(policy: Policy) -> IssuerKeys:
        made.append(policy.issuer)
        return Simulation().keys

    issuers = Issuers((), policy_of=tenants, keys_of=keys_of, clock=lambda: moment[0])
    names = [f"https://{name}.test/" for name in "abcd"]
    for name in names:
        tenants.add(name)
    for name in (*names[:3], names[0], names[3], names[0], names[2], names[1]):
        moment[0] += 1
        run(issuers.find(name))
        assert len(list(issuers)) <= 3
    # b made way for d, and came back in the place of d.
    assert made == [*names, names[1]]


# What was not verified pushes out nothing that was


def crowd(tenants: Tenants, number: int) -> list[str]:
    """Names of tenants that the function knows, and that nobody has a key of."""
    names = [f"https://tenant-{position}.test/" for position in range(number)]
    for name in names:
        tenants.add(name, key_set=parse_key_set({"keys": []}))
    return names


TRIALS: dict[str, Callable[[Simulation, str], str]] = {
    "expired": lambda simulation, name: simulation.issuer.token(iss=name, exp=1),
    "of an unknown key": lambda simulation, name: simulation.issuer.token(iss=name),
    "unsigned": lambda simulation, name: simulation.issuer.token(iss=name).rpartition(".")[0] + ".AAAA",
    "without an algorithm": lambda simulation, name: simulation.issuer.token(iss=name, header={"alg": "none"}),
}


@pytest.mark.parametrize("make", TRIALS.values(), ids=TRIALS)
def test_tokens_that_are_not_verified_push_no_tenant_out(
    simulation: Simulation, tenants: Tenants, make: Callable[[Simulation, str], str]
) -> None:
    token, old = simulation.token(), simulation.token(jti="old")
    simulation.verify(token)
    simulation.verify(old)
    simulation.fetched()
    keys, asked = simulation.keys, len(tenants.asked)
    for name in crowd(tenants, MAX_ISSUERS + 200):
        assert simulation.refusal(make(simulation, name)) is not None
        # Good tokens go on, seen ones and new ones, and cost nothing.
        if int(name.removeprefix("https://tenant-").partition(".")[0]) % 100 == 0:
            assert simulation.at_once(old) is None
            assert simulation.at_once(simulation.token(jti=name)) is None
    assert simulation.at_once(old) is None
    assert simulation.verifier.issuers[0].keys is keys
    assert simulation.fetched() == []
    assert tenants.asked.count("https://issuer.test/") == 1
    assert len(tenants.asked) == asked + MAX_ISSUERS + 200
    assert len(simulation.verifier.issuers) == MAX_ISSUERS + 1


def test_tenants_that_were_verified_push_out_the_one_that_was_verified_longest_ago(
    tenants: Tenants, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(issuers_module, "MAX_ISSUERS", 2)
    others = [FakeIssuer(f"https://{name}.test/", algorithm="ES256") for name in "abc"]
    simulation = Simulation(*others, policies=(), policy_of=tenants)
    for issuer in others:
        issuer._now = lambda: simulation.now
        tenants.add(issuer.issuer)
    a, b, c = others
    for issuer in (a, b):
        simulation.verify(issuer.token())
        simulation.advance(1)
    unsigned = a.token(exp=1)
    simulation.verify(a.token(jti="again"))
    simulation.advance(1)
    for _ in range(3):
        simulation.refusal(b.token(exp=1))  # to be named is not to be used
        simulation.refusal(unsigned)
        simulation.advance(1)
    simulation.verify(c.token())
    assert [issuer.policy.issuer for issuer in simulation.verifier.issuers] == [a.issuer, c.issuer]


def test_a_new_tenant_is_not_kept_out_by_a_crowd_that_is_on_trial(simulation: Simulation, tenants: Tenants) -> None:
    """The crowd comes while its keys are on their way."""
    names = crowd(tenants, MAX_ISSUERS + 1)
    simulation.faults["https://issuer.test/jwks.json"] = Fault(takes=1)

    def meanwhile() -> None:
        for name in names:
            simulation.refusal(simulation.issuer.token(iss=name))

    simulation.meanwhile = meanwhile
    token = simulation.token()
    simulation.verify(token)
    simulation.meanwhile = None
    simulation.fetched()
    meanwhile()
    assert simulation.at_once(simulation.token(jti="next")) is None
    assert simulation.fetched() == []


def test_a_tenant_that_is_removed_while_its_first_token_is_verified_stays_removed(
    simulation: Simulation, tenants: Tenants, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(issuers_module, "MAX_ISSUERS", 1)
    simulation.faults["https://issuer.test/jwks.json"] = Fault(takes=1)
    tenants.add(OTHER, key_set=parse_key_set({"keys": []}))

    def meanwhile() -> None:
        simulation.refusal(simulation.issuer.token(iss=OTHER))  # makes it leave
        tenants.policies.clear()
        assert simulation.refusal(simulation.issuer.token(exp=1)) == "issuer_not_trusted"

    simulation.meanwhile = meanwhile
    simulation.verify(simulation.token())
    simulation.meanwhile = None
    assert "https://issuer.test/" not in [issuer.policy.issuer for issuer in simulation.verifier.issuers]
    assert simulation.refusal(simulation.token()) == "issuer_not_trusted"


def test_strangers_push_out_strangers_one_by_one(
    simulation: Simulation, tenants: Tenants, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(issuers_module, "MAX_STRANGERS", 10)
    for number in range(15):
        simulation.refusal(simulation.issuer.token(iss=f"https://{number}.evil.test/"))
    asked = len(tenants.asked)
    simulation.refusal(simulation.issuer.token(iss="https://14.evil.test/"))
    simulation.refusal(simulation.issuer.token(iss="https://5.evil.test/"))
    assert len(tenants.asked) == asked
    simulation.refusal(simulation.issuer.token(iss="https://4.evil.test/"))
    assert len(tenants.asked) == asked + 1


# How long an answer is believed


def test_an_answer_is_believed_for_a_minute(simulation: Simulation, tenants: Tenants) -> None:
    token = simulation.token()
    simulation.verify(token)
    assert set(simulation.spend(59, token, every=1)) == {None}
    assert tenants.asked == ["https://issuer.test/"]
    simulation.advance(2)
    simulation.verify(token)
    assert tenants.asked == ["https://issuer.test/"] * 2


def test_a_tenant_that_is_removed_is_refused_within_a_minute_with_all_that_was_verified(
    simulation: Simulation, tenants: Tenants
) -> None:
    tokens = [simulation.token(jti=str(number)) for number in range(3)]
    simulation.verify(tokens[0])
    tenants.policies.clear()
    simulation.advance(30)
    simulation.verify(tokens[1])  # into the cache, half a minute before it is asked again
    simulation.advance(30)
    assert {simulation.refusal(token) for token in tokens} == {"issuer_not_trusted"}
    assert simulation.verifier.issuers == ()
    tenants.add("https://issuer.test/")
    simulation.advance(MINUTE)
    assert simulation.refusal(tokens[0]) is None


def test_a_policy_that_has_changed_counts_within_a_minute_and_keeps_its_keys(
    simulation: Simulation, tenants: Tenants
) -> None:
    token = simulation.token()
    simulation.verify(token)
    simulation.fetched()
    tenants.add("https://issuer.test/", audience=("other",))
    simulation.issuer.failure = "fetch_failed"  # which is no reason to lose keys
    simulation.advance(MINUTE)
    assert simulation.refusal(token) == "audience_not_accepted"
    assert simulation.refusal(simulation.token(aud="other")) is None
    assert simulation.fetched() == []


@pytest.mark.parametrize(
    "change", [{"jwks_uri": "https://issuer.test/other"}, {"key_set": parse_key_set({"keys": []})}]
)
def test_keys_do_not_outlive_the_place_that_they_came_from(
    simulation: Simulation, tenants: Tenants, change: dict[str, Any]
) -> None:
    token = simulation.token()
    simulation.verify(token)
    tenants.add("https://issuer.test/", **change)
    simulation.advance(MINUTE)
    assert simulation.refusal(token) in ("fetch_status", "key_unknown")


def test_an_answer_about_another_issuer_is_none(simulation: Simulation, tenants: Tenants) -> None:
    tenants.policies[OTHER] = tenants.policies["https://issuer.test/"]
    assert simulation.refusal(simulation.issuer.token(iss=OTHER)) == "issuer_not_trusted"


# When the function fails


def test_a_function_that_fails_is_no_verdict_and_known_issuers_go_on(simulation: Simulation, tenants: Tenants) -> None:
    tenants.add(OTHER)
    token = simulation.token()
    simulation.verify(token)
    tenants.failure = Unavailable("issuer_lookup_failed")
    tenants.asked.clear()
    for _ in range(12 * 60):
        simulation.advance(MINUTE)
        assert simulation.refusal(token) is None
        assert simulation.refusal(simulation.issuer.token(iss=OTHER)) == "issuer_lookup_failed"
    assert tenants.asked.count("https://issuer.test/") <= 12 * 60


def test_a_database_that_is_down_keeps_no_tenant_for_ever(simulation: Simulation, tenants: Tenants) -> None:
    token = simulation.token()
    simulation.verify(token)
    tenants.failure = Unavailable("issuer_lookup_failed")
    answers = []
    for _ in range(30):
        simulation.advance(HOUR)
        answers.append(simulation.refusal(token))
    assert answers == [None] * 24 + ["issuer_lookup_failed"] * 6
    tenants.failure = None
    assert simulation.refusal(token) is None


def test_a_tenant_that_is_removed_while_another_look_up_fails_stays_removed(
    simulation: Simulation, tenants: Tenants
) -> None:
    token = simulation.token()
    simulation.verify(token)
    simulation.advance(MINUTE)
    flow = simulation.verifier.issuer("https://issuer.test/")
    next(flow)  # asks, and takes long
    tenants.policies.clear()
    assert simulation.refusal(token) == "issuer_not_trusted"
    with pytest.raises(Unavailable):
        flow.throw(Unavailable("issuer_lookup_failed"))
    assert simulation.verifier.issuers == ()


def test_what_else_a_function_raises_is_raised(simulation: Simulation, tenants: Tenants) -> None:
    tenants.failure = ZeroDivisionError()  # server.py makes an Unavailable of it; see tests/test_issuers_setting.py
    with pytest.raises(ZeroDivisionError):
        simulation.verify(simulation.token())


# Many at once


def test_first_requests_that_come_together_make_one_issuer(simulation: Simulation, tenants: Tenants) -> None:
    together = threading.Barrier(20)
    answer: Callable[[str], Policy | None] = tenants.__call__

    def slow(issuer: str) -> Policy | None:
        policy = answer(issuer)
        together.wait(20)
        return policy

    simulation.verifier._issuers._policy_of = slow
    with ThreadPoolExecutor(20) as pool:
        futures = [pool.submit(lambda: run(simulation.verifier.issuer("https://issuer.test/"))) for _ in range(20)]
        found = {id(future.result(20)) for future in futures}
    assert len(found) == 1
    assert len(simulation.verifier.issuers) == 1


def test_a_forked_child_inherits_no_lock(simulation: Simulation, fork: Callable[[], None]) -> None:
    simulation.verifier._issuers._lock.acquire()
    fork()
    assert simulation.refusal(simulation.token()) is None


def test_a_known_tenant_takes_no_lock_and_asks_nobody(simulation: Simulation, tenants: Tenants) -> None:
    token = simulation.token()
    simulation.verify(token)
    with simulation.verifier._issuers._lock:
        assert simulation.at_once(simulation.token(jti="another")) is None
    assert len(tenants.asked) == 1


@pytest.mark.parametrize(
    ("audience", "reason"),
    [
        pytest.param(None, "issuer_not_trusted", id="removed"),
        pytest.param("https://other.test/", "audience_not_accepted", id="another audience"),
    ],
)
def test_a_verdict_on_a_tenant_that_has_changed_meanwhile_is_not_remembered(
    simulation: Simulation, tenants: Tenants, monkeypatch: pytest.MonkeyPatch, audience: str | None, reason: str
) -> None:
    # The tenant makes way for others while its first token is verified, and has changed before the verdict is there.
    token = simulation.token()
    issuers = simulation.verifier._issuers
    verify_signature = jwt_authority.verify_signature

    def meanwhile(*arguments: Any) -> None:
        verify_signature(*arguments)
        monkeypatch.undo()
        issuers._on_trial.clear()
        if audience is not None:
            tenants.add("https://issuer.test/", audience=(audience,))
            run(simulation.verifier.issuer("https://issuer.test/"))
            return
        tenants.policies.clear()
        with pytest.raises(InvalidToken):
            run(simulation.verifier.issuer("https://issuer.test/"))

    monkeypatch.setattr(jwt_authority, "verify_signature", meanwhile)
    assert simulation.verify(token).subject == "auth0|ada"  # it began before
    assert simulation.refusal(token) == reason
