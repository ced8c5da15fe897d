"""Nonces for DPoP proofs: stateless, the same in each process, renewed every two minutes (RFC 9449 sections 8 and 9)."""

import base64
import hmac
from collections.abc import Callable
from typing import Final

from resource_server.clocks import time_of_day

__all__ = ["ACCEPTED_SECONDS", "NONCE_SECONDS", "Nonces"]

# A nonce is offered for one period and accepted for another one, so it lives for 2 to 4 minutes.
NONCE_SECONDS: Final = 120
# Servers whose clocks differ accept a nonce at most for so long: one may be a period ahead.
ACCEPTED_SECONDS: Final = 3 * NONCE_SECONDS
_BYTES = 18


class Nonces:
    """Makes and recognises nonces. Servers with one `secret` know the nonces of each other. `now` is in seconds since 1970.

    A client that sends a request in each period never meets an expired nonce: each answer to an older one offers the
    current one.
    """

    def __init__(self, secret: bytes, *, now: Callable[[], float] = time_of_day) -> None:
        self._secret = secret
        self._now = now

    def current(self) -> str:
        """The nonce to offer now."""
        return self._nonce(self._period())

    def accepts(self, nonce: object) -> bool:
        """Whether a nonce is of this period or of the last one; of the next one too, as another server's clock is ahead."""
        period = self._period()
        return isinstance(nonce, str) and any(
            hmac.compare_digest(nonce.encode("utf-8", "surrogatepass"), self._nonce(period + offset).encode())
            for offset in (0, -1, 1)
        )

    def _period(self) -> int:
        return int(self._now() // NONCE_SECONDS)

    def _nonce(self, period: int) -> str:
        digest = hmac.digest(self._secret, str(period).encode(), "sha256")
        return base64.urlsafe_b64encode(digest[:_BYTES]).decode()
