"""The client oauth4webapi (npm) at the development issuer: registration, DPoP, step-up, introspection, revocation."""

import json
import subprocess

import pytest
from tests.interop.oidc_provider import HERE
from tests.processes import AUDIENCE, development_issuer

pytestmark = pytest.mark.usefixtures("node_modules")


@pytest.mark.parametrize("arguments", [(), ("--dpop-nonce",)], ids=["no nonces", "nonces"])
def test_every_answer_passes_the_checks_of_another_projects_client(arguments, free_port):
    with development_issuer(free_port(), "--audience", AUDIENCE, *arguments) as (address, _):
        command = ["node", str(HERE / "oauth_client.mjs"), address, AUDIENCE]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    learned = json.loads(done.stdout)

    assert learned["nonceErrors"] == (1 if arguments else 0)
    assert learned["tokens"]["token_type"] == "dpop"  # as the library spells it
    for claims in (learned["claims"], learned["claimsAfterRefresh"]):
        assert (claims["iss"], claims["aud"], claims["sub"]) == (address, AUDIENCE, "auth0|ada")
        assert (claims["client_id"], claims["acr"]) == (learned["client_id"], "urn:example:gold")
        assert claims["cnf"] == {"jkt": learned["thumbprint"]}
    assert learned["claims"]["jti"] != learned["claimsAfterRefresh"]["jti"]
    assert learned["claims"]["auth_time"] == learned["claimsAfterRefresh"]["auth_time"]
    assert learned["idToken"]["acr"] == "urn:example:gold"
    assert "cnf" not in learned["machineClaims"]

    plain, signed, revoked = learned["introspected"]
    assert plain == signed
    assert (plain["active"], plain["sub"]) == (True, "demo-opaque@clients")
    assert revoked == {"active": False}
