"""The certificate of a client: from the headers of proxies, from the server, and from nobody who may not say it."""

import base64
import hashlib
from datetime import UTC, datetime, timedelta
from urllib.parse import quote, quote_plus

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from django.test import AsyncRequestFactory, RequestFactory
from hypothesis import given
from hypothesis import strategies as st

from resource_server.conf.bound_tokens import client_certificate
from resource_server.conf.reading import Reading
from resource_server.request_facts import RequestReader
from resource_server.tokens.certificates import READERS, thumbprint

CLIENT = "203.0.113.9"
PROXY = "10.0.0.7"


def new_certificate():
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, 'a "client", b; c')])
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .sign(key, hashes.SHA256())
    )


ONE, OTHER = new_certificate(), new_certificate()


def pem(certificate):
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def der(certificate):
    return certificate.public_bytes(serialization.Encoding.DER)


def bare(certificate):
    return "".join(pem(certificate).split("\n")[1:-2])


DIGEST = hashlib.sha256(der(ONE)).digest()
HEX = DIGEST.hex()

# As each kind of proxy writes it.
WRITTEN = {
    "rfc9440": [f":{base64.b64encode(der(ONE)).decode()}:"],
    # The third is of encoders for forms, which write a space as a plus; the fourth of Apache's mod_headers.
    "nginx": [
        quote(pem(ONE), safe=""),
        quote(pem(ONE).strip(), safe="+/="),
        quote_plus(pem(ONE)),
        " ".join(pem(ONE).split("\n")),
    ],
    "aws_alb": [
        quote(pem(ONE), safe="+=/"),
        quote(pem(ONE) + pem(OTHER), safe="+=/"),
        quote_plus(pem(ONE) + pem(OTHER)),
    ],
    # The last is the DER form in base64, of Azure App Service (`X-ARR-ClientCert`) and HAProxy (`ssl_c_der,base64`).
    "traefik": [
        bare(ONE),
        f"{bare(ONE)},{bare(OTHER)}",
        quote(bare(ONE), safe=""),
        base64.b64encode(der(ONE)).decode(),
    ],
    "envoy": [
        f"Hash={HEX}",
        f'By=spiffe://x/y;Hash={HEX};Subject="CN=a, b; c=\\"d\\"";URI=spiffe://x/z',
        f'hash={HEX.upper()};Cert="{quote(pem(ONE), safe="")}"',
    ],
}
BAD = {
    "rfc9440": ["", ":", "::", "AAAA", ":AAA:", ":AAAA:, :AAAA:", f":{base64.b64encode(der(ONE)).decode()}", ":A A:"],
    "nginx": [
        "",
        "x",
        pem(ONE)[:-30],
        f"{quote(pem(ONE))},{quote(pem(OTHER))}",
        "-----BEGIN CERTIFICATE-----",
        bare(ONE),
    ],
    "aws_alb": ["", quote(f"text {pem(ONE)}"), quote(f"{pem(ONE)} text"), "%00%ff"],
    "traefik": ["", ",", "!", f",{bare(ONE)}", bare(ONE)[:-1]],
    "envoy": [
        "",
        "x",
        "Hash=",
        "Hash=12",
        "Hash=" + "g" * 64,
        f"Hash={HEX};Hash={HEX}",
        f"Hash={HEX},Hash={HEX}",
        f'Subject="Hash={HEX}"',
        f'Subject="a\\";Hash={HEX}',
        "By=x",
    ],
}


def of_each(values):
    """Each reader with each of its values; the ids do not depend on the certificates, which are new in each process."""
    return [
        pytest.param(name, value, id=f"{name} {number}")
        for name, listed in values.items()
        for number, value in enumerate(listed)
    ]


@pytest.mark.parametrize(("reader", "value"), of_each(WRITTEN))
def test_each_reader_reads_what_its_proxy_writes(reader, value):
    assert READERS[reader].digest(value) == DIGEST


@pytest.mark.parametrize(("reader", "value"), of_each({name: [*BAD[name], "A" * 70_000] for name in BAD}))
def test_anything_else_is_a_value_error(reader, value):
    with pytest.raises(ValueError, match=r"."):
        READERS[reader].digest(value)


def test_each_reader_is_tested():
    assert set(READERS) == set(WRITTEN) == set(BAD)


@pytest.mark.parametrize("reader", READERS)
@given(value=st.text())
def test_no_text_raises_anything_but_a_value_error(reader, value):
    for text in (value, f":{value}:", f"Hash={value}", f"-----BEGIN CERTIFICATE-----{value}-----END CERTIFICATE-----"):
        try:
            assert len(READERS[reader].digest(text)) == 32
        except ValueError:
            continue


def test_the_thumbprint_is_that_of_cryptography():
    assert thumbprint(DIGEST) == base64.urlsafe_b64encode(ONE.fingerprint(hashes.SHA256())).rstrip(b"=").decode()


def read(settings, request):
    reading = Reading(settings={"CLIENT_CERTIFICATE": settings})
    source = client_certificate(reading)
    assert not reading.problems
    return RequestReader(certificates=source).facts(request).certificate


@pytest.mark.parametrize("reader", READERS)
def test_a_header_is_believed_of_the_proxy_alone(reader):
    settings = {"FROM": reader, "PROXIES": ["10.0.0.0/29", "fd00::/64"]}
    header, value = READERS[reader].header, WRITTEN[reader][0]

    for address in (PROXY, "::ffff:10.0.0.7", "fd00::1"):
        request = RequestFactory().get("/", headers={header: value}, REMOTE_ADDR=address)
        assert read(settings, request) == DIGEST
    for address in (CLIENT, "10.0.0.8", "", "unix", "not an address", "::1", "127.0.0.1"):
        request = RequestFactory().get(
            "/", headers={header: value, "X-Forwarded-For": PROXY, "Forwarded": f"for={PROXY}"}, REMOTE_ADDR=address
        )
        assert read(settings, request) is None


def test_the_header_of_another_kind_of_proxy_is_not_read():
    headers = {READERS[name].header: WRITTEN[name][0] for name in READERS if name != "nginx"}
    request = RequestFactory().get("/", headers=headers, REMOTE_ADDR=PROXY)
    assert read({"FROM": "nginx", "PROXIES": PROXY}, request) is None
    assert read(None, request) is None


def test_the_header_can_have_another_name_and_a_socket_no_address():
    settings = {"FROM": "nginx", "HEADER": "SSL-Client-Cert", "PROXIES": ["unix"]}
    headers = {"SSL-Client-Cert": WRITTEN["nginx"][0]}

    assert read(settings, RequestFactory().get("/", headers=headers, REMOTE_ADDR="")) == DIGEST
    assert read(settings, RequestFactory().get("/", headers=headers, REMOTE_ADDR="127.0.0.1")) is None


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("position", range(3))
def test_a_broken_header_is_no_certificate(reader, position):
    request = RequestFactory().get("/", headers={READERS[reader].header: BAD[reader][position]}, REMOTE_ADDR=PROXY)
    assert read({"FROM": reader, "PROXIES": PROXY}, request) is None


def asgi(tls):
    request = AsyncRequestFactory().get("/")
    request.scope["extensions"] = {"tls": tls}
    return request


def test_the_server_gives_the_certificate_by_the_tls_extension_of_asgi():
    server = {"FROM": "server"}

    assert read(server, asgi({"client_cert_chain": [pem(ONE), pem(OTHER)], "client_cert_error": None})) == DIGEST
    for tls in (None, {}, {"client_cert_chain": []}, {"client_cert_chain": ["x"]}):
        assert read(server, asgi(tls)) is None
    assert read(server, asgi({"client_cert_chain": [pem(ONE)], "client_cert_error": "expired"})) is None
    assert read(server, AsyncRequestFactory().get("/")) is None


def test_the_server_gives_the_certificate_by_the_variable_of_mod_ssl():
    assert read({"FROM": "server"}, RequestFactory().get("/", SSL_CLIENT_CERT=pem(ONE))) == DIGEST
    assert read({"FROM": "server"}, RequestFactory().get("/", SSL_CLIENT_CERT="x")) is None


def test_no_header_stands_for_the_server():
    headers = {"SSL-Client-Cert": pem(ONE).replace("\n", " "), **{r.header: WRITTEN[n][0] for n, r in READERS.items()}}
    assert read({"FROM": "server"}, RequestFactory().get("/", headers=headers, REMOTE_ADDR=PROXY)) is None


@pytest.mark.parametrize(
    ("settings", "fault"),
    [
        ("nginx", "is not a dict"),
        ({}, "has a FROM"),
        ({"FROM": "apache", "PROXIES": PROXY}, "has a FROM that is not one of server, rfc9440"),
        ({"FROM": ["nginx"], "PROXIES": PROXY}, "has a FROM"),
        ({"FROM": "nginx"}, "has no PROXIES"),
        ({"FROM": "nginx", "PROXIES": []}, "has no PROXIES"),
        ({"FROM": "nginx", "PROXIES": 1}, "has no PROXIES"),
        ({"FROM": "nginx", "PROXIES": "*"}, "has PROXIES that are not addresses"),
        ({"FROM": "nginx", "PROXIES": "10.0.0.1/8"}, "has PROXIES that are not addresses"),
        ({"FROM": "nginx", "PROXIES": "localhost"}, "has PROXIES that are not addresses"),
        ({"FROM": "nginx", "PROXIES": ["::/0"]}, "has PROXIES that hold all addresses"),
        ({"FROM": "nginx", "PROXIES": ["unix", "0.0.0.0/0"]}, "has PROXIES that hold all addresses"),
        ({"FROM": "nginx", "PROXIES": PROXY, "HEADER": ""}, "has a HEADER"),
        ({"FROM": "nginx", "PROXIES": PROXY, "HEADER": "X_Y"}, "has a HEADER"),
        ({"FROM": "nginx", "PROXIES": PROXY, "HEADER": None}, "has a HEADER"),
        ({"FROM": "server", "PROXIES": PROXY}, "has PROXIES or HEADER beside FROM server"),
        ({"FROM": "nginx", "PROXIES": PROXY, "PROXY": PROXY}, "is not a dict with"),
    ],
)
def test_wrong_settings_are_found(settings, fault):
    reading = Reading(settings={"CLIENT_CERTIFICATE": settings})
    assert client_certificate(reading) is None
    assert [each.id for each in reading.problems] == ["E052"]
    assert f"CLIENT_CERTIFICATE {fault}" in reading.problems[0].message
