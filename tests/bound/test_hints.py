"""The hints of bound tokens: what the proof or the request has, beside what it needs. While DEBUG is on alone."""

import pytest
from tests.bound.conftest import ORIGIN
from tests.bound.test_certificates import PROXY, WRITTEN

THUMBPRINT = {"x5t#S256": "A" * 43}
NGINX = {"CLIENT_CERTIFICATE": {"FROM": "nginx", "PROXIES": [PROXY]}}
HEADER = {"X-SSL-Client-Cert": WRITTEN["nginx"][0]}

PROOFS = {
    "another method": ({"htm": "POST"}, "this proof's htm is 'POST'; the request has the method 'GET'. `htm`"),
    "no method": ({"htm": None}, "this proof's htm is absent; the request has the method 'GET'. `htm`"),
    "another URL": (
        {"htu": "https://user:word@other.test/plain?key=value"},
        f"this proof's htu is 'https://other.test/plain?...'; PUBLIC_ORIGIN and the path of the request are '{ORIGIN}/plain'. ",
    ),
    "a path": ({"htu": "/plain?key=value"}, "this proof's htu is '/plain'; PUBLIC_ORIGIN"),
    "no scheme": (
        {"htu": "ada:password@api.test/plain#key=value"},
        "this proof's htu is 'api.test/plain'; PUBLIC_ORIGIN",
    ),
    "no text": ({"htu": {"key": "value"}}, "this proof's htu is no text; PUBLIC_ORIGIN"),
    "no URL": ({"htu": None}, "this proof's htu is absent; PUBLIC_ORIGIN"),
    "control characters": ({"htu": "\x1b[2J"}, "this proof's htu is '\\x1b[2J'; PUBLIC_ORIGIN"),
    "a long URL": ({"htu": "x" * 999}, f"this proof's htu is '{'x' * 96}...; PUBLIC_ORIGIN"),
    "old": (
        {"iat": 1},
        "this proof's iat is 1 (1970-01-01 00:00:01 UTC); it must be 60 s old at most and 5 s ahead at most. ",
    ),
    "a date that is text": ({"iat": "now"}, "this proof's iat is 'now'; it must be"),
    "a date that is true": ({"iat": True}, "this proof's iat is True; it must be"),
}


@pytest.mark.parametrize(("claims", "start"), PROOFS.values(), ids=PROOFS)
def test_what_the_proof_says_is_shown(plain, settings, claims, start):
    settings.DEBUG = True
    token = plain.token()
    answer = plain.call(token, **claims).json()
    assert answer["hint"].startswith(start)
    assert token not in answer["hint"]
    assert "value" not in answer["hint"]
    settings.DEBUG = False
    assert "hint" not in plain.call(**claims).json()


CERTIFICATES = {
    "no setting": ({}, HEADER, PROXY, "CLIENT_CERTIFICATE is not set. "),
    "no header": (NGINX, {}, PROXY, "the header X-Ssl-Client-Cert is absent. "),
    "another header": (
        {"CLIENT_CERTIFICATE": {"FROM": "nginx", "PROXIES": [PROXY], "HEADER": "X-Cert"}},
        HEADER,
        PROXY,
        "the header X-Cert is absent. ",
    ),
    "another proxy": (NGINX, HEADER, "10.9.9.9", "the request comes from '10.9.9.9', which PROXIES does not name. "),
    "not an address": (NGINX, HEADER, "unix:", "the request comes from 'unix:', which PROXIES does not name. "),
    "a socket": (
        NGINX,
        HEADER,
        "",
        "the request comes from a socket without an address, which PROXIES does not name. ",
    ),
    "another form": (
        NGINX,
        {"X-SSL-Client-Cert": "x"},
        PROXY,
        "the header X-Ssl-Client-Cert does not have the form of FROM 'nginx'. ",
    ),
    "the server": (
        {"CLIENT_CERTIFICATE": {"FROM": "server"}},
        HEADER,
        PROXY,
        "the server hands on no certificate of the client. ",
    ),
}


@pytest.mark.parametrize(("changes", "headers", "remote", "start"), CERTIFICATES.values(), ids=CERTIFICATES)
def test_why_there_is_no_certificate_is_shown(plain, configure, settings, changes, headers, remote, start):
    settings.DEBUG = True
    configure(DPOP=None, **changes)
    bearer = {"Authorization": f"Bearer {plain.token(cnf=THUMBPRINT)}"}
    answer = plain.get({**bearer, **headers}, remote=remote).json()
    assert answer["reason"] == "certificate_missing"
    assert answer["hint"].startswith(start)
