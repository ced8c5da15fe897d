"""Many first requests of one person at once, on a real PostgreSQL, make one user."""

import subprocess
import sys

PROGRAM = """
import sys, threading
import dj_database_url, django
from django.conf import settings

settings.configure(
    DATABASES={"default": dj_database_url.parse(sys.argv[1])},
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "resource_server", "resource_server.accounts"],
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    USE_TZ=True,
)
django.setup()
from django.core.management import call_command
from django.db import connection
call_command("migrate", verbosity=0)

from django.contrib.auth.models import User
from resource_server.accounts import provision as module
from resource_server.accounts.models import Account
from resource_server.tokens.access_token import access_token

token = access_token({"iss": "https://issuer.test/", "sub": "auth0|ada", "aud": "api", "exp": 1})
together = threading.Barrier(12)
found, errors = [], []
find = module._find

def find_together(token):
    account = find(token)
    if not getattr(local, "waited", False):
        local.waited = True
        together.wait(30)  # everybody has looked, and nobody has found
    return account

local = threading.local()
module._find = find_together

def first_request():
    try:
        found.append(module.provision(token).pk)
    except Exception as error:
        errors.append(repr(error))
    finally:
        connection.close()

threads = [threading.Thread(target=first_request) for _ in range(12)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
print(len(found), len(set(found)), User.objects.count(), Account.objects.count(), errors)
"""


def test_first_requests_at_once_make_one_user(postgres_url):
    said = subprocess.run(
        [sys.executable, "-c", PROGRAM, postgres_url], capture_output=True, text=True, timeout=60, check=False
    )

    assert (said.stdout.strip(), said.stderr) == ("12 1 1 1 []", "")
