"""A limit for the attempts that unknown kids cause: anybody can send one (RFC 8725 section 3.10 warns of fetches on demand)."""

import math

__all__ = ["JOIN_SECONDS", "UnknownKids"]

# The token bucket of one issuer. It counts attempts, also those that fail.
BUCKET_SIZE = 2
REFILL_SECONDS = 30
# A kid that a good answer has lacked causes no other attempt for this long.
MISS_SECONDS = 60
# Requests with an unknown kid join an attempt in its first seconds only: else forged tokens could hold all threads
# while an issuer is slow.
JOIN_SECONDS = 2.0


class UnknownKids:
    """Which unknown kid may cause an attempt, for the keys of one issuer. `now` is of a clock that never goes back.

    Takes no lock: a race between threads admits one attempt more, and `SingleFlight` joins those.
    """

    def __init__(self) -> None:
        self._allowance = float(BUCKET_SIZE)
        self._counted_at = -math.inf
        self._missed_at: dict[tuple[str | None, str], float] = {}

    def take(self, kid: str | None, algorithm: str, now: float) -> bool:
        """Return whether this kid may cause an attempt now, and count it if so."""
        refilled = self._allowance + (now - self._counted_at) / REFILL_SECONDS
        allowance = min(refilled, float(BUCKET_SIZE))
        if allowance < 1 or now - self._missed_at.get((kid, algorithm), -math.inf) < MISS_SECONDS:
            return False
        self._allowance, self._counted_at = allowance - 1, now
        return True

    def give_back(self) -> None:
        """Uncount an attempt that has not reached the issuer."""
        self._allowance += 1

    def miss(self, kid: str | None, algorithm: str, now: float) -> None:
        """Note that a good answer has lacked this kid."""
        # At most as many entries as attempts in that window.
        kept = {missed: at for missed, at in self._missed_at.items() if now - at < MISS_SECONDS}
        self._missed_at = {**kept, (kid, algorithm): now}
