"""The proof that a token is held by the party that its `cnf` claim names (RFC 7800 section 3, RFC 9449, RFC 8705).

A bound token is worth nothing without its proof, so the proof is verified on each request, for a remembered token too.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

from resource_server.clocks import time_of_day
from resource_server.errors import InvalidToken, NonceNeeded, Unavailable
from resource_server.flow import Blocking, Flow
from resource_server.reasons import NonceReason, TokenReason, UnavailableReason
from resource_server.tokens.authority import Verdict
from resource_server.tokens.certificates import thumbprint
from resource_server.tokens.credentials import Credentials
from resource_server.tokens.dpop import Proof, ProofKeys
from resource_server.tokens.nonces import ACCEPTED_SECONDS, Nonces
from resource_server.tokens.used_proofs import KEPT_SECONDS, UsedProofs

__all__ = ["ProofVerifier", "RequestFacts"]

# A nonce makes a proof acceptable again as long as it is accepted itself, by servers whose clocks differ by 10 s.
_KEPT_WITH_NONCE_SECONDS = ACCEPTED_SECONDS + 10


@dataclass(slots=True, kw_only=True)
class RequestFacts:
    """The facts of a request that a proof is verified against. An edge gathers them.

    `url` is made of the configured origin, never of the Host header; None without one. `proofs` are the values of the
    DPoP header (RFC 9449 section 4.1), `certificate` is the SHA-256 digest of the client's certificate (RFC 8705
    section 3.1). The verifier sets `is_proved` after it has marked the proof as used, `nonce` to the one to send with the
    answer (RFC 9449 section 8.2), and `is_bound` if the token is bound and everything was proved.
    """

    method: str
    url: str | None
    proofs: tuple[str, ...] = field(default=(), repr=False)
    certificate: bytes | None = field(default=None, repr=False)
    is_proved: bool = field(default=False, compare=False)
    is_bound: bool = field(default=False, compare=False)
    nonce: str | None = field(default=None, repr=False, compare=False)


class ProofVerifier:
    """Verifies the proofs of bound tokens.

    `used` remembers the proofs of DPoP; without it none is accepted. `nonces` makes the nonces that proofs may hold, None
    for none; `needs_nonce` demands one in each proof. A nonce tells when the proof was made, so that the client's clock
    may be wrong (RFC 9449 section 11.1). `now` is in seconds since 1970.
    """

    def __init__(
        self,
        *,
        used: UsedProofs | None = None,
        nonces: Nonces | None = None,
        needs_nonce: bool = False,
        now: Callable[[], float] = time_of_day,
    ) -> None:
        self._used = used
        self._nonces = nonces
        self._needs_nonce = needs_nonce
        self._now = now
        self._keys = ProofKeys()

    def verify(
        self, verdict: Verdict, credentials: Credentials, token_digest: bytes, facts: RequestFacts | None
    ) -> Flow[None]:
        """Verify that the sender of a request may use its token; `facts` is None for a token outside a request.

        All known members of `cnf` must hold. Yields the call that marks a proof as used. Raises InvalidToken,
        InvalidProof, NonceNeeded and Unavailable.
        """
        proof = self.judge(verdict, credentials, token_digest, facts)
        # Another guard of this request may have used this proof.
        if proof is not None and facts is not None and self._used is not None and not facts.is_proved:
            seconds = KEPT_SECONDS if self._nonces is None or proof.nonce is None else _KEPT_WITH_NONCE_SECONDS
            use = partial(self._used.use, proof.thumbprint, proof.jti, seconds=seconds)
            # Django's thread: the cache may be a table, whose connections belong to that thread.
            yield Blocking(call=use, thread_sensitive=True)
            facts.is_proved = True
        if facts is not None and "cnf" in verdict.token.claims:
            facts.is_bound = True

    def judge(
        self, verdict: Verdict, credentials: Credentials, token_digest: bytes, facts: RequestFacts | None
    ) -> Proof | None:
        """Judge what `verify` judges, but whether the proof was used: the proof of DPoP, None if the token needs none."""
        confirmation: Mapping[str, str] = verdict.token.claims.get("cnf", {})
        _judge_scheme(confirmation, credentials, needs_key=verdict.policy.dpop == "required")
        if "x5t#S256" in confirmation:
            if facts is None or facts.certificate is None:
                raise InvalidToken(TokenReason.CERTIFICATE_MISSING)
            if thumbprint(facts.certificate) != confirmation["x5t#S256"]:
                raise InvalidToken(TokenReason.CERTIFICATE_DIFFERS)
        return self._judge_key(confirmation["jkt"], token_digest, facts) if "jkt" in confirmation else None

    def _judge_key(self, key: str, token_digest: bytes, facts: RequestFacts | None) -> Proof:
        if facts is None:
            raise InvalidToken(TokenReason.TOKEN_BOUND_TO_KEY)
        if self._used is None or facts.url is None:
            # DPOP stands in an answer of the function of ISSUERS, without the settings that it needs.
            raise Unavailable(UnavailableReason.SETTINGS_INVALID, retry_after=60)
        proof = self._keys.verify(
            facts.proofs,
            method=facts.method,
            url=facts.url,
            token_digest=token_digest,
            thumbprint=key,
            now=self._now(),
            is_dated=self._nonces is None,
        )
        if not facts.is_proved:
            facts.nonce = self._nonce_to_offer(proof)
            if facts.nonce is not None:
                self._judge_nonce(proof, facts.nonce)
        return proof

    def _nonce_to_offer(self, proof: Proof) -> str | None:
        if self._nonces is None:
            return None
        current = self._nonces.current()
        return None if proof.nonce == current else current

    def _judge_nonce(self, proof: Proof, current: str) -> None:
        if proof.nonce is None:
            if self._needs_nonce or not proof.is_current:
                raise NonceNeeded(NonceReason.NONCE_MISSING, nonce=current)
        elif self._nonces is not None and not self._nonces.accepts(proof.nonce):
            raise NonceNeeded(NonceReason.NONCE_NOT_CURRENT, nonce=current)


def _judge_scheme(confirmation: Mapping[str, str], credentials: Credentials, *, needs_key: bool) -> None:
    """RFC 9449 sections 7.1 and 7.2: a token that is bound to a key comes under DPoP, and no other token does.

    Auth0 sends certificate-bound tokens under DPoP too, without a proof.
    """
    if credentials.is_dpop and not confirmation:
        raise InvalidToken(TokenReason.TOKEN_NOT_BOUND)
    if not credentials.is_dpop and "jkt" in confirmation:
        raise InvalidToken(TokenReason.TOKEN_BOUND_TO_KEY)
    if needs_key and "jkt" not in confirmation:
        raise InvalidToken(TokenReason.TOKEN_NOT_BOUND)
