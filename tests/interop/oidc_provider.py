"""oidc-provider (npm) as a process of Node.js: it gives tokens over HTTP and rotates its keys on a signal."""

import json
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from joserfc.jwk import ECKey
from tests.lacking import lacking
from tests.processes import call, process

HERE = Path(__file__).parent
ALGORITHMS = ("RS256", "PS256", "ES256", "EdDSA", "Ed25519")
API_KEY = ECKey.generate_key("P-256")
API_SECRET = "of an API, with: signs & spaces"
CLIENT = {"client_id": "machine", "client_secret": "of-the-tests-guards-nothing-at-all"}
ROTATION_SECONDS = 30
# Faults of the machine that keep npm from installing. Any other, such as a wrong hash, fails the tests.
_UNREACHABLE = "npm cannot reach its registry"
LACKING = {
    "EAI_AGAIN": _UNREACHABLE,
    "ECONNREFUSED": _UNREACHABLE,
    "ECONNRESET": _UNREACHABLE,
    "EHOSTUNREACH": _UNREACHABLE,
    "ENETUNREACH": _UNREACHABLE,
    "ENOTFOUND": _UNREACHABLE,
    "ETIMEDOUT": _UNREACHABLE,
    "EBADENGINE": "Node.js is older than package.json asks for",
}


def resource(algorithm: str, host: str = "api.test") -> str:
    """The identifier of the API whose tokens are signed with this algorithm."""
    return f"https://{host}/{algorithm}"


def install(folder: Path = HERE) -> None:
    """Install what package-lock.json pins, once. Skips if this machine cannot, and fails in CI."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        lacking("no Node.js and npm on PATH (Debian: apt install nodejs npm)")
    installed = folder / "node_modules" / ".package-lock.json"  # npm writes it last
    if installed.is_file() and installed.stat().st_mtime >= (folder / "package-lock.json").stat().st_mtime:
        return
    done = subprocess.run(["npm", "ci"], cwd=folder, capture_output=True, text=True, timeout=300, check=False)
    if done.returncode == 0:
        return
    code = re.search(r"^npm \S+ code (\w+)$", done.stderr, re.MULTILINE)
    if code is not None and code[1] in LACKING:
        lacking(f"oidc-provider is not installed: {LACKING[code[1]]}")
    pytest.fail(f"npm ci failed:\n{done.stderr}", pytrace=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class OidcProvider:
    """A running issuer.mjs."""

    address: str
    child: "subprocess.Popen[str]"

    def token(self, algorithm: str, scope: str = "read", host: str = "api.test") -> str:
        """A JWT access token for the API of that algorithm."""
        return self._token(scope=scope, resource=resource(algorithm, host))

    def opaque_token(self) -> str:
        """The token of a client that names no API."""
        return self._token(scope="read")

    def bound_token(self, headers: Mapping[str, str], client_id: str = CLIENT["client_id"]) -> str:
        """An opaque token that is bound to what the headers of its request prove."""
        form = {"client_id": client_id, "scope": "read", "resource": resource("opaque")}
        return self._token(headers, **form)

    def revoke(self, token: str, client_id: str = CLIENT["client_id"]) -> None:
        form = {**CLIENT, "client_id": client_id, "token": token}
        answer = call(self.address, "/token/revocation", form=form)
        assert answer.status == 200, answer.text

    def introspection_answer(self) -> str:
        """A JWT of the same keys that is not an access token: the answer of introspection (RFC 9701)."""
        answer = call(
            self.address,
            "/token/introspection",
            form={**CLIENT, "token": self.opaque_token()},
            headers={"Accept": "application/token-introspection+jwt"},
        )
        assert (answer.status, answer.text.count(".")) == (200, 2), answer.text
        return answer.text

    def key_set(self) -> list[dict[str, Any]]:
        keys = call(self.address, "/jwks").json()["keys"]
        assert isinstance(keys, list)
        return keys

    def rotate(self) -> None:
        """Sign with new keys from now on; the older ones stay published."""
        self._tell(signal.SIGHUP)

    def withdraw(self) -> None:
        """Publish only the newest keys from now on."""
        self._tell(signal.SIGUSR2)

    def stop(self) -> None:
        self.child.kill()
        self.child.wait()

    def _token(self, headers: Mapping[str, str] | None = None, /, **parameters: str) -> str:
        form = {"grant_type": "client_credentials", **CLIENT, **parameters}
        answer = call(self.address, "/token", form=form, headers=headers)
        assert answer.status == 200, answer.text
        token = answer.json()["access_token"]
        assert isinstance(token, str)
        return token

    def _tell(self, number: signal.Signals) -> None:
        before = self.key_set()
        self.child.send_signal(number)
        deadline = time.monotonic() + ROTATION_SECONDS
        while self.key_set() == before:
            assert time.monotonic() < deadline, "the key set stays as it was"
            time.sleep(0.02)  # between two looks at the key set


@contextmanager
def running(port: int) -> Iterator[OidcProvider]:
    """An issuer that has answered once; it is stopped at the end."""
    address = f"http://127.0.0.1:{port}"
    command = ["node", str(HERE / "issuer.mjs"), str(port)]
    public = {**API_KEY.as_dict(private=False), "kid": "k1", "use": "sig", "alg": "ES256"}
    with process(command, address, "/.well-known/openid-configuration", API_JWK=json.dumps(public)) as child:
        yield OidcProvider(address=address, child=child)
