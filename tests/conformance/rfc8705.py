"""RFC 8705: OAuth 2.0 Mutual-TLS Client Authentication and Certificate-Bound Access Tokens.

11 demands read. Left out: demands on the authorization server (it binds client and certificate, section 2) and on the
registration of clients (section 2.1.2). Sections 2 and 5 are here because this API is a client of the introspection
endpoint. The connection between a proxy that ends TLS and this API is the deployment's (section 6.5).
"""

from tests.conformance.rows import Row

AUTHENTICATION = "tests/introspection/test_client_authentication.py"
CERTIFICATES = "tests/bound/test_certificates.py"
OPAQUE = "tests/bound/test_opaque_tokens.py::test_a_token_that_is_bound_to_a_certificate_needs_it_on_each_request"
REQUESTS = "tests/bound/test_requests.py"
MATCHES = (
    f"{REQUESTS}::test_a_certificate_bound_token_passes_with_its_certificate",
    f"{REQUESTS}::test_all_members_of_cnf_must_hold",
    OPAQUE,
)

ROWS: tuple[Row, ...] = (
    Row(
        "2",
        "MUST",
        "The TLS connection between the client and the authorization server MUST have been established with mutual-TLS X.509 "
        "certificate authentication.",
        (f"{AUTHENTICATION}::test_a_certificate_is_shown_to_the_server",),
    ),
    Row(
        "2",
        "MUST",
        "For all requests to the authorization server utilizing mutual-TLS client authentication, the client MUST include the "
        "client_id parameter.",
        (f"{AUTHENTICATION}::test_a_certificate_is_shown_to_the_server",),
    ),
    Row(
        "3",
        "MUST",
        "The protected resource MUST obtain, from its TLS implementation layer, the client certificate used for mutual TLS.",
        (
            f"{CERTIFICATES}::test_the_server_gives_the_certificate_by_the_tls_extension_of_asgi",
            f"{CERTIFICATES}::test_the_server_gives_the_certificate_by_the_variable_of_mod_ssl",
            f"{CERTIFICATES}::test_no_header_stands_for_the_server",
            f"{CERTIFICATES}::test_a_header_is_believed_of_the_proxy_alone",
            "tests/live/test_mutual_tls.py::test_mutual_tls_that_gunicorn_ends",
            "tests/live/test_mutual_tls.py::test_mutual_tls_through_a_proxy[nginx]",
        ),
    ),
    Row(
        "3",
        "MUST",
        "The protected resource MUST verify that the certificate matches the certificate associated with the access token.",
        MATCHES,
    ),
    Row(
        "3",
        "MUST",
        "If they do not match, the resource access attempt MUST be rejected with an error, per RFC 6750, using an HTTP 401 "
        "status code and the invalid_token error code.",
        MATCHES,
    ),
    Row(
        "3.1",
        "MUST",
        "The base64url-encoded value of x5t#S256 MUST omit all trailing pad '=' characters.",
        (
            f"{CERTIFICATES}::test_the_thumbprint_is_that_of_cryptography",
            "tests/tokens/test_claims.py::test_a_bound_token_is_refused_whatever_it_is_bound_to",
        ),
    ),
    Row(
        "3.1",
        "MUST NOT",
        "The value of x5t#S256 MUST NOT include any line breaks, whitespace, or other additional characters.",
        ("tests/tokens/test_claims.py::test_a_bound_token_is_refused_whatever_it_is_bound_to",),
    ),
    Row(
        "5",
        "MUST",
        "An OAuth client intending to do mutual TLS MUST use the alias URL of the endpoint within the mtls_endpoint_aliases, "
        "when present.",
        (f"{AUTHENTICATION}::test_the_alias_for_clients_with_a_certificate",),
    ),
)
