"""Proofs against RFC 9449: its own examples, and each check of section 4.3 broken one at a time."""

import base64
import json

import pytest
from joserfc.jwk import ECKey, OctKey, RSAKey
from joserfc.jws import JWSRegistry

from resource_server.errors import InvalidProof, InvalidToken
from resource_server.testing import ProofKey
from resource_server.tokens.dpop import DPOP_ALGORITHMS, ProofKeys
from resource_server.tokens.verified_tokens import digest

NOW = 1_800_000_000
URL = "https://api.test/things/1"
TOKEN = "a.b.c"
KEY = ProofKey(now=lambda: NOW)
OTHER = ProofKey(now=lambda: NOW)
THUMBPRINT = KEY.confirmation["jkt"]

# RFC 9449 section 7.1, figure 13, and the thumbprint of section 6.1, figure 8.
RFC_TOKEN = "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU"
RFC_HEADER = (
    "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVF"
    "VZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19"
)
RFC_PROOF = (
    f"{RFC_HEADER}.eyJqdGkiOiJlMWozVl9iS2ljOC1MQUVCIiwiaHRtIjoiR0VUIiwiaHR1IjoiaHR0cHM6Ly9yZXNvdXJjZS5leGFtcGxlLm9yZy9wcm90ZWN0"
    "ZWRyZXNvdXJjZSIsImlhdCI6MTU2MjI2MjYxOCwiYXRoIjoiZlVIeU8ycjJaM0RaNTNFc05yV0JiMHhXWG9hTnk1OUlpS0NBcWtzbVFFbyJ9.2oW9RP35yRqz"
    "hrtNP86L-Ey71EOptxRimPPToA1plemAgR6pxHF8y6-yqyVnmcw6Fy1dqd-jfxSYoMxhAJpLjA"
)
# Section 4.1, figure 1: a proof for the token endpoint, without `ath`.
RFC_TOKEN_PROOF = (
    f"{RFC_HEADER}.eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIjoiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wbGUuY29tL3Rva2VuIiwi"
    "aWF0IjoxNTYyMjYyNjE2fQ.2-GxA6T8lP4vfrg8v-FdWP0A0zdrj8igiMLvqRMUvwnQg4PtFLbdLXiOSsX0x7NVY-FNyJK70nfbV37xRZT3Lg"
)
RFC_THUMBPRINT = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"


def verify(*proofs, keys=None, method="GET", url=URL, token=TOKEN, thumbprint=THUMBPRINT, now=NOW):
    keys = keys or ProofKeys()
    return keys.verify(proofs, method=method, url=url, token_digest=digest(token), thumbprint=thumbprint, now=now)


def proof(**changes):
    return KEY.proof("GET", URL, TOKEN, **changes)


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def forged(header, claims=None, *, algorithm="ES256", key=None):
    """A proof with any header, signed by any key of joserfc; None removes a member."""
    key = key or ECKey.generate_key("P-256")
    public = {
        "typ": "dpop+jwt",
        "alg": algorithm,
        **({} if "jwk" in header else {"jwk": key.as_dict(private=False)}),
        **header,
    }
    members = {"jti": "1", "htm": "GET", "htu": URL, "iat": NOW, "ath": ATH, **(claims or {})}
    parts = ({name: value for name, value in each.items() if value is not None} for each in (public, members))
    signing_input = ".".join(b64(json.dumps(each).encode()) for each in parts)
    signature = JWSRegistry.algorithms[algorithm].sign(signing_input.encode(), key)
    return f"{signing_input}.{b64(signature)}", key.thumbprint()


ATH = json.loads(base64.urlsafe_b64decode(KEY.proof("GET", URL, TOKEN).split(".")[1] + "=="))["ath"]


def rfc(proof=RFC_PROOF, **changes):
    facts = {
        "url": "https://resource.example.org/protectedresource",
        "token": RFC_TOKEN,
        "thumbprint": RFC_THUMBPRINT,
        "now": 1562262618,
        **changes,
    }
    return verify(proof, **facts)


def test_the_example_of_the_rfc_passes():
    passed = rfc()

    assert (passed.thumbprint, passed.jti, passed.nonce) == (RFC_THUMBPRINT, "e1j3V_bKic8-LAEB", None)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"method": "POST"}, "proof_method_differs"),
        ({"url": "https://resource.example.org/protectedresource/"}, "proof_url_differs"),
        ({"token": "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxu"}, "proof_token_differs"),
        ({"now": 1562262618 + 61}, "proof_not_current"),
        ({"thumbprint": THUMBPRINT}, "proof_key_differs"),
        ({"proof": RFC_PROOF[:-4] + "AAAA"}, "proof_signature_invalid"),
        (
            {"proof": RFC_TOKEN_PROOF, "method": "POST", "url": "https://server.example.com/token", "now": 1562262616},
            "proof_token_differs",
        ),
    ],
)
def test_the_example_of_the_rfc_passes_for_its_own_request_alone(change, reason):
    with pytest.raises((InvalidProof, InvalidToken)) as caught:
        rfc(**change)
    assert caught.value.reason == reason


@pytest.mark.parametrize("algorithm", DPOP_ALGORITHMS)
def test_each_algorithm_signs_a_proof(algorithm):
    key = ProofKey(algorithm, now=lambda: NOW)

    assert (
        verify(key.proof("GET", URL, TOKEN), thumbprint=key.confirmation["jkt"]).thumbprint == key.confirmation["jkt"]
    )


# Section 4.3, in its order, and what a proof may not be besides.
BROKEN = {
    "1: no proof": ((), "proof_missing"),
    "1: two proofs": ((proof(), proof()), "proof_repeated"),
    "1: an empty second one": ((proof(), ""), "proof_repeated"),
    "2: an empty header": (("",), "proof_malformed"),
    "2: not a JWT": (("invalid",), "proof_malformed"),
    "2: encrypted": ((proof() + ".a.b",), "proof_malformed"),
    "2: beyond ASCII": (("é.é.é",), "proof_malformed"),
    "2: too large": ((proof(jti="1", x="a" * 9000),), "proof_too_large"),
    "3: no jti": ((proof(jti=None),), "proof_jti_malformed"),
    "3: empty jti": ((proof(jti=""),), "proof_jti_malformed"),
    "3: long jti": ((proof(jti="a" * 513),), "proof_jti_malformed"),
    "3: jti is a number": ((proof(jti=1),), "proof_jti_malformed"),
    "3: no htm": ((proof(htm=None),), "proof_method_differs"),
    "3: no htu": ((proof(htu=None),), "proof_url_differs"),
    "3: no iat": ((proof(iat=None),), "proof_not_current"),
    "3: no ath": ((proof(ath=None),), "proof_token_differs"),
    "4: no typ": ((proof(header={"typ": None}),), "proof_type_differs"),
    "4: another typ": ((proof(header={"typ": "at+jwt"}),), "proof_type_differs"),
    "4: typ is a list": ((proof(header={"typ": ["dpop+jwt"]}),), "proof_type_differs"),
    "5: none": ((proof(header={"alg": "none"}),), "proof_alg_not_allowed"),
    "5: symmetric": ((proof(header={"alg": "HS256"}),), "proof_alg_not_allowed"),
    "5: no alg": ((proof(header={"alg": None}),), "proof_alg_not_allowed"),
    "5: alg is a dict": ((proof(header={"alg": {}}),), "proof_alg_not_allowed"),
    "6: forged": ((proof()[:-8] + "AAAAAAAA",), "proof_signature_invalid"),
    "6: no signature": ((proof().rpartition(".")[0] + ".",), "proof_signature_invalid"),
    "6: signed by another key": ((OTHER.proof("GET", URL, TOKEN, header={"jwk": KEY.jwk}),), "proof_signature_invalid"),
    "7: no jwk": ((proof(header={"jwk": None}),), "proof_key_malformed"),
    "7: jwk is a string": ((proof(header={"jwk": "key"}),), "proof_key_malformed"),
    "7: a broken jwk": ((proof(header={"jwk": {**KEY.jwk, "x": "AA"}}),), "proof_key_malformed"),
    "7: a key that anyone can sign for": (
        (proof(header={"alg": "EdDSA", "jwk": {"kty": "OKP", "crv": "Ed25519", "x": "AQ" + "A" * 41}}),),
        "proof_key_malformed",
    ),
    "7: a key of another curve": ((proof(header={"jwk": ProofKey("ES384").jwk}),), "proof_key_malformed"),
    "7: a key of another type": ((proof(header={"jwk": ProofKey("RS256").jwk}),), "proof_key_malformed"),
    "8: another method": ((proof(htm="POST"),), "proof_method_differs"),
    "8: the method in lower case": ((proof(htm="get"),), "proof_method_differs"),
    "9: another path": ((proof(htu="https://api.test/things/2"),), "proof_url_differs"),
    "9: the path in another case": ((proof(htu="https://api.test/Things/1"),), "proof_url_differs"),
    "9: another host": ((proof(htu="https://evil.test/things/1"),), "proof_url_differs"),
    "9: another scheme": ((proof(htu="http://api.test/things/1"),), "proof_url_differs"),
    "9: another port": ((proof(htu="https://api.test:8443/things/1"),), "proof_url_differs"),
    "9: a path alone": ((proof(htu="/things/1"),), "proof_url_differs"),
    "9: a list": ((proof(htu=[URL]),), "proof_url_differs"),
    "11: too old": ((proof(iat=NOW - 61),), "proof_not_current"),
    "11: from the future": ((proof(iat=NOW + 6),), "proof_not_current"),
    "11: a number of 400 digits": ((proof(iat=10**400),), "proof_not_current"),
    "11: a string": ((proof(iat=str(NOW)),), "proof_not_current"),
    "11: True": ((proof(iat=True),), "proof_not_current"),
    "12: of another token": ((KEY.proof("GET", URL, "other"),), "proof_token_differs"),
    "12: by another key": ((OTHER.proof("GET", URL, TOKEN),), "proof_key_differs"),
    "crit": ((proof(header={"crit": ["exp"]}),), "proof_malformed"),
    "b64": ((proof(header={"b64": False}),), "proof_malformed"),
    "zip": ((proof(header={"zip": "DEF"}),), "proof_malformed"),
}


@pytest.mark.parametrize(("proofs", "reason"), BROKEN.values(), ids=BROKEN)
def test_a_broken_proof_is_refused(proofs, reason):
    with pytest.raises((InvalidProof, InvalidToken)) as caught:
        verify(*proofs)
    assert caught.value.reason == reason
    assert isinstance(caught.value, InvalidToken) == (reason == "proof_key_differs")


@pytest.mark.parametrize(("proofs", "reason"), BROKEN.values(), ids=BROKEN)
def test_a_known_key_spares_no_check(proofs, reason):
    keys = ProofKeys()
    verify(proof(), keys=keys)

    with pytest.raises((InvalidProof, InvalidToken)) as caught:
        verify(*proofs, keys=keys)
    assert caught.value.reason == reason


@pytest.mark.filterwarnings("ignore::joserfc.errors.SecurityWarning")
def test_a_weak_key_is_refused_though_it_signed():
    made, thumbprint = forged({}, algorithm="RS256", key=RSAKey.generate_key(1024))

    with pytest.raises(InvalidProof) as caught:
        verify(made, thumbprint=thumbprint)
    assert caught.value.reason == "proof_key_malformed"


def test_a_secret_is_no_key():
    secret = OctKey.generate_key(256)
    made, thumbprint = forged({"jwk": secret.as_dict(private=True)}, algorithm="HS256", key=secret)

    with pytest.raises(InvalidProof) as caught:
        verify(made, thumbprint=thumbprint)
    assert caught.value.reason == "proof_alg_not_allowed"


@pytest.mark.parametrize("member", ["d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"])
def test_a_private_member_in_jwk_is_refused(member):
    key = ECKey.generate_key("P-256")
    good, thumbprint = forged({}, key=key)
    assert verify(good, thumbprint=thumbprint).thumbprint == thumbprint

    made, _ = forged({"jwk": {**key.as_dict(private=False), member: "AQ"}}, key=key)
    with pytest.raises(InvalidProof) as caught:
        verify(made, thumbprint=thumbprint)
    assert caught.value.reason == "proof_key_malformed"


@pytest.mark.parametrize("age", [-5, 0, 59.5, 60])
def test_a_proof_is_good_from_5_seconds_ahead_to_60_seconds_old(age):
    assert verify(proof(iat=NOW - age)).jti


@pytest.mark.parametrize("typ", ["dpop+jwt", "DPoP+JWT", "application/dpop+jwt"])
def test_typ_is_a_media_type(typ):
    assert verify(proof(header={"typ": typ})).jti


def test_the_known_keys_are_few_and_only_those_of_good_proofs():
    keys = ProofKeys()
    for _ in range(3):
        with pytest.raises(InvalidToken):
            verify(ProofKey(now=lambda: NOW).proof("GET", URL, TOKEN), keys=keys)
    assert len(keys._keys) == 0
    header = {"x": "a"}
    for number in range(1030):
        verify(proof(header={**header, "n": number}), keys=keys)
    assert len(keys._keys) == 6
    assert len(keys._headers) == 6


def test_a_large_header_is_read_each_time():
    keys = ProofKeys()
    for _ in range(2):
        assert verify(proof(header={"x": "a" * 400}), keys=keys).jti
    assert (len(keys._keys), len(keys._headers)) == (1, 0)


def test_a_proof_with_a_known_header_is_read_without_it():
    keys = ProofKeys()
    verify(proof(), keys=keys)
    (header,) = keys._headers.values()
    keys._headers = {segment: {**header, "typ": "another"} for segment in keys._headers}

    with pytest.raises(InvalidProof) as caught:
        verify(proof(), keys=keys)
    assert caught.value.reason == "proof_type_differs"


def test_a_known_key_is_not_parsed_again(monkeypatch):
    keys = ProofKeys()
    verify(proof(), keys=keys)
    monkeypatch.setattr("resource_server.tokens.dpop.parse_key", None)

    assert verify(proof(), keys=keys).jti
