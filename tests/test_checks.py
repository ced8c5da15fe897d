"""`manage.py check` as a project meets it: through Django's registry, with nothing fetched."""

import ast
import re
from collections import Counter
from pathlib import Path

import pytest
from django.core.checks import run_checks
from django.urls import include, path
from rest_framework.authentication import BasicAuthentication, SessionAuthentication
from rest_framework.permissions import AllowAny
from rest_framework.views import APIView

import resource_server
from resource_server.conf.problems import PROBLEMS, problem
from resource_server.drf import AccessTokenAuthentication
from resource_server.testing import FakeIssuer

ID = re.compile(r"(?:resource_server_accounts\.)?[EW]\d{3}")
GOOD = {"ISSUER": "https://issuer.test/", "AUDIENCE": "https://api.test/"}


class Ours(AccessTokenAuthentication):
    """A project's own subclass."""


class SessionBefore(APIView):
    authentication_classes = [SessionAuthentication, AccessTokenAuthentication]


class BothBefore(APIView):
    authentication_classes = [BasicAuthentication, SessionAuthentication, Ours]


class OursFirst(APIView):
    authentication_classes = [AccessTokenAuthentication, SessionAuthentication, BasicAuthentication]


class SessionAlone(APIView):
    authentication_classes = [SessionAuthentication]
    permission_classes = [AllowAny]


class Anyone(APIView):
    authentication_classes = []
    permission_classes = [AllowAny]


class Routes:
    """A URLconf."""

    def __init__(self, *views):
        self.urlpatterns = [path(f"{view.__name__}/", view.as_view()) for view in views]
        self.urlpatterns.append(path("plain/", lambda request: None))


def messages():
    return [message for message in run_checks() if message.id.startswith("resource_server.")]


@pytest.fixture
def project(settings):
    """Sets RESOURCE_SERVER and the views of a project, whose issuer is down."""
    issuer = FakeIssuer()
    issuer.failure = "fetch_failed"

    def configure(value, *views):
        settings.RESOURCE_SERVER = value
        settings.ROOT_URLCONF = Routes(*views)

    with issuer.serving():
        yield configure
    assert issuer.fetched == []


def test_a_good_project_is_told_nothing(project):
    project(GOOD, OursFirst, SessionAlone, Anyone)
    assert messages() == []


def test_each_problem_is_an_error_of_its_own(project):
    project({"ISSUR": "x", "ALGORITHMS": ["none"]})
    found = messages()
    assert [message.id for message in found] == [
        f"resource_server.{number}" for number in ("E002", "E003", "E005", "E007")
    ]
    assert all(message.is_serious() and message.hint for message in found)
    assert found[0].hint == "Did you mean ISSUER?"


@pytest.mark.parametrize(
    "users", ["no.such.function", "tests.test_checks.missing", "resource_server.conf.project.KEYS"]
)
def test_a_broken_path_of_users_is_an_error(project, users):
    project({**GOOD, "USERS": users})
    assert [message.id for message in messages()] == ["resource_server.E016"]


def test_provision_without_its_app_is_an_error(project, settings):
    settings.INSTALLED_APPS = [app for app in settings.INSTALLED_APPS if app != "resource_server.accounts"]
    project({**GOOD, "USERS": "provision"})
    assert [message.id for message in messages()] == ["resource_server.E015"]


def test_a_class_before_ours_is_a_warning(project):
    project(GOOD, SessionBefore)
    [warning] = messages()
    assert warning.id == "resource_server.W001"
    assert not warning.is_serious()
    assert "SessionAuthentication before AccessTokenAuthentication (SessionBefore)" in warning.msg
    assert warning.hint.startswith("Put resource_server.drf.AccessTokenAuthentication first. ")
    assert "leaves_foreign_credentials" in warning.hint


def test_each_order_is_warned_of_once(project):
    project(GOOD, SessionBefore, type("Again", (SessionBefore,), {}), BothBefore, OursFirst)
    found = messages()
    assert [message.id for message in found] == ["resource_server.W001"] * 2
    assert "BasicAuthentication and SessionAuthentication before" in found[1].msg


def test_an_included_view_is_found(project, settings):
    project(GOOD)
    settings.ROOT_URLCONF.urlpatterns.append(path("v1/", include(([path("a", SessionBefore.as_view())], "v1"))))
    assert [message.id for message in messages()] == ["resource_server.W001"]


def test_auth0_without_its_slash_is_a_warning(project):
    project({**GOOD, "ISSUER": "https://tenant.eu.auth0.com"})
    [warning] = messages()
    assert warning.id == "resource_server.W002"
    assert "https://tenant.eu.auth0.com is an Auth0 tenant without the slash" in warning.msg
    assert "https://tenant.eu.auth0.com/ " in warning.hint


@pytest.mark.parametrize("issuer", ["https://tenant.eu.auth0.com/", "https://notauth0.com", "https://x.test/realm"])
def test_another_issuer_is_not_warned_of(project, issuer):
    project({**GOOD, "ISSUER": issuer})
    assert messages() == []


@pytest.mark.parametrize("backend", ["locmem.LocMemCache", "dummy.DummyCache"])
def test_a_cache_that_shares_nothing_is_a_warning(project, settings, backend):
    settings.CACHES = {"default": {"BACKEND": f"django.core.cache.backends.{backend}"}}
    project({**GOOD, "CACHE": "default"})
    [warning] = messages()
    assert warning.id == "resource_server.W003"
    assert backend.partition(".")[2] in warning.msg
    assert "Redis" in warning.hint


def test_with_dpop_such_a_cache_has_one_warning(project, settings):
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
    project({**GOOD, "CACHE": "default", "DPOP": "allowed", "PUBLIC_ORIGIN": "https://api.test", "RESOURCE": []})
    assert "resource_server.W003" not in [message.id for message in messages()]
    assert "resource_server.W015" in [message.id for message in messages()]


def test_a_cache_that_processes_share_is_not_warned_of(project, settings):
    redis = {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": "redis://127.0.0.1:6379"}
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}, "shared": redis}
    project({**GOOD, "CACHE": "shared"})
    assert messages() == []


def test_a_cache_that_is_not_there_is_an_error_alone(project):
    project({**GOOD, "CACHE": "nowhere"})
    assert [message.id for message in messages()] == ["resource_server.E026"]


LOOKUPS = {
    "two that look up": ({"ISSUERS": [{"USERS": "lookup"}, {"USERS": "lookup"}]}, True),
    "two that inherit it": ({"USERS": "lookup", "ISSUERS": [{}, {}]}, True),
    "a function for issuers": ({"USERS": "lookup", "ISSUERS": "tests.test_checks.nobody"}, True),
    "one of two": ({"ISSUERS": [{"USERS": "lookup"}, {"USERS": "provision"}]}, False),
    "one that has its own": ({"USERS": "lookup", "ISSUERS": [{}, {"USERS": "token"}]}, False),
    "one issuer": ({"USERS": "lookup", "ISSUERS": [{}]}, False),
}


def nobody(issuer):
    return None


@pytest.mark.parametrize(("change", "warned"), LOOKUPS.values(), ids=LOOKUPS)
def test_lookup_for_several_issuers_is_a_warning(project, change, warned):
    issuers = change["ISSUERS"]
    if isinstance(issuers, list):
        issuers = [{"ISSUER": f"https://issuer-{number}.test/", **entry} for number, entry in enumerate(issuers)]
    project({"AUDIENCE": GOOD["AUDIENCE"], **change, "ISSUERS": issuers})
    assert [message.id for message in messages()] == ["resource_server.W004"] * warned


def ids_in_the_sources():
    """How often each file names a check id, the table itself left out."""
    package = Path(resource_server.__file__).parent
    found = Counter()
    for file in package.rglob("*.py"):
        if file.name != "problems.py":
            source = ast.parse(file.read_text(encoding="utf-8"))
            values = (node.value for node in ast.walk(source) if isinstance(node, ast.Constant))
            found.update(value for value in values if isinstance(value, str) and ID.fullmatch(value))
    return found


def test_every_id_of_the_table_is_reported_and_no_other():
    found = ids_in_the_sources()
    assert set(found) == set(PROBLEMS)
    # One number, one meaning: E016 alone is written twice, for the two ways in which a path fails.
    assert {id_ for id_, times in found.items() if times > 1} == {"E016"}


def test_check_ids_have_no_gap():
    for kind in "EW":
        numbers = [int(id_[1:]) for id_ in PROBLEMS if id_.startswith(kind)]
        assert numbers == list(range(1, len(numbers) + 1))


def test_an_id_outside_the_table_and_a_missing_value_raise():
    with pytest.raises(KeyError):
        problem("E999")
    with pytest.raises(KeyError):
        problem("E024")


def test_a_value_is_not_read_as_a_template():
    assert (
        problem("E024", issuer="https://$place.test/").message
        == "RESOURCE_SERVER: ISSUERS has https://$place.test/ twice"
    )
