"""The snippets of the README, pasted into a new project."""

import http.client
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from http.cookies import SimpleCookie
from pathlib import Path
from urllib.parse import urlencode

import pytest
from tests.docs.pages import snippet

URLS = """
from django.contrib import admin
from django.urls import path
from mysite import views

urlpatterns = [path("admin/", admin.site.urls), path("orders", views.orders)]
"""
# A default Auth0 tenant: `typ` is JWT, the client is in `azp`, and the scopes are a string.
CALL = """
import os
import django
os.environ["DJANGO_SETTINGS_MODULE"] = "mysite.settings"
django.setup()

from django.test import Client
from django.test.utils import setup_test_environment
from resource_server.testing import FakeIssuer

setup_test_environment()
issuer = FakeIssuer("https://tenant.eu.auth0.com/", "https://api.example.com")
claims = {"client_id": None, "azp": "client", "jti": None}
with issuer.serving():
    for scope in ("openid read:orders", "openid"):
        token = issuer.token(header={"typ": "JWT"}, scope=scope, **claims)
        response = Client().get("/orders", headers={"Authorization": f"Bearer {token}"})
        print(response.status_code, response.content.decode())
    print(Client().get("/orders")["WWW-Authenticate"])
"""


def environment(**variables: str) -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"} | variables


def python(*arguments: str, project: Path, **variables: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=project,
        env=environment(**variables),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fresh")
    python("-m", "django", "startproject", "mysite", ".", project=folder)
    with (folder / "mysite" / "settings.py").open("a", encoding="utf-8") as settings:
        settings.write("\n" + snippet("# settings.py"))
    (folder / "mysite" / "views.py").write_text(snippet("# views.py"), encoding="utf-8")
    (folder / "mysite" / "urls.py").write_text(URLS, encoding="utf-8")
    return folder


def call(port: int, path: str, cookies: dict[str, str], form: dict[str, str] | None = None) -> tuple[int, str]:
    """The status and the body or the redirect of a real request; what the server sets is added to the cookies."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())}
    if form is not None:
        headers["Content-Type"] = "application/x-www-form-urlencoded"
    connection.request("GET" if form is None else "POST", path, urlencode(form or {}), headers)
    response = connection.getresponse()
    body = response.read().decode()
    for line in response.headers.get_all("Set-Cookie") or ():
        cookies |= {name: morsel.value for name, morsel in SimpleCookie(line).items()}
    connection.close()
    return response.status, response.headers.get("Location", body)


def is_listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_the_admin_still_signs_in(project: Path, free_port: Callable[[], int]) -> None:
    python("manage.py", "migrate", "--verbosity", "0", project=project)
    user = {"DJANGO_SUPERUSER_PASSWORD": "a-long-password"}
    python("manage.py", "createsuperuser", "--noinput", "--username=root", "--email=a@b.test", project=project, **user)
    port, cookies = free_port(), dict[str, str]()
    server = [sys.executable, "manage.py", "runserver", "--noreload", f"127.0.0.1:{port}"]
    with subprocess.Popen(
        server, cwd=project, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as api:
        try:
            deadline = time.monotonic() + 60
            while not is_listening(port) and time.monotonic() < deadline:
                time.sleep(0.05)  # between two looks at a process
            status, page = call(port, "/admin/login/?next=/admin/", cookies)
            assert status == 200
            [field] = re.findall(r'name="csrfmiddlewaretoken" value="(\w+)"', page)
            form = {"csrfmiddlewaretoken": field, "username": "root", "password": "a-long-password"}
            assert call(port, "/admin/login/?next=/admin/", cookies, form) == (302, "/admin/")
            status, page = call(port, "/admin/auth/user/", cookies)
            assert status == 200
            assert "root" in page
            # A session is no access token, and the API takes none.
            assert call(port, "/orders", cookies)[0] == 401
        finally:
            api.terminate()


def test_the_checks_find_nothing(project: Path) -> None:
    assert "no issues" in python("manage.py", "check", project=project)


def test_the_tokens_of_a_default_auth0_tenant_pass(project: Path) -> None:
    allowed, refused, challenge = python("-c", CALL, project=project).splitlines()

    assert allowed == '200 {"subject":"auth0|ada","scopes":["openid","read:orders"]}'
    assert refused.startswith("403 ")
    assert challenge == 'Bearer realm="api", scope="read:orders"'
