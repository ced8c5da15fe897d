"""Every forgery we know of is refused, for its own reason, and what can be seen to be hopeless costs no fetch."""

import base64
import hashlib
import hmac
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
from joserfc import jwe
from joserfc.jwk import RSAKey
from joserfc.jws import JWSRegistry
from tests.tokens.conftest import Api

from resource_server.devissuer.signing import ALGORITHMS, SigningKeys
from resource_server.errors import InvalidToken
from resource_server.keys.document import Document
from resource_server.testing import FakeIssuer
from resource_server.tokens.jws import parse

ATTACKER = SigningKeys("ES256")


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(segment: str) -> bytes:
    return base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4))


def compact(header: dict[str, Any] | bytes, claims: dict[str, Any] | bytes, signature: bytes = b"") -> str:
    parts = (part if isinstance(part, bytes) else json.dumps(part).encode() for part in (header, claims))
    return ".".join([*map(b64, parts), b64(signature)])


def private_key(keys: SigningKeys) -> Any:
    return keys._find(None).private


@pytest.fixture
def es256(new_api: type[Api]) -> Api:
    return new_api("ES256")


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_good_token_of_each_algorithm_is_accepted(new_api: type[Api], algorithm: str) -> None:
    # Without this, all the refusals below could come from a verifier that refuses everything.
    api = new_api(algorithm)
    token = api.verify(api.token(scope="read write"))
    assert (token.issuer, token.subject, token.audience) == (api.issuer.issuer, "auth0|ada", (api.issuer.audience,))
    assert token.scopes == {"read", "write"}


@pytest.mark.parametrize("pinned", [True, False], ids=["the key names its alg", "the key names none"])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_no_algorithm_passes_for_another(new_api: type[Api], algorithm: str, pinned: bool) -> None:
    api = new_api(algorithm)
    (key,) = api.issuer.keys.jwks()["keys"]
    if not pinned:
        del key["alg"]
    api.issuer.documents[api.issuer.jwks_uri] = json.dumps({"keys": [key]}).encode()
    synonyms = {"EdDSA", "Ed25519"} if algorithm in ("EdDSA", "Ed25519") else {algorithm}
    for other in ALGORITHMS:
        token = api.token(header={"alg": other})
        if other in synonyms:
            api.verify(token)
            continue
        # With a key that names no alg, the RSA algorithms differ by their signature alone.
        rsa = not pinned and algorithm[0] in "RP" and other[0] in "RP"
        assert api.refusal(token) == ("signature_invalid" if rsa else "key_unknown")


@pytest.mark.parametrize("pinned", ["RS256", "PS256"])
def test_a_key_pinned_to_one_rsa_algorithm_serves_no_other_even_if_it_signed(new_api: type[Api], pinned: str) -> None:
    api = new_api(pinned)
    other = {"RS256": "PS256", "PS256": "RS256"}[pinned]
    kid = api.issuer.keys.current_kid
    header = {"alg": other, "kid": kid, "typ": "at+jwt"}
    signing_input = compact(header, api.issuer.claims()).rpartition(".")[0]
    signature = JWSRegistry.algorithms[other].sign(signing_input.encode(), private_key(api.issuer.keys))
    assert api.refusal(f"{signing_input}.{b64(signature)}") == "key_unknown"


def test_the_allowed_algorithms_are_the_policys(new_api: type[Api]) -> None:
    api = new_api("ES256", algorithms=("RS256",))
    assert api.refusal(api.token()) == "alg_not_allowed"
    assert api.issuer.fetched == []


# alg none


@pytest.mark.parametrize("signature", ["", "good"])
@pytest.mark.parametrize("alg", ["none", "None", "NONE", "nOnE", " none", "none\x00", "ɴone"])
def test_alg_none_is_refused_in_any_spelling(api: Api, alg: str, signature: str) -> None:
    for kid in ({"kid": api.issuer.keys.current_kid}, {}):
        token = api.token(header={"alg": alg, "kid": None, **kid})
        if not signature:
            token = token[: token.rindex(".") + 1]
        assert api.refusal(token) == "alg_not_allowed"
    assert api.issuer.fetched == []


@pytest.mark.parametrize(
    "alg", [None, "", 0, True, [], ["RS256"], {"RS256": 1}, "rs256", "RS256 ", "RS1", "ES256K", "dir"]
)
def test_an_alg_that_is_not_one_of_ours_is_refused(api: Api, alg: Any) -> None:
    good = json.dumps({"alg": alg, "kid": api.issuer.keys.current_kid, "typ": "at+jwt"}).encode()
    token = api.issuer.keys.sign_parts(good, json.dumps(api.issuer.claims()).encode())
    assert api.refusal(token) == "alg_not_allowed"
    assert api.refusal(api.token(header={"alg": None})) == "alg_not_allowed"
    assert api.issuer.fetched == []


# HS256 with what everybody knows as the secret


def public_forms(keys: SigningKeys) -> dict[str, bytes]:
    (jwk,) = keys.jwks()["keys"]
    public = private_key(keys).public_key
    encoding, form = serialization.Encoding, serialization.PublicFormat
    forms = {
        "PEM": public.public_bytes(encoding.PEM, form.SubjectPublicKeyInfo),
        "PEM without its last line break": public.public_bytes(encoding.PEM, form.SubjectPublicKeyInfo).strip(),
        "DER": public.public_bytes(encoding.DER, form.SubjectPublicKeyInfo),
        "JWK": json.dumps(jwk).encode(),
        "JWK, compact": json.dumps(jwk, separators=(",", ":")).encode(),
        "JWK, sorted": json.dumps(jwk, separators=(",", ":"), sort_keys=True).encode(),
        "the key set": json.dumps(keys.jwks()).encode(),
        "nothing": b"",
    }
    if jwk["kty"] == "RSA":
        forms |= {
            "PKCS 1 PEM": public.public_bytes(encoding.PEM, form.PKCS1),
            "PKCS 1 DER": public.public_bytes(encoding.DER, form.PKCS1),
            "modulus": unb64(jwk["n"]),
        }
    else:
        forms["point"] = unb64(jwk["x"]) + unb64(jwk["y"])
    return forms


@pytest.mark.parametrize("typ", ["HS256", "HS384", "HS512"])
@pytest.mark.parametrize("algorithm", ["RS256", "ES256"])
def test_a_public_key_is_no_secret(new_api: type[Api], algorithm: str, typ: str) -> None:
    api = new_api(algorithm)
    api.verify(api.token())
    for secret in public_forms(api.issuer.keys).values():
        for kid in ({"kid": api.issuer.keys.current_kid}, {}):
            signing_input = compact({"alg": typ, "typ": "at+jwt", **kid}, api.issuer.claims()).rpartition(".")[0]
            signature = hmac.digest(secret, signing_input.encode(), f"sha{typ[2:]}")
            assert hmac.compare_digest(
                signature, hmac.new(secret, signing_input.encode(), getattr(hashlib, f"sha{typ[2:]}")).digest()
            )
            assert api.refusal(f"{signing_input}.{b64(signature)}") == "alg_not_allowed"


@pytest.mark.parametrize("algorithm", ["RS256", "ES256"])
def test_a_mac_with_the_public_key_is_no_signature(new_api: type[Api], algorithm: str) -> None:
    # The same MAC under the right alg: a verifier that takes the key for a secret whatever the alg would accept it.
    api = new_api(algorithm)
    for secret in public_forms(api.issuer.keys).values():
        signing_input = api.token().rpartition(".")[0]
        signature = hmac.digest(secret, signing_input.encode(), "sha256")
        assert api.refusal(f"{signing_input}.{b64(signature)}") == "signature_invalid"


def test_a_symmetric_key_in_the_key_set_is_no_key(es256: Api) -> None:
    secret = b"an issuer that publishes its secret"
    members = [{"kty": "oct", "k": b64(secret), "kid": "shared", "alg": "HS256"}, *es256.issuer.keys.jwks()["keys"]]
    es256.issuer.documents[es256.issuer.jwks_uri] = json.dumps({"keys": members}).encode()
    es256.verify(es256.token())
    signing_input = compact({"alg": "HS256", "kid": "shared", "typ": "at+jwt"}, es256.issuer.claims()).rpartition(".")[
        0
    ]
    assert (
        es256.refusal(f"{signing_input}.{b64(hmac.digest(secret, signing_input.encode(), 'sha256'))}")
        == "alg_not_allowed"
    )


# A key that the token brings or points to


@pytest.mark.parametrize(
    "pointer",
    [
        {"jwk": ATTACKER.jwks()["keys"][0]},
        {"jku": "https://evil.test/jwks.json"},
        {"jku": "https://issuer.test/.well-known/../evil.json"},
        {"x5u": "https://evil.test/chain.pem"},
        {"x5c": ["MIIB"]},
        {
            "jwk": ATTACKER.jwks()["keys"][0],
            "jku": "https://evil.test/jwks.json",
            "x5u": "https://evil.test/",
            "x5c": [],
        },
    ],
    ids=["jwk", "jku", "jku below the issuer", "x5u", "x5c", "all"],
)
def test_a_key_in_the_token_is_never_followed(es256: Api, pointer: dict[str, Any]) -> None:
    claims = es256.issuer.claims()
    ours = es256.issuer.keys.current_kid
    metadata = list(es256.issuer.fetched)
    assert es256.refusal(ATTACKER.sign(claims, header={**pointer, "kid": ours})) == "signature_invalid"
    assert es256.refusal(ATTACKER.sign(claims, header={**pointer, "kid": None})) == "signature_invalid"
    assert es256.refusal(ATTACKER.sign(claims, header=pointer)) == "key_unknown"
    assert es256.issuer.fetched == [
        *metadata,
        es256.issuer.issuer + ".well-known/openid-configuration",
        es256.issuer.jwks_uri,
        es256.issuer.jwks_uri,  # for the kid that nobody knows
    ]
    # They are ignored rather than forbidden: an honest issuer may send them.
    es256.verify(es256.token(header=pointer))


def test_another_key_of_the_set_under_this_kid(new_api: type[Api]) -> None:
    api = new_api("ES256", own_keys=True)
    old, new = api.issuer.keys.current_kid, api.issuer.keys.rotate()
    api.verify(api.token(kid=old))
    assert api.refusal(api.token(kid=old, header={"kid": new})) == "signature_invalid"
    assert api.refusal(api.token(kid=new, header={"kid": old})) == "signature_invalid"


class TwoIssuers:
    """Two issuers, and one fetcher that brings the documents of both."""

    def __init__(self, new_api: type[Api], *, kid: str | None = None) -> None:
        self.other = FakeIssuer("https://other.test/", "https://api.test/", algorithm="ES256", now=lambda: self.api.now)
        self.api = new_api("ES256", own_keys=True, others=[self.other], fetch=self.fetch)
        if kid is not None:
            for issuer in (self.api.issuer, self.other):
                member = {**issuer.keys.jwks()["keys"][0], "kid": kid}
                issuer.documents[issuer.jwks_uri] = json.dumps({"keys": [member]}).encode()

    def fetch(self, url: str, /, *, seconds: float, **_: Any) -> Document:
        issuer = self.other if url.startswith(self.other.issuer) else self.api.issuer
        return issuer.fetch(url, seconds=seconds)


def test_the_same_kid_of_another_issuer_is_another_key(new_api: type[Api]) -> None:
    two = TwoIssuers(new_api, kid="1")
    ours, other = two.api.issuer, two.other
    for issuer in (ours, other):
        token = two.api.verify(issuer.token(header={"kid": "1"}))
        assert token.issuer == issuer.issuer
    for signer, claimed in ((ours, other), (other, ours)):
        forged = signer.keys.sign(signer.claims(iss=claimed.issuer), header={"kid": "1"})
        assert two.api.refusal(forged) == "signature_invalid"


def test_keys_of_one_issuer_serve_no_other(new_api: type[Api]) -> None:
    two = TwoIssuers(new_api)
    for issuer in (two.api.issuer, two.other):
        two.api.verify(issuer.token())
    assert two.api.refusal(two.other.token(iss=two.api.issuer.issuer)) == "key_unknown"
    assert two.api.refusal(two.other.token(iss=two.api.issuer.issuer, header={"kid": None})) == "signature_invalid"


def test_the_same_subject_of_two_issuers_is_two_identities(new_api: type[Api]) -> None:
    two = TwoIssuers(new_api)
    assert two.api.verify(two.api.token()).identity != two.api.verify(two.other.token()).identity


# Header members


@pytest.mark.parametrize("value", [[], ["b64"], ["exp"], None, "b64", {}, 0])
@pytest.mark.parametrize("name", ["crit", "b64", "zip"])
def test_extensions_are_refused_by_their_mere_name(api: Api, name: str, value: Any) -> None:
    header = {"alg": "RS256", "kid": api.issuer.keys.current_kid, "typ": "at+jwt", name: value}
    token = api.issuer.keys.sign_parts(json.dumps(header).encode(), json.dumps(api.issuer.claims()).encode())
    assert api.refusal(token) == "header_not_supported"
    assert api.issuer.fetched == []


def test_an_unencoded_payload_is_refused(api: Api) -> None:
    # RFC 7797: really signed over the bare payload.
    header = b64(
        json.dumps({"alg": "RS256", "kid": api.issuer.keys.current_kid, "b64": False, "crit": ["b64"]}).encode()
    )
    payload = b64(json.dumps(api.issuer.claims()).encode())
    signing_input = f"{header}.{payload}".encode()
    signature = private_key(api.issuer.keys)
    signed = JWSRegistry.algorithms["RS256"].sign(signing_input, signature)
    assert api.refusal(f"{header}.{payload}.{b64(signed)}") == "header_not_supported"


# For each setting, the types that are accepted and those that are refused.
TYPES = {
    ("at+jwt",): (
        ["at+jwt", "AT+JWT", "At+Jwt", "application/at+jwt", "Application/AT+JWT"],
        [None, "JWT", "jwt", "at", "", "at+jwt ", " at+jwt", "application/", "application/application/at+jwt", "text/at+jwt",
         "at+jwt;charset=utf-8", "logout+jwt", "dpop+jwt", "at+jwt+jwt", "secevent+jwt"],
    ),
    ("jwt",): (
        [None, "JWT", "jwt", "application/jwt", "application/JWT"],
        ["at+jwt", "application/at+jwt", "", "JOSE", "dpop+jwt", "logout+jwt", "JWT ", "text/jwt"],
    ),
    ("at+jwt", "jwt"): (
        [None, "JWT", "at+jwt", "application/at+jwt"],
        ["", "dpop+jwt", "logout+jwt", "token-introspection+jwt", "client-authentication+jwt", "id_token+jwt"],
    ),
}  # fmt: skip
ACCEPTED = [(setting, typ) for setting, (accepted, _) in TYPES.items() for typ in accepted]
REFUSED = [(setting, typ) for setting, (_, refused) in TYPES.items() for typ in refused]


@pytest.mark.parametrize(("setting", "typ"), ACCEPTED)
def test_a_type_that_the_setting_names_is_accepted(
    new_api: type[Api], setting: tuple[str, ...], typ: str | None
) -> None:
    api = new_api("ES256", token_types=setting)
    api.verify(api.token(header={"typ": typ}))


@pytest.mark.parametrize(("setting", "typ"), REFUSED)
def test_any_other_type_is_refused(new_api: type[Api], setting: tuple[str, ...], typ: str | None) -> None:
    api = new_api("ES256", token_types=setting)
    assert api.refusal(api.token(header={"typ": typ})) == "typ_not_accepted"
    assert api.issuer.fetched == []


@pytest.mark.parametrize("typ", [None, 0, True, ["at+jwt"], {"typ": "at+jwt"}])
def test_a_type_that_is_no_string_is_refused(new_api: type[Api], typ: Any) -> None:
    api = new_api("ES256", token_types=("at+jwt", "jwt"))
    header = {"alg": "ES256", "kid": api.issuer.keys.current_kid, "typ": typ}
    token = api.issuer.keys.sign_parts(json.dumps(header).encode(), json.dumps(api.issuer.claims()).encode())
    assert api.refusal(token) == "typ_not_accepted"


@pytest.mark.parametrize("kid", [None, "", 0, 1, True, [], ["kid"], {}, "k" * 513])
def test_a_kid_that_is_no_short_string_is_refused(api: Api, kid: Any) -> None:
    header = {"alg": "RS256", "kid": kid, "typ": "at+jwt"}
    token = api.issuer.keys.sign_parts(json.dumps(header).encode(), json.dumps(api.issuer.claims()).encode())
    assert api.refusal(token) == "kid_malformed"
    assert api.issuer.fetched == []


@pytest.mark.parametrize("kid", ["k" * 512, "../../../dev/null", "' OR 1=1 --", "\x00", "unknown", " "])
def test_an_unknown_kid_is_only_a_name(es256: Api, kid: str) -> None:
    assert es256.refusal(es256.token(header={"kid": kid})) == "key_unknown"


def test_a_token_without_kid_is_verified_where_one_key_fits(new_api: type[Api]) -> None:
    api = new_api("ES256", own_keys=True)
    api.verify(api.token(header={"kid": None}))
    api.issuer.keys.rotate("RS256")
    api.clock += 3600
    api.verify(api.token(header={"kid": None}))  # the set has two keys, and one for each alg
    api.issuer.keys.rotate("RS256")
    api.clock += 3600
    assert api.refusal(api.token(header={"kid": None})) == "kid_missing"


# The form: one token has one spelling


def respelled(segment: str) -> dict[str, str]:
    """Other spellings that a careless decoder reads as the same bytes (all but the last: as bytes at all)."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    spellings = {
        "padding": segment + "=" * (-len(segment) % 4 or 4),
        "one =": segment + "=",
        "a trailing space": segment + " ",
        "a leading space": " " + segment,
        "a line break": segment + "\n",
        "a line break within": segment[:4] + "\n" + segment[4:],
        "a tab within": segment[:4] + "\t" + segment[4:],
        "a star within": segment[:4] + "*" + segment[4:],
        "a tilde within": segment[:4] + "~" + segment[4:],
        "a = within": segment[:4] + "=" + segment[4:],
        "percent encoding": f"%{ord(segment[0]):02X}{segment[1:]}",
        "NUL": segment + "\x00",
        "not ASCII": segment + "\u0430",
        "full width": chr(ord(segment[0]) + 0xFEE0) + segment[1:],
    }
    if len(segment) % 4:
        unused = 2 if len(segment) % 4 == 3 else 4
        last = alphabet.index(segment[-1])
        for bits in range(1, 2**unused):
            spellings[f"unused bits {bits}"] = segment[:-1] + alphabet[last ^ bits]
    if "-" in segment or "_" in segment:
        spellings["the other alphabet"] = segment.replace("-", "+").replace("_", "/")
    return spellings


@pytest.mark.parametrize("position", [0, 1, 2], ids=["header", "payload", "signature"])
def test_only_canonical_base64url_is_a_token(es256: Api, position: int) -> None:
    es256.verify(es256.token())
    seen = set()
    # Lengths of all kinds, and enough text for - and _ to turn up in each segment.
    for length in range(12):
        filler = "\u00fb\u00ff\u00be?>~" * 4 + "x" * length
        header = {"alg": "ES256", "kid": es256.issuer.keys.current_kid, "typ": "at+jwt", "note": filler}
        claims = es256.issuer.claims(note=filler)
        parts = (json.dumps(part, ensure_ascii=False).encode() for part in (header, claims))
        token = es256.issuer.keys.sign_parts(*parts)
        es256.verify(token)
        segments = token.split(".")
        for name, spelling in respelled(segments[position]).items():
            seen.add(name)
            respelt = ".".join([*segments[:position], spelling, *segments[position + 1 :]])
            with pytest.raises(InvalidToken) as caught:
                parse(respelt)
            assert caught.value.reason == "token_malformed", name
            if respelt.strip(" ") == token:
                continue  # spaces around a token belong to the header, not to the token
            assert es256.refusal(respelt) in {"token_malformed", "credentials_malformed"}, name
    assert "the other alphabet" in seen
    assert position == 2 or {"unused bits 1", "unused bits 15"} <= seen
    assert position != 2 or "unused bits 15" in seen


def test_a_length_that_base64_cannot_have_is_refused(es256: Api) -> None:
    for segments in ("e.e30.e30", "e30.e.e30", "e30.e30.e", "eyJhb.e30.e30"):
        assert es256.refusal(segments) == "token_malformed"


FORMS = {
    "nothing": ("", "credentials_malformed"),
    "a word": ("invalidToken", "token_malformed"),
    "two parts": ("a.b", "token_malformed"),
    "four parts": ("a.b.c.d", "token_malformed"),
    "six parts": ("a.b.c.d.e.f", "token_malformed"),
    "only dots": ("..", "header_malformed"),
    "five parts: a JWE": ("eyJhbGciOiJkaXIifQ..YQ.YQ.YQ", "token_encrypted"),
    "five dots": ("....", "token_encrypted"),
    "JSON serialisation": ('{"payload":"e30"}', "credentials_malformed"),
    "a BOM": ("\ufeffe30.e30.e30", "credentials_malformed"),
}


@pytest.mark.parametrize(("token", "reason"), FORMS.values(), ids=FORMS)
def test_what_is_no_compact_jws_is_refused(es256: Api, token: str, reason: str) -> None:
    assert es256.refusal(token) == reason
    if token:
        with pytest.raises(InvalidToken):
            es256.verify(token)
    assert es256.issuer.fetched == []


def test_json_serialisation_of_a_good_token_is_refused(es256: Api) -> None:
    header, payload, signature = es256.token().split(".")
    flattened = {"payload": payload, "protected": header, "signature": signature}
    general = {"payload": payload, "signatures": [{"protected": header, "signature": signature}]}
    for document in (flattened, general):
        with pytest.raises(InvalidToken) as caught:
            es256.verify(json.dumps(document))
        assert caught.value.reason == "token_malformed"
        assert es256.refusal(b64(json.dumps(document).encode())) == "token_malformed"


ENCRYPTION = {"alg": "RSA-OAEP-256", "enc": "A256GCM", "typ": "at+jwt"}


@pytest.mark.parametrize("nested", [False, True], ids=["claims", "a signed token"])
def test_an_encrypted_token_is_refused(api: Api, nested: bool) -> None:
    # RFC 7516: really encrypted, also in the forms of its JSON serialisation.
    plaintext = api.token() if nested else json.dumps(api.issuer.claims())
    header = {**ENCRYPTION, **({"cty": "JWT"} if nested else {})}
    key = RSAKey.generate_key(2048)
    token = jwe.encrypt_compact(header, plaintext, key, algorithms=list(ENCRYPTION.values())[:2])
    assert token.count(".") == 4
    assert api.refusal(token) == "token_encrypted"
    flattened = jwe.FlattenedJSONEncryption(header, plaintext.encode())
    flattened.add_recipient({"kid": "k"}, key)
    document = json.dumps(jwe.encrypt_json(flattened, None, algorithms=list(ENCRYPTION.values())[:2]))
    assert api.refusal(b64(document.encode())) == "token_malformed"
    # Three of its five parts, as if it were signed.
    parts = token.split(".")
    assert api.refusal(".".join([parts[0], parts[3], parts[4]])) in {"alg_not_allowed", "payload_malformed"}
    assert api.issuer.fetched == []


@pytest.mark.parametrize(
    ("position", "reason"), [(0, "header_malformed"), (1, "payload_malformed"), (2, "signature_invalid")]
)
def test_an_empty_part_is_refused(es256: Api, position: int, reason: str) -> None:
    segments = es256.token().split(".")
    segments[position] = ""
    assert es256.refusal(".".join(segments)) == reason


DOCUMENTS = {
    "empty": b"",
    "null": b"null",
    "a list": b"[]",
    "a list with the object": b"[%s]",
    "a string": b'"%s"',
    "a number": b"1",
    "true": b"true",
    "trailing garbage": b"%s x",
    "a second object": b"%s{}",
    "a trailing comma": b'{"a":1,}',
    "a comment": b"/**/%s",
    "a byte order mark": b"\xef\xbb\xbf%s",
    "UTF-16": "{}".encode("utf-16"),
    "UTF-32": "{}".encode("utf-32-le"),
    "latin-1": b'{"name":"\xe9"}',
    "overlong UTF-8": b'{"name":"\xc0\xaf"}',
    "a surrogate in UTF-8": b'{"name":"\xed\xa0\x80"}',
    "a lone surrogate": b'{"name":"\\ud800"}',
    "a lone low surrogate": b'{"name":"\\uDFFF"}',
    "a lone surrogate as a name": b'{"\\ud800":1}',
    "surrogates the wrong way round": b'{"name":"\\udc00\\ud800"}',
    "a control character in a string": b'{"name":"\n"}',
    "NaN": b'{"name":NaN}',
    "Infinity": b'{"name":Infinity}',
    "-Infinity": b'{"name":-Infinity}',
    "1e309": b'{"name":1e309}',
    "-1e309": b'{"name":-1e309}',
    "5000 digits": b'{"name":%s}' % (b"9" * 5000),
    "a leading zero": b'{"name":01}',
    "hexadecimal": b'{"name":0x1}',
    "33 levels": b'{"name":%s1%s}' % (b"[" * 32, b"]" * 32),
    "1000 levels": b'{"name":%s1%s}' % (b'{"a":' * 1000, b"}" * 1000),
    "5000 levels, never closed": b'{"name":' + b"[" * 5000,
    "single quotes": b"{'name':1}",
}


@pytest.mark.parametrize("document", DOCUMENTS.values(), ids=DOCUMENTS)
def test_a_header_or_payload_that_is_not_one_json_object_is_refused(es256: Api, document: bytes) -> None:
    header = {"alg": "ES256", "kid": es256.issuer.keys.current_kid, "typ": "at+jwt"}
    good = [json.dumps(part).encode() for part in (header, es256.issuer.claims())]
    for position, reason in ((0, "header_malformed"), (1, "payload_malformed")):
        parts = list(good)
        # What remains of a good document where the bad one wraps it.
        parts[position] = document.replace(b"%s", good[position])
        assert es256.refusal(es256.issuer.keys.sign_parts(*parts)) == reason
    assert es256.issuer.fetched == []


def test_what_is_still_one_json_object_is_accepted(es256: Api) -> None:
    # The limits above are no tighter than they say.
    header = {"alg": "ES256", "kid": es256.issuer.keys.current_kid, "typ": "at+jwt"}
    deep: Any = 1
    for _ in range(31):
        deep = [deep]
    claims = es256.issuer.claims(deep=deep, large=10**4000, emoji="\U0001f600", many=[[]] * 100, backslash="\\ud800")
    payload = f" \t\r\n{json.dumps(claims)}\n".encode()
    token = es256.verify(es256.issuer.keys.sign_parts(json.dumps(header).encode(), payload))
    assert token.claims["emoji"] == "\U0001f600"


DUPLICATES = {
    "alg": (0, b'"alg":"none",'),
    "kid": (0, b'"kid":"other",'),
    "typ": (0, b'"typ":"JWT",'),
    "an escaped name in the header": (0, b'"\\u0061lg":"none",'),
    "sub": (1, b'"sub":"admin",'),
    "an escaped name": (1, b'"\\u0073ub":"admin",'),
    "iss": (1, b'"iss":"https://issuer.test/",'),
    "exp": (1, b'"exp":1,'),
    "the same value": (1, b'"sub":"auth0|ada",'),
    "in a nested object": (1, b'"address":{"a":1,"a":2},'),
    "in an object in a list": (1, b'"roles":[{"a":1,"a":1}],'),
}


@pytest.mark.parametrize("last", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(("position", "member"), DUPLICATES.values(), ids=DUPLICATES)
def test_a_name_that_stands_twice_is_refused(es256: Api, position: int, member: bytes, last: bool) -> None:
    header = {"alg": "ES256", "kid": es256.issuer.keys.current_kid, "typ": "at+jwt"}
    parts = [json.dumps(part).encode() for part in (header, es256.issuer.claims())]
    document = parts[position]
    parts[position] = document[:-1] + b"," + member[:-1] + b"}" if last else b"{" + member + document[1:]
    reason = ("header_malformed", "payload_malformed")[position]
    assert es256.refusal(es256.issuer.keys.sign_parts(*parts)) == reason


# Size


def of_size(api: Api, characters: int) -> str:
    """A good token of exactly this many characters."""
    for header in ({}, {"x": ""}, {"x": "1"}, {"x": "12"}, {"x": "123"}):
        base = len(api.token(header=header, note=""))
        for filler in range(max(0, (characters - base) * 3 // 4 - 4), (characters - base) * 3 // 4 + 4):
            token: str = api.token(header=header, note="x" * filler)
            if len(token) == characters:
                return token
    raise AssertionError("no filler gives this length")


def test_a_token_may_have_sixteen_kibibytes_and_not_one_character_more(es256: Api) -> None:
    too_large = of_size(es256, 16 * 1024 + 1)
    assert es256.refusal(too_large) == "token_too_large"
    assert es256.issuer.fetched == []
    assert es256.answer(f"Bearer {of_size(es256, 16 * 1024)}").subject == "auth0|ada"


# The signature


@pytest.mark.parametrize("algorithm", ["RS256", "PS256", "ES256", "ES384", "ES512", "Ed25519"])
def test_a_flipped_bit_anywhere_is_noticed(new_api: type[Api], algorithm: str) -> None:
    api = new_api(algorithm)
    token = api.token()
    segments = token.split(".")
    for position, segment in enumerate(segments):
        raw = bytearray(unb64(segment))
        for index in {0, 1, len(raw) // 2, len(raw) - 2, len(raw) - 1}:
            for bit in (0, 7):
                raw[index] ^= 1 << bit
                flipped = ".".join([*segments[:position], b64(bytes(raw)), *segments[position + 1 :]])
                raw[index] ^= 1 << bit
                reason = api.refusal(flipped)
                assert position < 2 or reason == "signature_invalid"


def test_changed_claims_with_the_old_signature_are_refused(api: Api) -> None:
    signature = api.token().rpartition(".")[2]
    for change in ({"sub": "admin"}, {"scope": "admin"}, {"exp": api.now + 601}):
        assert api.refusal(f"{api.token(**change).rpartition('.')[0]}.{signature}") == "signature_invalid"


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_signature_of_another_length_is_refused(new_api: type[Api], algorithm: str) -> None:
    api = new_api(algorithm)
    signing_input, _, segment = api.token().rpartition(".")
    good = unb64(segment)
    for signature in (good[:-1], good[1:], good + b"\x00", b"\x00" + good, good * 2, b"\x00", good[: len(good) // 2]):
        assert api.refusal(f"{signing_input}.{b64(signature)}") == "signature_invalid"


ORDER = {
    "ES256": 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
    "ES384": 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFC7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973,
    "ES512": (1 << 521) - 0x5AE79787C40D069948033FEB708F65A2FC44A36477663B851449048E16EC79BF7,
}


@pytest.mark.parametrize("algorithm", ["ES256", "ES384", "ES512"])
def test_psychic_signatures_are_refused(new_api: type[Api], algorithm: str) -> None:
    # CVE-2022-21449: r = s = 0, and their congruences, passed for a signature of anything.
    api = new_api(algorithm)
    signing_input, _, segment = api.token().rpartition(".")
    length = len(unb64(segment)) // 2
    order = ORDER[algorithm]
    numbers = (0, 1, order - 1, order, order + 1, (1 << 8 * length) - 1)
    for r in numbers:
        for s in numbers:
            signature = r.to_bytes(length, "big") + s.to_bytes(length, "big")
            assert api.refusal(f"{signing_input}.{b64(signature)}") == "signature_invalid"


@pytest.mark.parametrize("algorithm", ["RS256", "PS256", "Ed25519"])
def test_trivial_signatures_are_refused(new_api: type[Api], algorithm: str) -> None:
    api = new_api(algorithm)
    signing_input, _, segment = api.token().rpartition(".")
    length = len(unb64(segment))
    for number in (0, 1, (1 << 8 * length) - 1):
        signature = number.to_bytes(length, "big")
        assert api.refusal(f"{signing_input}.{b64(signature)}") == "signature_invalid"


@pytest.mark.parametrize(("algorithm", "size"), [("ES256", 256), ("ES384", 384), ("ES512", 512)])
def test_an_ecdsa_signature_in_der_is_refused(new_api: type[Api], algorithm: str, size: int) -> None:
    # RFC 7518 section 3.4: R and S side by side; DER would be a second spelling of the same signature.
    api = new_api(algorithm)
    signing_input = api.token().rpartition(".")[0]
    digest = getattr(hashes, f"SHA{size}")()
    der = private_key(api.issuer.keys).private_key.sign(signing_input.encode(), ECDSA(digest))
    assert api.refusal(f"{signing_input}.{b64(der)}") == "signature_invalid"


@pytest.mark.parametrize("point", ["01" + "00" * 31, "ec" + "ff" * 30 + "7f"], ids=["order 1", "order 2"])
def test_a_published_key_that_anyone_can_sign_for_is_no_key(new_api: type[Api], point: str) -> None:
    # Ed25519: with R = 1 and S = 0 the equation holds for each message, or for each second one.
    api = new_api("EdDSA")
    lame = {"kty": "OKP", "crv": "Ed25519", "x": b64(bytes.fromhex(point)), "kid": "lame", "alg": "EdDSA"}
    members = [lame, *api.issuer.keys.jwks()["keys"]]
    api.issuer.documents[api.issuer.jwks_uri] = json.dumps({"keys": members}).encode()
    api.verify(api.token())
    header = {"alg": "EdDSA", "kid": "lame", "typ": "at+jwt"}
    for number in range(20):
        forged = compact(header, api.issuer.claims(sub="admin", note=number), b"\x01" + bytes(63))
        assert api.refusal(forged) == "key_unknown"


def test_a_signature_over_the_payload_alone_is_refused(es256: Api) -> None:
    header, payload, _ = es256.token().split(".")
    for signed in (payload, header, f"{payload}.{header}", f"{header}{payload}", f"{header}."):
        signature = JWSRegistry.algorithms["ES256"].sign(signed.encode(), private_key(es256.issuer.keys))
        assert es256.refusal(f"{header}.{payload}.{b64(signature)}") == "signature_invalid"


def test_a_detached_payload_is_refused(es256: Api) -> None:
    header, _payload, signature = es256.token().split(".")
    assert es256.refusal(f"{header}..{signature}") == "payload_malformed"


def test_a_nested_token_is_refused(es256: Api) -> None:
    header = json.dumps({"alg": "ES256", "kid": es256.issuer.keys.current_kid, "typ": "at+jwt", "cty": "JWT"}).encode()
    nested = es256.issuer.keys.sign_parts(header, es256.token().encode())
    assert es256.refusal(nested) == "payload_malformed"


HOPELESS = {
    "another issuer": ({"iss": "https://evil.test/"}, {}, "issuer_not_trusted"),
    "no issuer": ({"iss": None}, {}, "iss_missing"),
    "another type": ({}, {"typ": "JWT"}, "typ_not_accepted"),
    "another algorithm": ({}, {"alg": "HS256"}, "alg_not_allowed"),
    "an extension": ({}, {"crit": ["exp"]}, "header_not_supported"),
    "a kid of another kind": ({}, {"kid": 1}, "kid_malformed"),
    "expired": ({"exp": 1_700_000_000}, {}, "token_expired"),
    "not yet valid": ({"nbf": 1_900_000_000}, {}, "token_not_yet_valid"),
    "another audience": ({"aud": "https://other.test/"}, {}, "audience_not_accepted"),
    "no subject": ({"sub": None}, {}, "sub_missing"),
    "bound to a key": ({"cnf": {"jkt": "x"}}, {}, "proof_not_supported"),
    "too large": ({"note": "x" * 16384}, {}, "token_too_large"),
}


@pytest.mark.parametrize(("claims", "header", "reason"), HOPELESS.values(), ids=HOPELESS)
def test_a_hopeless_token_costs_no_fetch(api: Api, claims: dict[str, Any], header: dict[str, Any], reason: str) -> None:
    assert api.refusal(api.token(header=header, **claims)) == reason
    assert api.issuer.fetched == []
