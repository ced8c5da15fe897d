"""The client that DPoP tokens are bound to: it signs a new proof for each request, outside of the time that is measured."""

import base64
import hashlib
import json
import secrets
import time
from collections.abc import Mapping
from typing import Any

from joserfc import jws
from joserfc.jwk import ECKey

__all__ = ["ORIGIN", "Client", "new_key"]

# PUBLIC_ORIGIN of the cases.
ORIGIN = "https://api.test"


def new_key() -> dict[str, Any]:
    """A private key, as a JWK."""
    return dict(ECKey.generate_key("P-256").as_dict(private=True))


class Client:
    """A client with this private key."""

    def __init__(self, jwk: Mapping[str, Any]) -> None:
        self._key = ECKey.import_key(dict(jwk))
        members = self._key.as_dict(private=False)
        self._jwk = {name: members[name] for name in ("kty", "crv", "x", "y")}

    @property
    def confirmation(self) -> dict[str, str]:
        """The `cnf` claim of its tokens."""
        return {"jkt": self._key.thumbprint()}

    @property
    def public_pem(self) -> bytes:
        return self._key.as_pem(private=False)

    def proof(self, path: str, token: str) -> str:
        """A proof for a GET request with the token (RFC 9449 section 4.2)."""
        digest = hashlib.sha256(token.encode("ascii")).digest()
        claims = {
            "jti": secrets.token_urlsafe(16),
            "htm": "GET",
            "htu": f"{ORIGIN}{path}",
            "iat": int(time.time()),
            "ath": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
        }
        header = {"typ": "dpop+jwt", "alg": "ES256", "jwk": self._jwk}
        return jws.serialize_compact(header, json.dumps(claims, separators=(",", ":")), self._key)
