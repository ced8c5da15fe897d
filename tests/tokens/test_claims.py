"""Each claim is compulsory or typed as its RFC says, and a token of another kind is never an access token."""

import json
from types import MappingProxyType
from typing import Any

import pytest
from tests.tokens.conftest import Api

from resource_server.errors import AuthorizationError
from resource_server.testing import FakeIssuer
from resource_server.tokens.access_token import AccessToken, access_token
from resource_server.tokens.policy import ClaimNames

NOW = 1_800_000_000  # as the fixtures' clock says
SKEW = 30
END_OF_9999 = 253_402_300_799


@pytest.fixture
def api(new_api: type[Api]) -> Api:
    return new_api("ES256")


def raw_token(api: Api, name: str, value: str, **changes: Any) -> str:
    """A good token with one claim written as these very characters, be they JSON or not."""
    claims = api.issuer.claims(**changes)
    claims.pop(name, None)
    payload = f'{json.dumps(claims)[:-1]},"{name}":{value}}}'
    header = {"alg": "ES256", "kid": api.issuer.keys.current_kid, "typ": "at+jwt"}
    token: str = api.issuer.keys.sign_parts(json.dumps(header).encode(), payload.encode())
    return token


def outcome(api: Api, token: str) -> str | None:
    """None where the token is accepted, or the reason."""
    try:
        api.verify(token)
    except AuthorizationError as error:
        return error.reason
    return None


ISSUERS = {
    "another": ('"https://evil.test/"', "issuer_not_trusted"),
    "without its slash": ('"https://issuer.test"', "issuer_not_trusted"),
    "with two slashes": ('"https://issuer.test//"', "issuer_not_trusted"),
    "a beginning": ('"https://issuer"', "issuer_not_trusted"),
    "a longer one": ('"https://issuer.test/evil"', "issuer_not_trusted"),
    "its host as a subdomain": ('"https://issuer.test.evil.test/"', "issuer_not_trusted"),
    "capitals": ('"https://ISSUER.test/"', "issuer_not_trusted"),
    "http": ('"http://issuer.test/"', "issuer_not_trusted"),
    "no scheme": ('"issuer.test"', "issuer_not_trusted"),
    "a default port": ('"https://issuer.test:443/"', "issuer_not_trusted"),
    "userinfo": ('"https://issuer.test@evil.test/"', "issuer_not_trusted"),
    "a trailing space": ('"https://issuer.test/ "', "issuer_not_trusted"),
    "a letter that Unicode normalises to the right one": ('"https://\uff49ssuer.test/"', "issuer_not_trusted"),
    "a Cyrillic letter": ('"https://\u0456ssuer.test/"', "issuer_not_trusted"),
    "a trailing line break": ('"https://issuer.test/\\n"', "iss_malformed"),
    "a trailing NUL": ('"https://issuer.test/\\u0000"', "iss_malformed"),
    "empty": ('""', "iss_malformed"),
    "null": ("null", "iss_malformed"),
    "a list": ('["https://issuer.test/"]', "iss_malformed"),
    "an object": ('{"https://issuer.test/":1}', "iss_malformed"),
    "a number": ("1", "iss_malformed"),
    "true": ("true", "iss_malformed"),
}


@pytest.mark.parametrize(("value", "reason"), ISSUERS.values(), ids=ISSUERS)
def test_the_issuer_is_compared_exactly(api: Api, value: str, reason: str) -> None:
    assert api.refusal(raw_token(api, "iss", value)) == reason
    assert api.issuer.fetched == []


def test_an_issuer_that_is_trusted_with_a_slash_is_not_the_one_without(new_api: type[Api]) -> None:
    other = FakeIssuer("https://issuer.test", algorithm="ES256")
    api = new_api("ES256", others=[other])
    assert len(api.verifier.issuers) == 2
    other.keys = api.issuer.keys
    api.verify(api.token())


AUDIENCES = {
    "the one": ('"https://api.test/"', None),
    "a list of it": ('["https://api.test/"]', None),
    "a list with others, last": ('["https://a.test/","https://api.test/"]', None),
    "a list with others, first": ('["https://api.test/","https://a.test/"]', None),
    "twice": ('["https://api.test/","https://api.test/"]', None),
    "another": ('"https://other.test/"', "audience_not_accepted"),
    "others": ('["https://a.test/","https://b.test/"]', "audience_not_accepted"),
    "without its slash": ('"https://api.test"', "audience_not_accepted"),
    "a beginning": ('"https://api"', "audience_not_accepted"),
    "a longer one": ('"https://api.test/v2"', "audience_not_accepted"),
    "capitals": ('"HTTPS://API.TEST/"', "audience_not_accepted"),
    "joined by a space": ('"https://api.test/ https://other.test/"', "audience_not_accepted"),
    "joined by a comma": ('"https://api.test/,https://other.test/"', "audience_not_accepted"),
    "a wildcard": ('"*"', "audience_not_accepted"),
    "the empty string": ('""', "audience_not_accepted"),
    "a list of the empty string": ('[""]', "audience_not_accepted"),
    "a list within a list": ('[["https://api.test/"]]', "aud_malformed"),
    "an empty list": ("[]", "aud_malformed"),
    "a list with a number beside it": ('["https://api.test/",1]', "aud_malformed"),
    "a list with null beside it": ('["https://api.test/",null]', "aud_malformed"),
    "null": ("null", "aud_malformed"),
    "true": ("true", "aud_malformed"),
    "zero": ("0", "aud_malformed"),
    "a number": ("1.5", "aud_malformed"),
    "an object with its name": ('{"https://api.test/":true}', "aud_malformed"),
    "an object": ("{}", "aud_malformed"),
}


@pytest.mark.parametrize(("value", "reason"), AUDIENCES.values(), ids=AUDIENCES)
def test_the_audience_has_to_name_this_api(api: Api, value: str, reason: str | None) -> None:
    assert outcome(api, raw_token(api, "aud", value)) == reason


def test_any_one_of_several_audiences_is_enough(new_api: type[Api]) -> None:
    api = new_api("ES256", audience=("a", "b"))
    assert api.verify(api.token(aud="b")).audience == ("b",)
    assert api.verify(api.token(aud=["c", "a"])).audience == ("c", "a")
    assert api.refusal(api.token(aud="ab")) == "audience_not_accepted"
    assert api.refusal(api.token(aud=["c"])) == "audience_not_accepted"


@pytest.mark.parametrize("claim", ["iss", "aud", "exp", "sub"])
def test_a_compulsory_claim_is_missed(api: Api, claim: str) -> None:
    assert api.refusal(api.token(**{claim: None})) == f"{claim}_missing"


@pytest.mark.parametrize("claim", ["iat", "nbf", "jti", "client_id", "scope"])
def test_an_optional_claim_is_not_missed(api: Api, claim: str) -> None:
    api.verify(api.token(**{claim: None}))


# RFC 7519 section 2: a NumericDate is a JSON number of seconds.
NO_DATES = {
    "a string": f'"{NOW}"',
    "an ISO date": '"2027-01-15T08:00:00Z"',
    "the empty string": '""',
    "true": "true",
    "false": "false",
    "a list": f"[{NOW}]",
    "an object": "{}",
    "negative": "-1",
    "a little negative": "-0.000001",
    "beyond the year 9999": str(END_OF_9999 + 1),
    "a fraction beyond the year 9999": f"{END_OF_9999}.5",
    "milliseconds": str(NOW * 1000),
    "huge": "1e300",
    "a huge integer": "9" * 400,
}
NO_NUMBERS = {
    "NaN": "NaN",
    "Infinity": "Infinity",
    "-Infinity": "-Infinity",
    "1e309": "1e309",
    "-1e309": "-1e309",
    "5000 digits": "9" * 5000,
}


@pytest.mark.parametrize("value", NO_DATES.values(), ids=NO_DATES)
@pytest.mark.parametrize("claim", ["exp", "nbf", "iat"])
def test_a_date_that_is_none_is_refused(api: Api, claim: str, value: str) -> None:
    assert api.refusal(raw_token(api, claim, value)) == f"{claim}_malformed"
    assert api.issuer.fetched == []


@pytest.mark.parametrize("claim", ["iss", "aud", "exp", "sub"])
def test_a_compulsory_claim_that_is_null_is_refused(api: Api, claim: str) -> None:
    assert api.refusal(raw_token(api, claim, "null")) == f"{claim}_malformed"


@pytest.mark.parametrize("value", NO_NUMBERS.values(), ids=NO_NUMBERS)
@pytest.mark.parametrize("claim", ["exp", "nbf", "iat", "anything"])
def test_a_number_that_is_none_spoils_the_payload(api: Api, claim: str, value: str) -> None:
    assert api.refusal(raw_token(api, claim, value)) == "payload_malformed"


# RFC 7519 section 4.1.4: on or after exp it is over; section 4.1.5: on nbf it begins. The skew widens both.
MOMENTS = {
    "exp, a second left": ("exp", NOW - SKEW + 1, None),
    "exp, a moment left": ("exp", NOW - SKEW + 0.001, None),
    "exp, at the second": ("exp", NOW - SKEW, "token_expired"),
    "exp, a moment over": ("exp", NOW - SKEW - 0.001, "token_expired"),
    "exp, at the second, as a float": ("exp", float(NOW - SKEW), "token_expired"),
    "exp, 1970": ("exp", 0, "token_expired"),
    "exp, minus zero": ("exp", -0.0, "token_expired"),
    "exp, the end of 9999": ("exp", END_OF_9999, None),
    "exp, in exponent notation": ("exp", 1.9e9, None),
    "nbf, at the second": ("nbf", NOW + SKEW, None),
    "nbf, a moment before": ("nbf", NOW + SKEW + 0.001, "token_not_yet_valid"),
    "nbf, a second before": ("nbf", NOW + SKEW + 1, "token_not_yet_valid"),
    "nbf, 1970": ("nbf", 0, None),
    "iat, at the second": ("iat", NOW + SKEW, None),
    "iat, a moment before": ("iat", NOW + SKEW + 0.001, "token_issued_in_future"),
    "iat, a year before": ("iat", NOW + 31_536_000, "token_issued_in_future"),
    "iat, 1970": ("iat", 0, None),
}


@pytest.mark.parametrize(("claim", "value", "reason"), MOMENTS.values(), ids=MOMENTS)
def test_a_token_is_good_for_its_time_and_the_skew_to_the_second(
    api: Api, claim: str, value: float, reason: str | None
) -> None:
    assert outcome(api, api.token(**{claim: value})) == reason


@pytest.mark.parametrize("skew", [0, 300])
def test_the_skew_is_the_policys(new_api: type[Api], skew: int) -> None:
    api = new_api("ES256", clock_skew_seconds=skew)
    assert outcome(api, api.token(exp=NOW - skew)) == "token_expired"
    assert outcome(api, api.token(exp=NOW - skew + 1)) is None
    assert outcome(api, api.token(nbf=NOW + skew)) is None
    assert outcome(api, api.token(nbf=NOW + skew + 1)) == "token_not_yet_valid"


def test_a_token_expires_while_its_key_is_known(api: Api) -> None:
    token = api.token(exp=NOW + 10)
    api.verify(token)
    api.now += 10 + SKEW
    assert api.refusal(token) == "token_expired"


SUBJECTS = {
    "Auth0's": ('"auth0|5f7c8ec7c33c6c004bbafe82"', None),
    "an e-mail address": ('"ada@example.test"', None),
    "with spaces": ('"ada lovelace"', None),
    "other scripts": ('"\u0410\u0434\u0430 \U0001f600"', None),
    "255 characters": (f'"{"s" * 255}"', None),
    "255 characters beyond the BMP": ('"' + "\U0001f600" * 255 + '"', None),
    "a pair of surrogates": ('"\\ud83d\\ude00"', None),
    "256 characters": (f'"{"s" * 256}"', "sub_malformed"),
    "empty": ('""', "sub_malformed"),
    "null": ("null", "sub_malformed"),
    "a number": ("42", "sub_malformed"),
    "true": ("true", "sub_malformed"),
    "a list": ('["ada"]', "sub_malformed"),
    "an object": ('{"id":"ada"}', "sub_malformed"),
    "NUL": ('"ada\\u0000"', "sub_malformed"),
    "a line break": ('"ada\\nadmin"', "sub_malformed"),
    "a carriage return": ('"\\rada"', "sub_malformed"),
    "escape": ('"\\u001b[31mada"', "sub_malformed"),
    "delete": ('"ada\\u007f"', "sub_malformed"),
    "a C1 control": ('"ada\\u0085"', "sub_malformed"),
    "a lone surrogate": ('"\\ud800"', "payload_malformed"),
    "a lone low surrogate": ('"ada\\udc00"', "payload_malformed"),
}


@pytest.mark.parametrize(("value", "reason"), SUBJECTS.values(), ids=SUBJECTS)
def test_the_subject_is_a_printable_name(api: Api, value: str, reason: str | None) -> None:
    assert outcome(api, raw_token(api, "sub", value)) == reason
    if reason is None:
        assert api.verify(raw_token(api, "sub", value)).subject == json.loads(value)


@pytest.mark.parametrize("value", ["1", "true", "[]", '["a"]', "{}", '""', '"a\\u0000"', '"a\\n"'])
@pytest.mark.parametrize("claim", ["client_id", "azp", "cid", "appid"])
def test_the_name_of_the_client_is_a_printable_string_too(api: Api, claim: str, value: str) -> None:
    assert api.refusal(raw_token(api, claim, value, client_id=None)) == "client_id_malformed"


OPTIONAL = ("client_id", "azp", "cid", "appid", "scope", "scp", "nbf", "iat", "jti", "auth_time", "roles", "act")


@pytest.mark.parametrize("claim", OPTIONAL)
def test_an_optional_claim_that_is_null_is_absent(api: Api, claim: str) -> None:
    token, other = api.verify(raw_token(api, claim, "null")), api.verify(api.token(**{claim: None}))
    assert (token.client_id, token.scopes, token.issued_at) == (other.client_id, other.scopes, other.issued_at)
    assert token.is_machine is other.is_machine
    assert token.claims[claim] is None


def test_all_optional_claims_at_once_are_null(api: Api) -> None:
    claims = {**api.issuer.claims(), **dict.fromkeys(OPTIONAL)}
    header = {"alg": "ES256", "kid": api.issuer.keys.current_kid, "typ": "at+jwt"}
    token = api.verify(api.issuer.keys.sign_parts(json.dumps(header).encode(), json.dumps(claims).encode()))
    assert (token.client_id, token.scopes, token.issued_at, token.is_machine) == (None, set(), None, False)


@pytest.mark.parametrize(
    "claims", [{"client_id": None, "azp": "b"}, {"scope": None, "scp": "b"}, {"client_id": "b", "azp": 1}], ids=str
)
def test_the_first_that_is_not_null_counts(api: Api, claims: dict[str, Any]) -> None:
    payload = json.dumps({**api.issuer.claims(), **claims}).encode()
    header = {"alg": "ES256", "kid": api.issuer.keys.current_kid, "typ": "at+jwt"}
    token = api.verify(api.issuer.keys.sign_parts(json.dumps(header).encode(), payload))
    assert "b" in (token.client_id, *token.scopes)


@pytest.mark.parametrize("value", ["1", "true", "[]", "{}", '""', '"a\\u0000"', "[[1]]"])
@pytest.mark.parametrize("claim", ["jti", "auth_time", "acr", "amr", "roles", "groups", "azp", "scp", "name"])
def test_a_claim_that_no_rule_needs_is_not_judged(api: Api, claim: str, value: str) -> None:
    # `azp` and `scp` stand beside the `client_id` and the `scope` that count.
    token = api.verify(raw_token(api, claim, value, scope="read"))
    assert (token.client_id, token.scopes) == ("client", {"read"})
    assert token.plain_claims()[claim] == json.loads(value)


@pytest.mark.parametrize("header", [{"x5t": 1}, {"x5c": None}, {"jku": []}, {"cty": 1}, {"nonce": None}], ids=str)
def test_a_header_that_no_rule_needs_is_not_judged(api: Api, header: dict[str, Any]) -> None:
    good = {"alg": "ES256", "kid": api.issuer.keys.current_kid, "typ": "at+jwt"}
    payload = json.dumps(api.issuer.claims()).encode()
    api.verify(api.issuer.keys.sign_parts(json.dumps({**good, **header}).encode(), payload))


def test_the_client_is_the_first_that_is_named(api: Api) -> None:
    names = ("client_id", "azp", "cid", "appid")
    for number, name in enumerate(names):
        claims = dict.fromkeys(names[:number]) | {later: later for later in names[number:]}
        assert api.verify(api.token(**claims)).client_id == name
    assert api.verify(api.token(client_id=None)).client_id is None


SCOPES: dict[str, tuple[dict[str, Any], set[str]]] = {
    "absent": ({}, set()),
    "empty": ({"scope": ""}, set()),
    "one": ({"scope": "read"}, {"read"}),
    "two": ({"scope": "read write"}, {"read", "write"}),
    "twice": ({"scope": "read read"}, {"read"}),
    "more spaces": ({"scope": "  read   write "}, {"read", "write"}),
    "a list": ({"scope": ["read", "write"]}, {"read", "write"}),
    "an empty list": ({"scope": []}, set()),
    "a list of the empty string": ({"scope": [""]}, set()),
    "a list whose member has a space": ({"scope": ["read write"]}, {"read write"}),
    "separated by a tab": ({"scope": "read\twrite"}, {"read\twrite"}),
    "separated by a line break": ({"scope": "read\nwrite"}, {"read\nwrite"}),
    "separated by a no-break space": ({"scope": "read\u00a0write"}, {"read\u00a0write"}),
    "separated by a comma": ({"scope": "read,write"}, {"read,write"}),
    "scp, a string": ({"scp": "read write"}, {"read", "write"}),
    "scp, a list": ({"scp": ["read", "write"]}, {"read", "write"}),
    "both": ({"scope": "read", "scp": ["admin"]}, {"read"}),
    "an empty scope and scp": ({"scope": "", "scp": "admin"}, set()),
    "permissions": ({"permissions": ["admin"]}, set()),
    "scopes": ({"scopes": ["admin"]}, set()),
    "Scope": ({"Scope": "admin"}, set()),
}


@pytest.mark.parametrize(("claims", "scopes"), SCOPES.values(), ids=SCOPES)
def test_scopes_are_separated_by_a_space_and_by_nothing_else(api: Api, claims: Any, scopes: set[str]) -> None:
    assert api.verify(api.token(**claims)).scopes == scopes


@pytest.mark.parametrize("value", ["1", "true", "{}", '{"read":true}', '["read",1]', '[["read"]]', "[null]"])
@pytest.mark.parametrize("claim", ["scope", "scp"])
def test_a_scope_of_another_kind_is_refused(api: Api, claim: str, value: str) -> None:
    assert api.refusal(raw_token(api, claim, value)) == "scope_malformed"


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        *((value, "cnf_malformed") for value in ("null", "{}", "[]", '""', "false", "0", '{"x5t#S256":"x"}')),
        *(
            (f'{{"x5t#S256":{value}}}', "cnf_malformed")
            for value in ("null", "1", "[]", f'"{"x" * 44}"', f'"{"=" * 43}"', f'"{"x" * 43}="', f'"{"x" * 42}="')
        ),
        *(
            (f'{{"x5t#S256":{value}}}', "cnf_malformed")
            for value in (f'"{"x" * 43}\\n"', f'"{"x" * 42}\\n"', f'" {"x" * 43}"', f'"{"x" * 42} "', f'"{"+" * 43}"')
        ),
        *((value, "proof_not_supported") for value in ('{"jkt":"x"}', '{"kid":"x"}', '{"jwk":{}}', '{"x5t":"x"}')),
        (f'{{"x5t#S256":"{"x" * 43}","kid":"x"}}', "proof_not_supported"),
        (f'{{"x5t#S256":"{"x" * 43}"}}', "certificate_missing"),
    ],
)
def test_a_bound_token_is_refused_whatever_it_is_bound_to(api: Api, value: str, reason: str) -> None:
    assert api.refusal(raw_token(api, "cnf", value)) == reason


@pytest.mark.parametrize(
    "value", ["null", "1", "[]", '"x"', f'"{"x" * 44}"', f'"{"x" * 43}="', f'"{"+" * 43}"', f'"{"x" * 43}\\n"']
)
def test_a_key_that_is_no_thumbprint_is_refused(new_api: type[Api], value: str) -> None:
    api = new_api("ES256", dpop="allowed")
    assert api.refusal(raw_token(api, "cnf", f'{{"jkt":{value}}}')) == "cnf_malformed"


OTHER_TOKENS = {
    "an ID token's nonce": {"nonce": "n"},
    "an ID token's at_hash": {"at_hash": "h"},
    "an ID token's c_hash": {"c_hash": "h"},
    "an ID token's s_hash": {"s_hash": "h"},
    "an empty nonce": {"nonce": ""},
    "Cognito's ID token": {"token_use": "id"},
    "token_use in another case": {"token_use": "Access"},
    "token_use false": {"token_use": False},
    "Keycloak's ID token": {"typ": "ID"},
    "Keycloak's refresh token": {"typ": "Refresh"},
    "Keycloak's offline token": {"typ": "Offline"},
    "Keycloak's logout token": {"typ": "Logout"},
    "typ in another case": {"typ": "bearer"},
    "typ a list": {"typ": ["Bearer"]},
    "a logout token": {"events": {"http://schemas.openid.net/event/backchannel-logout": {}}},
    "a security event": {"events": {}},
}


@pytest.mark.parametrize("claims", OTHER_TOKENS.values(), ids=OTHER_TOKENS)
@pytest.mark.parametrize("header", [{"typ": "JWT"}, {"typ": None}, {"typ": "application/JWT"}], ids=str)
@pytest.mark.parametrize("token_types", [("jwt",), ("at+jwt", "jwt")], ids=str)
def test_a_token_of_another_kind_is_no_access_token(
    new_api: type[Api], token_types: tuple[str, ...], header: dict[str, Any], claims: dict[str, Any]
) -> None:
    api = new_api("ES256", token_types=token_types)
    assert api.refusal(api.token(header=header, **claims)) == "not_an_access_token"


KINDS = (("token_use", "access"), ("typ", "Bearer"), ("picture", None))


@pytest.mark.parametrize("claim", ["nonce", "at_hash", "events", "token_use", "typ", "picture"])
def test_a_claim_that_is_null_betrays_no_other_kind(new_api: type[Api], claim: str) -> None:
    api = new_api("ES256", token_types=("jwt",), kind_claims=KINDS)
    claims = json.dumps({**api.issuer.claims(), claim: None}).encode()
    header = json.dumps({"alg": "ES256", "kid": api.issuer.keys.current_kid}).encode()
    api.verify(api.issuer.keys.sign_parts(header, claims))


def test_a_claim_that_is_null_is_none_that_an_access_token_alone_has(new_api: type[Api]) -> None:
    api = new_api("ES256", token_types=("jwt",), access_token_claims=frozenset({"azp"}))
    claims = json.dumps({**api.issuer.claims(), "azp": None}).encode()
    header = json.dumps({"alg": "ES256", "kid": api.issuer.keys.current_kid}).encode()
    assert api.refusal(api.issuer.keys.sign_parts(header, claims)) == "not_an_access_token"


NAMED_KINDS: dict[str, tuple[dict[str, Any], str | None]] = {
    "Keycloak's access token": ({"typ": "Bearer", "nonce": "n"}, None),
    "Cognito's access token": ({"token_use": "access", "nonce": "n"}, None),
    "Keycloak's ID token": ({"typ": "ID", "nonce": "n"}, "not_an_access_token"),
    "a kind that is null": ({"typ": None, "nonce": "n"}, "not_an_access_token"),
    "two kinds that disagree": ({"typ": "Bearer", "token_use": "id", "nonce": "n"}, "not_an_access_token"),
    "a hash that no access token has": ({"typ": "Bearer", "at_hash": "h"}, "not_an_access_token"),
    "a claim of no kind": ({"picture": None, "nonce": "n"}, "not_an_access_token"),
}


@pytest.mark.parametrize(("claims", "reason"), NAMED_KINDS.values(), ids=NAMED_KINDS)
def test_a_nonce_is_no_sign_where_the_token_says_what_it_is(
    new_api: type[Api], claims: dict[str, Any], reason: str | None
) -> None:
    # Case 41: Keycloak before 24.
    api = new_api("ES256", token_types=("jwt",), kind_claims=KINDS)
    payload = json.dumps({**api.issuer.claims(), **claims}).encode()
    header = json.dumps({"alg": "ES256", "kid": api.issuer.keys.current_kid, "typ": "JWT"}).encode()
    assert outcome(api, api.issuer.keys.sign_parts(header, payload)) == reason


def test_the_access_tokens_of_issuers_that_say_jwt_are_accepted(new_api: type[Api]) -> None:
    api = new_api("ES256", token_types=("jwt",))
    for claims in ({}, {"token_use": "access"}, {"typ": "Bearer"}, {"auth_time": NOW, "acr": "1", "azp": "client"}):
        api.verify(api.token(header={"typ": "JWT"}, **claims))


def test_the_explicit_type_speaks_for_itself(api: Api) -> None:
    # RFC 9068 section 2.1: at+jwt is no ID token, whatever claims the issuer adds.
    api.verify(api.token(nonce="n", token_use="id"))


# What a permission reads


def test_the_access_token_is_what_was_signed(api: Api) -> None:
    token = api.verify(
        api.token(scope="read", aud=["https://api.test/", "b"], nbf=NOW, roles=[{"name": "a", "n": [1]}])
    )
    assert isinstance(token, AccessToken)
    assert token.issuer == "https://issuer.test/"
    assert token.subject == "auth0|ada"
    assert token.audience == ("https://api.test/", "b")
    assert token.client_id == "client"
    assert (token.issued_at, token.expires_at) == (NOW, NOW + 600)
    assert token.claims["roles"] == (MappingProxyType({"name": "a", "n": (1,)}),)


def test_the_claims_cannot_be_changed_at_any_depth(api: Api) -> None:
    claims = api.verify(api.token(roles=[{"names": ["a"]}])).claims
    with pytest.raises(TypeError):
        claims["sub"] = "admin"
    with pytest.raises(TypeError):
        claims["roles"][0]["names"] = ()
    assert isinstance(claims["roles"], tuple)
    assert isinstance(claims["roles"][0]["names"], tuple)
    with pytest.raises(AttributeError):
        api.verify(api.token()).subject = "admin"


def test_a_shared_token_is_the_same_for_all_who_read_it(api: Api) -> None:
    token = api.verify(api.token(roles=[{"names": ["a"], "deep": [[{"b": {}}]]}], address={"lines": ["x"]}))
    claims = token.claims
    assert token.claims is claims  # made once
    assert claims["roles"][0]["deep"] == (({"b": {}},),)
    for mapping in (claims, claims["roles"][0], claims["address"], claims["roles"][0]["deep"][0][0]["b"]):
        with pytest.raises(TypeError):
            mapping["sub"] = "admin"
        with pytest.raises(TypeError):
            mapping.update(sub="admin")
    for name in ("issuer", "subject", "audience", "scopes", "client_id", "expires_at", "claims", "_claims", "note"):
        with pytest.raises((AttributeError, TypeError)):
            setattr(token, name, "admin")
        with pytest.raises((AttributeError, TypeError)):
            delattr(token, name)
    assert not hasattr(token, "__dict__")
    assert (token.subject, token.claims) == ("auth0|ada", claims)


def test_neither_token_nor_person_is_in_a_repr(api: Api) -> None:
    token = api.token(email="ada@example.test")
    text = repr(api.verify(token))
    assert text == "<AccessToken of https://issuer.test/>"


def test_the_text_of_a_token_is_its_identity(api: Api) -> None:
    # django-ninja counts requests by it.
    ada, bob = (api.verify(api.token(sub=name)) for name in ("ada", "bob"))
    assert (str(ada), str(bob)) == (ada.identity, bob.identity)


def test_identities_are_told_apart(api: Api) -> None:
    # Where the one ends and the other begins is part of it, and so is every character.
    def token(issuer: str, subject: str) -> AccessToken:
        return AccessToken(
            issuer=issuer,
            subject=subject,
            audience=(),
            scopes=frozenset(),
            client_id=None,
            issued_at=None,
            expires_at=0,
            claims={},
        )

    pairs = [("a", "bc"), ("ab", "c"), ("A", "bc"), ("a", "bC"), ("1:a", "bc"), ("a", "auth0|1"), ("a", "auth0.1")]
    identities = {token(*pair).identity for pair in pairs}
    assert len(identities) == len(pairs)
    assert all(len(identity) == 64 for identity in identities)
    assert token("a", "bc").identity == token("a", "bc").identity


MACHINES: dict[str, tuple[dict[str, Any], bool]] = {
    "a person": ({}, False),
    "RFC 9068: the subject is the client": ({"sub": "client"}, True),
    "RFC 9068: a person beside the client": ({"sub": "client2"}, False),
    "Auth0": ({"sub": "client@clients", "gty": "client-credentials"}, True),
    "Auth0, which says azp": ({"sub": "client@clients", "client_id": None, "azp": "client", "gty": "client-credentials"}, True),
    "Auth0: another client": ({"sub": "other@clients", "gty": "client-credentials"}, False),
    "Auth0: a person with gty": ({"gty": "client-credentials"}, False),
    "Auth0: another gty": ({"sub": "client@clients", "gty": "password"}, False),
    "Auth0: gty of another kind": ({"sub": "client@clients", "gty": ["client-credentials"]}, False),
    "Auth0 after RFC 9068, without gty": ({"sub": "client@clients"}, True),
    "Auth0, client unnamed": ({"sub": "client@clients", "client_id": None, "gty": "client-credentials"}, True),
    "Auth0, client unnamed: a person": ({"sub": "auth0|1", "client_id": None, "gty": "client-credentials"}, False),
    "Auth0: a person named like a machine": ({"sub": "auth0|client@clients"}, False),
    "Entra ID": ({"idtyp": "app"}, True),
    "Entra ID, client unnamed": ({"idtyp": "app", "client_id": None}, True),
    "Entra ID: a person": ({"idtyp": "user"}, False),
    "Entra ID: idtyp of another kind": ({"idtyp": ["app"]}, False),
    "Keycloak": ({"preferred_username": "service-account-client", "clientHost": "10.0.0.1", "clientAddress": "10.0.0.1"}, True),
    "Keycloak, in capitals": ({"client_id": "Client", "preferred_username": "service-account-client", "clientHost": "h"}, True),
    "Keycloak, without the host": ({"preferred_username": "service-account-client", "clientAddress": "10.0.0.1"}, True),
    "Keycloak: a person who registered under the name": ({"preferred_username": "service-account-client"}, False),
    "Keycloak: a person, and a mapper that names the client": (
        {"preferred_username": "service-account-client", "clientId": "client", "azp": "client"}, False,
    ),
    "Keycloak: the name of another client": ({"preferred_username": "service-account-other", "clientHost": "h"}, False),
    "Keycloak: a person with a host": ({"preferred_username": "ada", "clientHost": "h"}, False),
    "no client named": ({"client_id": None, "preferred_username": "service-account-none", "clientHost": "h"}, False),
    "no client named, a subject of that name": ({"client_id": None, "sub": "None"}, False),
}  # fmt: skip


@pytest.mark.parametrize(("claims", "machine"), MACHINES.values(), ids=MACHINES)
def test_a_machine_is_told_from_a_person(api: Api, claims: dict[str, Any], machine: bool) -> None:
    assert api.verify(api.token(**claims)).is_machine is machine


# Claims under names of the issuer's own

COGNITO = ClaimNames(audience="client_id")
ENTRA = ClaimNames(subject="oid", scope=("roles", "scp"), client_id=("appid",))
AUTH0 = ClaimNames(scope=("permissions",))


def test_each_claim_is_read_under_the_policys_name(new_api: type[Api]) -> None:
    names = ClaimNames(subject="uid", audience="for", scope=("may",), client_id=("by",))
    api = new_api("ES256", claim_names=names)
    claims = {"uid": "ada", "for": ["https://api.test/", "b"], "may": ["read"], "by": "app"}
    token = api.verify(api.token(**claims, aud=None, sub=None, client_id=None, scope=1, azp=1))
    assert (token.subject, token.audience, token.scopes, token.client_id) == (
        "ada",
        ("https://api.test/", "b"),
        {"read"},
        "app",
    )
    # What stands under the RFC's name is a claim as any other, and no right.
    token = api.verify(api.token(**claims, sub="admin", aud="other", scope="admin", client_id="other"))
    assert (token.subject, token.scopes, token.client_id) == ("ada", {"read"}, "app")
    assert token.claims["sub"] == "admin"


RENAMED: dict[str, tuple[ClaimNames, dict[str, Any], str | None]] = {
    "Cognito: the client is the audience": (COGNITO, {"client_id": "https://api.test/", "aud": None}, None),
    "Cognito: another client": (COGNITO, {"client_id": "other", "aud": "https://api.test/"}, "audience_not_accepted"),
    "Cognito: no client": (COGNITO, {"client_id": None, "aud": "https://api.test/"}, "aud_missing"),
    "Cognito: a number": (COGNITO, {"client_id": 1}, "aud_malformed"),
    "Cognito: an empty list": (COGNITO, {"client_id": []}, "aud_malformed"),
    "Cognito: a list in a list": (COGNITO, {"client_id": [["https://api.test/"]]}, "aud_malformed"),
    "Cognito: a list with a number": (COGNITO, {"client_id": ["https://api.test/", 1]}, "aud_malformed"),
    "Cognito: an object": (COGNITO, {"client_id": {"https://api.test/": 1}}, "aud_malformed"),
    "Entra ID": (ENTRA, {"oid": "ada", "appid": "app", "roles": ["read"]}, None),
    "Entra ID: no oid": (ENTRA, {"sub": "ada"}, "sub_missing"),
    "Entra ID: oid a number": (ENTRA, {"oid": 1}, "sub_malformed"),
    "Entra ID: oid a list": (ENTRA, {"oid": ["ada"]}, "sub_malformed"),
    "Entra ID: oid empty": (ENTRA, {"oid": ""}, "sub_malformed"),
    "Entra ID: oid of 256 characters": (ENTRA, {"oid": "o" * 256}, "sub_malformed"),
    "Entra ID: oid with NUL": (ENTRA, {"oid": "ada\x00"}, "sub_malformed"),
    "Entra ID: roles a number": (ENTRA, {"oid": "ada", "roles": 1}, "scope_malformed"),
    "Entra ID: roles an object": (ENTRA, {"oid": "ada", "roles": {"read": True}}, "scope_malformed"),
    "Entra ID: a malformed scp beside roles": (ENTRA, {"oid": "ada", "roles": ["a"], "scp": 1}, None),
    "Entra ID: appid a list": (ENTRA, {"oid": "ada", "appid": ["app"]}, "client_id_malformed"),
    "Auth0": (AUTH0, {"permissions": ["read"]}, None),
    "Auth0: permissions a number": (AUTH0, {"permissions": 1.5}, "scope_malformed"),
    "Auth0: permissions with a number": (AUTH0, {"permissions": ["read", 1]}, "scope_malformed"),
    "Auth0: permissions nested": (AUTH0, {"permissions": [["read"]]}, "scope_malformed"),
    "Auth0: permissions false": (AUTH0, {"permissions": False}, "scope_malformed"),
}


@pytest.mark.parametrize(("names", "claims", "reason"), RENAMED.values(), ids=RENAMED)
def test_a_renamed_claim_is_as_compulsory_and_as_typed(
    new_api: type[Api], names: ClaimNames, claims: dict[str, Any], reason: str | None
) -> None:
    api = new_api("ES256", claim_names=names)
    assert outcome(api, api.token(**claims)) == reason


def test_the_first_name_that_is_there_counts(new_api: type[Api]) -> None:
    api = new_api("ES256", claim_names=ENTRA)
    assert api.verify(api.token(oid="ada", roles=["a"], scp="b c")).scopes == {"a"}
    assert api.verify(api.token(oid="ada", scp="b c")).scopes == {"b", "c"}
    assert api.verify(api.token(oid="ada", scope="admin", permissions=["admin"])).scopes == set()
    api = new_api("ES256", claim_names=AUTH0)
    assert api.verify(api.token(scope="openid", permissions=["read write", ""])).scopes == {"read write"}


@pytest.mark.parametrize(
    ("names", "claims", "machine"),
    [
        (ENTRA, {"oid": "app", "appid": "app", "sub": "app"}, True),
        (ENTRA, {"oid": "app", "appid": "app", "sub": None}, True),
        (ENTRA, {"oid": "app", "appid": "app", "sub": "ada"}, False),
        (ClaimNames(subject="username"), {"username": "web", "client_id": "web", "sub": "7c0e"}, False),
        (ENTRA, {"oid": "ada", "appid": "app", "idtyp": "app"}, True),
        (ENTRA, {"oid": "ada", "appid": "app", "sub": "app"}, False),
        (ENTRA, {"oid": "ada", "client_id": "ada"}, False),
        (COGNITO, {"client_id": "https://api.test/", "sub": "https://api.test/"}, True),
        (COGNITO, {"client_id": "https://api.test/"}, False),
    ],
)
def test_a_machine_is_told_from_a_person_under_other_names(
    new_api: type[Api], names: ClaimNames, claims: dict[str, Any], machine: bool
) -> None:
    api = new_api("ES256", claim_names=names)
    assert api.verify(api.token(**claims)).is_machine is machine


def test_an_access_token_takes_the_standard_names_where_none_are_given(api: Api) -> None:
    token = access_token(api.issuer.claims(scope="read", uid="x"))
    assert (token.subject, token.scopes) == ("auth0|ada", {"read"})
