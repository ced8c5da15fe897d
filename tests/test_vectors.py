"""Public vectors (Wycheproof, RFC 7520), read where they are present; RESOURCE_SERVER_VECTORS names the folder."""

import json
import os
from pathlib import Path

import pytest
from tests.policies import policy as make_policy

from resource_server.errors import InvalidToken, Rejected
from resource_server.flow import run
from resource_server.keys.key_set import parse_key_set
from resource_server.strict_json import parse_object
from resource_server.testing import FakeIssuer
from resource_server.tokens import jws
from resource_server.tokens.credentials import parse_authorization
from resource_server.tokens.policy import ALGORITHMS
from resource_server.tokens.rules import RULES
from resource_server.tokens.verifier import Verifier

FOLDER = Path(os.environ.get("RESOURCE_SERVER_VECTORS") or Path(__file__).parents[2] / "shared" / "vectors")
NAMES = ("wycheproof_jose.json", "wycheproof_public_keys.json", "ietf_jose_cookbook.json")

pytestmark = pytest.mark.skipif(
    not all((FOLDER / name).exists() for name in NAMES),
    reason="no public vectors beside the project (RESOURCE_SERVER_VECTORS)",
)

# A modulus whose primes were badly made (ROCA) cannot be told from another by verifying with it: the issuer's keys are trusted.
NOT_DETECTED = {"jws_rsa_roca_key"}
HEADER_RULES = [
    rule for rule in RULES if rule.name in {"header extensions", "algorithm", "token type", "key identifier"}
]
POLICY = make_policy(issuer="https://issuer.test/", audience=("x",), token_types=("jwt",))


def load(name):
    return json.loads((FOLDER / name).read_text(encoding="utf-8"))


def decode(part):
    """The bytes of one part of a token, as `jws.parse` reads it. Raises ValueError."""
    return jws._decode(part.encode("ascii").translate(jws._TO_BASE64))


def verify(compact, keys):
    """The steps of a token, for payloads that are no claims. Raises InvalidToken."""
    parts = compact.split(".")
    if len(parts) != 3:
        raise InvalidToken("token_malformed")
    try:
        decoded = [decode(part) for part in parts]
        header = parse_object(decoded[0])
    except ValueError:
        raise InvalidToken("token_malformed") from None
    token = jws.UnverifiedToken(
        unverified_header=header,
        unverified_claims={},
        signing_input=compact.rpartition(".")[0].encode(),
        signature=decoded[2],
    )
    for rule in HEADER_RULES:
        rule.check(token, POLICY, 0.0)
    jws.verify_signature(token, keys.candidates(header.get("kid"), header["alg"]))


def header_of(compact):
    try:
        return parse_object(decode(compact.split(".")[0]))
    except ValueError:
        return {}


def test_wycheproof_signatures():
    keys = parse_key_set(load("wycheproof_public_keys.json"))
    rows = [
        row
        for group in ("json_web_signature_test", "json_web_key_test")
        for row in load("wycheproof_jose.json")["rows"][group]
    ]
    known = {key.kid for key in keys.keys}
    wrong, verified = [], 0
    for number, group, comment, result, compact in rows:
        if group in NOT_DETECTED:
            continue
        try:
            verify(compact, keys)
        except InvalidToken:
            accepted = False
        else:
            accepted = True
        header = header_of(compact)
        # Valid with a key or an algorithm that we have; others (HS256, stray characters that are ignored) we refuse.
        expected = result == "valid" and header.get("alg") in ALGORITHMS and header.get("kid") in known
        verified += accepted
        if accepted != expected:
            wrong.append((number, group, comment, result))
    assert wrong == []
    assert verified >= 28


def test_the_keys_of_wycheproof_that_are_too_weak_are_not_taken():
    document = load("wycheproof_public_keys.json")
    taken = {key.kid for key in parse_key_set(document).keys}

    assert {key["kid"] for key in document["keys"]} - taken == {"RS256_1024"}


def forms():
    if not all((FOLDER / name).exists() for name in NAMES):
        return []
    rows = [(f"{name} {form}", text) for name, form, text in load("ietf_jose_cookbook.json")["rows"]]
    rows += [
        (f"{group} {row[0]}", row[4])
        for group, group_rows in load("wycheproof_jose.json")["rows"].items()
        for row in group_rows
    ]
    return rows


def test_no_vector_is_an_access_token_and_none_raises_anything_else():
    issuer = FakeIssuer()
    verifier = Verifier([POLICY], fetch=issuer.fetch)
    accepted = []
    for name, text in forms():
        try:
            credentials = parse_authorization(f"Bearer {text}")
            run(verifier.verify(credentials))
        except Rejected:
            continue
        accepted.append(name)
    assert accepted == []
    assert issuer.fetched == []
