"""The certificate of a client, as a header of the request names it (RFC 8705 section 3.1, RFC 9440 section 2.2).

The issuer ends no TLS, so it takes the header from anyone. That proves no possession of the private key, and changes
nothing here: anyone who reaches this issuer can get any token.
"""

import base64
import hashlib
import re

from cryptography.x509 import load_der_x509_certificate

__all__ = ["thumbprint"]

_BYTE_SEQUENCE = re.compile(r":([A-Za-z0-9+/]+={0,2}):")  # RFC 8941 section 3.3.5


def thumbprint(header: str) -> str:
    """The `x5t#S256` of the certificate in a `Client-Cert` header. Raises ValueError."""
    found = _BYTE_SEQUENCE.fullmatch(header.strip())
    if not found:
        raise ValueError("Client-Cert is not a byte sequence between colons")
    der = base64.b64decode(found[1], validate=True)
    load_der_x509_certificate(der)
    return base64.urlsafe_b64encode(hashlib.sha256(der).digest()).rstrip(b"=").decode()
