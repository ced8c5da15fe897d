"""A header that was read before is not read again, and for all that no token is judged by another's header."""

import base64
import hmac
import json
import sys
import threading
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

import pytest
from tests.tokens.conftest import Api

from resource_server.devissuer.signing import SigningKeys
from resource_server.errors import InvalidToken
from resource_server.keys.key_set import VerificationKey, parse_secret
from resource_server.tokens import jws as jwt
from resource_server.tokens.jws import MAX_KNOWN_HEADER_CHARACTERS, MAX_KNOWN_HEADERS, parse, verify_signature

# Header segments in the alphabet of base64, and the headers in them.
KnownHeaders: TypeAlias = dict[bytes, Mapping[str, Any]]
SECRET = b"a secret that is made up for these tests"


@pytest.fixture(autouse=True)
def known() -> Iterator[KnownHeaders]:
    """The headers that are known, none at first."""
    jwt._known_headers.clear()
    yield jwt._known_headers
    jwt._known_headers.clear()


@pytest.fixture
def api(new_api: type[Api]) -> Api:
    return new_api("ES256", token_types=("at+jwt",))


def name(segment: str) -> bytes:
    """What a header segment is known by."""
    return segment.replace("-", "+").replace("_", "/").encode()


def segment(header: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(header).encode()).rstrip(b"=").decode()


def mac_token(header: str) -> str:
    """A token with this header segment and no claims, signed with the secret."""
    mac = hmac.digest(SECRET, f"{header}.e30".encode(), "sha256")
    return f"{header}.e30.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"


def accept(header: str) -> None:
    token = parse(mac_token(header))
    verify_signature(token, parse_secret(SECRET).keys)


def test_a_header_is_known_when_its_signature_was_verified(api: Api, known: KnownHeaders) -> None:
    token = api.token()
    api.verify(token)
    (read,) = known.values()
    assert known.keys() == {name(token.partition(".")[0])}
    assert parse(token).unverified_header is read
    assert parse(api.token(sub="another")).unverified_header is read
    with pytest.raises(TypeError):
        parse(token).unverified_header["alg"] = "none"  # type: ignore[index]


def test_nobody_without_a_key_makes_a_header_known(api: Api, known: KnownHeaders) -> None:
    api.verify(api.token())
    before = dict(known)
    stranger = SigningKeys("ES256")
    kid = api.issuer.keys.current_kid
    for number in range(50):
        header = {"kid": kid, "note": number}
        assert api.refusal(stranger.sign(api.issuer.claims(), header=header)) == "signature_invalid"
        assert api.refusal(stranger.sign(api.issuer.claims(), header={"kid": str(number)})) == "key_unknown"
        assert api.refusal(api.token(header={"alg": "none", "note": number})) == "alg_not_allowed"
    assert known == before


def test_tokens_with_one_payload_and_two_headers_are_judged_apart(api: Api) -> None:
    good, kid = api.token(), api.issuer.keys.current_kid
    _, payload, signature = good.split(".")
    api.verify(good)
    for header, reason in (
        ({"alg": "ES256", "kid": kid, "typ": "JWT"}, "typ_not_accepted"),
        ({"alg": "none", "kid": kid, "typ": "at+jwt"}, "alg_not_allowed"),
        ({"alg": "HS256", "kid": kid, "typ": "at+jwt"}, "alg_not_allowed"),
        ({"alg": "ES256", "kid": kid, "typ": "at+jwt", "crit": ["exp"]}, "header_not_supported"),
        ({"alg": "ES256", "kid": 1, "typ": "at+jwt"}, "kid_malformed"),
        ({"alg": "ES256", "kid": "another", "typ": "at+jwt"}, "key_unknown"),
        ({"alg": "ES256", "kid": kid, "typ": "at+jwt", "x": 1}, "signature_invalid"),
    ):
        for _ in range(2):
            assert api.refusal(f"{segment(header)}.{payload}.{signature}") == reason
            api.verify(good)


def test_what_one_policy_accepted_another_still_refuses(new_api: type[Api], api: Api) -> None:
    # The header is shared, its judgement is not.
    other = new_api("ES256", token_types=("jwt",))
    third = new_api("ES256", algorithms=("RS256",))
    token = api.token()
    for _ in range(2):
        api.verify(token)
        assert other.refusal(token) == "typ_not_accepted"
        assert third.refusal(token) == "alg_not_allowed"


def test_a_signed_header_that_is_refused_stays_refused(api: Api, known: KnownHeaders) -> None:
    for header, reason in (
        ({"typ": "JWT"}, "typ_not_accepted"),
        ({"crit": ["exp"]}, "header_not_supported"),
        ({"zip": "DEF"}, "header_not_supported"),
    ):
        token = api.token(header=header)
        # Even where somebody verifies before judging.
        verify_signature(parse(token), _keys(api))
        assert name(token.partition(".")[0]) in known
        for _ in range(2):
            assert api.refusal(token) == reason


def _keys(api: Api) -> tuple[VerificationKey, ...]:
    api.verify(api.token())
    assert api.keys.trusted is not None
    return api.keys.trusted.keys.keys


def test_a_known_header_does_not_spare_the_signature(api: Api) -> None:
    token = api.token()
    api.verify(token)
    signing_input, _, signature = token.rpartition(".")
    flipped = ("B" if signature[0] == "A" else "A") + signature[1:]
    assert api.refusal(f"{signing_input}.{flipped}") == "signature_invalid"
    assert api.refusal(f"{api.token(sub='admin').rpartition('.')[0]}.{signature}") == "signature_invalid"


@pytest.mark.parametrize("piece", ["=", "+", "/", "!", " ", "\n"])
def test_another_spelling_of_a_known_header_is_malformed(api: Api, piece: str) -> None:
    token = api.token()
    api.verify(token)
    header, _, rest = token.partition(".")
    for spelling in (header + piece, piece + header, header[:5] + piece + header[5:]):
        with pytest.raises(InvalidToken) as caught:
            parse(f"{spelling}.{rest}")
        assert caught.value.reason == "token_malformed"


def test_ten_thousand_headers_take_no_more_room_than_the_limit(known: KnownHeaders) -> None:
    largest = 0
    for number in range(10_000):
        accept(segment({"alg": "HS256", "kid": str(number)}))
        largest = max(largest, len(known))
    assert largest == MAX_KNOWN_HEADERS
    accept(segment({"alg": "HS256", "kid": "0"}))
    assert name(segment({"alg": "HS256", "kid": "0"})) in known


def test_a_long_header_is_read_each_time(known: KnownHeaders) -> None:
    for filler in range(MAX_KNOWN_HEADER_CHARACTERS):
        header = segment({"alg": "HS256", "x": "x" * filler})
        accept(header)
        assert (name(header) in known) == (len(header) <= MAX_KNOWN_HEADER_CHARACTERS)


def test_threads_share_the_known_headers(known: KnownHeaders) -> None:
    failures: list[BaseException] = []

    def work(offset: int) -> None:
        try:
            for number in range(1_500):
                accept(segment({"alg": "HS256", "kid": str((number + offset) % 5_000)}))
        except BaseException as error:  # noqa: BLE001 - looked at below
            failures.append(error)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=work, args=(offset * 700,)) for offset in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert failures == []
    # Each thread may add one that another has made room for.
    assert len(known) <= MAX_KNOWN_HEADERS + 4
