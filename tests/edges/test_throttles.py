"""Throttles that count by the token, with Django's caches in memory and in Redis, and with a cache that fails or lies."""

import pytest
from django.core.cache import cache
from django.core.cache.backends.locmem import LocMemCache
from django.test import RequestFactory
from rest_framework.renderers import JSONRenderer
from rest_framework.response import Response
from rest_framework.views import APIView

from resource_server.conf import project as conf
from resource_server.drf import AccessTokenAuthentication
from resource_server.testing import FakeIssuer
from resource_server.throttles import ClientThrottle, IssuerThrottle, SubjectThrottle


class View(APIView):
    authentication_classes = [AccessTokenAuthentication]
    permission_classes = []
    renderer_classes = [JSONRenderer]

    def get(self, request):
        return Response({})


class Lying(LocMemCache):
    """Answers each question with this."""

    answer = None

    def get(self, key, default=None, version=None):
        return self.answer


@pytest.fixture(params=["memory", "redis"])
def caches(request, settings):
    if request.param == "redis":
        url = request.getfixturevalue("redis_url")
        settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": url}}
    else:
        backend = "django.core.cache.backends.locmem.LocMemCache"
        settings.CACHES = {"default": {"BACKEND": backend, "LOCATION": "throttles"}}
    cache.clear()
    yield
    cache.clear()


@pytest.fixture
def issuers(settings):
    issuers = [FakeIssuer(f"https://{name}.test/", algorithm="ES256") for name in ("one", "two")]

    def rates(**parties):
        settings.RESOURCE_SERVER = {
            "AUDIENCE": issuers[0].audience,
            "ISSUERS": [{"ISSUER": issuer.issuer} for issuer in issuers],
            "THROTTLE_RATES": {name.replace("__", ":"): rate for name, rate in parties.items()},
        }

    with issuers[0].serving(issuers[1]):
        yield issuers, rates


def call(throttle, token=None):
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    view = type("Throttled", (View,), {"throttle_classes": [throttle]})
    return view.as_view()(RequestFactory().get("/", headers=headers)).render()


def statuses(throttle, token, times=3):
    return [call(throttle, token).status_code for _ in range(times)]


@pytest.mark.usefixtures("caches")
def test_each_subject_of_each_issuer_is_counted(issuers):
    (one, two), rates = issuers
    rates(subject="2/day")

    assert statuses(SubjectThrottle, one.token(sub="a")) == [200, 200, 429]
    assert statuses(SubjectThrottle, one.token(sub="b")) == [200, 200, 429]
    assert statuses(SubjectThrottle, two.token(sub="a")) == [200, 200, 429]
    assert int(call(SubjectThrottle, one.token(sub="a", jti="another"))["Retry-After"]) > 3600
    assert statuses(ClientThrottle, one.token(), 4) == [200] * 4  # no rate for clients
    assert statuses(SubjectThrottle, None, 4) == [200] * 4


@pytest.mark.usefixtures("caches")
def test_a_scope_has_a_rate_of_its_own(issuers):
    (one, _two), rates = issuers
    rates(subject="1/day", scope__bulk="3/day", scope__slow="1/day", scope__fast="1/s")

    assert statuses(SubjectThrottle, one.token(sub="a", scope="other")) == [200, 429, 429]
    assert statuses(SubjectThrottle, one.token(sub="b", scope="slow bulk"), 4) == [200, 200, 200, 429]
    # The highest rate, whatever its period.
    assert statuses(SubjectThrottle, one.token(sub="c", scope="bulk fast"), 2) in ([200, 429], [200, 200])


@pytest.mark.usefixtures("caches")
def test_a_client_may_have_a_rate_of_its_own(issuers):
    (one, two), rates = issuers
    rates(**{"client": "1/day", "client:https://one.test/ mobile": "2/day"})

    assert statuses(ClientThrottle, one.token(sub="a", client_id="mobile"), 1) == [200]
    assert statuses(ClientThrottle, one.token(sub="b", client_id="mobile"), 2) == [200, 429]
    for name in ("mobile", "https://one.test/ mobile"):  # of another issuer
        assert statuses(ClientThrottle, two.token(client_id=name), 2) == [200, 429]
    assert statuses(ClientThrottle, one.token(client_id="other"), 2) == [200, 429]
    assert statuses(ClientThrottle, one.token(client_id=None), 3) == [200] * 3


@pytest.mark.usefixtures("caches")
@pytest.mark.parametrize("key", ["client:mobile app", "client:https://one.test/ mobile app"])
def test_a_client_of_the_only_issuer_needs_no_issuer(issuers, settings, key):
    (one, _two), _rates = issuers
    settings.RESOURCE_SERVER = one.settings(THROTTLE_RATES={"client": "1/day", key: "2/day"})

    assert statuses(ClientThrottle, one.token(client_id="mobile app")) == [200, 200, 429]
    assert statuses(ClientThrottle, one.token(client_id="mobile"), 2) == [200, 429]


@pytest.mark.parametrize("client", ["mobile", "mobile app", "https://one.test/", "https://one.test/ "])
@pytest.mark.parametrize("listed", ["a list", "a function"])
def test_a_client_of_one_of_several_issuers_names_its_issuer(listed, client):
    several = [{"ISSUER": "https://one.test/"}, {"ISSUER": "https://two.test/"}]
    settings = {
        "AUDIENCE": "https://api.test/",
        "ISSUERS": several if listed == "a list" else "project.issuers.find",
        "THROTTLE_RATES": {f"client:{client}": "1/s"},
    }
    config, problems = conf.parse(settings, debug=False)

    assert config is None
    assert [each.id for each in problems] == ["E038"]
    assert "name the issuer" in str(problems[0])
    settings["THROTTLE_RATES"] = {"client:https://one.test/ mobile": "1/s"}
    assert conf.parse(settings, debug=False)[1] == []


@pytest.mark.usefixtures("caches")
def test_all_tokens_of_an_issuer_are_counted_together(issuers):
    (one, two), rates = issuers
    rates(issuer="2/day")

    assert [call(IssuerThrottle, one.token(sub=name)).status_code for name in "abc"] == [200, 200, 429]
    assert call(IssuerThrottle, two.token()).status_code == 200


def test_a_handler_that_drops_the_headers_keeps_the_wait(issuers, settings, monkeypatch):
    (one, _two), rates = issuers
    rates(subject="1/day")
    monkeypatch.setattr(Lying, "answer", 5)
    settings.CACHES = {"default": {"BACKEND": f"{__name__}.Lying", "LOCATION": "lies"}}
    monkeypatch.setattr(
        View, "get_exception_handler", lambda self: lambda exc, context: Response({}, status=exc.status_code)
    )

    response = call(SubjectThrottle, one.token())
    assert (response.status_code, int(response["Retry-After"]) >= 1) == (503, True)


def test_a_cache_that_is_down_gives_no_verdict(issuers, settings, monkeypatch, caplog):
    monkeypatch.setattr(SubjectThrottle.__base__, "_is_failing", False)
    (one, _two), rates = issuers
    rates(subject="1/day")
    backend = "django.core.cache.backends.redis.RedisCache"
    settings.CACHES = {"default": {"BACKEND": backend, "LOCATION": "redis://127.0.0.1:1/0"}}
    token = one.token()
    for _ in range(3):
        response = call(SubjectThrottle, token)

        assert (response.status_code, response.data["reason"]) == (503, "throttle_failed")
        assert int(response["Retry-After"]) >= 1
    told = [each for each in caplog.records if "throttle failed" in each.getMessage()]
    assert [each.levelname for each in told if each.levelname != "DEBUG"] == ["ERROR"]
    assert "(ConnectionError)" in told[0].getMessage()
    assert not any(each.exc_info for each in told)  # it can hold the password of the cache
    assert token not in caplog.text


@pytest.mark.parametrize("answer", ["text", 5, [None], {"a": 1}, ["x", "y"], object()], ids=range(6))
def test_a_cache_that_lies_is_no_500(issuers, settings, monkeypatch, answer):
    (one, _two), rates = issuers
    rates(subject="1/day")
    monkeypatch.setattr(Lying, "answer", answer)
    settings.CACHES = {"default": {"BACKEND": f"{__name__}.Lying", "LOCATION": "lies"}}

    assert call(SubjectThrottle, one.token()).status_code == 503


@pytest.mark.parametrize(
    "rates",
    [
        [],
        "100/min",
        {"subjects": "1/s"},
        {"client:": "1/s"},
        {"client:https://unknown.test/ mobile": "1/s"},
        {"scope": "1/s"},
        {5: "1/s"},
        {"subject": "1"},
        {"subject": "0/s"},
        {"subject": "1/week"},
        {"subject": None},
        {"subject": "1.5/s"},
        {"subject": "1/s\n"},
    ],
    ids=str,
)
def test_rates_that_cannot_be_meant_are_reported(rates):
    settings = {**FakeIssuer(algorithm="ES256").settings(), "THROTTLE_RATES": rates}

    assert {each.id for each in conf.parse(settings, debug=False)[1]} == {"E038"}


@pytest.mark.usefixtures("caches")
def test_a_rate_by_the_second_does_not_drop_what_a_day_has_counted(issuers):
    (one, _two), rates = issuers
    rates(subject="2/day", scope__bulk="5/s")
    plain, bulk = one.token(), one.token(scope="bulk")

    assert statuses(SubjectThrottle, plain) == [200, 200, 429]
    assert statuses(SubjectThrottle, bulk, 1) == [200]
    assert statuses(SubjectThrottle, plain, 1) == [429]
