"""An HttpRequest -> the facts that a proof of it is verified against (RFC 9449 section 4.3, RFC 8705 section 3)."""

from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from typing import Any
from urllib.parse import quote

from django.http import HttpRequest

from resource_server.tokens.certificates import READERS, CertificateSource, digest_of_der, digest_of_pem
from resource_server.tokens.proofs import RequestFacts

__all__ = ["FACTS", "RequestReader", "sent_path"]

# The attribute of a request that keeps its facts, so that a second guard does not take its proof for a replay.
FACTS = "_resource_server_facts"
# What may stand in a path as it is (RFC 3986 section 3.3), without the semicolon.
_UNQUOTED = "/:@&+$,=-_.!~*'()"


def sent_path(request: Any) -> str:
    """The decoded path of a request as its client sent it, with the prefix that a proxy has removed.

    Under WSGI Django's `path` has the prefix. Under ASGI it does not: neither that of FORCE_SCRIPT_NAME nor the
    `root_path` of a server that leaves it out of the path.
    """
    path: str = request.path
    prefix = str(request.META.get("SCRIPT_NAME") or "").rstrip("/")
    return path if not prefix or path == prefix or path.startswith(f"{prefix}/") else prefix + path


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestReader:
    """Reads the facts of requests. `origin` is the configured one; `certificates` says where the client's is, None for nowhere."""

    origin: str | None = None
    certificates: CertificateSource | None = None

    def facts(self, request: HttpRequest) -> RequestFacts:
        """The facts of a request. Raises nothing. Those that were read before are the same object, unless they differ."""
        header = request.META.get("HTTP_DPOP")
        facts = RequestFacts(
            # As it was sent: a middleware may have put another method on the request.
            method=request.META.get("REQUEST_METHOD") or "",
            url=self.url(sent_path(request)),
            # Servers join repeated headers with a comma, which is in no proof.
            proofs=tuple(str(header).split(",")) if header else (),
            certificate=self._certificate(request),
        )
        known: RequestFacts | None = vars(request).get(FACTS)
        if known == facts:
            return known
        vars(request)[FACTS] = facts
        return facts

    def url(self, path: str) -> str | None:
        """The URL of a decoded path of this server, None without an origin."""
        return None if self.origin is None else self.origin + _quoted(path)

    def missing_certificate(self, request: HttpRequest) -> str:
        """Why a request has no certificate of its client, for the developer. Raises nothing."""
        source = self.certificates
        if source is None:
            return "CLIENT_CERTIFICATE is not set"
        if source.reader == "server":
            return "the server hands on no certificate of the client"
        name = source.meta_key.removeprefix("HTTP_").replace("_", "-").title()
        if not request.META.get(source.meta_key):
            return f"the header {name} is absent"
        address = request.META.get("REMOTE_ADDR") or ""
        with suppress(ValueError):
            if _is_trusted(address, source):
                return f"the header {name} does not have the form of FROM {source.reader!r}"
        sender = ascii(address)[:100] if address else "a socket without an address"
        return f"the request comes from {sender}, which PROXIES does not name"

    def _certificate(self, request: HttpRequest) -> bytes | None:
        source = self.certificates
        if source is None:
            return None
        try:
            if source.reader == "server":
                return _of_server(request)
            value = request.META.get(source.meta_key)
            if not value or not _is_trusted(request.META.get("REMOTE_ADDR") or "", source):
                return None
            return READERS[source.reader].digest(str(value))
        except ValueError:
            return None


def _quoted(path: str) -> str:
    return quote(path, _UNQUOTED, errors="surrogatepass")


def _of_server(request: HttpRequest) -> bytes | None:
    """The certificate that the server itself has verified. Raises ValueError."""
    scope = getattr(request, "scope", None)
    if scope is not None:
        # The TLS extension of ASGI.
        tls: Any = (scope.get("extensions") or {}).get("tls") or {}
        chain = tls.get("client_cert_chain")
        return digest_of_pem(str(next(iter(chain)))) if chain and not tls.get("client_cert_error") else None
    if pem := request.META.get("SSL_CLIENT_CERT"):  # mod_ssl, with ExportCertData
        return digest_of_pem(str(pem))
    der = getattr(request.META.get("gunicorn.socket"), "getpeercert", lambda **_: None)(binary_form=True)
    return digest_of_der(der) if der else None


def _is_trusted(remote_address: str, source: CertificateSource) -> bool:
    if not remote_address:
        return source.trusts_unix_sockets
    address = ip_address(remote_address)
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return any(address in network for network in source.proxies)
