"""The settings of tokens that are bound to their sender: DPOP, DPOP_NONCE, CLIENT_CERTIFICATE (RFC 9449, RFC 8705)."""

import re
from collections.abc import Iterable, Mapping
from ipaddress import ip_network
from typing import Any, Final

from resource_server.conf.reading import Reading, default_of, strings
from resource_server.tokens.certificates import READERS, CertificateSource
from resource_server.tokens.policy import Policy

__all__ = ["client_certificate", "dpop", "dpop_nonce", "report_lacking_settings"]

_DPOP: Final = ("off", "allowed", "required")
_NONCES: Final = ("off", "optional", "required")
_MEMBERS: Final = frozenset({"FROM", "PROXIES", "HEADER"})
_FIELD_NAME = re.compile(r"[A-Za-z0-9-]+")


def dpop(reading: Reading) -> str:
    """Whether tokens of this issuer that are bound to a key pass. Reports E050."""
    value = reading.settings.get("DPOP", default_of(Policy, "dpop"))
    if not isinstance(value, str) or value not in _DPOP:
        reading.report("E050")
    return str(value)


def dpop_nonce(reading: Reading, default: str) -> str:
    """Whether proofs hold a nonce of this server. Reports E051."""
    value = reading.settings.get("DPOP_NONCE", default)
    if not isinstance(value, str) or value not in _NONCES:
        reading.report("E051")
    return str(value)


def client_certificate(reading: Reading) -> CertificateSource | None:
    """Where the certificate of a client is; None for nowhere. Reports E052."""
    value = reading.settings.get("CLIENT_CERTIFICATE")
    if value is None:
        return None
    fault = _fault(value)
    if fault:
        reading.report("E052", fault=fault)
        return None
    reader, proxies = value["FROM"], strings(value.get("PROXIES", ())) or ()
    if reader == "server":
        return CertificateSource(reader=reader)
    header = value.get("HEADER", READERS[reader].header)
    return CertificateSource(
        reader=reader,
        meta_key=f"HTTP_{header.upper().replace('-', '_')}",
        proxies=tuple(ip_network(each) for each in proxies if each != "unix"),
        trusts_unix_sockets="unix" in proxies,
    )


def report_lacking_settings(
    reading: Reading, policies: Iterable[Policy], common: Mapping[str, Any], *, cache: object, origin: object
) -> None:
    """Report E053: DPOP needs PUBLIC_ORIGIN, which `htu` is compared with, and CACHE, which knows the used proofs."""
    values = (*(policy.dpop for policy in policies), common.get("DPOP"))
    if not {"allowed", "required"}.isdisjoint(value for value in values if isinstance(value, str)):
        for key, value in (("PUBLIC_ORIGIN", origin), ("CACHE", cache)):
            if value is None:
                reading.report("E053", key=key)


def _fault(value: object) -> str:
    if not isinstance(value, Mapping) or not _MEMBERS.issuperset(value):
        return "is not a dict with FROM, PROXIES and HEADER"
    reader, header = value.get("FROM"), value.get("HEADER", "Any")
    if not isinstance(reader, str) or (reader != "server" and reader not in READERS):
        return f"has a FROM that is not one of server, {', '.join(READERS)}"
    if reader == "server":
        return "has PROXIES or HEADER beside FROM server" if len(value) > 1 else ""
    if not isinstance(header, str) or not _FIELD_NAME.fullmatch(header):
        return "has a HEADER that is not a header's name"
    proxies = strings(value.get("PROXIES", ()))
    if not proxies:
        return "has no PROXIES: the addresses of the proxies whose header is believed"
    for each in proxies:
        try:
            is_everyone = each != "unix" and ip_network(each).prefixlen == 0
        except ValueError:
            return "has PROXIES that are not addresses, networks or unix"
        if is_everyone:
            return "has PROXIES that hold all addresses, so that anyone could send a certificate"
    return ""
