"""What all cases of a run share: one issuer, its tokens, one person with a session and an opaque token, one database.

Lies in a folder, because servers and measuring processes are many. The issuer's private key is in no file; that of the
client that signs proofs is, as a proof is good for a minute only.
"""

import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from benchmarks.proofs import Client, new_key
from django.utils.crypto import get_random_string

from resource_server.testing import FakeIssuer

__all__ = ["REVOKED", "Tenant", "documents_served", "fill_database", "load", "make"]

# Distinct tokens for first sights; more than a processor keeps in its nearest caches.
POOL = 2000
LIFE_SECONDS = 6 * 3600
REVOKED = "revoked"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenant:
    """The issuer's public side, and credentials that are good and bad.

    `documents` is where drf-oidc-auth fetches from, and where the issuer is asked about `introspected`, an opaque token.
    `bound` is bound to `proof_key`, and `revoked` has a `jti` of its own, to be put on the deny list.
    """

    issuer: str
    audience: str
    subject: str
    jwks: dict[str, Any]
    public_pem: str
    documents: str
    token: str = field(repr=False)
    forged: str = field(repr=False)
    pool: list[str] = field(repr=False)
    session: str = field(repr=False)
    opaque: str = field(repr=False)
    introspected: str = field(repr=False)
    answer: dict[str, Any] = field(repr=False)
    proof_key: dict[str, Any] = field(repr=False)
    bound: str = field(repr=False)
    revoked: str = field(repr=False)


def make(folder: Path, documents: str) -> Tenant:
    """A new tenant in the folder, without its database."""
    issuer = FakeIssuer()
    # simplejwt wants to be told what kind of token it is; the others do not look at it.
    claims = {"token_type": "access", "scope": "read:orders", "exp": int(time.time()) + LIFE_SECONDS}
    stranger = FakeIssuer()
    key, proof_key = issuer.keys.jwks()["keys"][0], new_key()
    tenant = Tenant(
        issuer=issuer.issuer,
        audience=issuer.audience,
        subject=issuer.claims()["sub"],
        jwks=issuer.keys.jwks(),
        public_pem=_pem(key),
        documents=documents,
        token=issuer.token(**claims),
        # Everything right but the key that signed it.
        forged=stranger.token(header={"kid": key["kid"]}, **claims),
        pool=[issuer.token(**claims, jti=f"pool-{number}") for number in range(POOL)],
        session=get_random_string(32, "abcdefghijklmnopqrstuvwxyz0123456789"),
        opaque=get_random_string(40),
        introspected=get_random_string(40),
        answer={"active": True, **issuer.claims(**claims), "token_type": "Bearer"},
        proof_key=proof_key,
        bound=issuer.token(**claims, cnf=Client(proof_key).confirmation),
        revoked=issuer.token(**claims, jti=REVOKED),
    )
    (folder / "tenant.json").write_text(json.dumps(asdict(tenant)))
    return tenant


def load() -> Tenant:
    """The tenant of this run, in the folder that BENCHMARK_TENANT names."""
    return Tenant(**json.loads((Path(os.environ["BENCHMARK_TENANT"]) / "tenant.json").read_text()))


def fill_database(tenant: Tenant, alias: str) -> None:
    """The tables, and the rows of one person, in this database. Needs Django to be set up, and a router to it."""
    from datetime import timedelta

    from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY, get_user_model
    from django.contrib.sessions.backends.db import SessionStore
    from django.contrib.sessions.models import Session
    from django.core.management import call_command
    from django.utils import timezone
    from oauth2_provider.models import AccessToken, Application

    call_command("migrate", database=alias, verbosity=0)
    user = get_user_model().objects.create_user(tenant.subject)
    tomorrow = timezone.now() + timedelta(days=1)
    data = {
        SESSION_KEY: str(user.pk),
        BACKEND_SESSION_KEY: "django.contrib.auth.backends.ModelBackend",
        HASH_SESSION_KEY: user.get_session_auth_hash(),
    }
    Session.objects.create(session_key=tenant.session, session_data=SessionStore().encode(data), expire_date=tomorrow)
    application = Application.objects.create(
        user=user,
        client_type=Application.CLIENT_CONFIDENTIAL,
        authorization_grant_type=Application.GRANT_AUTHORIZATION_CODE,
        redirect_uris="https://client.test/",
    )
    AccessToken.objects.create(
        user=user, application=application, token=tenant.opaque, expires=tomorrow, scope="read:orders"
    )


@contextmanager
def documents_served() -> Iterator[tuple[str, dict[str, bytes]]]:
    """An address on loopback, and the documents by path that are served there.

    `/introspect/TOKEN` is the answer about a token; without one the token is not active.
    """
    documents: dict[str, bytes] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(documents.get(self.path))

        def do_POST(self) -> None:
            form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode("ascii"))
            self._answer(documents.get(f"{self.path}/{form['token'][0]}", b'{"active": false}'))

        def _answer(self, body: bytes | None) -> None:
            self.send_response(200 if body is not None else 404)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", documents
    finally:
        server.shutdown()
        server.server_close()


def _pem(jwk: dict[str, Any]) -> str:
    from joserfc.jwk import RSAKey

    return RSAKey.import_key(jwk).as_pem(private=False).decode("ascii")
