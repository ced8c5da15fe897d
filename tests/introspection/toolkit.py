"""django-oauth-toolkit with an API's client, a client of machines and the token of a person, at /o/: `toolkit.py PORT FOLDER`."""

import datetime
import sys
from pathlib import Path
from wsgiref.simple_server import make_server

import django
from django.apps import apps
from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler
from django.core.management import call_command
from django.urls import include, path

urlpatterns = [path("o/", include("oauth2_provider.urls", namespace="oauth2_provider"))] if settings.configured else []


def main(port: int, folder: Path) -> None:
    settings.configure(
        ALLOWED_HOSTS=["127.0.0.1"],
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": folder / "toolkit.sqlite3"}},
        INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "oauth2_provider"],
        OAUTH2_PROVIDER={"SCOPES": {"read": "read", "introspection": "introspect"}},
        ROOT_URLCONF="toolkit",
        SECRET_KEY="of the tests",
        USE_TZ=True,
    )
    sys.modules.pop("toolkit", None)
    django.setup()
    call_command("migrate", verbosity=0)
    applications, tokens = (apps.get_model("oauth2_provider", name) for name in ("Application", "AccessToken"))
    for name in ("api", "machines"):
        application = applications.objects.create(
            client_id=name,
            client_secret="the secret",
            client_type="confidential",
            authorization_grant_type="client-credentials",
            name=name,
        )
    tokens.objects.create(
        token="the-token-of-a-person",
        user=apps.get_model("auth", "User").objects.create(username="ada"),
        application=application,
        scope="read",
        expires=datetime.datetime.now(datetime.UTC) + datetime.timedelta(minutes=10),
    )
    make_server("127.0.0.1", port, WSGIHandler()).serve_forever()


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    main(int(sys.argv[1]), Path(sys.argv[2]))
