"""A verifier that also asks the deny list: for each token, remembered or not."""

from typing import TYPE_CHECKING

from resource_server.flow import Flow
from resource_server.tokens.authority import Verdict
from resource_server.tokens.credentials import Credentials
from resource_server.tokens.issuers import Issuer
from resource_server.tokens.proofs import RequestFacts
from resource_server.tokens.revocations import Revocations
from resource_server.tokens.verified_tokens import digest
from resource_server.tokens.verifier import Verifier

if TYPE_CHECKING:
    from resource_server.tokens.introspection import IntrospectionAuthority

__all__ = ["CheckedVerifier"]


class CheckedVerifier:
    """A `Verifier` with the same methods, which refuse a revoked token too.

    `unchecked` is the verifier that it wraps: a project without a deny list uses that one, and pays nothing.
    """

    def __init__(self, unchecked: Verifier, revocations: Revocations) -> None:
        self.unchecked = unchecked
        self._revocations = revocations

    @property
    def remembers(self) -> bool:
        """See `Verifier.remembers`."""
        return self.unchecked.remembers

    def recall(self, key: bytes) -> Verdict | None:
        """See `Verifier.recall`. None also if the deny list must be asked."""
        verdict = self.unchecked.recall(key)
        return verdict if verdict is not None and self._revocations.has_passed(verdict.token) else None

    def known(self, credentials: Credentials, key: bytes = b"") -> Verdict | None:
        """See `Verifier.known`. Always None: the deny list must be asked."""
        return None

    def verify(
        self,
        credentials: Credentials,
        key: bytes = b"",
        verdict: Verdict | None = None,
        facts: RequestFacts | None = None,
    ) -> Flow[Verdict]:
        """See `Verifier.verify`. Raises the errors of `Revocations.check` too."""
        if self.remembers:
            key = key or digest(credentials.unverified_token)
            verdict = verdict or self.unchecked.recall(key)
        verdict = yield from self.unchecked.verify(credentials, key, verdict, facts)
        yield from self._revocations.check(verdict.token)
        return verdict

    def introspection_of(self, credentials: Credentials) -> "IntrospectionAuthority | None":
        """See `Verifier.introspection_of`."""
        return self.unchecked.introspection_of(credentials)

    def issuer(self, unverified_issuer: str) -> Flow[Issuer]:
        """See `Verifier.issuer`."""
        return self.unchecked.issuer(unverified_issuer)

    @property
    def issuers(self) -> tuple[Issuer, ...]:
        """See `Verifier.issuers`."""
        return self.unchecked.issuers
