"""Tokens bound to the key of a DPoP proof (RFC 9449): each check of its section 4.3, codes, refresh tokens, nonces."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import urllib3
from hypothesis import given
from hypothesis import strategies as st
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey
from tests.devissuer.conftest import basic
from tests.devissuer.proofs import KEY, OTHER, proof

from resource_server.devissuer.dpop import DpopError, ProofVerifier
from resource_server.devissuer.signing import ALGORITHMS
from resource_server.devissuer.storage import Storage

RSA = RSAKey.generate_key(2048)
KEYS = {
    **dict.fromkeys(("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"), RSA),
    "ES256": KEY,
    "ES384": ECKey.generate_key("P-384"),
    "ES512": ECKey.generate_key("P-521"),
    **dict.fromkeys(("EdDSA", "Ed25519"), OKPKey.generate_key("Ed25519")),
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(["", "x", "\0", "ü", "AA", "ES256"]),
    lambda inner: st.lists(inner, max_size=2),
)
CLAIMS = st.sampled_from(["htm", "htu", "iat", "jti", "nonce"])
MEMBERS = st.sampled_from(["crv", "x", "y", "n", "e", "d", "p", "use", "key_ops", "alg", "kid"])
CURVES = ["P-256", "P-384", "P-521", "secp256k1", "Ed25519", "Ed448", "X25519", "AQAB", "w" * 342]
URL = "https://issuer.test/token"
NOW = 1_800_000_000


class TestProofs:
    def _verifier(self, *, nonces=False, now=NOW):
        return ProofVerifier(URL, Storage(access_token_seconds=60).proofs, nonces=nonces, clock=lambda: now)

    def _refusal(self, sent, **options):
        with pytest.raises(DpopError) as caught:
            self._verifier(**options).thumbprint(sent, "POST")
        assert str(caught.value).isascii()
        return caught.value.error, str(caught.value)

    @pytest.mark.parametrize("algorithm", ALGORITHMS)
    def test_each_algorithm_proves_its_key(self, algorithm):
        key = KEYS[algorithm]
        sent = proof(URL, key=key, algorithm=algorithm, iat=NOW)

        assert self._verifier().thumbprint(sent, "POST") == key.thumbprint()

    @pytest.mark.parametrize("seconds", [-300, 300])
    def test_clocks_may_differ_by_five_minutes(self, seconds):
        assert self._verifier().thumbprint(proof(URL, iat=NOW + seconds), "POST") == KEY.thumbprint()

    @pytest.mark.parametrize("suffix", ["?a=b", "#a", "?a#b"])
    def test_query_and_fragment_of_htu_are_left_out(self, suffix):
        assert self._verifier().thumbprint(proof(URL + suffix, iat=NOW), "POST") == KEY.thumbprint()

    BAD = {
        "another type": ({"header": {"typ": "JWT"}}, "typ is not"),
        "no type": ({"header": {"typ": None}}, "typ is not"),
        "alg none": ({"header": {"alg": "none"}}, "alg is not one"),
        "a symmetric alg": ({"header": {"alg": "HS256"}}, "alg is not one"),
        "an alg that is a list": ({"header": {"alg": ["ES256"]}}, "alg is not one"),
        "an alg of another curve": ({"algorithm": "ES384"}, "signature of the proof"),
        "an alg of another key": ({"header": {"alg": "RS256"}}, "signature of the proof"),
        "EdDSA with a key on a curve": ({"header": {"alg": "EdDSA"}}, "signature of the proof"),
        "a critical extension": ({"header": {"crit": ["x"], "x": 1}}, "crit is not"),
        "no key": ({"header": {"jwk": None}}, "jwk is not"),
        "a key that is text": ({"header": {"jwk": "x"}}, "jwk is not"),
        "a key without a type": ({"header": {"jwk": {}}}, "jwk is not"),
        "a key of a type that is a list": ({"header": {"jwk": {"kty": []}}}, "jwk is not"),
        "half a key": ({"header": {"jwk": {"kty": "EC", "crv": "P-256"}}}, "jwk is not"),
        "a point off the curve": ({"header": {"jwk": {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}}}, "jwk is"),
        "an unknown curve": ({"header": {"jwk": {"kty": "EC", "crv": "P-1", "x": "AA", "y": "AA"}}}, "jwk is not"),
        "a key for encryption": ({"header": {"jwk": {"kty": "OKP", "crv": "X25519", "x": "AA"}}}, "jwk is not"),
        "a symmetric key": ({"header": {"jwk": OctKey.generate_key(256).as_dict()}}, "jwk is not"),
        "a private key": ({"header": {"jwk": KEY.as_dict(private=True)}}, "jwk is not"),
        "a short RSA key": ({"header": {"jwk": {"kty": "RSA", "e": "AQAB", "n": "w" * 171}}}, "less than 2048"),
        "another key": ({"header": {"jwk": OTHER.as_dict(private=False)}}, "signature of the proof"),
        "another method": ({"htm": "GET"}, "htm is not"),
        "no method": ({"htm": None}, "htm is not"),
        "another address": ({"htu": "https://issuer.test/other"}, "htu is not"),
        "an address with more path": ({"htu": f"{URL}/"}, "htu is not"),
        "an address that is a list": ({"htu": [URL]}, "htu is not"),
        "no time": ({"iat": None}, "iat is not"),
        "a time that is text": ({"iat": str(NOW)}, "iat is not"),
        "a time that is true": ({"iat": True}, "iat is not"),
        "a time without end": ({"iat": 10**400}, "iat is not"),
        "a time before time": ({"iat": -1}, "iat is not"),
        "a time too long ago": ({"iat": NOW - 301}, "too old"),
        "a time too far ahead": ({"iat": NOW + 301}, "from the future"),
        "no jti": ({"jti": None}, "jti is missing"),
        "an empty jti": ({"jti": ""}, "jti is missing"),
        "a jti that is a number": ({"jti": 1}, "jti is missing"),
    }

    @pytest.mark.parametrize(("changes", "message"), BAD.values(), ids=BAD)
    def test_each_check_refuses(self, changes, message):
        error, said = self._refusal(proof(URL, **{"iat": NOW, **changes}))

        assert error == "invalid_dpop_proof"
        assert message in said

    @pytest.mark.parametrize(
        "sent",
        [
            "",
            "x",
            "a.b",
            "a.b.c.d",
            "....",
            "e30.e30.",
            "W10.W10.AA",
            "\u00fc.e30.e30",
            "e30.e30.e30, e30.e30.e30",
            "x" * 9000,
        ],
    )
    def test_what_is_no_proof_is_refused(self, sent):
        assert self._refusal(sent)[0] == "invalid_dpop_proof"

    @given(st.dictionaries(st.sampled_from(["typ", "alg", "crit", "jwk"]), JSON), st.dictionaries(CLAIMS, JSON))
    def test_no_member_makes_it_raise_anything_else(self, header, claims):
        try:
            self._verifier().thumbprint(proof(URL, header=header, **{"iat": NOW, **claims}), "POST")
        except DpopError as refused:
            assert refused.error == "invalid_dpop_proof"  # noqa: PT017 - a proof may be good too

    @given(st.sampled_from(["EC", "OKP", "RSA"]), st.dictionaries(MEMBERS, JSON | st.sampled_from(CURVES)))
    def test_no_key_makes_it_raise_anything_else(self, kty, members):
        self._refusal(proof(URL, header={"jwk": {**members, "kty": kty}}))

    def test_a_signature_of_other_words_is_refused(self):
        one, two = proof(URL, iat=NOW), proof(URL, iat=NOW)
        mixed = one.rpartition(".")[0] + "." + two.rpartition(".")[2]

        assert "signature" in self._refusal(mixed)[1]

    def test_a_proof_is_used_once_and_its_jti_belongs_to_its_key(self):
        verifier = self._verifier()
        first = proof(URL, iat=NOW, jti="one")
        verifier.thumbprint(first, "POST")

        for again in (first, proof(URL, iat=NOW, jti="one")):
            with pytest.raises(DpopError, match="has been used"):
                verifier.thumbprint(again, "POST")
        assert verifier.thumbprint(proof(URL, iat=NOW, jti="one", key=OTHER), "POST") == OTHER.thumbprint()

    def test_a_nonce_is_good_for_two_to_four_minutes(self):
        verifier = self._verifier(nonces=True)
        nonce = verifier.nonce()

        def use(later):
            verifier._clock = lambda: NOW // 120 * 120 + later
            return verifier.thumbprint(proof(URL, iat=NOW, nonce=nonce), "POST")

        assert [use(later) for later in (0, 120, 239)] == [KEY.thumbprint()] * 3
        with pytest.raises(DpopError, match=r"needs the nonce of DPoP-Nonce"):
            use(240)

    @pytest.mark.parametrize("nonce", [None, "", "guessed", 1, []])
    def test_a_nonce_of_another_is_refused(self, nonce):
        assert self._refusal(proof(URL, iat=NOW, nonce=nonce), nonces=True)[0] == "use_dpop_nonce"

    def test_the_nonces_of_two_processes_differ(self):
        assert self._verifier(nonces=True).nonce() != self._verifier(nonces=True).nonce()
        assert self._verifier().nonce() is None


def _proof(issuer, **changes):
    return {"DPoP": proof(f"{issuer.address}/token", **changes)}


def _bound(issuer, answer):
    """The key that the access token of an answer is bound to."""
    assert answer.status == 200, answer.data
    body = answer.json()
    cnf = issuer.verified(body["access_token"]).claims.get("cnf")
    assert body["token_type"] == ("DPoP" if cnf else "Bearer")
    return cnf and cnf["jkt"]


class TestTokens:
    def test_a_proof_binds_the_token_of_a_machine(self, issuer):
        answer = issuer.machine(headers=_proof(issuer))
        told = issuer.introspect(answer.json()["access_token"])

        assert _bound(issuer, answer) == KEY.thumbprint()
        assert "DPoP-Nonce" not in answer.headers
        assert (told.json()["token_type"], told.json()["cnf"]) == ("DPoP", {"jkt": KEY.thumbprint()})

    def test_an_opaque_token_is_bound_too(self, issuer):
        body = issuer.machine("demo-opaque", _proof(issuer)).json()
        told = issuer.introspect(body["access_token"]).json()

        assert body["token_type"] == told["token_type"] == "DPoP"
        assert told["cnf"] == {"jkt": KEY.thumbprint()}

    def test_a_bad_proof_gets_no_token(self, issuer):
        answer = issuer.machine(headers=_proof(issuer, htm="GET"))

        assert (answer.status, answer.json()["error"]) == (400, "invalid_dpop_proof")
        assert answer.headers["Cache-Control"] == "no-store"

    def test_two_proofs_are_refused(self, issuer):
        headers = urllib3.HTTPHeaderDict(basic("demo-machine"))
        for _ in range(2):
            headers.add("DPoP", _proof(issuer)["DPoP"])
        headers["Content-Type"] = "application/x-www-form-urlencoded"
        body = b"grant_type=client_credentials"
        answer = issuer.http.request("POST", f"{issuer.address}/token", body=body, headers=headers)

        assert (answer.status, answer.json()["error"]) == (400, "invalid_dpop_proof")

    def test_of_many_equal_proofs_at_once_one_gets_a_token(self, issuer):
        sent = _proof(issuer)
        with ThreadPoolExecutor(8) as pool:
            statuses = sorted(answer.status for answer in pool.map(lambda _: issuer.machine(headers=sent), range(8)))

        assert statuses == [200] + [400] * 7

    def test_a_code_can_be_bound_to_a_key(self, issuer):
        def code():
            return issuer.code(dpop_jkt=KEY.thumbprint())

        for headers in ({}, _proof(issuer, key=OTHER)):
            assert issuer.redeem(code(), headers).json()["error"] == "invalid_grant"
        assert _bound(issuer, issuer.redeem(code(), _proof(issuer))) == KEY.thumbprint()

    def test_a_wrong_proof_costs_the_honest_client_nothing(self, issuer):
        code = issuer.code(dpop_jkt=KEY.thumbprint())
        issuer.redeem(code, _proof(issuer, key=OTHER))

        assert _bound(issuer, issuer.redeem(code, _proof(issuer))) == KEY.thumbprint()

    @pytest.mark.parametrize("jkt", ["", "x", "a" * 42, "a" * 44, "ü" * 43])
    def test_a_dpop_jkt_that_is_no_thumbprint_goes_back_to_the_client(self, issuer, jkt):
        assert issuer.redirected(issuer.get(issuer.authorize_url(dpop_jkt=jkt)))["error"] == "invalid_request"

    def test_the_refresh_token_of_a_public_client_needs_the_same_key(self, issuer):
        token = issuer.redeem(issuer.code(), _proof(issuer)).json()["refresh_token"]

        for headers in ({}, _proof(issuer, key=OTHER)):
            assert issuer.refresh(token, headers).json()["error"] == "invalid_grant"
        answer = issuer.refresh(token, _proof(issuer))
        assert _bound(issuer, answer) == KEY.thumbprint()
        assert issuer.refresh(answer.json()["refresh_token"], {}).json()["error"] == "invalid_grant"

    def test_a_token_without_a_key_can_be_bound_at_a_refresh(self, issuer):
        token = issuer.redeem(issuer.code(), {}).json()["refresh_token"]
        bound = issuer.refresh(token, _proof(issuer))

        assert _bound(issuer, bound) == KEY.thumbprint()
        assert issuer.refresh(bound.json()["refresh_token"], {}).json()["error"] == "invalid_grant"

    def test_a_client_with_a_secret_may_change_its_key(self, issuer):
        grants = ["authorization_code", "refresh_token"]
        client = issuer.register(redirect_uris=["http://127.0.0.1/callback"], grant_types=grants)
        secret = {"client_id": client["client_id"], "client_secret": client["client_secret"]}
        code = issuer.code(client_id=client["client_id"])
        body = issuer.redeem(code, _proof(issuer), **secret).json()
        answer = issuer.refresh(body["refresh_token"], _proof(issuer, key=OTHER), **secret)

        assert _bound(issuer, answer) == OTHER.thumbprint()

    def test_a_client_can_register_for_bound_tokens_alone(self, issuer):
        client = issuer.register(grant_types=["client_credentials"], dpop_bound_access_tokens=True)
        fields = {name: client[name] for name in ("client_id", "client_secret")}
        fields["grant_type"] = "client_credentials"

        assert client["dpop_bound_access_tokens"] is True
        assert issuer.post("/token", fields).json()["error"] == "invalid_dpop_proof"
        assert _bound(issuer, issuer.post("/token", fields, _proof(issuer))) == KEY.thumbprint()

    def test_with_nonces_a_proof_needs_the_one_that_each_answer_offers(self, run_issuer):
        issuer = run_issuer("--dpop-nonce")
        refused = issuer.machine(headers=_proof(issuer))
        nonce = refused.headers["DPoP-Nonce"]
        answer = issuer.machine(headers=_proof(issuer, nonce=nonce))

        assert (refused.status, refused.json()["error"]) == (400, "use_dpop_nonce")
        assert _bound(issuer, answer) == KEY.thumbprint()
        assert answer.headers["DPoP-Nonce"]
        # A bearer token needs no proof.
        assert _bound(issuer, issuer.machine()) is None
