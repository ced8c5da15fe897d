"""Each rule is needed: for every rule a token exists that this rule alone refuses, and that passes without the rule."""

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NoReturn

import pytest
from tests.tokens.conftest import Api

from resource_server.errors import InvalidToken
from resource_server.flow import run
from resource_server.reasons import TokenReason
from resource_server.testing import FakeIssuer
from resource_server.tokens import rules
from resource_server.tokens.authority import Verdict
from resource_server.tokens.credentials import Credentials
from resource_server.tokens.jws import parse
from resource_server.tokens.rules import RULES, Rule

OTHER_ISSUER = "https://other.test/"
LONG_KID = "k" * 513
REASONS = (Path(__file__).parents[2] / "docs" / "reasons.md").read_text(encoding="utf-8")


def publish_long_kid(api: Api) -> None:
    """Publish the issuer's key under the long name, so that the signature is valid but for the rule."""
    member = {**api.issuer.keys.jwks()["keys"][0], "kid": LONG_KID}
    api.issuer.documents[api.issuer.jwks_uri] = json.dumps({"keys": [member]}).encode()


def find_wrong_issuer(api: Api) -> None:
    """Let the look-up by `iss` find the wrong issuer's policy: the rule is what holds if the look-up errs."""
    listed = api.verifier._issuers._listed
    listed[OTHER_ISSUER] = listed[api.issuer.issuer]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A change to a good token, the policy that it is judged by, and the reason of the refusal. Dates are seconds from now."""

    reason: TokenReason
    header: Mapping[str, Any] = field(default_factory=dict)
    claims: Mapping[str, Any] = field(default_factory=dict)
    dates: Mapping[str, int] = field(default_factory=dict)
    policy: Mapping[str, Any] = field(default_factory=dict)
    prepare: Callable[[Api], None] = lambda api: None

    def token(self, issuer: FakeIssuer, now: float) -> str:
        dates: dict[str, Any] = {name: int(now) + seconds for name, seconds in self.dates.items()}
        return issuer.token(header=self.header, **self.claims, **dates)


ROWS = {
    "header extensions": Row(reason=TokenReason.HEADER_NOT_SUPPORTED, header={"crit": ["exp"]}),
    "algorithm": Row(reason=TokenReason.ALG_NOT_ALLOWED, policy={"algorithms": ("RS256",)}),
    "token type": Row(reason=TokenReason.TYP_NOT_ACCEPTED, header={"typ": "JWT"}),
    "key identifier": Row(reason=TokenReason.KID_MALFORMED, header={"kid": LONG_KID}, prepare=publish_long_kid),
    "issuer": Row(reason=TokenReason.ISSUER_NOT_TRUSTED, claims={"iss": OTHER_ISSUER}, prepare=find_wrong_issuer),
    "expiry": Row(reason=TokenReason.TOKEN_EXPIRED, dates={"exp": -60}),
    "not before": Row(reason=TokenReason.TOKEN_NOT_YET_VALID, dates={"nbf": 60}),
    "issued at": Row(reason=TokenReason.TOKEN_ISSUED_IN_FUTURE, dates={"iat": 60}),
    "audience": Row(reason=TokenReason.AUDIENCE_NOT_ACCEPTED, claims={"aud": "https://other.test/"}),
    "subject": Row(reason=TokenReason.SUB_MALFORMED, claims={"sub": ""}),
    "client": Row(reason=TokenReason.CLIENT_ID_MALFORMED, claims={"client_id": ""}),
    "scope": Row(reason=TokenReason.SCOPE_MALFORMED, claims={"scope": ["read", 1]}),
    "kind of token": Row(
        reason=TokenReason.NOT_AN_ACCESS_TOKEN,
        header={"typ": "JWT"},
        claims={"nonce": "of an ID token"},
        policy={"token_types": ("at+jwt", "jwt")},
    ),
    "confirmation": Row(reason=TokenReason.PROOF_NOT_SUPPORTED, claims={"cnf": {"jkt": "a key's thumbprint"}}),
}


@pytest.fixture(params=RULES, ids=lambda rule: rule.name)
def rule(request: pytest.FixtureRequest) -> Rule:
    rule: Rule = request.param
    return rule


@pytest.fixture
def row(rule: Rule) -> Row:
    assert rule.name in ROWS, "a new rule needs a token that it alone refuses"
    return ROWS[rule.name]


@pytest.fixture
def api(new_api: type[Api], row: Row) -> Api:
    api = new_api("ES256", **row.policy)
    row.prepare(api)
    return api


@pytest.fixture
def token(api: Api, row: Row) -> str:
    return row.token(api.issuer, api.now)


def verdict(api: Api, token: str) -> Verdict:
    """The verdict of the issuer's keys. The proof of a bound token is another step, which follows it."""
    return run(api.verifier._jwt.verify(Credentials(unverified_token=token), api.now))


def refused_by(api: Api, token: str) -> dict[str, str]:
    """The name of each rule that refuses the token, and its reason."""
    found: dict[str, str] = {}
    for rule in RULES:
        try:
            rule.check(parse(token), api.verifier.issuers[0].policy, api.now)
        except InvalidToken as error:
            found[rule.name] = error.reason
    return found


def test_one_rule_alone_refuses_its_token(api: Api, token: str, rule: Rule, row: Row) -> None:
    assert refused_by(api, token) == {rule.name: row.reason}


def test_the_verifier_refuses_it_for_this_reason_and_fetches_nothing(api: Api, token: str, row: Row) -> None:
    assert api.refusal(token) == row.reason
    assert api.issuer.fetched == []


def test_without_the_rule_the_signed_token_passes(
    api: Api, token: str, rule: Rule, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("_HEADER_CHECKS", "_CLAIM_CHECKS"):
        others = tuple(check for check in getattr(rules, name) if check is not rule.check)
        monkeypatch.setattr(rules, name, others)
    assert verdict(api, token).token.plain_claims() == parse(token).unverified_claims


@pytest.mark.parametrize("token_types", [("at+jwt",), ("at+jwt", "jwt")])
def test_no_rule_refuses_the_good_token(new_api: type[Api], token_types: tuple[str, ...]) -> None:
    api = new_api("ES256", token_types=token_types)
    assert refused_by(api, api.token()) == {}
    assert verdict(api, api.token()).token.subject == "auth0|ada"


def test_judging_runs_the_checks_of_the_one_list_in_its_order() -> None:
    assert tuple(rule.check for rule in RULES) == rules._HEADER_CHECKS + rules._CLAIM_CHECKS


class Unread(dict[str, Any]):
    """Claims that a rule must not read."""

    def _refuse(self, *_: object) -> NoReturn:
        raise AssertionError("the rule has read the claims")

    __contains__ = __getitem__ = __iter__ = get = keys = items = values = _refuse


def test_a_rule_of_the_header_judges_the_header_alone(api: Api, token: str, rule: Rule, row: Row) -> None:
    # It does not run again for a header that has passed, whatever the claims and the time are then.
    parsed, policy = replace(parse(token), unverified_claims=Unread()), api.verifier.issuers[0].policy
    if rule.is_of_header:
        with pytest.raises(InvalidToken) as caught:
            rule.check(parsed, policy, math.nan)
        assert caught.value.reason == row.reason
    else:
        with pytest.raises(AssertionError, match="the rule has read the claims"):
            rule.check(parsed, policy, api.now)


def test_each_row_is_of_a_rule_and_names_are_unique() -> None:
    names = [rule.name for rule in RULES]
    assert len(set(names)) == len(names)
    assert set(ROWS) == set(names)


def test_each_rule_cites_a_section_of_an_rfc(rule: Rule) -> None:
    first, *others = rule.source.split(", ")
    assert re.fullmatch(r"RFC \d{4} section \d+(\.\d+)*", first)
    assert all(re.fullmatch(r"RFC \d{4}( section \d+(\.\d+)*)?", other) for other in others)


def test_the_reason_of_each_rule_is_documented(row: Row) -> None:
    assert f"`{row.reason}`" in REASONS
    assert row.reason.message
    assert row.reason.remedy
