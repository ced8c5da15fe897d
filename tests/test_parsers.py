"""No bytes make a parser raise anything but its own error, and what it accepts has one reading."""

import base64
import json
import math

import pytest
from hypothesis import given, strategies

from resource_server.errors import InvalidToken, Unavailable
from resource_server.tokens import jwt
from resource_server.tokens.http import Document, address_problem
from resource_server.tokens.issuer import metadata_urls, parse_metadata
from resource_server.tokens.keys import parse_key_set
from resource_server.tokens.policy import Policy
from resource_server.tokens.strict_json import parse_object

POLICY = Policy(issuer="https://issuer.test/", audience=("api",), token_types=("at+jwt", "jwt"))
values = strategies.recursive(
    strategies.none()
    | strategies.booleans()
    | strategies.integers()
    | strategies.floats()
    | strategies.text(max_size=20),
    lambda inner: (
        strategies.lists(inner, max_size=3) | strategies.dictionaries(strategies.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)
documents = strategies.binary(max_size=80) | values.map(lambda value: json.dumps(value).encode())
members = [
    "iss",
    "aud",
    "exp",
    "nbf",
    "iat",
    "sub",
    "jti",
    "scope",
    "scp",
    "client_id",
    "azp",
    "cnf",
    "typ",
    "nonce",
    "token_use",
]
claims = strategies.dictionaries(strategies.sampled_from(members), values | strategies.just("https://issuer.test/"))
headers = strategies.dictionaries(
    strategies.sampled_from(["alg", "typ", "kid", "crit", "b64", "zip", "jwk"]),
    values | strategies.sampled_from(["RS256", "JWT"]),
)


@given(documents)
def test_strict_json_accepts_only_what_every_parser_reads_alike(document):
    try:
        value = parse_object(document)
    except ValueError:
        return
    assert value == json.loads(document.decode())
    assert json.loads(json.dumps(value, allow_nan=False).encode()) == value


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"null",
        b"[]",
        b'"text"',
        b"1",
        b"{} {}",
        b"{",
        b'{"a":1,"a":1}',
        b'{"b":{"a":1,"\\u0061":2}}',
        b'{"a":NaN}',
        b'{"a":-Infinity}',
        b'{"a":1e309}',
        b'{"a":-1e999}',
        b'{"a":' + b"1" * 5000 + b"}",
        b'{"a":"\\ud800"}',
        b'{"a":"\\uDC00\\ud800"}',
        b'{"\\ud800":1}',
        b'{"a":"\xff"}',
        b'{"a":"\xed\xa0\x80"}',
        b"\xef\xbb\xbf{}",
        b'{"a":"\n"}',
        b'{"a":' + b"[" * 33 + b"]" * 33 + b"}",
        b'{"a":' * 100_000,
        b"{'a':1}",
        b'{"a":1,}',
    ],
    ids=range(25),
)
def test_strict_json_refuses(document):
    with pytest.raises(ValueError, match=r"JSON|deep"):
        parse_object(document)


@pytest.mark.parametrize(
    "document", [b"{}", b' {"a": [1, 1.5, null, true, "\\ud83d\\ude00"]}\n', b'{"a":' + b"[" * 20 + b"]" * 20 + b"}"]
)
def test_strict_json_accepts(document):
    assert parse_object(document) == json.loads(document)


@given(
    strategies.text(max_size=60)
    | strategies.lists(documents, min_size=3, max_size=3).map(lambda parts: ".".join(map(b64, parts)))
)
def test_parsing_a_token_raises_only_invalid_token(text):
    try:
        token = jwt.parse(text)
    except InvalidToken:
        return
    assert isinstance(token.unverified_header, dict)
    assert isinstance(token.unverified_claims, dict)


def b64(part):
    return base64.urlsafe_b64encode(part).rstrip(b"=").decode()


@given(headers, claims, strategies.floats(allow_nan=False, allow_infinity=False))
def test_judging_raises_only_invalid_token(header, claims, now):
    token = jwt.UnverifiedToken(unverified_header=header, unverified_claims=claims, signing_input=b"", signature=b"")
    try:
        jwt.judge(token, POLICY, now)
    except InvalidToken:
        return
    assert claims["iss"] == POLICY.issuer
    assert math.isfinite(claims["exp"])


jwk_members = strategies.dictionaries(
    strategies.sampled_from(["kty", "kid", "alg", "use", "key_ops", "n", "e", "crv", "x", "y", "d", "k"]),
    values | strategies.sampled_from(["RSA", "EC", "OKP", "P-256", "Ed25519", "AQAB", "sig", "RS256"]),
)


@given(strategies.dictionaries(strategies.just("keys"), values | strategies.lists(jwk_members, max_size=4)))
def test_no_key_set_raises_anything_but_value_error(document):
    try:
        keys = parse_key_set(document)
    except ValueError:
        return
    assert len(keys.keys) + len(keys.skipped) <= len(document["keys"])


@given(documents)
def test_no_metadata_raise_anything_but_unavailable(document):
    with pytest.raises(Unavailable):
        parse_metadata(Document(body=document), POLICY)


@given(strategies.text() | strategies.from_regex(r"(https?|file|ftp)://[ -~]{0,20}") | values, strategies.booleans())
def test_an_address_is_https_or_has_a_problem(address, loopback):
    problem = address_problem(address, http_on_loopback=loopback)

    if problem is None:
        assert address.startswith("https://") or (loopback and address.startswith("http://"))
        assert all(url.startswith(("https://", "http://")) for url in metadata_urls(address))
