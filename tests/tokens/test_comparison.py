"""Strings of a token are compared by code point, after the escapes of JSON and in no other form (RFC 7515 section 5.3)."""

import json
from typing import Any

import pytest
from tests.tokens.conftest import Api

from resource_server.testing import FakeIssuer

COMPOSED, DECOMPOSED = "caf\u00e9", "cafe\u0301"


def signed(api: Api, header: str = "", claims: str = "", **changes: Any) -> str:
    """A good token whose header and claims begin with these characters, in place of the members that are None."""
    members = {"alg": "ES256", "kid": api.issuer.keys.current_kid, "typ": "at+jwt"}
    parts = [
        (header, {name: value for name, value in members.items() if changes.get(name, "") is not None}),
        (claims, api.issuer.claims(**{name: value for name, value in changes.items() if name not in members})),
    ]
    documents = [f"{{{text}{json.dumps(part)[1:]}".encode() for text, part in parts]
    token: str = api.issuer.keys.sign_parts(*documents)
    return token


@pytest.fixture
def api(new_api: type[Api]) -> Api:
    return new_api("ES256", audience=("https://api.test/", COMPOSED))


ESCAPED = {
    "a name in the header": {"header": r'"\u0061lg":"ES256",', "alg": None},
    "a value in the header": {"header": r'"alg":"\u0045S256",', "alg": None},
    "the type": {"header": r'"typ":"at\u002bjwt",', "typ": None},
    "the name of a claim": {"claims": r'"\u0061ud":"https://api.test/",', "aud": None},
    "a solidus in the issuer": {"claims": r'"iss":"https:\/\/issuer.test\/",', "iss": None},
    "the audience": {"claims": r'"aud":"caf\u00E9",', "aud": None},
}


@pytest.mark.parametrize("changes", ESCAPED.values(), ids=ESCAPED)
def test_an_escape_stands_for_its_character(api: Api, changes: dict[str, Any]) -> None:
    assert api.verify(signed(api, **changes)).subject == "auth0|ada"


OTHER_NAMES = {
    "alg in capitals": ({"header": '"ALG":"ES256",', "alg": None}, "alg_not_allowed"),
    "alg in full width": ({"header": '"\uff41lg":"ES256",', "alg": None}, "alg_not_allowed"),
    "typ with a capital": ({"header": '"Typ":"at+jwt",', "typ": None}, "typ_not_accepted"),
    "iss with a capital": ({"claims": '"Iss":"https://issuer.test/",', "iss": None}, "iss_missing"),
    "iss with a dotless i": ({"claims": '"\u0131ss":"https://issuer.test/",', "iss": None}, "iss_missing"),
    "aud in capitals": ({"claims": '"AUD":"https://api.test/",', "aud": None}, "aud_missing"),
    "aud with a space": ({"claims": '"aud ":"https://api.test/",', "aud": None}, "aud_missing"),
    "exp with a capital": ({"claims": '"Exp":9000000000,', "exp": None}, "exp_missing"),
    "sub with a long s": ({"claims": '"\u017fub":"ada",', "sub": None}, "sub_missing"),
}


@pytest.mark.parametrize(("changes", "reason"), OTHER_NAMES.values(), ids=OTHER_NAMES)
def test_a_name_that_looks_alike_is_another(api: Api, changes: dict[str, Any], reason: str) -> None:
    assert api.refusal(signed(api, **changes)) == reason


def test_an_audience_is_not_normalised(api: Api) -> None:
    api.verify(api.token(aud=COMPOSED))
    for other in (DECOMPOSED, COMPOSED.upper(), f"{COMPOSED}\u200b"):
        assert api.refusal(api.token(aud=other)) == "audience_not_accepted"


def test_a_kid_is_case_sensitive_and_not_normalised(new_api: type[Api]) -> None:
    # RFC 7515 section 4.1.4.
    api = new_api("ES256")
    (key,) = api.issuer.keys.jwks()["keys"]
    api.issuer.documents[api.issuer.jwks_uri] = json.dumps({"keys": [{**key, "kid": COMPOSED}]}).encode()
    api.verify(api.token(header={"kid": COMPOSED}))
    for other in (DECOMPOSED, COMPOSED.upper(), COMPOSED.title(), f" {COMPOSED}"):
        assert api.refusal(api.token(header={"kid": other})) == "key_unknown"


def test_scopes_and_subjects_are_not_normalised(new_api: type[Api]) -> None:
    api = new_api("ES256")
    token, other = (
        api.verify(api.token(sub=COMPOSED, scope="read")),
        api.verify(api.token(sub=DECOMPOSED, scope="READ")),
    )
    assert token.subject != other.subject
    assert token.identity != other.identity
    assert other.scopes == {"READ"}


def test_an_issuer_is_not_normalised(new_api: type[Api]) -> None:
    known, other = FakeIssuer(f"https://issuer.test/{COMPOSED}", algorithm="ES256"), f"https://issuer.test/{DECOMPOSED}"
    api = new_api("ES256", others=[known])
    assert api.refusal(known.token(iss=other)) == "issuer_not_trusted"
