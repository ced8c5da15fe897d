"""Throttles of REST framework that count by the token: its subject, its client, its issuer."""

import hashlib
import logging
from typing import TYPE_CHECKING, ClassVar

from rest_framework.request import Request
from rest_framework.throttling import SimpleRateThrottle

from resource_server.errors import Unavailable
from resource_server.reasons import UnavailableReason
from resource_server.rest_authentication import AuthorizationFailed
from resource_server.rest_authorization import auth
from resource_server.server import current
from resource_server.tokens.access_token import AccessToken

if TYPE_CHECKING:  # which imports the classes of the settings, and so this module
    from rest_framework.views import APIView

__all__ = ["ClientThrottle", "IssuerThrottle", "SubjectThrottle"]

logger = logging.getLogger("resource_server")


class _TokenThrottle(SimpleRateThrottle):
    """Counts the requests of one party of a token, at the rate that THROTTLE_RATES names for it.

    A request without a token, and a party without a rate, are not counted. If the cache fails, the answer is 503. As
    REST framework's throttles, it counts in Django's default cache, and requests at once may pass together.
    """

    name: ClassVar[str]
    _is_failing: ClassVar[bool] = False

    def __init__(self) -> None:
        """Find no rate yet: it depends on the token."""

    def allow_request(self, request: Request, view: "APIView") -> bool:
        token = auth(request)
        party = self.party(token) if isinstance(token, AccessToken) else None
        if not isinstance(token, AccessToken) or party is None:
            return True
        rate = self.rate_of(token)
        if rate is None:
            return True
        self.num_requests, self.duration = self.parse_rate(rate)
        self.rate = rate
        self._party = hashlib.sha256(party.encode()).hexdigest()
        try:
            is_allowed = super().allow_request(request, view)
        except Exception as error:  # noqa: BLE001 - any error of any client library
            # The cache is down, or has given anything but a list of times. No verdict is not a yes.
            # Log an outage once; repeats go to DEBUG. The cache's own error can hold its address and password.
            level = logging.DEBUG if _TokenThrottle._is_failing else logging.ERROR
            _TokenThrottle._is_failing = True
            logger.log(level, "the cache of a throttle failed (%s); requests are answered 503", type(error).__name__)
            raise AuthorizationFailed(Unavailable(UnavailableReason.THROTTLE_FAILED), request) from None
        _TokenThrottle._is_failing = False
        return is_allowed

    def get_cache_key(self, request: Request, view: "APIView") -> str:
        # Another period is another count: a short one would drop what a long one must remember.
        return f"resource_server.throttle.{self.name}.{self.duration}.{self._party}"

    def party(self, token: AccessToken) -> str | None:
        """What is counted, in one text; None if the token does not have it."""
        raise NotImplementedError

    def rate_of(self, token: AccessToken) -> str | None:
        """The rate, such as `100/min`; None for none."""
        return current().throttle_rates.get(self.name)


class SubjectThrottle(_TokenThrottle):
    """Counts by person or machine (issuer and subject). Of the rates of its scopes, the highest wins over that of all."""

    name = "subject"

    def party(self, token: AccessToken) -> str:
        return token.identity

    def rate_of(self, token: AccessToken) -> str | None:
        rates = current().throttle_rates
        of_scopes = [rates[f"scope:{scope}"] for scope in token.scopes if f"scope:{scope}" in rates]
        return max(of_scopes, key=self._per_second, default=None) or super().rate_of(token)

    def _per_second(self, rate: str) -> float:
        requests, seconds = self.parse_rate(rate)
        return float(requests or 0) / float(seconds or 1)


class ClientThrottle(_TokenThrottle):
    """Counts by client of an issuer; the rate of one client of its issuer wins over that of all."""

    name = "client"

    def party(self, token: AccessToken) -> str | None:
        return None if token.client_id is None else f"{len(token.issuer)}:{token.issuer}{token.client_id}"

    def rate_of(self, token: AccessToken) -> str | None:
        return current().throttle_rates.get(f"client:{token.issuer} {token.client_id}") or super().rate_of(token)


class IssuerThrottle(_TokenThrottle):
    """Counts by issuer."""

    name = "issuer"

    def party(self, token: AccessToken) -> str:
        return token.issuer
