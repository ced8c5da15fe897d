"""DPoP proofs, good and bad (RFC 9449 section 4.2)."""

import base64
import json
import secrets
import time
from typing import Any

from joserfc.jwk import ECKey, Key
from joserfc.jws import JWSRegistry

KEY, OTHER = ECKey.generate_key("P-256"), ECKey.generate_key("P-256")


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _json(members: dict[str, Any]) -> bytes:
    return json.dumps({name: value for name, value in members.items() if value is not None}).encode()


def proof(
    url: str, *, key: Key = KEY, header: dict[str, Any] | None = None, algorithm: str = "ES256", **claims: Any
) -> str:
    """A proof for a POST to this address; None removes a member. The key signs by `algorithm`, whatever `alg` says."""
    members = {"typ": "dpop+jwt", "alg": algorithm, "jwk": key.as_dict(private=False), **(header or {})}
    payload = {"jti": secrets.token_urlsafe(16), "htm": "POST", "htu": url, "iat": int(time.time()), **claims}
    signing_input = f"{_base64url(_json(members))}.{_base64url(_json(payload))}"
    signature = JWSRegistry.algorithms[algorithm].sign(signing_input.encode(), key)
    return f"{signing_input}.{_base64url(signature)}"
