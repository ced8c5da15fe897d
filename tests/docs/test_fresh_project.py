"""The snippets of the README, pasted into a new project."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.docs.pages import snippet

URLS = """
from django.urls import path
from mysite import views

urlpatterns = [path("orders", views.orders)]
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


def python(*arguments: str, project: Path) -> str:
    environment = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    done = subprocess.run(
        [sys.executable, *arguments], cwd=project, env=environment, capture_output=True, text=True, check=False
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


def test_the_checks_find_nothing(project: Path) -> None:
    assert "no issues" in python("manage.py", "check", project=project)


def test_the_tokens_of_a_default_auth0_tenant_pass(project: Path) -> None:
    allowed, refused, challenge = python("-c", CALL, project=project).splitlines()

    assert allowed == '200 {"subject":"auth0|ada","scopes":["openid","read:orders"]}'
    assert refused.startswith("403 ")
    assert challenge == 'Bearer realm="api"'
