"""The client oauth4webapi (npm) calls an API of this package with DPoP-bound tokens, with and without nonces."""

import json
import subprocess
import sys

import pytest
from tests.interop.oidc_provider import HERE
from tests.processes import ROOT, development_issuer, process
from tests.servers import AUDIENCE

pytestmark = pytest.mark.usefixtures("node_modules")

ERROR = [["dpop", "use_dpop_nonce"], ["bearer", None]]


@pytest.mark.parametrize("nonces", ["off", "optional", "required"])
def test_another_projects_client_calls_the_api(free_port, redis_url, nonces):
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    settings = {"DPOP": "allowed", "DPOP_NONCE": nonces, "PUBLIC_ORIGIN": address}
    command = [sys.executable, "-m", "gunicorn", "tests.live.project:application", "--bind", f"127.0.0.1:{port}"]
    command += ["--chdir", str(ROOT), "--workers", "2", "--threads", "2", "--no-control-socket"]
    with (
        development_issuer(free_port(), "--audience", AUDIENCE, "--scope", "read") as (issuer, _),
        process(
            command,
            address,
            "/state",
            ISSUER=issuer,
            PYTHONPATH=str(ROOT),
            REDIS_URL=redis_url,
            MORE_SETTINGS=json.dumps(settings),
        ),
    ):
        client = ["node", str(HERE / "dpop_client.mjs"), issuer, AUDIENCE, f"{address}/private"]
        done = subprocess.run(client, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    learned = json.loads(done.stdout)

    assert set(learned) == {"ES256", "RS256", "PS256", "Ed25519"}
    needed = nonces == "required"
    for found in learned.values():
        assert found["tokenType"] == "dpop"
        assert found["calls"] == [ERROR if needed else 200, 200, 200]
        assert found["asBearer"] == [["bearer", "invalid_token"], ["dpop", None]]
        assert found["byAnotherKey"] == [["dpop", "invalid_token"], ["bearer", None]]
