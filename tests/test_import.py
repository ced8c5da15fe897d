"""Importing the package loads none of the libraries that only a token needs: every manage.py command would wait for them."""

import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

# What Django and REST framework load by themselves is theirs; what our own modules add is compared.
PROGRAM = """
import sys
import django
django.setup()
import rest_framework.decorators, rest_framework.views
before = set(sys.modules)
import {modules}
print(*sorted(set(sys.modules) - before))
"""
LATE = {"cryptography", "http", "joserfc", "requests", "ssl", "urllib3"}


# What the default settings do without: the settings that name it import it.
OPTIONAL = {
    "resource_server.conf.introspection",
    "resource_server.database.compiled_query",
    "resource_server.hints",
    "resource_server.keys.shared_documents",
    "resource_server.tokens.introspection",
    "resource_server.tokens.introspection_policy",
    "resource_server.tokens.shared_answers",
    "resource_server.users.database_finders",
    "resource_server.users.rows",
    "resource_server.users.updates",
    "sqlite3",
}


FACE = "resource_server.authentication, resource_server.decorators"  # what the public names of the package come from


@pytest.mark.parametrize(
    "modules", [FACE, f"{FACE}, resource_server.drf", f"{FACE}, resource_server.drf, resource_server.checks"]
)
def test_no_library_of_keys_or_connections_is_loaded_with_the_package(modules):
    # DRF imports the classes that its settings name, so these name none of ours.
    settings = (
        "SECRET_KEY = 'x'; INSTALLED_APPS = ['django.contrib.auth', 'django.contrib.contenttypes', 'rest_framework']"
    )
    program = (
        "import sys, types; module = types.ModuleType('bare_settings'); sys.modules['bare_settings'] = module\n"
        f"exec({settings!r}, vars(module))\n" + PROGRAM.format(modules=modules)
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "bare_settings"},
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    loaded = set(done.stdout.split())
    assert "resource_server.keys.key_set" in loaded
    assert {name.partition(".")[0] for name in loaded} & LATE == set()
    assert loaded & OPTIONAL == set()


@pytest.mark.parametrize("module", sorted(OPTIONAL))
def test_what_is_optional_is_there_to_be_loaded(module):
    importlib.import_module(module)
