"""Bound tokens in requests, at each edge, under WSGI and ASGI."""

import pytest
from asgiref.sync import async_to_sync
from cryptography.hazmat.primitives.serialization import Encoding
from django.core.cache import caches
from django.test import AsyncClient, AsyncRequestFactory, RequestFactory
from tests.bound.conftest import ORIGIN
from tests.bound.test_certificates import ONE, OTHER, PROXY, WRITTEN

from resource_server import authenticate, signals, verify
from resource_server.errors import InvalidToken
from resource_server.request_facts import sent_path
from resource_server.server import current
from resource_server.testing import ProofKey
from resource_server.tokens.certificates import digest_of_der, thumbprint

X5T = thumbprint(digest_of_der(ONE.public_bytes(Encoding.DER)))
CERTIFICATE = {"FROM": "nginx", "PROXIES": [PROXY]}
WITH_ONE = {"X-SSL-Client-Cert": WRITTEN["nginx"][0]}


def refused(response, reason, status=401):
    assert (response.status_code, response.json().get("reason")) == (status, reason), response.content
    return True


def passed(response):
    assert response.status_code == 200, response.content
    assert response.json() == {"user": "auth0|ada"}
    return True


def test_a_bound_token_passes_with_a_new_proof_each_time(api):
    token = api.token()
    for _ in range(4):  # the second is of a remembered token
        assert passed(api.call(token))


def test_without_remembered_tokens_it_is_the_same(api, configure):
    configure(TOKEN_CACHE=0)
    headers = api.headers(api.token())
    assert passed(api.get(headers))
    assert refused(api.get(headers), "proof_replayed")
    assert refused(api.get({"Authorization": f"Bearer {api.token()}"}), "token_bound_to_key")
    assert refused(api.call(api.token(cnf=None)), "token_not_bound")


def test_a_bound_token_is_remembered_after_its_proof_alone(plain):
    token = plain.token()

    def kept():
        return len(current().verifier._seen)

    assert refused(plain.get({"Authorization": f"Bearer {token}"}), "token_bound_to_key")
    assert refused(plain.call(token, htm="POST"), "proof_method_differs")
    assert kept() == 0
    assert passed(plain.call(token))
    assert passed(plain.call(token))
    assert kept() == 1


def test_a_replayed_proof_is_refused(api):
    headers = api.headers(api.token())

    assert passed(api.get(headers))
    assert refused(api.get(headers), "proof_replayed")
    assert refused(api.get(headers), "proof_replayed")


def test_a_stolen_token_is_worth_nothing_as_bearer(api):
    token = api.token()
    for _ in range(2):
        assert refused(api.get({"Authorization": f"Bearer {token}"}), "token_bound_to_key")
        assert refused(api.get({**api.headers(token), "Authorization": f"Bearer {token}"}), "token_bound_to_key")
        assert passed(api.call(token))


def test_a_bearer_token_does_not_pass_as_dpop(api):
    token = api.token(cnf=None)
    for _ in range(2):
        assert refused(api.call(token), "token_not_bound")
        assert passed(api.get({"Authorization": f"Bearer {token}"}))


def test_without_a_proof_or_with_two_it_is_refused(api):
    token = api.token()
    proof = api.headers(token)["DPoP"]

    assert refused(api.get({"Authorization": f"DPoP {token}"}), "proof_missing")
    assert refused(api.get({"Authorization": f"DPoP {token}", "DPoP": f"{proof},{proof}"}), "proof_repeated")
    assert refused(api.get({"Authorization": f"DPoP {token}", "DPoP": ""}), "proof_missing")
    assert refused(api.get({"Authorization": f"DPoP {token}", "DPoP": "\xff"}), "proof_malformed")


def test_a_proof_of_another_key_or_token_is_refused(api):
    token = api.token()
    other = ProofKey()

    assert refused(api.get(other.headers("GET", api.url, token)), "proof_key_differs")
    assert refused(
        api.get({**api.headers(api.token(jti="other")), "Authorization": f"DPoP {token}"}), "proof_token_differs"
    )


def test_credentials_for_a_proxy_are_not_read(api):
    token = api.token()
    headers = api.headers(token)
    for sent in (
        {"Proxy-Authorization": headers["Authorization"], "DPoP": headers["DPoP"]},
        {"Proxy-Authorization": f"Bearer {api.token(cnf=None)}"},
    ):
        response = api.get(sent)
        assert response.status_code == 401
        assert (
            response.json() == {} or response.json()["reason"] == "credentials_missing"
        )  # the view behind the middleware
        assert "Proxy-Authenticate" not in response
        assert "error=" not in response.headers.get("WWW-Authenticate", "")
    assert passed(api.get(headers)), "the proof was not used"


@pytest.mark.parametrize("scheme", ["dpop", "DPOP", "DPoP "])
def test_the_scheme_has_no_case(plain, scheme):
    token = plain.token()
    assert passed(plain.get({**plain.headers(token), "Authorization": f"{scheme} {token}"}))


def test_host_and_forwarded_headers_say_nothing(api, settings):
    settings.ALLOWED_HOSTS = ["*"]
    settings.USE_X_FORWARDED_HOST = True
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    token = api.token()
    forged = {"Host": "evil.test", "X-Forwarded-Host": "evil.test", "X-Forwarded-Proto": "https"}

    stolen = api.key.headers("GET", f"https://evil.test{api.path}", token)
    assert refused(api.get({**stolen, **forged}), "proof_url_differs")
    assert passed(api.get({**api.headers(token), **forged}))


@pytest.mark.parametrize(
    ("sent", "htu"),
    [
        ("/plain/é", "/plain/%C3%A9"),
        ("/plain/é", "/plain/%c3%a9"),
        ("/plain/a%25b", "/plain/a%25b"),
        ("/plain/a b;c", "/plain/a%20b;c"),
        ("/plain/a?x=1", "/plain/a"),
        ("/plain/a?x=1", "/plain/a?y=2#z"),
        ("/plain/~a", "/plain/%7ea"),
    ],
)
def test_the_path_of_the_request_is_compared_decoded(plain, sent, htu):
    token = plain.token()
    headers = {"Authorization": f"DPoP {token}", "DPoP": plain.key.proof("GET", "x", token, htu=ORIGIN + htu)}
    plain.path = sent
    assert passed(plain.get(headers))


def test_a_script_name_belongs_to_the_path(plain):
    token = plain.token()
    headers = plain.key.headers("GET", f"{ORIGIN}/prefix/plain", token)

    assert passed(plain.client.get("/plain", headers=headers, SCRIPT_NAME="/prefix"))
    assert refused(plain.client.get("/plain", headers=plain.headers(token), SCRIPT_NAME="/prefix"), "proof_url_differs")


@pytest.mark.parametrize("edge", ["plain", "rest"])
@pytest.mark.parametrize(
    ("forced", "root_path", "before"),
    [
        ("/prefix", "", ""),
        ("/prefix/", "", ""),
        (None, "/prefix", ""),  # a server that leaves `root_path` out of the path
        (None, "/prefix", "/prefix"),  # the form of the ASGI specification
        ("/prefix", "", "/prefix"),
    ],
    ids=["forced", "forced with a slash", "root_path alone", "root_path in the path", "forced and not removed"],
)
def test_a_prefix_that_a_proxy_removes_belongs_to_the_path_under_asgi_too(
    issuer, configure, key, settings, forced, root_path, before, edge
):
    """Reported to Spring Security in #17202: each service of a gateway has a prefix that it does not see."""
    settings.FORCE_SCRIPT_NAME = forced
    configure(RESOURCE=["https://api.test/other", "https://api.test/prefix"])
    token = issuer.token(scope="read", cnf=key.confirmation)

    class MountedClient(AsyncClient):
        def _base_scope(self, **request):
            return {**super()._base_scope(**request), "root_path": root_path}

    def get(headers):
        return async_to_sync(MountedClient().get)(f"{before}/{edge}", headers=headers)

    assert passed(get(key.headers("GET", f"{ORIGIN}/prefix/{edge}", token)))
    without_prefix, without_token = get(key.headers("GET", f"{ORIGIN}/{edge}", token)), get({})
    assert refused(without_prefix, "proof_url_differs")
    for answer in (without_prefix, without_token):
        assert "/oauth-protected-resource/prefix" in answer.headers["WWW-Authenticate"]


@pytest.mark.parametrize(
    "path", ["/prefixed", "/prefix-other/a", "/"], ids=["a longer name", "another name", "the root"]
)
def test_a_path_that_only_begins_like_the_prefix_gets_it_too(settings, path):
    settings.FORCE_SCRIPT_NAME = "/prefix"
    assert sent_path(AsyncRequestFactory().get(path)) == f"/prefix{path}"


def test_a_request_without_a_script_name_has_its_own_path():
    request = RequestFactory().get("/plain")
    request.META["SCRIPT_NAME"] = None
    assert sent_path(request) == "/plain"


def test_the_method_is_that_of_the_wire(plain):
    token = plain.token()
    headers = plain.key.headers("POST", plain.url, token)

    assert refused(plain.get(headers), "proof_method_differs")
    request = RequestFactory().post("/plain", headers=headers)
    request.method = "DELETE"  # as a middleware for X-HTTP-Method-Override sets it
    assert authenticate(request) is not None


def test_a_proof_is_judged_once_for_a_request_and_not_for_the_next(plain):
    headers = plain.headers(plain.token())
    request = RequestFactory().get("/plain", headers=headers)

    assert authenticate(request) is not None
    assert authenticate(request) is not None
    with pytest.raises(Exception, match="used before"):
        authenticate(RequestFactory().get("/plain", headers=headers))


def test_another_proof_on_the_same_request_object_is_judged(plain):
    token = plain.token()
    request = RequestFactory().get("/plain", headers=plain.headers(token))
    assert authenticate(request) is not None
    request.META["HTTP_DPOP"] = plain.headers(token, iat=1)["DPoP"]
    with pytest.raises(Exception, match="iat"):
        authenticate(request)


def test_another_token_on_the_same_request_object_is_judged_with_the_proof(plain):
    request = RequestFactory().get("/plain", headers=plain.headers(plain.token()))
    assert authenticate(request) is not None
    request.META["HTTP_AUTHORIZATION"] = f"DPoP {plain.token(jti='other')}"
    with pytest.raises(Exception, match="ath"):
        authenticate(request)


def test_receivers_are_told_once_and_see_no_second_judgement(api):
    seen, refusals = [], []
    accept = signals.token_accepted.connect(lambda **arguments: seen.append(arguments["token"].subject), weak=False)
    reject = signals.token_rejected.connect(lambda **arguments: refusals.append(arguments["error"].reason), weak=False)
    assert (accept, reject) == (None, None)
    try:
        assert passed(api.call())
        assert passed(api.call())
    finally:
        signals.token_accepted.receivers.clear()
        signals.token_rejected.receivers.clear()
        signals.token_accepted.sender_receivers_cache.clear()
        signals.token_rejected.sender_receivers_cache.clear()
    assert set(seen) == {"auth0|ada"}
    assert refusals == []


def test_a_user_of_the_database_is_found_for_a_bound_token(api, configure, transactional_db, django_user_model):
    configure(USERS="lookup")
    django_user_model.objects.create_user("auth0|ada")
    assert passed(api.call())
    headers = api.headers(api.token())
    django_user_model.objects.update(is_active=False)
    assert refused(api.get(headers), "user_inactive")


def test_the_store_down_lets_nothing_pass(api, settings, configure):
    settings.CACHES = {
        **settings.CACHES,
        "down": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": "redis://127.0.0.1:1/0"},
    }
    configure(CACHE="down")
    headers = api.headers(api.token())
    for _ in range(2):
        response = api.get(headers)
        assert refused(response, "proof_store_failed", 503)
        assert response["Retry-After"] == "1"
    assert passed(api.get({"Authorization": f"Bearer {api.token(cnf=None)}"}))


def test_a_cache_that_keeps_nothing_lets_nothing_pass(plain, settings, configure):
    settings.CACHES = {**settings.CACHES, "dummy": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}}
    configure(CACHE="dummy")
    assert refused(plain.call(), "proof_store_failed", 503)


def test_a_forged_token_uses_no_proof(plain):
    token = plain.token()
    headers = plain.headers(token)
    forged = {**headers, "Authorization": f"DPoP {token[:-8]}AAAAAAAA"}
    assert refused(plain.get(forged), "signature_invalid")
    assert passed(plain.get(headers))


def test_a_token_without_the_scope_is_403_with_its_proof(api):
    if api.edge != "middleware":
        assert refused(api.call(api.token(scope="other")), "scope_missing", 403)


def test_off_refuses_tokens_that_are_bound_to_a_key(api, configure):
    configure(DPOP=None, PUBLIC_ORIGIN=None, CACHE=None)
    assert refused(api.get({"Authorization": f"Bearer {api.token()}"}), "proof_not_supported")
    assert passed(api.get({"Authorization": f"Bearer {api.token(cnf=None)}"}))
    # The scheme is that of someone else, as any other.
    for token in (api.token(), api.token(cnf=None), "not a token"):
        answer = api.get({"Authorization": f"DPoP {token}"})
        assert answer.status_code == 401
        assert answer.json() == {} or answer.json()["reason"] == "credentials_missing"  # the view behind the middleware


def test_required_refuses_bearer_tokens(api, configure):
    configure(DPOP="required", CLIENT_CERTIFICATE=CERTIFICATE)
    token = api.token(cnf=None)
    for _ in range(2):
        assert refused(api.get({"Authorization": f"Bearer {token}"}), "token_not_bound")
        assert refused(api.call(token), "token_not_bound")
    assert passed(api.call())
    bound = {"Authorization": f"Bearer {api.token(cnf={'x5t#S256': X5T})}", **WITH_ONE}
    assert refused(api.get(bound, remote=PROXY), "token_not_bound")


def test_each_issuer_has_its_own_rule(plain, settings, issuer):
    from resource_server.testing import FakeIssuer

    other = FakeIssuer("https://other.test/", algorithm="ES256")
    entries = [{"ISSUER": issuer.issuer, "DPOP": "required"}, {"ISSUER": other.issuer}]
    common = {"AUDIENCE": issuer.audience, "PUBLIC_ORIGIN": ORIGIN, "CACHE": "default"}
    with issuer.serving(other):
        settings.RESOURCE_SERVER = {"ISSUERS": entries, **common}
        assert passed(plain.call())
        assert refused(plain.get({"Authorization": f"Bearer {plain.token(cnf=None)}"}), "token_not_bound")
        assert passed(plain.get({"Authorization": f"Bearer {other.token(scope='read')}"}))
        assert refused(plain.call(other.token(scope="read", cnf=plain.key.confirmation)), "proof_not_supported")


def test_a_bound_token_outside_a_request_is_refused(plain):
    for token in (plain.token(), plain.token()):
        with pytest.raises(InvalidToken) as caught:
            verify(token)
        assert caught.value.reason == "token_bound_to_key"
    with pytest.raises(InvalidToken) as caught:
        verify(plain.token(cnf={"x5t#S256": X5T}))
    assert caught.value.reason == "certificate_missing"


def test_keycloaks_tokens_say_dpop_as_their_kind(plain, configure):
    configure(PROVIDER="keycloak")
    header = {"typ": "JWT"}

    token = plain.token(header=header, typ="DPoP", azp="client")
    assert passed(plain.call(token))
    for claims in ({"typ": "ID"}, {"typ": "Refresh"}, {"typ": "DPoP", "cnf": None}, {"typ": "dpop"}, {"typ": ["DPoP"]}):
        assert refused(plain.call(plain.token(header=header, azp="client", **claims)), "not_an_access_token")
    configure(TOKEN_TYPE="JWT")
    assert passed(plain.call(token))
    assert passed(plain.call(plain.token(header=header, typ="DPoP", azp="client", nonce="n")))


# Mutual TLS


def test_a_certificate_bound_token_passes_with_its_certificate(api, configure):
    configure(DPOP=None, CLIENT_CERTIFICATE=CERTIFICATE)
    token = api.token(cnf={"x5t#S256": X5T})
    for scheme in ("Bearer", "DPoP", "Bearer"):
        headers = {"Authorization": f"{scheme} {token}"}
        assert passed(api.get({**headers, **WITH_ONE}, remote=PROXY))
        response = api.get({**headers, "X-SSL-Client-Cert": pem_of(OTHER)}, remote=PROXY)
        assert refused(response, "certificate_differs")
        assert 'error="invalid_token"' in response["WWW-Authenticate"]
        assert refused(api.get({**headers, "X-SSL-Client-Cert": "x"}, remote=PROXY), "certificate_missing")
        assert refused(api.get(headers, remote=PROXY), "certificate_missing")
        assert refused(api.get({**headers, **WITH_ONE, "X-Forwarded-For": PROXY}), "certificate_missing")


def test_all_members_of_cnf_must_hold(plain, configure):
    configure(CLIENT_CERTIFICATE=CERTIFICATE)
    both = plain.token(cnf={**plain.key.confirmation, "x5t#S256": X5T})
    proxy = {"remote": PROXY}

    assert passed(plain.get({**plain.headers(both), **WITH_ONE}, **proxy))
    assert refused(plain.get(plain.headers(both), **proxy), "certificate_missing")
    assert refused(plain.get({**plain.headers(both), **WITH_ONE}), "certificate_missing")
    assert refused(plain.get({"Authorization": f"DPoP {both}", **WITH_ONE}, **proxy), "proof_missing")
    assert refused(plain.get({"Authorization": f"Bearer {both}", **WITH_ONE}, **proxy), "token_bound_to_key")
    unknown = plain.token(cnf={**plain.key.confirmation, "kid": "x"})
    assert refused(plain.get({**plain.headers(unknown), **WITH_ONE}, **proxy), "proof_not_supported")


def test_a_used_proof_is_in_the_cache_as_a_digest(plain):
    token = plain.token()
    assert passed(plain.call(token, jti="the id of a proof"))
    entries = caches["default"]._cache
    assert all("the id" not in key and token not in key for key in entries)
    assert sum("resource_server.proof." in key and "test" not in key for key in entries) == 1


def pem_of(certificate):
    from urllib.parse import quote

    return quote(certificate.public_bytes(Encoding.PEM).decode(), safe="")
