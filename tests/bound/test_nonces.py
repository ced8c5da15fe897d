"""Nonces of DPoP are stateless, rotate, and are offered before they end."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.bound.test_used_proofs import Clock, Memory
from tests.policies import policy

from resource_server.errors import InvalidProof, NonceNeeded
from resource_server.flow import run
from resource_server.testing import ProofKey
from resource_server.tokens.access_token import access_token
from resource_server.tokens.authority import Verdict
from resource_server.tokens.credentials import Credentials
from resource_server.tokens.nonces import NONCE_SECONDS, Nonces
from resource_server.tokens.proofs import ProofVerifier, RequestFacts
from resource_server.tokens.used_proofs import UsedProofs
from resource_server.tokens.verified_tokens import digest

URL, TOKEN = "https://api.test/", "a.b.c"


def test_a_nonce_lives_for_two_periods_and_is_known_to_each_process():
    clock = Clock()
    clock.now = 10 * NONCE_SECONDS
    one, other = Nonces(b"secret", now=clock), Nonces(b"secret", now=clock)
    nonce = one.current()

    assert other.current() == nonce
    for age, is_accepted in ((0, True), (NONCE_SECONDS * 2 - 1, True), (NONCE_SECONDS * 2, False)):
        clock.now = 10 * NONCE_SECONDS + age
        assert other.accepts(nonce) is is_accepted
    clock.now = 10 * NONCE_SECONDS - 1  # a server whose clock is behind
    assert other.accepts(nonce)
    clock.now -= NONCE_SECONDS
    assert not other.accepts(nonce)


@pytest.mark.parametrize("nonce", ["", "x", None, 1, [], {}, "\ud800", "é" * 24], ids=range(8))
def test_anything_else_is_not_accepted(nonce):
    assert not Nonces(b"secret").accepts(nonce)


def test_the_nonce_of_another_project_is_not_accepted():
    assert not Nonces(b"secret").accepts(Nonces(b"other secret").current())


class Expiring(Memory):
    """A store that forgets an entry when its time is over."""

    def __init__(self, clock):
        super().__init__()
        self.clock = clock

    def add(self, key, value, timeout):
        if self.clock.now >= self.entries.get(key, (value, 0))[1]:
            self.entries.pop(key, None)
        return super().add(key, (value, self.clock.now + timeout), timeout)

    def get(self, key):
        return self.entries[key][0]


class Api:
    """Verifies proofs with nonces for one bound token."""

    def __init__(self, *, needs_nonce):
        self.clock, self.store = Clock(), Memory()
        self.clock.now = 1_800_000_000
        self.key = ProofKey(now=self.clock)
        nonces = Nonces(b"secret", now=self.clock)
        self.proofs = ProofVerifier(used=UsedProofs(self.store), nonces=nonces, needs_nonce=needs_nonce, now=self.clock)
        claims = {"iss": "i", "aud": "a", "sub": "s", "exp": 2e9, "cnf": self.key.confirmation}
        rules = policy(issuer="https://issuer.test/", audience=("a",), dpop="allowed")
        fields = {"not_before": 0, "expires_at": 2e9, "good_until": 2e9, "stamp": None, "is_bound": True, "size": 1}
        self.verdict = Verdict(token=access_token(claims), policy=rules, **fields)

    def call(self, nonce=None, **claims):
        """The nonce that the answer offers. Raises NonceNeeded."""
        return self.send(self.key.proof("GET", URL, TOKEN, nonce=nonce, **claims))

    def send(self, proof):
        facts = RequestFacts(method="GET", url=URL, proofs=(proof,))
        run(self.proofs.verify(self.verdict, Credentials(unverified_token=TOKEN, is_dpop=True), digest(TOKEN), facts))
        return facts.nonce


def test_a_required_nonce_is_demanded_and_then_good():
    api = Api(needs_nonce=True)

    with pytest.raises(NonceNeeded) as caught:
        api.call()
    assert (caught.value.reason, caught.value.code) == ("nonce_missing", "use_dpop_nonce")
    assert api.call(caught.value.nonce) is None
    with pytest.raises(NonceNeeded) as caught:
        api.call("invented")
    assert caught.value.reason == "nonce_not_current"
    assert api.call(caught.value.nonce) is None


def test_an_optional_nonce_is_offered_and_not_demanded():
    api = Api(needs_nonce=False)

    offered = api.call()
    assert offered is not None
    assert api.call(offered) is None
    with pytest.raises(NonceNeeded):
        api.call("invented")


@pytest.mark.parametrize("needs_nonce", [True, False], ids=["required", "optional"])
@pytest.mark.parametrize("offset", [-1_800_000_000, -86400, -61, 6, 3600, 1e9])
def test_a_client_whose_clock_is_wrong_is_told_the_time_by_a_nonce(needs_nonce, offset):
    """Reported to Keycloak as #48025 and to mod_oauth2 as #79: clients' clocks differ by more than any window."""
    api = Api(needs_nonce=needs_nonce)
    issued_at = api.clock.now + offset

    with pytest.raises(NonceNeeded) as caught:
        api.call(iat=issued_at)
    assert (caught.value.reason, api.store.calls) == ("nonce_missing", 0)
    assert api.call(caught.value.nonce, iat=issued_at) is None
    with pytest.raises(NonceNeeded) as caught:
        api.call("invented", iat=issued_at)
    assert caught.value.reason == "nonce_not_current"


@pytest.mark.parametrize(
    "issued_at",
    [None, True, "1800000000", 1_800_000_000_000, 10**400, -1],
    ids=["none", "True", "a text", "in milliseconds", "400 digits", "negative"],
)
def test_with_a_nonce_iat_is_still_a_date(issued_at):
    api = Api(needs_nonce=True)
    with pytest.raises(InvalidProof) as caught:
        api.call(Nonces(b"secret", now=api.clock).current(), iat=issued_at)
    assert caught.value.reason == "proof_not_current"


@pytest.mark.parametrize("ahead", [0, NONCE_SECONDS], ids=["of this server", "of one whose clock is ahead"])
@pytest.mark.parametrize("offset", [0, -3600, 3600], ids=["a right clock", "a slow clock", "a fast clock"])
def test_a_used_proof_is_known_for_as_long_as_its_nonce_is_accepted(ahead, offset):
    api = Api(needs_nonce=True)
    api.store = Expiring(api.clock)
    api.proofs._used = UsedProofs(api.store, clock=api.clock)
    api.clock.now -= api.clock.now % NONCE_SECONDS
    nonces = Nonces(b"secret", now=lambda: api.clock.now + ahead)
    proof = api.key.proof("GET", URL, TOKEN, nonce=nonces.current(), iat=api.clock.now + offset)
    api.send(proof)

    seen = []
    for _ in range(50):
        with pytest.raises((InvalidProof, NonceNeeded)) as caught:
            api.send(proof)
        seen.append(str(caught.value.reason))
        api.clock.now += 9.5
    assert set(seen) == {"proof_replayed", "nonce_not_current"}
    assert seen == sorted(seen, reverse=True)


def test_a_refused_nonce_uses_no_proof():
    api = Api(needs_nonce=True)
    with pytest.raises(NonceNeeded):
        api.call()
    assert api.store.calls == 0


def test_the_next_nonce_is_offered_before_the_old_one_ends():
    api = Api(needs_nonce=True)
    with pytest.raises(NonceNeeded) as caught:
        api.call()
    api.clock.now += NONCE_SECONDS

    offered = api.call(caught.value.nonce)
    assert offered not in (None, caught.value.nonce)
    assert api.call(offered) is None


def test_no_client_that_keeps_calling_is_refused_while_nonces_rotate():
    api, clients, rounds = Api(needs_nonce=True), 8, 100
    refusals, lock, each_round = [], threading.Lock(), threading.Barrier(clients)
    began = api.clock.now

    def client(number):
        nonce = None
        for _ in range(rounds):
            each_round.wait()
            try:
                nonce = api.call(nonce) or nonce
            except NonceNeeded as error:
                refusals.append(number)
                nonce = error.nonce
                api.call(nonce)
            with lock:
                # Two rounds of all clients are shorter than a period, so a client calls in each.
                api.clock.now += NONCE_SECONDS / 4 / clients

    with ThreadPoolExecutor(clients) as pool:
        list(pool.map(client, range(clients)))
    assert api.clock.now - began > 20 * NONCE_SECONDS
    assert sorted(refusals) == list(range(clients))  # each at its start, and then never
