"""A verified token that comes again is not verified again, and is believed no longer than it would pass anew.

A hit answers the very AccessToken of the first time, which is how these tests tell it from a new verdict.
"""

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

import pytest
from tests.policies import policy as make_policy
from tests.tokens.conftest import Api

from resource_server.devissuer.signing import SigningKeys
from resource_server.errors import InvalidToken
from resource_server.flow import run
from resource_server.testing import FakeIssuer
from resource_server.tokens import jwt_authority as verifier_module
from resource_server.tokens.credentials import Credentials
from resource_server.tokens.jws import UnverifiedToken
from resource_server.tokens.rules import RULES
from resource_server.tokens.verifier import Verifier

SKEW = 30


@pytest.fixture
def api(new_api: type[Api]) -> Api:
    """An API whose issuer has a key of its own, which may be rotated and withdrawn."""
    return new_api("ES256", own_keys=True)


def refresh(api: Api) -> None:
    """Have the issuer's keys fetched anew, as a token with an unknown kid does."""
    fetched = len(api.issuer.fetched)
    assert api.refusal(api.token(header={"kid": f"unknown {fetched}"})) == "key_unknown"
    assert len(api.issuer.fetched) > fetched


def kept(api: Api) -> int:
    return len(api.verifier._seen)


def verify(verifier: Verifier, token: str) -> Any:
    return run(verifier.verify(Credentials(unverified_token=token))).token


def verifier_beside(api: Api, **options: Any) -> Verifier:
    """Another verifier of the same issuer."""
    policy = {"issuer": api.issuer.issuer, "audience": (options.pop("audience", api.issuer.audience),)}
    return Verifier(
        [] if "policy_of" in options else [make_policy(**policy)],
        fetch=api.issuer.fetch,
        now=lambda: api.now,
        clock=lambda: api.clock,
        later=lambda seconds, call: None,
        **options,
    )


def test_a_token_that_comes_again_is_the_same(api: Api) -> None:
    token = api.token()
    assert api.verify(token) is api.verify(token)
    assert api.verify(api.token()) is not api.verify(token)


def test_one_other_character_in_the_signature_is_another_token(api: Api) -> None:
    token = api.token()
    api.verify(token)
    start = token.rindex(".") + 1
    for position in range(start, len(token) - 1):
        other = "A" if token[position] != "A" else "B"
        assert api.refusal(token[:position] + other + token[position + 1 :]) == "signature_invalid"


def test_another_spelling_of_the_signature_is_another_token(api: Api) -> None:
    # 64 bytes are 85 characters and two bits: in the last character four bits are to spare.
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    token = api.token()
    api.verify(token)
    last = alphabet.index(token[-1])
    spellings = [token[:-1] + alphabet[last + spare] for spare in range(1, 16)] + [token + "=", token + "=="]
    signature = token.rpartition(".")[2]
    for spelling in spellings:
        same = base64.urlsafe_b64decode(spelling.rpartition(".")[2].rstrip("=") + "==")
        assert same == base64.urlsafe_b64decode(signature + "==")
        assert api.refusal(spelling) == "token_malformed"


@pytest.mark.parametrize("segment", [0, 1])
def test_one_other_character_in_header_or_payload_is_another_token(api: Api, segment: int) -> None:
    token = api.token()
    api.verify(token)
    segments = token.split(".")
    middle = len(segments[segment]) // 2
    for position in range(middle, middle + 8):
        changed = list(segments)
        other = "A" if changed[segment][position] != "A" else "B"
        changed[segment] = changed[segment][:position] + other + changed[segment][position + 1 :]
        api.refusal(".".join(changed))


def test_a_token_without_a_signature_is_refused_beside_its_signed_twin(api: Api) -> None:
    token = api.token()
    api.verify(token)
    _header, payload, signature = token.split(".")
    unsigned = base64.urlsafe_b64encode(b'{"alg":"none","typ":"at+jwt"}').decode().rstrip("=")
    assert api.refusal(f"{unsigned}.{payload}.{signature}") == "alg_not_allowed"
    assert api.refusal(token.rpartition(".")[0] + ".AAAA") == "signature_invalid"


FAILURES: dict[str, tuple[Callable[[Any], str], Callable[[Any, str], None], str]] = {
    "expired": (
        lambda api: api.token(exp=api.now - SKEW),
        lambda api, token: setattr(api, "now", api.now - 1),
        "token_expired",
    ),
    "not yet valid": (
        lambda api: api.token(nbf=api.now + SKEW + 1),
        lambda api, token: setattr(api, "now", api.now + 1),
        "token_not_yet_valid",
    ),
    "issued in the future": (
        lambda api: api.token(iat=api.now + SKEW + 1),
        lambda api, token: setattr(api, "now", api.now + 1),
        "token_issued_in_future",
    ),
}


@pytest.mark.parametrize(("make", "mend", "reason"), FAILURES.values(), ids=FAILURES)
def test_a_refusal_is_never_kept(api: Api, make: Any, mend: Any, reason: str) -> None:
    api.verify(api.token())
    token, before = make(api), kept(api)
    assert [api.refusal(token), api.refusal(token), kept(api)] == [reason, reason, before]
    mend(api, token)
    assert api.verify(token).subject == "auth0|ada"


def test_an_unknown_key_is_judged_anew_when_the_issuer_has_it(api: Api) -> None:
    api.verify(api.token())
    documents, token = dict(api.issuer.documents), api.token(kid=api.issuer.keys.rotate())
    api.issuer.documents[api.issuer.jwks_uri] = json.dumps({"keys": api.issuer.keys.jwks()["keys"][:1]}).encode()
    assert api.refusal(token) == "key_unknown"
    api.issuer.documents = documents
    api.clock += 60  # so long a kid that the issuer did not have is not asked for again
    assert api.verify(token) is api.verify(token)


def test_a_wrong_signature_is_judged_anew_when_the_key_is_another(api: Api) -> None:
    api.verify(api.token())
    stranger = FakeIssuer(algorithm="ES256", now=lambda: api.now)
    kid = api.issuer.keys.current_kid
    token = stranger.token(header={"kid": kid})
    assert [api.refusal(token), api.refusal(token), kept(api)] == ["signature_invalid", "signature_invalid", 1]
    (key,) = stranger.keys.jwks()["keys"]
    api.issuer.documents[api.issuer.jwks_uri] = json.dumps({"keys": [{**key, "kid": kid}]}).encode()
    refresh(api)
    assert api.verify(token).subject == "auth0|ada"


def test_no_verdict_is_not_kept_either(api: Api) -> None:
    api.issuer.failure = "fetch_timeout"
    token = api.token()
    assert api.refusal(token) == "fetch_timeout"
    api.issuer.failure = None
    api.clock += 120
    assert api.verify(token) is api.verify(token)


def test_a_token_of_a_withdrawn_key_is_refused_at_once(api: Api) -> None:
    token, kid = api.token(), api.issuer.keys.current_kid
    api.verify(token)
    api.issuer.keys.rotate()
    api.issuer.keys.withdraw(kid)
    assert api.verify(token) is api.verify(token)  # nobody has heard of it yet
    api.verify(api.token())
    assert api.refusal(token) == "key_unknown"


def test_a_token_is_refused_when_its_kid_names_another_key(api: Api) -> None:
    token, kid = api.token(), api.issuer.keys.current_kid
    api.verify(token)
    (key,) = SigningKeys("ES256").jwks()["keys"]
    api.issuer.documents[api.issuer.jwks_uri] = json.dumps({"keys": [{**key, "kid": kid}]}).encode()
    refresh(api)
    assert api.refusal(token) == "signature_invalid"


def test_a_key_set_that_is_replaced_during_verification_is_not_credited_with_the_verdict(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.verify(api.token())
    token, kid = api.token(), api.issuer.keys.current_kid
    verify_signature = verifier_module.verify_signature

    def meanwhile(*arguments: Any) -> None:
        verify_signature(*arguments)
        monkeypatch.undo()
        api.issuer.keys.rotate()
        api.issuer.keys.withdraw(kid)
        api.verify(api.token())  # another thread's, which brings the new set

    monkeypatch.setattr(verifier_module, "verify_signature", meanwhile)
    assert api.verify(token).subject == "auth0|ada"  # it began before the key was withdrawn
    assert api.refusal(token) == "key_unknown"


def test_a_token_that_ends_between_two_requests_is_refused_at_the_second(api: Api) -> None:
    token = api.token(exp=api.now + 10)
    first = api.verify(token)
    api.now += 10 + SKEW - 0.5
    assert api.verify(token) is first
    api.now += 0.5
    assert api.refusal(token) == "token_expired"


def test_a_token_is_verified_again_after_a_minute(api: Api) -> None:
    token = api.token(exp=api.now + 3600)
    first = api.verify(token)
    api.clock += 59.5
    assert api.verify(token) is first
    api.clock += 0.5
    second = api.verify(token)
    assert second is not first
    assert api.verify(token) is second


def test_hits_do_not_make_the_minute_longer(api: Api) -> None:
    token = api.token(exp=api.now + 3600)
    first = api.verify(token)
    for _ in range(5):
        api.clock += 11
        assert api.verify(token) is first
    api.clock += 5
    assert api.verify(token) is not first


def test_a_clock_that_was_set_back_is_no_reason_to_believe_what_was_decided_in_its_future(api: Api) -> None:
    token = api.token(nbf=api.now)
    first = api.verify(token)
    api.now -= SKEW
    assert api.verify(token) is not first
    api.now -= 1
    assert api.refusal(token) == "token_not_yet_valid"


def test_a_token_is_not_believed_longer_than_keys_serve_in_an_outage(new_api: type[Api]) -> None:
    api = new_api("ES256", stale_seconds=20)
    token = api.token(exp=api.now + 3600)
    api.verify(token)
    life_seconds = api.keys.trusted.life_seconds
    api.issuer.failure = "fetch_timeout"
    api.clock += life_seconds + 19
    stale = api.verify(token)
    assert api.verify(token) is stale
    api.clock += 1
    assert api.refusal(token) == "fetch_timeout"


def test_keys_that_end_during_verification_leave_a_verdict_that_is_not_kept(
    new_api: type[Api], monkeypatch: pytest.MonkeyPatch
) -> None:
    api = new_api("ES256", stale_seconds=20)
    token = api.token(exp=api.now + 3600)
    api.verify(token)
    api.issuer.failure = "fetch_timeout"
    api.clock = api.keys.ends_at - 1
    verify_signature = verifier_module.verify_signature

    def meanwhile(*arguments: Any) -> None:
        verify_signature(*arguments)
        api.clock += 1

    monkeypatch.setattr(verifier_module, "verify_signature", meanwhile)
    assert api.verify(token).subject == "auth0|ada"
    assert api.refusal(token) == "fetch_timeout"


def test_a_tenant_that_was_removed_is_refused_when_its_minute_is_over(api: Api) -> None:
    tenants = {api.issuer.issuer: make_policy(issuer=api.issuer.issuer, audience=(api.issuer.audience,))}
    verifier = verifier_beside(api, policy_of=tenants.get)
    verify(verifier, api.token())
    api.clock += 30
    token = api.token()
    first = verify(verifier, token)
    tenants.clear()
    api.clock += 29
    assert verify(verifier, token) is first
    api.clock += 1
    with pytest.raises(InvalidToken, match="issuer is not trusted"):
        verify(verifier, token)


def test_two_verifiers_do_not_share_what_they_have_seen(api: Api) -> None:
    token = api.token()
    api.verify(token)
    other = verifier_beside(api, audience="https://other.test/")
    with pytest.raises(InvalidToken, match="audience is not accepted"):
        verify(other, token)
    assert verify(verifier_beside(api), token) is not api.verify(token)


def test_a_cache_of_size_0_keeps_nothing(api: Api) -> None:
    verifier, token = verifier_beside(api, token_cache=0), api.token()
    assert verify(verifier, token) is not verify(verifier, token)


def test_a_cache_of_size_1_keeps_the_last(api: Api) -> None:
    verifier = verifier_beside(api, token_cache=1)
    first, second = api.token(), api.token()
    verdict = verify(verifier, first)
    assert verify(verifier, first) is verdict
    assert verify(verifier, second) is verify(verifier, second)
    assert verify(verifier, first) is not verdict


def test_a_bound_token_never_gets_in(api: Api) -> None:
    # RFC 7800: its proof would have to be looked at on every request.
    token = api.token(cnf={"jkt": "thumbprint"})
    api.verify(api.token())
    assert [api.refusal(token), api.refusal(token), kept(api)] == ["proof_not_supported", "proof_not_supported", 1]


def test_a_bound_token_is_refused_beside_its_twin_without_the_binding(api: Api) -> None:
    api.verify(api.token(jti="twin"))
    assert api.refusal(api.token(jti="twin", cnf={"x5t#S256": "x" * 43})) == "certificate_missing"


# The header


def test_a_rule_of_the_header_reads_nothing_but_header_and_policy() -> None:
    # So a header that has passed need not be judged again under the same policy.
    class Untouchable:
        def __getattr__(self, name: str) -> Any:
            raise AssertionError(f"a rule of the header reads {name}")

    token = UnverifiedToken(
        unverified_header={"alg": "ES256", "typ": "at+jwt", "kid": "1"},
        unverified_claims=cast("Any", Untouchable()),
        signing_input=b"",
        signature=b"",
    )
    policy = make_policy(issuer="https://issuer.test/", audience=("a",))
    header_rules = [rule for rule in RULES if rule.is_of_header]
    assert len(header_rules) == 4
    for rule in header_rules:
        rule.check(token, policy, cast("Any", Untouchable()))


def test_a_header_that_one_policy_admits_is_judged_by_the_next(api: Api) -> None:
    answers = {"policy": make_policy(issuer=api.issuer.issuer, audience=(api.issuer.audience,))}
    verifier = verifier_beside(api, policy_of=lambda _issuer: answers["policy"])
    for _ in range(3):  # the second reads the header that the first made known
        verify(verifier, api.token(jti=str(api.now)))
        api.now += 1
    answers["policy"] = replace(answers["policy"], algorithms=("ES384",))
    api.clock += 61
    with pytest.raises(InvalidToken) as refused:
        verify(verifier, api.token(jti="another"))
    assert refused.value.reason == "alg_not_allowed"
