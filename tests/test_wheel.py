"""The built wheel guards a view with real tokens, in an environment that holds only its dependencies."""

import email
import json
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent

# A project in one file: a plain Django view, a static key set, no database and no network.
PROJECT = """
import importlib.util, json, time, warnings

import django
from django.conf import settings
from django.core.management import call_command
from django.http import JsonResponse
from django.urls import path
from joserfc import jwt
from joserfc.jwk import RSAKey

key = RSAKey.generate_key(2048, {"kid": "1", "alg": "RS256", "use": "sig"})
settings.configure(
    ROOT_URLCONF=__name__,
    SECRET_KEY="x" * 50,
    ALLOWED_HOSTS=["testserver"],
    INSTALLED_APPS=["resource_server"],
    RESOURCE_SERVER={
        "ISSUER": "https://issuer.test/",
        "AUDIENCE": "https://api.test/",
        "JWKS": {"keys": [key.as_dict(private=False)]},
    },
)
django.setup()

from resource_server import AccessToken, requires_scope


@requires_scope("example:scope")
def view(request):
    assert isinstance(request.auth, AccessToken)
    return JsonResponse({"subject": request.auth.subject})


urlpatterns = [path("scoped", view)]
call_command("check", fail_level="WARNING")


def call(token=None):
    from django.test import Client

    response = Client(headers={"Authorization": f"Bearer {token}"} if token else {}).get("/scoped")
    return [response.status_code, response.headers.get("WWW-Authenticate"), response.json()]


def token(signing_key=key, **changes):
    now = int(time.time())
    claims = {"iss": "https://issuer.test/", "aud": "https://api.test/", "sub": "auth0|1", "client_id": "app",
              "iat": now, "exp": now + 60, "jti": "1", "scope": "example:scope", **changes}
    return jwt.encode({"alg": "RS256", "typ": "at+jwt", "kid": "1"}, claims, signing_key)


print(json.dumps({
    "none": call(),
    "good": call(token()),
    "other_scope": call(token(scope="other")),
    "expired": call(token(exp=int(time.time()) - 3600)),
    "forged": call(token(RSAKey.generate_key(2048))),
    "installed": [name for name in ("rest_framework", "authlib", "drf_spectacular", "redis") if importlib.util.find_spec(name)],
}))
"""


def run(*command: str | Path, cwd: Path) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def source_files() -> set[str]:
    listing = run("git", "ls-files", "--cached", "--others", "--exclude-standard", "--deduplicate", "src", cwd=ROOT)
    return {name.removeprefix("src/") for name in listing.splitlines() if (ROOT / name).is_file()}


@pytest.fixture(scope="module")
def distribution_files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Build the sdist, and the wheel from the sdist, to show that the sdist holds all that a build needs."""
    out = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", out, ROOT, cwd=out)
    (sdist,) = out.glob("*.tar.gz")
    (wheel,) = out.glob("*.whl")
    return sdist, wheel


@pytest.fixture(scope="module")
def verdicts(distribution_files: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Run the project in an environment with the wheel and its runtime dependencies, and give its answers."""
    _, wheel = distribution_files
    place = tmp_path_factory.mktemp("empty")
    run(sys.executable, "-m", "venv", "env", cwd=place)
    # The versions of this run of the tests, above all that of Django.
    constraints = place / "constraints.txt"
    versions = {found.name: found.version for found in distributions() if found.name != "django-resource-server"}
    constraints.write_text("".join(f"{name}=={version}\n" for name, version in versions.items()))
    python = place / "env" / "bin" / "python"
    run(python, "-m", "pip", "install", "--quiet", "--constraint", constraints, wheel, cwd=place)
    (place / "project.py").write_text(PROJECT)
    output = run(python, "-W", "error", "-I", "project.py", cwd=place)
    answers: dict[str, Any] = json.loads(output.splitlines()[-1])
    return answers


def test_the_environment_holds_no_optional_dependency(verdicts: dict[str, Any]) -> None:
    assert verdicts["installed"] == []


def test_no_token_is_a_challenge_without_error(verdicts: dict[str, Any]) -> None:
    status, challenge, _ = verdicts["none"]
    assert (status, challenge) == (401, 'Bearer realm="api", scope="example:scope"')


def test_a_good_token_passes(verdicts: dict[str, Any]) -> None:
    assert verdicts["good"] == [200, None, {"subject": "auth0|1"}]


def test_another_scope_is_not_enough(verdicts: dict[str, Any]) -> None:
    status, challenge, body = verdicts["other_scope"]
    assert status == 403
    assert 'error="insufficient_scope"' in challenge
    assert 'scope="example:scope"' in challenge
    assert body["reason"] == "scope_missing"


@pytest.mark.parametrize(("case", "reason"), [("expired", "token_expired"), ("forged", "signature_invalid")])
def test_a_bad_token_is_refused(verdicts: dict[str, Any], case: str, reason: str) -> None:
    status, challenge, body = verdicts[case]
    assert status == 401
    assert 'error="invalid_token"' in challenge
    assert body["reason"] == reason


def test_the_wheel_holds_the_package_and_nothing_else(distribution_files: tuple[Path, Path]) -> None:
    names = set(zipfile.ZipFile(distribution_files[1]).namelist())
    shipped = {name for name in names if ".dist-info/" not in name}
    assert shipped == source_files()
    assert "resource_server/py.typed" in shipped
    assert any(name.endswith("dist-info/licenses/LICENSE") for name in names)


def test_the_sdist_holds_the_package_and_what_builds_it(distribution_files: tuple[Path, Path]) -> None:
    with tarfile.open(distribution_files[0]) as archive:
        names = {member.name.partition("/")[2] for member in archive.getmembers() if member.isfile()}
    assert {name.removeprefix("src/") for name in names if name.startswith("src/")} == source_files()
    around = {name for name in names if not name.startswith("src/")}
    assert around <= {"pyproject.toml", "LICENSE", "README.md", "CHANGELOG.md", "PKG-INFO", ".gitignore"}
    assert {"pyproject.toml", "LICENSE"} <= around


def test_the_metadata_name_the_runtime_dependencies(distribution_files: tuple[Path, Path]) -> None:
    with zipfile.ZipFile(distribution_files[1]) as wheel:
        (name,) = [name for name in wheel.namelist() if name.endswith(".dist-info/METADATA")]
        metadata = email.message_from_bytes(wheel.read(name))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert metadata["Version"] == project["version"]
    assert metadata["License-Expression"] == "BSD-3-Clause"
    assert metadata["Requires-Python"] == ">=3.11"
    required = {value.lower() for value in metadata.get_all("Requires-Dist", []) if "extra ==" not in value}
    assert required == {
        "django!=6.0,!=6.0.1,!=6.0.2,!=6.0.3,!=6.0.4,!=6.0.5,>=5.2.15",
        "jiter>=0.11",
        "joserfc>=1.8",
        "urllib3>=2.7",
    }


def test_importing_the_package_loads_no_optional_and_no_network_module() -> None:
    code = (
        "import sys, resource_server;"
        "print(sorted({'rest_framework', 'drf_spectacular', 'authlib', 'redis', 'urllib3'} & set(sys.modules)))"
    )
    assert run(sys.executable, "-c", code, cwd=ROOT) == "[]\n"
