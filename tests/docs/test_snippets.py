"""Every Python snippet of the README and of docs/ runs, and does what the page says."""

import asyncio
import json
import logging
import logging.config
import re
import sys
import time
from types import ModuleType, SimpleNamespace

import pytest
from django.conf import settings
from django.contrib.auth.models import Group, User
from django.core.exceptions import ObjectDoesNotExist, PermissionDenied
from django.db.models import F
from django.http import HttpResponse
from django.test import Client, RequestFactory, override_settings
from django.urls import include, path
from django.utils.module_loading import import_string
from drf_spectacular.settings import patched_settings
from rest_framework.authentication import TokenAuthentication
from rest_framework.authtoken.models import Token
from tests.docs.pages import ROOT, provider_snippets, run, snippet, snippets
from tests.introspection.conftest import Endpoint

from resource_server import AuthorizationError, authenticate, requires_scope, verify
from resource_server.conf import project as conf
from resource_server.drf import AccessTokenAuthentication
from resource_server.protected_resource import WELL_KNOWN
from resource_server.reasons import TokenReason
from resource_server.revocation import begin_deny_list
from resource_server.signals import token_rejected
from resource_server.spectacular import AccessTokenScheme, describe_access
from resource_server.testing import FakeIssuer


@pytest.fixture
def issuer():
    issuer = FakeIssuer()
    with issuer.serving(), override_settings(RESOURCE_SERVER=issuer.settings()):
        yield issuer


@pytest.fixture
def request_with(issuer):
    def make(**claims):
        return RequestFactory().get("/", headers={"Authorization": f"Bearer {issuer.token(**claims)}"})

    return make


MARKS = [
    "def settings_of",
    "def user_of",
    "def new_fields",
    "# scopes from Auth0",
    "# Keycloak in Docker",
    "# scopes from Keycloak",
    '"ISSUERS": [',
    "# settings.py",
    "# views.py",
    "# tasks.py",
    "# audit.py",
    "# deployments.py",
    "# an issuer without a provider",
    "SPECTACULAR_SETTINGS",
    "async def latest",
    "class Orders",
    "FakeIssuer",
    "force_authenticate",
    "LOGGING",
    "MIDDLEWARE.insert(",
    "# members.py",
    "# urls.py of the project",
    "# CORS",
    "# the rights of one endpoint",
    '@requires({"GET"',
    "class Documents",
    "AccessTokenAPI(",
    "# routing.py",
    "# graphql.py",
    "# rates by the token",
    "# permissions of Django by the token",
    "# a deny list in Redis",
    "# offboarding.py",
    "# urls.py with back-channel logout",
    "MigratingAuthentication",
    '"DPOP": "allowed"',
    '"CLIENT_CERTIFICATE"',
    "# pages that send proofs",
    "ProofKey",
    "# opaque tokens\n",
    "# opaque tokens of django-oauth-toolkit",
]


# As `startproject` writes it.
FRESH_MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]


def test_there_is_a_test_for_each_snippet():
    assert sorted([*map(snippet, MARKS), *provider_snippets().values()]) == sorted(snippets())


def test_the_list_of_issuers_is_valid():
    config, problems = conf.parse(run('"ISSUERS": [')["RESOURCE_SERVER"], debug=False)

    assert problems == []
    assert [policy.audience for policy in config.policies] == [("https://api.example.com",)] * 2
    assert [policy.claim_names.scope for policy in config.policies] == [("permissions",), ("scope", "scp")]


def test_the_function_for_issuers_finds_tenants(db):
    # Any model will do for the tenants of the page.
    class Tenant:
        objects = User.objects.annotate(issuer=F("username"), audience=F("email"))

    User.objects.create(username="https://tenant.test/", email="https://api.test/")
    names = run("def settings_of")
    names["Tenant"] = Tenant

    assert names["settings_of"]("https://tenant.test/") == {
        "ISSUER": "https://tenant.test/",
        "AUDIENCE": "https://api.test/",
    }
    with pytest.raises(ObjectDoesNotExist):
        names["settings_of"]("https://stranger.test/")


@pytest.mark.django_db
def test_the_function_for_users_finds_users(request_with, issuer, monkeypatch):
    accounts = ModuleType("snippet_accounts")
    accounts.user_of = run("def user_of")["user_of"]
    monkeypatch.setitem(sys.modules, "snippet_accounts", accounts)
    User.objects.create(username="https://issuer.test/|auth0|ada")

    with override_settings(RESOURCE_SERVER=issuer.settings(USERS="snippet_accounts.user_of")):
        user, _token = authenticate(request_with())
        assert user.get_username() == "https://issuer.test/|auth0|ada"
        with pytest.raises(AuthorizationError) as refused:
            authenticate(request_with(sub="auth0|eve"))
        assert refused.value.reason == "user_unknown"


@pytest.mark.django_db
def test_the_fields_and_groups_of_users_come_from_the_token(request_with, issuer, monkeypatch):
    names = run("def new_fields")
    people = ModuleType("mysite.people")
    people.new_fields, people.current_fields = names["new_fields"], names["current_fields"]
    monkeypatch.setitem(sys.modules, "mysite", ModuleType("mysite"))
    monkeypatch.setitem(sys.modules, "mysite.people", people)
    Group.objects.create(name="Editors")

    with override_settings(RESOURCE_SERVER=issuer.settings(USERS=names["RESOURCE_SERVER"]["USERS"])):
        request = request_with(email="ada@example.com", given_name="Ada", realm_access={"roles": ["editor"]})
        user, _token = authenticate(request)
    assert (user.email, user.first_name) == ("ada@example.com", "Ada")
    assert [group.name for group in user.groups.all()] == ["Editors"]


@pytest.mark.django_db
def test_the_function_of_the_page_refuses_a_person(issuer, monkeypatch):
    members = ModuleType("mysite.members")
    members.member_fields = run("# members.py")["member_fields"]
    monkeypatch.setitem(sys.modules, "mysite", ModuleType("mysite"))
    monkeypatch.setitem(sys.modules, "mysite.members", members)
    urls = ModuleType("members_urls")
    urls.urlpatterns = [path("orders", orders_of_a_page)]
    users = {"FIND": "provision", "CREATE": "mysite.members.member_fields"}

    def status(**claims):
        token = issuer.token(scope="read:orders", **claims)
        return Client().get("/orders", headers={"Authorization": f"Bearer {token}"}).status_code

    with override_settings(ROOT_URLCONF=urls, RESOURCE_SERVER=issuer.settings(USERS=users)):
        assert status() == 401
        assert status(email="ada@example.com") == 403
        assert not User.objects.exists()
        assert status(email="ada@example.com", email_verified=True) == 200
    assert User.objects.get().email == "ada@example.com"


def test_the_scopes_from_permissions_are_read():
    config, problems = conf.parse(run("# scopes from Auth0")["RESOURCE_SERVER"], debug=False)

    assert problems == []
    assert config.policies[0].claim_names.scope == ("permissions",)


@pytest.mark.parametrize("debug", [True, False])
def test_keycloak_in_docker_is_for_development(debug):
    settings_of_the_page = run("# Keycloak in Docker", DEBUG=debug)["RESOURCE_SERVER"]
    config, problems = conf.parse(settings_of_the_page, debug=debug)

    assert [problem.id for problem in problems] == ([] if debug else ["E010"])
    if debug:
        assert config.policies[0].issuer == "http://localhost:8080/realms/staff"
        assert config.policies[0].key_source.jwks_uri.startswith("http://keycloak:8080/")


def test_the_scopes_from_keycloaks_roles_are_read():
    settings = run("# scopes from Keycloak")["RESOURCE_SERVER"]
    issuer = FakeIssuer(settings["ISSUER"], settings["AUDIENCE"])
    token = issuer.token(header={"typ": "JWT"}, typ="Bearer", realm_access={"roles": ["clerk"]})

    with issuer.serving(), override_settings(RESOURCE_SERVER=settings):
        assert verify(token).scopes == {"clerk"}


def introspection_settings(mark):
    return run(mark, os=SimpleNamespace(environ={"INTROSPECTION_SECRET": "x"}))["RESOURCE_SERVER"]


def test_the_settings_for_opaque_tokens_are_valid():
    config, problems = conf.parse(introspection_settings("# opaque tokens\n"), debug=False)

    assert problems == []
    assert config.policies[0].introspection.client.method == "client_secret_basic"


@pytest.mark.parametrize(("person", "subject"), [({"username": "ada"}, "ada"), ({}, "a-client")])
def test_opaque_tokens_of_django_oauth_toolkit_pass(person, subject):
    settings = introspection_settings("# opaque tokens of django-oauth-toolkit")
    with Endpoint() as endpoint:
        # As version 3.4 answers; it is asked itself in tests/introspection/test_oauth_toolkit.py.
        members = {"active": True, "scope": "read", "exp": int(time.time()) + 60, "client_id": "a-client", **person}
        endpoint.body = json.dumps(members).encode()
        settings["INTROSPECTION"]["ENDPOINT"] = endpoint.url
        with override_settings(RESOURCE_SERVER=settings):
            token = verify("an-opaque-token")
    assert (token.subject, token.is_machine) == (subject, not person)


def test_the_settings_are_valid():
    config, problems = conf.parse(run("# settings.py")["RESOURCE_SERVER"], debug=False)

    assert problems == []
    assert config is not None
    assert "resource_server" in run("# settings.py")["INSTALLED_APPS"]


def test_the_views_below_run_with_the_settings_of_the_readme():
    # DRF reads its settings once, when its views are imported, so these are the settings of all tests.
    assert run("# settings.py")["REST_FRAMEWORK"] == settings.REST_FRAMEWORK


@pytest.mark.parametrize(("scope", "status"), [("read:orders", 200), ("other", 403)])
def test_the_function_view(request_with, scope, status):
    response = run("# views.py")["orders"](request_with(scope=scope))

    assert response.status_code == status
    if status == 200:
        assert response.data == {"subject": "auth0|ada", "scopes": ["read:orders"]}


def test_the_function_view_without_a_token(issuer):
    response = run("# views.py")["orders"](RequestFactory().get("/"))

    assert (response.status_code, response["WWW-Authenticate"]) == (401, 'Bearer realm="api", scope="read:orders"')


@pytest.mark.parametrize(("scope", "status"), [("admin", 200), ("read:orders", 200), ("other", 403)])
def test_the_async_view(request_with, scope, status):
    response = asyncio.run(run("async def latest")["latest"](request_with(scope=scope)))

    assert response.status_code == status


@pytest.mark.parametrize(("scope", "status"), [("audit", 200), ("read:orders", 200), ("other", 403)])
def test_the_class_with_permission_classes(request_with, scope, status):
    response = run("class Orders")["Orders"].as_view()(request_with(scope=scope))

    assert response.status_code == status


def test_the_test_without_a_tenant():
    urls = ModuleType("readme_urls")
    urls.urlpatterns = [path("orders", run("# views.py")["orders"])]

    with override_settings(ROOT_URLCONF=urls):
        assert run("FakeIssuer")["response"].status_code == 200


def test_the_settings_of_bound_tokens_are_valid():
    for mark in ('"DPOP": "allowed"', '"CLIENT_CERTIFICATE"'):
        _config, problems = conf.parse(run(mark)["RESOURCE_SERVER"], debug=False)
        assert problems == []


def test_a_call_with_the_key_of_a_proof(issuer):
    urls = ModuleType("readme_urls")
    urls.urlpatterns = [path("orders", run("# views.py")["orders"])]
    changes = {"DPOP": "required", "PUBLIC_ORIGIN": "https://api.example.com", "CACHE": "default"}

    with override_settings(RESOURCE_SERVER=issuer.settings(**changes), ROOT_URLCONF=urls):
        headers = run("ProofKey", issuer=issuer)["headers"]
        assert [Client().get("/orders", headers=headers).status_code for _ in range(2)] == [403, 401]


def test_cors_lets_a_page_send_proofs_and_read_nonces():
    pytest.importorskip("corsheaders")
    names = run("# pages that send proofs")
    assert "dpop" in names["CORS_ALLOW_HEADERS"]
    assert "authorization" in names["CORS_ALLOW_HEADERS"]
    assert set(names["CORS_EXPOSE_HEADERS"]) == {"dpop-nonce", "www-authenticate"}


def test_a_forced_token_passes_as_the_page_says(issuer):
    urls = ModuleType("readme_forced_urls")
    urls.urlpatterns = [path("orders", run("# views.py")["orders"])]
    names = {"issuer": issuer, "override_settings": override_settings, "user": User(username="ada")}

    with override_settings(ROOT_URLCONF=urls):
        response = run("force_authenticate", **names)["response"]
    assert response.json() == {"subject": "auth0|ada", "scopes": ["read:orders"]}


@pytest.mark.django_db
def test_the_middleware_of_the_readme(issuer):
    urls = ModuleType("readme_middleware_urls")
    urls.urlpatterns = [path("who", lambda request: HttpResponse(request.user.get_username()))]
    bearer = {"Authorization": f"Bearer {issuer.token()}"}

    middleware = run("MIDDLEWARE.insert(", MIDDLEWARE=[*FRESH_MIDDLEWARE])["MIDDLEWARE"]
    assert middleware == [
        *FRESH_MIDDLEWARE[:5],
        "resource_server.middleware.AccessTokenMiddleware",
        *FRESH_MIDDLEWARE[5:],
    ]
    with override_settings(ROOT_URLCONF=urls, MIDDLEWARE=middleware):
        client = Client(enforce_csrf_checks=True)
        assert client.post("/who", headers=bearer).text == "auth0|ada"
        assert client.post("/who").status_code == 403
        assert client.get("/who", headers={"Authorization": "Bearer x"}).status_code == 401


@requires_scope("read:orders")
def orders_of_a_page(request):
    return HttpResponse("three")


def test_the_metadata_are_those_of_the_page():
    names = run("# urls.py of the project")
    urls = ModuleType("answers_urls")
    urls.urlpatterns = [*names["urlpatterns"], path("orders", orders_of_a_page)]
    page = (ROOT / "docs" / "answers.md").read_text(encoding="utf-8")
    address = re.search(r"`https://api\.example\.com(/\.well-known/\S+)`", page)[1]

    with override_settings(ROOT_URLCONF=urls, RESOURCE_SERVER=names["RESOURCE_SERVER"]):
        found = Client().get(address).json()
        challenge = Client().get("/orders")["WWW-Authenticate"]

    assert found in [json.loads(text) for text in re.findall(r"^```json\n(.*?)^```", page, re.MULTILINE | re.DOTALL)]
    assert challenge == f'Bearer realm="api", resource_metadata="https://api.example.com{address}", scope="read:orders"'


def test_the_settings_for_pages_of_other_origins_let_them_read_the_challenge():
    names = run("# CORS", MIDDLEWARE=[*FRESH_MIDDLEWARE])
    assert names["INSTALLED_APPS"] == ["django.contrib.auth", "corsheaders"]
    assert names["MIDDLEWARE"][1:] == FRESH_MIDDLEWARE
    urls = ModuleType("answers_cors_urls")
    urls.urlpatterns = [
        path("", include("resource_server.urls")),
        path("orders", orders_of_a_page),
    ]
    origin = {"Origin": "https://app.example.com"}
    settings_ = {name: value for name, value in names.items() if name.startswith(("CORS_", "MIDDLEWARE"))}

    with override_settings(ROOT_URLCONF=urls, **settings_):
        preflight = Client().options("/orders", headers={**origin, "Access-Control-Request-Method": "GET"})
        refused = Client().get("/orders", headers=origin)
        metadata = Client().options(
            WELL_KNOWN, headers={"Origin": "https://x.test", "Access-Control-Request-Method": "GET"}
        )

    assert (preflight.status_code, refused.status_code, metadata.status_code) == (200, 401, 204)
    assert preflight["Access-Control-Allow-Origin"] == refused["Access-Control-Allow-Origin"] == origin["Origin"]
    assert refused["Access-Control-Expose-Headers"] == "WWW-Authenticate"
    assert metadata["Access-Control-Allow-Origin"] == "*"


@pytest.mark.django_db
def test_the_class_for_migrations(issuer, django_user_model):
    class OpaqueTokens(TokenAuthentication):
        keyword = "Bearer"

    ours = run("MigratingAuthentication")["MigratingAuthentication"]
    key = Token.objects.create(user=django_user_model.objects.create_user("old")).key
    view = type(
        "Migrating",
        (run("class Orders")["Orders"],),
        {"authentication_classes": [ours, OpaqueTokens], "permission_classes": []},
    ).as_view()

    for token, subject in ((key, "old"), (issuer.token(), "auth0|ada")):
        request = RequestFactory().get("/", headers={"Authorization": f"Bearer {token}"})
        assert view(request).data == {"subject": subject}


def test_the_function_that_verifies_without_a_request(issuer):
    scopes_of = run("# tasks.py")["scopes_of"]

    assert scopes_of(issuer.token(scope="read:orders")) == {"read:orders"}
    assert scopes_of(issuer.token(exp=0)) == "401 token_expired"


def test_the_receiver_for_an_audit_log(issuer, caplog):
    audit = run("# audit.py")["audit"]
    try:
        with caplog.at_level(logging.INFO, "audit"):
            request = RequestFactory().get("/orders", headers={"Authorization": f"Bearer {issuer.token(exp=0)}"})
            with pytest.raises(AuthorizationError):
                authenticate(request)
    finally:
        assert token_rejected.disconnect(audit)

    assert [record.getMessage() for record in caplog.records if record.name == "audit"] == [
        "/orders refused: token_expired"
    ]


def test_the_hook_for_the_api_description():
    names = run("SPECTACULAR_SETTINGS")["SPECTACULAR_SETTINGS"]

    (hook,) = map(import_string, names["POSTPROCESSING_HOOKS"])
    assert hook is describe_access
    with patched_settings(names):
        assert AccessTokenScheme(AccessTokenAuthentication).get_security_definition(None)["type"] == "oauth2"


@pytest.mark.parametrize(("repository_id", "status"), [("123456789", 200), ("987654321", 403), (None, 403)])
def test_the_view_for_the_jobs_of_a_repository(request_with, repository_id, status):
    deploy = run("# deployments.py")["deploy"]
    request = request_with(repository_id=repository_id, sha="5a1e")

    if status == 200:
        assert json.loads(deploy(request).content) == {"deployed": "5a1e"}
    else:
        with pytest.raises(PermissionDenied):
            deploy(request)


def test_an_issuer_without_a_provider_may_have_other_conventions():
    names = run("# an issuer without a provider")["RESOURCE_SERVER"]
    issuer = FakeIssuer(names["ISSUER"], names["AUDIENCE"])
    token = issuer.token(header={"typ": "JWT"}, client_id=None, azp="web", permissions=["read:orders"])

    with issuer.serving(), override_settings(RESOURCE_SERVER=names):
        verified = verify(token)
    assert (verified.client_id, verified.scopes) == ("web", {"read:orders"})


def test_the_logging_of_the_page_shows_refusals_and_remedies(issuer, capsys):
    settings_of_the_page = run("LOGGING")["LOGGING"]
    logger = logging.getLogger("resource_server")
    level, handlers = logger.level, list(logger.handlers)
    try:
        logging.config.dictConfig(settings_of_the_page)
        with pytest.raises(AuthorizationError):
            authenticate(RequestFactory().get("/orders", headers={"Authorization": "Bearer x"}))
    finally:
        logger.handlers = handlers
        logger.setLevel(level)
    assert capsys.readouterr().err == (
        "token_malformed: access token is not a JWT in compact serialisation (GET '/orders')\n"
        f"1 request answered 401, token_malformed: {TokenReason.TOKEN_MALFORMED.remedy}\n"
    )


def test_the_deny_list_and_the_call_of_the_page(settings, redis_url):
    namespace = run("# a deny list in Redis")
    caches = namespace["CACHES"]
    caches["default"]["LOCATION"] = redis_url
    settings.CACHES = caches
    keycloak = FakeIssuer(namespace["RESOURCE_SERVER"]["ISSUER"], "orders-api")
    with keycloak.serving(), override_settings(RESOURCE_SERVER=namespace["RESOURCE_SERVER"]):
        begin_deny_list()
        token = keycloak.token(header={"typ": "JWT"}, typ="Bearer")
        assert verify(token).subject == "auth0|ada"
        run("# offboarding.py")["lock_out"]("auth0|ada")
        with pytest.raises(AuthorizationError) as refused:
            verify(token)
        assert refused.value.reason == "token_revoked"


def test_the_address_for_back_channel_logout(issuer):
    urlpatterns = run("# urls.py with back-channel logout")["urlpatterns"]

    assert [pattern.name or str(pattern.pattern) for pattern in urlpatterns] == ["backchannel-logout"]
    assert urlpatterns[0].callback(RequestFactory().post("/backchannel-logout")).status_code == 400
