"""The gate against a longer path: how many calls and instructions a request takes, counted, so that no machine is too slow for it.

Each request goes through Django's handler, without middleware, to a view of Django REST Framework and to a plain one.
What a token adds to the view that anyone may call is held against `MEASURED`.

Renew the numbers after a change that is meant, in either direction, on each supported Python:

    MEASURE=1 python -m pytest tests/test_path_length.py -k counts -s
"""

import gc
import importlib
import os
import sys
import threading
import urllib.parse

import pytest
from django.conf import settings as django_settings
from django.contrib.auth import get_user_model
from django.core.cache import cache, caches
from django.core.handlers.base import BaseHandler
from django.http import JsonResponse
from django.test import RequestFactory
from django.urls import path
from rest_framework.response import Response
from rest_framework.views import APIView

from resource_server import authentication, requires_scope, server
from resource_server.drf import AccessTokenAuthentication, RequiresScope
from resource_server.testing import FakeIssuer

# By how much of itself the addition may differ from the measured one. Both are relative to the open view's count, as
# another release of Python or Django changes that too.
MARGIN = 0.05
# Python -> view -> (calls, instructions) to the open view, with a seen token, at the first sight of a token.
MEASURED = {
    "3.11": {
        "rest": ((420, 4630), (468, 5184), (569, 6539)),
        "plain": ((140, 1561), (203, 2257), (304, 3612)),
    },
    "3.12": {
        "rest": ((409, 4243), (456, 4749), (557, 5991)),
        "plain": ((134, 1456), (196, 2085), (297, 3327)),
    },
    "3.13": {
        "rest": ((415, 4259), (463, 4780), (564, 5973)),
        "plain": ((141, 1541), (203, 2181), (304, 3374)),
    },
    "3.14": {
        "rest": ((415, 4563), (463, 5109), (565, 6358)),
        "plain": ((141, 1632), (203, 2310), (305, 3559)),
    },
}


class Open(APIView):
    authentication_classes = []
    permission_classes = []

    def get(self, request):
        return Response({"message": "All good."})


class Guarded(Open):
    authentication_classes = [AccessTokenAuthentication]
    permission_classes = [RequiresScope("read")]


def plain_open(request):
    return JsonResponse({"message": "All good."})


@requires_scope("read")
class Decorated(Guarded):
    permission_classes = []


urlpatterns = [
    path("rest/open", Open.as_view()),
    path("rest/guarded", Guarded.as_view()),
    path("rest/decorated", Decorated.as_view()),
    path("plain/open", plain_open),
    path("plain/guarded", requires_scope("read")(plain_open)),
]


@pytest.fixture(scope="module")
def own_issuer():
    return FakeIssuer()


@pytest.fixture
def issuer(own_issuer, settings):
    settings.ROOT_URLCONF = __name__
    settings.MIDDLEWARE = []
    settings.RESOURCE_SERVER = own_issuer.settings()
    with own_issuer.serving():
        yield own_issuer


def each_instruction(action, observe):
    """Do it, and give each of Python's instructions on the way to `observe`, as code object and offset."""
    if sys.version_info >= (3, 12):
        monitoring, tool = sys.monitoring, 4
        monitoring.use_tool_id(tool, "path length")
        monitoring.register_callback(tool, monitoring.events.INSTRUCTION, observe)
        monitoring.set_events(tool, monitoring.events.INSTRUCTION)
        try:
            action()
        finally:
            monitoring.set_events(tool, 0)
            monitoring.register_callback(tool, monitoring.events.INSTRUCTION, None)
            monitoring.free_tool_id(tool)
        return

    def trace(frame, event, _argument):
        frame.f_trace_opcodes = True
        if event == "opcode":
            observe(frame.f_code, frame.f_lasti)
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        action()
    finally:
        sys.settrace(before)


def each_call(action, observe):
    """Do it, and give each call on the way to `observe`: of Python as a frame, and of C as the function."""

    def profile(frame, event, function):
        if event == "call":
            observe(frame, None)
        elif event == "c_call":
            observe(frame, function)

    before = sys.getprofile()
    sys.setprofile(profile)
    try:
        action()
    finally:
        sys.setprofile(before)


def count(each, action):
    number = 0

    def one_more(_what, _where):
        nonlocal number
        number += 1

    gc.disable()  # what a collection finds runs code of its own
    try:
        each(action, one_more)
    finally:
        gc.enable()
    return number


def counts(handler, requests):
    """The calls and instructions of a request: the fewest of those for which everything was warm."""

    def counted(each):
        request = next(requests)

        def action():
            response = handler.get_response(request)
            assert response.status_code == 200

        return count(each, action)

    for _ in range(3):
        counted(each_call)
    return min(counted(each_call) for _ in range(5)), min(counted(each_instruction) for _ in range(5))


def requests_for(url, tokens):
    for token in tokens:
        yield RequestFactory().get(url, headers={"Authorization": f"Bearer {token}"})


def measure(issuer, view):
    handler = BaseHandler()
    handler.load_middleware()
    tokens = [issuer.token(scope="read", jti=f"{number:04}") for number in range(20)]
    seen = [tokens[0]] * 20
    return tuple(
        counts(handler, requests_for(f"/{view}/{rights}", sent))
        for rights, sent in (("open", seen), ("guarded", seen), ("guarded", tokens))
    )


@pytest.mark.parametrize("view", ["rest", "plain"])
def test_counts_of_a_request_are_those_that_were_measured(issuer, view):
    open_view, *guarded = measure(issuer, view)
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    if "MEASURE" in os.environ:
        print(f'\n{version}: "{view}": {(open_view, *guarded)},')  # noqa: T201
        return
    if version not in MEASURED:
        pytest.skip(f"nobody has measured Python {version} yet")
    expected_open, *expected = MEASURED[version][view]
    for sight, measured, budget in zip(("seen", "first"), guarded, expected, strict=True):
        for unit, number in (("calls", 0), ("instructions", 1)):
            added = (measured[number] - open_view[number]) / open_view[number]
            allowed = (budget[number] - expected_open[number]) / expected_open[number]
            change = added / allowed - 1
            assert abs(change) <= MARGIN, (
                f"a {sight} token adds {added:.1%} to the {unit} of the open view, and {allowed:.1%} when it was measured"
                f" ({change:+.1%}); if that is meant, renew the numbers"
            )


def touched(action):
    """What of all that a seen token must not need is done on the way, each with where."""
    modules = {"urllib.parse": "url", "django.conf": "settings", "threading": "lock"}
    opcodes = {"IMPORT_NAME": "import", "BEFORE_WITH": "lock", "LOAD_SPECIAL": "lock"}
    found = set()
    # What was read once would not be seen to be read again.
    urllib.parse.clear_cache()
    for name in vars(django_settings).keys() - {"_wrapped"}:
        vars(django_settings).pop(name)

    def call(frame, function):
        if function is None:
            module, name = frame.f_globals.get("__name__", ""), frame.f_code.co_qualname
        else:
            owner = type(function.__self__)
            module, name = f"{owner.__module__}.{owner.__name__}", function.__name__
        if module in modules:
            found.add((modules[module], name))
        elif module.startswith("django.core.cache"):
            found.add(("cache", name))
        elif module.startswith("importlib") or name == "__import__":
            found.add(("import", name))
        elif name in {"acquire", "acquire_lock", "__enter__"}:
            found.add(("lock", name))

    def instruction(code, offset):
        kind = opcodes.get(_OPNAMES[code.co_code[offset]])
        if kind is not None:
            found.add((kind, code.co_qualname))

    each_instruction(lambda: each_call(action, call), instruction)
    # What the two tracers themselves do.
    return {(kind, name) for kind, name in found if "each_call" not in name}


_OPNAMES = importlib.import_module("opcode").opname


@pytest.mark.parametrize("users", ["token", "lookup"])
def test_a_seen_token_needs_no_lock_import_url_settings_or_cache(issuer, settings, users, transactional_db):
    get_user_model().objects.create_user("auth0|ada")
    settings.RESOURCE_SERVER = issuer.settings(USERS=users, USER_CACHE_SECONDS=30)
    request = next(requests_for("/", [issuer.token()]))
    authenticated = []

    def authenticate():
        authenticated.append(authentication.authenticate(request))

    authenticate()
    assert touched(authenticate) == set()
    first, second = (token for _user, token in authenticated)
    assert first is second


@pytest.mark.parametrize(("view", "rights"), [("rest", "guarded"), ("rest", "decorated"), ("plain", "guarded")])
def test_a_view_that_is_guarded_needs_none_of_them_beyond_what_the_open_one_does(issuer, view, rights):
    handler = BaseHandler()
    handler.load_middleware()
    token = issuer.token(scope="read")

    def needed(url):
        requests = requests_for(url, [token] * 3)
        for request in (next(requests), next(requests)):
            assert handler.get_response(request).status_code == 200
        request = next(requests)
        return touched(lambda: handler.get_response(request))

    assert needed(f"/{view}/{rights}") <= needed(f"/{view}/open")


def test_a_first_token_of_all_is_seen_to_need_them(issuer, settings):
    settings.RESOURCE_SERVER = issuer.settings(CACHE="default")
    request = next(requests_for("/", [issuer.token()]))
    server.forget()
    found = touched(lambda: authentication.authenticate(request))
    assert {kind for kind, _name in found} >= {"lock", "url", "settings"}


_lock, _condition = threading.Lock(), threading.Condition()


def with_lock():
    with _lock:
        pass


def acquire():
    _lock.acquire()
    _lock.release()


def import_statement():
    import json  # noqa: F401 - to be seen


DEEDS = {
    "with a lock": (with_lock, "lock"),
    "acquire": (acquire, "lock"),
    "a condition": (lambda: _condition.acquire() and _condition.release(), "lock"),
    "an event": (lambda: threading.Event().set(), "lock"),
    "import": (import_statement, "import"),
    "import_module": (lambda: importlib.import_module("json"), "import"),
    "__import__": (lambda: __import__("json"), "import"),
    "urlsplit": (lambda: urllib.parse.urlsplit("https://issuer.test/"), "url"),
    "quote": (lambda: urllib.parse.quote("a b"), "url"),
    "a setting": (lambda: django_settings.DEBUG, "settings"),
    "the setting": (lambda: django_settings.RESOURCE_SERVER, "settings"),
    "getattr": (lambda: getattr(django_settings, "NONE_SUCH", None), "settings"),
    "the cache": (lambda: cache.get("key"), "cache"),
    "a cache": (lambda: caches["default"].set("key", "value"), "cache"),
}


@pytest.mark.parametrize(("deed", "kind"), DEEDS.values(), ids=DEEDS)
def test_what_would_be_needed_would_be_seen(deed, kind):
    for _ in range(2):
        assert kind in {kind for kind, _name in touched(deed)}
