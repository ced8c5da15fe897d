"""What the settings of REST framework may name is found while REST framework itself is still being imported."""

import subprocess
import sys
from pathlib import Path

import pytest

NAMED = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["resource_server.drf.AccessTokenAuthentication"],
    "DEFAULT_THROTTLE_CLASSES": [
        f"resource_server.throttles.{party}Throttle" for party in ("Subject", "Client", "Issuer")
    ],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
}
PROGRAM = """
import django
from django.conf import settings
settings.configure(
    SECRET_KEY="x" * 50,
    INSTALLED_APPS=["rest_framework", "drf_spectacular", "resource_server"],
    RESOURCE_SERVER={{"ISSUER": "https://login.example.com/", "AUDIENCE": "a"}},
    REST_FRAMEWORK={named!r},
)
django.setup()
from rest_framework.views import APIView
print([kind.__name__ for kind in [*APIView.authentication_classes, *APIView.throttle_classes]])
"""


@pytest.mark.parametrize("names", [*([name] for name in NAMED), list(NAMED)], ids=[*NAMED, "all"])
def test_a_project_starts_that_names_them(names: list[str]) -> None:
    named = {name: NAMED[name] for name in names}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(named={"UNAUTHENTICATED_USER": None, **named})],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    for classes in named.values():
        for path in classes if isinstance(classes, list) else []:
            assert path.rpartition(".")[2] in done.stdout
