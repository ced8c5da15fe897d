"""Whatever text, bytes or JSON a parser is given, it answers or raises the one error that it promises."""

import base64
import json
import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.policies import policy as make_policy

from resource_server.conf.problems import Problem
from resource_server.conf.project import Config
from resource_server.conf.project import parse as parse_settings
from resource_server.conf.providers import auth0_issuer
from resource_server.devissuer.signing import SigningKeys
from resource_server.errors import InvalidToken, Unavailable
from resource_server.keys.addresses import address_problem, name_problem
from resource_server.keys.document import Document
from resource_server.keys.key_set import KeySet, parse_key_set
from resource_server.keys.metadata import parse_metadata
from resource_server.strict_json import MAX_DEPTH, parse_object
from resource_server.tokens.access_token import AccessToken, access_token
from resource_server.tokens.jws import UnverifiedToken, parse, verify_signature
from resource_server.tokens.policy import ClaimNames, media_type
from resource_server.tokens.rules import claimed_issuer, judge

NOW = 1_800_000_000
KEYS = SigningKeys("ES256")
POLICY = make_policy(issuer="https://issuer.test/", audience=("https://api.test/",), token_types=("at+jwt", "jwt"))
GOOD_HEADER = {"alg": "ES256", "kid": KEYS.current_kid, "typ": "at+jwt"}
GOOD_CLAIMS = {"iss": POLICY.issuer, "aud": "https://api.test/", "sub": "ada", "exp": NOW + 60, "scope": "read"}


def scalars() -> st.SearchStrategy[Any]:
    return (
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats()
        | st.text(max_size=8)
        | st.sampled_from([NOW, NOW + 60, 2**64, -1, 1e308, "", "at+jwt", "JWT", "ES256", "none", "https://api.test/"])
    )


def values() -> st.SearchStrategy[Any]:
    return st.recursive(
        scalars(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
        max_leaves=8,
    )


def altered(good: dict[str, Any], *names: str) -> st.SearchStrategy[dict[str, Any]]:
    """The good document with some members changed, some missing and some more."""
    changes = st.dictionaries(st.sampled_from([*good, *names]) | st.text(max_size=5), values(), max_size=3)
    missing = st.lists(st.sampled_from([*good]), max_size=1)
    return st.builds(
        lambda more, less: {name: value for name, value in {**good, **more}.items() if name not in less},
        changes,
        missing,
    )


def attempt(error: type[Exception], call: Callable[..., Any], *arguments: Any, **named: Any) -> tuple[Any, Any]:
    """What a call gives, and the error of this one kind that it raises instead; any other is the test's failure."""
    try:
        return call(*arguments, **named), None
    except error as raised:
        return None, raised


# strict_json


def almost_json() -> st.SearchStrategy[bytes]:
    """JSON of all spellings, and with a piece out of place."""
    dumped = st.builds(
        lambda value, indent, ascii_: json.dumps(value, indent=indent, ensure_ascii=ascii_).encode(
            "utf-8", "surrogatepass"
        ),
        values() | st.dictionaries(st.text(max_size=4), values(), max_size=4),
        st.sampled_from([None, 0, 1]),
        st.booleans(),
    )
    pieces = st.sampled_from(
        [b"{", b"}", b"[", b"]", b",", b":", b'"', b"\\", b"\\u", b"\\ud800", b"\xff", b"\xef\xbb\xbf", b"NaN", b"1e999", b"0", b" ", b"\x00"]
    )  # fmt: skip

    def insert(document: bytes, position: int, piece: bytes) -> bytes:
        position %= len(document) + 1
        return document[:position] + piece + document[position:]

    return dumped | st.builds(insert, dumped, st.integers(0, 1000), pieces)


def pairs_of(document: bytes) -> list[list[tuple[str, Any]]]:
    """The members of every object in a document, as they stand."""
    found: list[list[tuple[str, Any]]] = []

    def collect(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found.append(pairs)
        return dict(pairs)

    json.loads(document, object_pairs_hook=collect)
    return found


def depth_of(value: object) -> int:
    """How many objects and lists stand within one another."""
    if not isinstance(value, dict | list):
        return 0
    children = value.values() if isinstance(value, dict) else value
    return 1 + max(map(depth_of, children), default=0)


def all_numbers(value: object) -> list[float]:
    if isinstance(value, float):
        return [value]
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [number for child in children for number in all_numbers(child)]


@given(almost_json() | st.binary() | st.text().map(lambda text: text.encode("utf-8", "surrogatepass")))
@example(b'{"a":1,"a":1}')
@example(b'{"a":{"b":[{"c":1,"\\u0063":2}]}}')
@example(b'{"a":NaN}')
@example(b'{"a":1e400}')
@example(b'{"a":[{"b":-1E+400}]}')
@example(b'{"a":1.5e0400}')
@example(b'{"a":0.000e99}')
@example(b'{"a":"1e400 and 3e5"}')
@example(b'{"a":' + b"7" * 310 + b".5}")
@example(b'{"\\ud800":1}')
@example(b'{"a":"\\ud83d\\ude00"}')
@example(b'{"a":"\\\\ud800"}')
@example(b"[" * 100_000)
@example(b'{"a":' * 100_000)
@example(b'{"a":' + b"9" * 100_000 + b"}")
@example("\ufeff{}".encode())
@settings(max_examples=400)
def test_what_strict_json_accepts_everybody_reads_alike(document: bytes) -> None:
    value, error = attempt(ValueError, parse_object, document)
    if error:
        # The message may reach a log; nothing of the document does.
        assert str(error) in {"not one well-formed JSON value", "not a JSON object", "nested too deeply"}
        assert error.__suppress_context__ or error.__context__ is None
        return
    assert isinstance(value, dict)
    assert value == json.loads(document)
    assert all(len({name for name, _ in pairs}) == len(pairs) for pairs in pairs_of(document))
    assert all(math.isfinite(number) for number in all_numbers(value))
    assert depth_of(value) <= MAX_DEPTH
    json.dumps(value, ensure_ascii=False, allow_nan=False).encode("utf-8")


def finite(value: Any) -> bool:
    return all(map(math.isfinite, all_numbers(value)))


@given(st.dictionaries(st.text(max_size=4), values(), max_size=4).filter(finite), st.booleans())
def test_strict_json_accepts_what_json_writes(value: dict[str, Any], ascii_only: bool) -> None:
    # The strictness costs no honest issuer anything.
    document = json.dumps(value, ensure_ascii=ascii_only).encode()
    assert parse_object(document) == value


@pytest.mark.parametrize("opener", ["[", '{"a":'])
def test_nesting_is_counted_to_the_level(opener: str) -> None:
    closer = "]" if opener == "[" else "}"

    def nested(levels: int, value: str) -> bytes:
        inner = levels - 1  # beside the object around it
        return f'{{"x":{opener * inner}{value}{closer * inner},"beside":[[],{{}}]}}'.encode()

    for value in ("1", '"a"', "null"):
        assert depth_of(parse_object(nested(MAX_DEPTH, value))) == MAX_DEPTH
        with pytest.raises(ValueError, match="nested too deeply"):
            parse_object(nested(MAX_DEPTH + 1, value))


def test_brackets_within_text_are_no_nesting() -> None:
    assert parse_object(json.dumps({"x": "[" * 100}).encode()) == {"x": "[" * 100}


# jwt


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def segments() -> st.SearchStrategy[str]:
    return (
        st.binary(max_size=20).map(b64)
        | almost_json().map(b64)
        | st.text(st.sampled_from("eyJ0-_+/=~.AQ \n\u00e9"), max_size=12)
        | st.text(max_size=5)
    )


@given(st.text() | st.lists(segments(), min_size=1, max_size=6).map(".".join))
@example("e30.e30.")
@example("..")
@settings(max_examples=400)
def test_any_text_is_an_unverified_token_or_an_invalid_one(text: str) -> None:
    token, error = attempt(InvalidToken, parse, text)
    if error:
        assert error.reason in {"token_malformed", "token_encrypted", "header_malformed", "payload_malformed"}
        return
    # There is one spelling of what was read.
    signing_input, _, signature = text.rpartition(".")
    assert token.signing_input.decode() == signing_input
    assert b64(token.signature) == signature
    header, payload = (json.loads(base64.urlsafe_b64decode(part + "==")) for part in signing_input.split("."))
    assert (token.unverified_header, token.unverified_claims) == (header, payload)


def unverified(header: dict[str, Any], claims: dict[str, Any], signature: bytes = b"") -> UnverifiedToken:
    return UnverifiedToken(unverified_header=header, unverified_claims=claims, signing_input=b"", signature=signature)


NAMES = ("nbf", "iat", "jti", "client_id", "azp", "scp", "cnf", "nonce", "typ", "token_use", "events")


@given(altered(GOOD_HEADER, "crit", "b64", "zip", "jwk"), altered(GOOD_CLAIMS, *NAMES))
@settings(max_examples=600)
def test_any_header_and_claims_are_accepted_or_an_invalid_token(header: dict[str, Any], claims: dict[str, Any]) -> None:
    token = unverified(header, claims)
    try:
        judge(token, POLICY, NOW)
    except InvalidToken:
        return
    assert header["alg"] in POLICY.algorithms
    assert not {"crit", "b64", "zip"} & set(header)
    assert claims["iss"] == POLICY.issuer
    assert "https://api.test/" in ([claims["aud"]] if isinstance(claims["aud"], str) else claims["aud"])
    assert type(claims["exp"]) in (int, float)
    assert claims["exp"] + POLICY.clock_skew_seconds > NOW
    assert isinstance(claims["sub"], str)
    assert claims["sub"].isprintable() or 0 < len(claims["sub"]) <= 255
    assert "cnf" not in claims
    # What follows never fails, however odd the claims that nobody judges are.
    made = access_token(claims)
    assert isinstance(made, AccessToken)
    assert made.audience
    assert "" not in made.scopes
    assert made.is_machine in (True, False)
    assert len(made.identity) == 64


RENAMED = ClaimNames(subject="uid", audience="for", scope=("may", "can"), client_id=("by",))
RENAMED_POLICY = make_policy(
    issuer=POLICY.issuer, audience=POLICY.audience, token_types=("at+jwt", "jwt"), claim_names=RENAMED
)
RENAMED_CLAIMS = {"iss": POLICY.issuer, "for": "https://api.test/", "uid": "ada", "exp": NOW + 60, "may": ["read"]}


@given(altered(RENAMED_CLAIMS, "sub", "aud", "scope", "client_id", "can", "by"))
@settings(max_examples=400)
def test_any_claims_under_other_names_are_accepted_or_an_invalid_token(claims: dict[str, Any]) -> None:
    _, error = attempt(InvalidToken, judge, unverified(GOOD_HEADER, claims), RENAMED_POLICY, NOW)
    if error:
        return
    assert "https://api.test/" in ([claims["for"]] if isinstance(claims["for"], str) else claims["for"])
    made = access_token(claims, RENAMED)
    assert made.subject == claims["uid"]
    assert made.client_id == claims.get("by")
    assert made.is_machine in (True, False)
    assert set(made.claims) == set(claims)


def test_the_good_token_of_the_property_above_is_good() -> None:
    judge(unverified(GOOD_HEADER, GOOD_CLAIMS), POLICY, NOW)


@given(altered(GOOD_HEADER), altered(GOOD_CLAIMS))
def test_any_json_has_an_issuer_or_is_an_invalid_token(header: dict[str, Any], claims: dict[str, Any]) -> None:
    issuer, error = attempt(InvalidToken, claimed_issuer, unverified(header, claims))
    if error:
        assert error.reason in {"iss_missing", "iss_malformed"}
    else:
        assert issuer == claims["iss"]


@given(st.binary(max_size=80), st.sampled_from(["RS256", "PS512", "ES256", "ES512", "EdDSA", "Ed25519"]))
def test_no_bytes_are_a_signature(signature: bytes, algorithm: str) -> None:
    # Also where the algorithm does not fit the key: the binding is above this step, and this step still never accepts.
    keys = parse_key_set(KEYS.jwks())
    with pytest.raises(InvalidToken) as caught:
        verify_signature(unverified({"alg": algorithm}, {}, signature), keys.keys)
    assert caught.value.reason == "signature_invalid"


@given(st.text())
def test_a_media_type_is_compared_in_one_form(typ: str) -> None:
    form = media_type(typ)
    assert media_type(form) == form
    if typ.isascii():  # as media types are (RFC 6838 section 4.2)
        assert media_type(typ.upper()) == form
    if "/" not in typ:
        assert media_type(f"application/{typ}") == form


# keys


JWK = KEYS.jwks()["keys"][0]
MEMBERS = ("d", "n", "e", "key_ops", "x5c", "k")


def jwks() -> st.SearchStrategy[dict[str, Any]]:
    kinds = st.sampled_from(["RSA", "EC", "OKP", "oct", "rsa"]).map(lambda kty: {"kty": kty})
    return st.builds(lambda jwk, kind: {**jwk, **kind}, altered(JWK, *MEMBERS), kinds | st.just({}))


@given(
    st.dictionaries(st.just("keys") | st.text(max_size=4), values(), max_size=2)
    | st.lists(jwks() | values(), max_size=4).map(lambda members: {"keys": members})
)
@settings(max_examples=400)
def test_any_document_is_a_key_set_or_a_value_error(document: dict[str, Any]) -> None:
    keys, error = attempt(ValueError, parse_key_set, document)
    if error:
        assert str(error) == "keys is not a list of at most 100 keys"
        return
    assert isinstance(keys, KeySet)
    assert len(keys.keys) + len(keys.skipped) <= len(document["keys"])
    for key in keys.keys:
        assert key.kid is None or isinstance(key.kid, str)
        assert key.algorithms <= {"ES256", "EdDSA", "Ed25519"}
        assert set(key.verifications) == key.algorithms
        assert all(key in keys.candidates(key.kid, algorithm) for algorithm in key.algorithms)


# issuer


@given(
    st.binary()
    | almost_json()
    | altered({"issuer": POLICY.issuer, "jwks_uri": "https://issuer.test/jwks.json"}).map(
        lambda document: json.dumps(document).encode()
    )
)
@settings(max_examples=300)
def test_any_document_is_metadata_of_this_issuer_or_unavailable(body: bytes) -> None:
    metadata, error = attempt(Unavailable, parse_metadata, Document(body=body), POLICY.key_source)
    if error:
        assert error.reason in {"document_malformed", "metadata_issuer_mismatch", "address_not_allowed"}
        return
    assert metadata["issuer"] == POLICY.issuer
    assert metadata["jwks_uri"].startswith("https://")


# settings

GOOD_SETTINGS: dict[str, Any] = {"ISSUER": "https://issuer.test/", "AUDIENCE": "https://api.test/"}
SETTINGS = ("ALGORITHMS", "TOKEN_TYPE", "JWKS_URI", "JWKS", "CLOCK_SKEW_SECONDS", "REALM", "USERS", "AUTH0_DOMAIN")


@given(values() | altered(GOOD_SETTINGS, *SETTINGS) | st.dictionaries(scalars(), scalars(), max_size=3), st.booleans())
@example({**GOOD_SETTINGS, "JWKS": {"keys": [JWK]}}, False)
@example({**GOOD_SETTINGS, "JWKS": {"keys": [{**JWK, "kid": "\ud800"}]}}, False)
@example({**GOOD_SETTINGS, "AUDIENCE": {"a", "b"}, "ALGORITHMS": ("ES256",), "TOKEN_TYPE": ["JWT", "at+jwt"]}, True)
@example({**GOOD_SETTINGS, "AUDIENCE": b"bytes", "ISSUER": object(), "REALM": object(), "USERS": 1}, True)
@settings(max_examples=300)
def test_any_settings_are_a_config_or_problems_that_say_what_to_write(value: Any, debug: bool) -> None:
    config, problems = parse_settings(value, debug=debug)
    assert (config is None) == bool(problems)
    for problem in problems:
        assert isinstance(problem, Problem)
        assert problem.id
        assert problem.key
        assert problem.message
        assert problem.hint
    if config is not None:
        assert isinstance(config, Config)
        (policy,) = config.policies
        if policy.key_source.jwks_uri is None and policy.key_source.key_set is None:
            assert address_problem(policy.issuer, http_on_loopback=debug) is None
        assert name_problem(policy.issuer) is None
        assert policy.audience
        assert policy.algorithms
        assert set(policy.token_types) <= {"at+jwt", "jwt"}
        assert 0 <= policy.clock_skew_seconds <= 300


AUTH0 = {
    "tenant.eu.auth0.com": "https://tenant.eu.auth0.com/",
    "https://tenant.eu.auth0.com": "https://tenant.eu.auth0.com/",
    "https://tenant.eu.auth0.com/": "https://tenant.eu.auth0.com/",
    " Tenant.EU.auth0.com ": "https://tenant.eu.auth0.com/",
    "login.example.com": "https://login.example.com/",
    "localhost:3000": "https://localhost:3000/",
}


@pytest.mark.parametrize(("domain", "issuer"), AUTH0.items())
def test_an_auth0_domain_is_an_issuer(domain: str, issuer: str) -> None:
    assert auth0_issuer(domain) == issuer


@pytest.mark.parametrize(
    "domain",
    ["", " ", "/", "https://", "http://tenant.eu.auth0.com", "tenant.eu.auth0.com/path", "user@tenant", "a b", "a?b", "a#b", ".a",
     "-a", "tenant:port", "tenant:", "tenant:1:2", "https://https://tenant", "tenant\n.com", "tenant.eu.auth0.com//", "t\u00e9nant"],
)  # fmt: skip
def test_what_is_no_domain_is_a_value_error(domain: str) -> None:
    with pytest.raises(ValueError, match="not an Auth0 domain"):
        auth0_issuer(domain)


@given(
    st.text()
    | st.from_regex(r"(https://)?[a-zA-Z0-9.:-]{1,20}/?", fullmatch=True)
    | st.from_regex(r"[a-z]+:\d{1,5}", fullmatch=True)
)
def test_any_text_is_an_https_issuer_or_a_value_error(domain: str) -> None:
    try:
        issuer = auth0_issuer(domain)
    except ValueError:
        return
    assert issuer.startswith("https://")
    assert issuer.endswith("/")
    assert issuer.count("/") == 3
    assert address_problem(issuer, http_on_loopback=False) is None
