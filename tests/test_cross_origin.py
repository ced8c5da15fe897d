"""Pages of other origins in a real browser, with django-cors-headers: what their scripts may ask and read."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import pytest
from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.core.handlers.wsgi import WSGIHandler
from django.http import JsonResponse
from django.urls import include, path
from playwright.sync_api import sync_playwright
from rest_framework.response import Response
from rest_framework.views import APIView

from resource_server import requires_scope
from resource_server.drf import AccessTokenAuthentication, RequiresScope
from resource_server.testing import FakeIssuer

CORS = "corsheaders.middleware.CorsMiddleware"
WELL_KNOWN = "/.well-known/oauth-protected-resource"
FETCH = """
async ([url, init]) => {
    try {
        const answer = await fetch(url, init);
        const names = ["WWW-Authenticate", "Cache-Control"];
        const headers = Object.fromEntries(names.map(name => [name, answer.headers.get(name)]));
        return {status: answer.status, body: await answer.text(), headers};
    } catch (error) {
        return {failure: String(error)};
    }
}
"""


@requires_scope("read")
def plain(request):
    return JsonResponse({"subject": request.auth.subject})


class Rest(APIView):
    authentication_classes = [AccessTokenAuthentication]
    permission_classes = [RequiresScope("read")]

    def get(self, request):
        return Response({"subject": request.auth.subject})


urlpatterns = [path("", include("resource_server.urls")), path("plain", plain), path("rest", Rest.as_view())]
seen = []


class Recorder:
    """A middleware that stands first, and keeps each request with its answer's status."""

    sync_capable = async_capable = True

    def __init__(self, get_response):
        self.get_response = get_response
        if iscoroutinefunction(get_response):
            markcoroutinefunction(self)

    def __call__(self, request):
        response = self.get_response(request)
        seen.append((request.method, request.path, response.status_code))
        return response


class ThreadingWSGIServer(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class Silent(WSGIRequestHandler):
    def log_message(self, *arguments):
        pass


class Blank(BaseHTTPRequestHandler):
    """An empty page, so that its origin can run a script."""

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()

    def log_message(self, *arguments):
        pass


def serve(server):
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    return f"http://127.0.0.1:{server.server_address[1]}"


@pytest.fixture(scope="module")
def pages():
    """The addresses of two empty pages, each of an origin of its own."""
    servers = [ThreadingHTTPServer(("127.0.0.1", 0), Blank) for _ in range(2)]
    yield [serve(server) for server in servers]
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="module")
def browser(chromium):
    with sync_playwright() as playwright:
        arguments = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        running = playwright.chromium.launch(executable_path=chromium, args=arguments)
        yield running
        running.close()


@pytest.fixture
def site(settings, pages):
    """The project behind a socket; `site.fetch(page, path, ...)` is what a script of a page gets."""
    issuer = FakeIssuer(algorithm="ES256")
    settings.ROOT_URLCONF = __name__
    settings.MIDDLEWARE = [
        "tests.test_cross_origin.Recorder",
        CORS,
        "resource_server.middleware.AccessTokenMiddleware",
    ]
    settings.CORS_ALLOWED_ORIGINS = [pages[0]]
    settings.CORS_EXPOSE_HEADERS = ["WWW-Authenticate"]
    settings.CORS_URLS_REGEX = r"^(?!/\.well-known/)"
    settings.RESOURCE_SERVER = issuer.settings(PUBLIC_ORIGIN="https://public.test")
    seen.clear()
    server = make_server("127.0.0.1", 0, WSGIHandler(), ThreadingWSGIServer, Silent)
    with issuer.serving():
        yield serve(server), issuer
    server.shutdown()
    server.server_close()


@pytest.fixture
def fetch(browser, site):
    """What a script of a page gets from a path of the project, in a browser that has cached nothing."""

    def fetch(page_address, path_, **headers):
        context = browser.new_context()
        page = context.new_page()
        page.goto(page_address)
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        found = page.evaluate(FETCH, [site[0] + path_, {"headers": names}])
        context.close()
        return found

    return fetch


@pytest.mark.parametrize("path_", ["/plain", "/rest"])
def test_a_page_of_an_allowed_origin_calls_the_api_and_reads_why_it_may_not(fetch, site, pages, path_):
    _address, issuer = site
    allowed = pages[0]

    good = fetch(allowed, path_, Authorization=f"Bearer {issuer.token(scope='read')}")
    assert (good["status"], json.loads(good["body"])) == (200, {"subject": "auth0|ada"})
    # No credential is in a preflight, and it is not asked for one.
    assert seen == [("OPTIONS", path_, 200), ("GET", path_, 200)]

    lacking = fetch(allowed, path_, Authorization=f"Bearer {issuer.token()}")
    assert (lacking["status"], json.loads(lacking["body"])["reason"]) == (403, "scope_missing")
    assert lacking["headers"]["WWW-Authenticate"].endswith('scope="read"')
    bad = fetch(allowed, path_, Authorization="Bearer x")
    assert (bad["status"], json.loads(bad["body"])["reason"]) == (401, "token_malformed")
    none = fetch(allowed, path_)
    assert none["status"] == 401
    assert f'resource_metadata="https://public.test{WELL_KNOWN}"' in none["headers"]["WWW-Authenticate"]
    assert {status for method, _path, status in seen if method == "OPTIONS"} == {200}


@pytest.mark.parametrize("path_", ["/plain", "/rest"])
def test_a_page_of_another_origin_neither_calls_nor_reads(fetch, site, pages, path_):
    _address, issuer = site
    token = f"Bearer {issuer.token(scope='read')}"

    assert "Failed to fetch" in fetch(pages[1], path_, Authorization=token)["failure"]
    assert seen == [("OPTIONS", path_, 200)]


def test_a_page_of_any_origin_reads_the_metadata_with_the_header_of_mcp(fetch, pages):
    for page in pages:
        seen.clear()
        found = fetch(page, WELL_KNOWN, MCP_Protocol_Version="2025-11-25")
        assert (found["status"], json.loads(found["body"])["resource"]) == (200, "https://api.test/")
        assert found["headers"]["Cache-Control"] == "public, max-age=300"
        assert seen == [("OPTIONS", WELL_KNOWN, 204), ("GET", WELL_KNOWN, 200)]
        missing = fetch(page, f"{WELL_KNOWN}/none", MCP_Protocol_Version="2025-11-25")
        assert missing["status"] == 404


def test_django_cors_headers_answers_the_preflight_of_the_metadata_unless_it_leaves_them_out(fetch, settings, pages):
    settings.CORS_URLS_REGEX = ".*"

    assert fetch(pages[1], WELL_KNOWN)["status"] == 200
    assert "Failed to fetch" in fetch(pages[1], WELL_KNOWN, MCP_Protocol_Version="2025-11-25")["failure"]
