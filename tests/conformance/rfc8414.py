"""RFC 8414: OAuth 2.0 Authorization Server Metadata.

39 sentences read, SHOULDs among them. Left out: demands on the authorization server that publishes the metadata (where it
publishes them, the content type and the members of its answer, `use` in its key set, TLS 1.2), members for clients and for
the registration of clients (section 2), and signed metadata (section 2.1), which a consumer may ignore. The package reads the
metadata as a client does. It asks at the address of OpenID Connect Discovery first, because nearly every issuer publishes
there; section 5 asks for the other order, without these words.
"""

from tests.conformance.rows import Row

HOSTILE = "tests/keys/test_hostile_documents.py"
HTTP = "tests/keys/test_http.py"
ISSUER_KEYS = "tests/keys/test_issuer_keys.py"
SETTINGS = "tests/test_settings.py"
ADDRESSES = f"{ISSUER_KEYS}::test_metadata_addresses_of_an_issuer_with_a_path"
SAME_ISSUER = (
    f"{HOSTILE}::test_metadata_are_held_against_the_issuer[another issuer]",
    f"{HOSTILE}::test_metadata_are_held_against_the_issuer[the issuer without its slash]",
    f"{HOSTILE}::test_the_other_metadata_are_held_against_the_issuer_too",
)
CERTIFICATES = (
    f"{HTTP}::test_a_self_signed_certificate_is_refused_before_anything_is_sent",
    "tests/keys/test_connections.py::test_a_certificate_of_another_name_is_refused_before_anything_is_sent",
    "tests/keys/test_proxies.py::test_a_certificate_of_another_name_is_refused_behind_the_proxy",
    f"{HTTP}::test_a_certificate_that_the_system_trusts_is_accepted",
)

ROWS: tuple[Row, ...] = (
    Row(
        "2",
        "REQUIRED",
        'The value issuer is REQUIRED: a URL that uses the "https" scheme and has no query or fragment components.',
        (
            "tests/keys/test_outages.py::test_one_page_at_both_addresses_of_metadata_is_refused[no issuer]",
            f"{SETTINGS}::test_each_problem_has_an_id_and_a_hint[an issuer over http]",
            f"{SETTINGS}::test_each_problem_has_an_id_and_a_hint[an issuer with a query]",
            f"{SETTINGS}::test_each_problem_has_an_id_and_a_hint[an issuer with a fragment]",
        ),
    ),
    Row(
        "2",
        "MUST",
        'The URL in jwks_uri MUST use the "https" scheme.',
        (
            f"{HOSTILE}::test_metadata_are_held_against_the_issuer[an http jwks_uri]",
            f"{HOSTILE}::test_metadata_are_held_against_the_issuer[a file]",
            f"{HTTP}::test_which_addresses_may_be_fetched",
        ),
    ),
    Row(
        "2",
        "MUST",
        "If introspection_endpoint_auth_methods_supported is omitted, the set of supported authentication methods MUST be "
        "determined by other means.",
        (
            "tests/introspection/test_settings.py::test_every_way_in_the_settings",
            "tests/introspection/test_settings.py::test_a_problem[another method]",
        ),
    ),
    Row(
        "3",
        "MUST",
        'The path at which the metadata are available MUST use the "https" scheme.',
        (
            f"{SETTINGS}::test_each_problem_has_an_id_and_a_hint[an issuer over http]",
            f"{SETTINGS}::test_http_is_for_loopback_while_debug_is_on",
            ADDRESSES,
        ),
    ),
    Row(
        "3",
        "MUST",
        'The well-known URI suffix used MUST be registered in the IANA "Well-Known URIs" registry.',
        (ADDRESSES,),
    ),
    Row(
        "3",
        "MUST",
        "An OAuth 2.0 application using this specification MUST specify what well-known URI suffix it will use for this "
        "purpose.",
        (ADDRESSES, f"{ISSUER_KEYS}::test_rfc_8414_metadata_are_asked_for_where_openid_answers_another_status"),
    ),
    Row(
        "3.1",
        "MUST",
        'An authorization server metadata document MUST be queried using an HTTP "GET" request at the previously specified '
        "path.",
        (
            f"{HTTP}::test_one_plain_request_is_sent",
            f"{ISSUER_KEYS}::test_rfc_8414_metadata_are_asked_for_where_openid_answers_another_status",
        ),
    ),
    Row(
        "3.1",
        "MUST",
        'If the issuer identifier value contains a path component, any terminating "/" MUST be removed before inserting '
        '"/.well-known/" and the well-known URI suffix between the host component and the path component.',
        (ADDRESSES,),
    ),
    Row(
        "3.2",
        "MUST",
        "A successful response MUST use the 200 OK HTTP status code and return a JSON object.",
        (
            f"{HTTP}::test_only_status_200_is_an_answer_and_a_redirect_is_not_followed",
            f"{HOSTILE}::test_a_fault_is_the_issuers_and_costs_no_known_key",
        ),
    ),
    Row(
        "3.3",
        "MUST",
        'The "issuer" value returned MUST be identical to the authorization server\'s issuer identifier value into which the '
        "well-known URI string was inserted to create the URL used to retrieve the metadata.",
        SAME_ISSUER,
    ),
    Row(
        "3.3",
        "MUST NOT",
        "If these values are not identical, the data contained in the response MUST NOT be used.",
        SAME_ISSUER,
    ),
    Row(
        "4",
        "MUST",
        "Comparisons between JSON strings and other Unicode strings MUST be performed as specified: remove any JSON-applied "
        "escaping to produce an array of Unicode code points.",
        (f"{ISSUER_KEYS}::test_the_issuer_is_compared_without_the_escapes_of_json",),
    ),
    Row(
        "4",
        "MUST NOT",
        "Unicode Normalization MUST NOT be applied at any point to either the JSON string or the string it is to be compared "
        "against.",
        (
            f"{HOSTILE}::test_metadata_are_held_against_the_issuer[a letter that Unicode normalises to the right one]",
            "tests/tokens/test_claims.py::test_the_issuer_is_compared_exactly[a letter that Unicode normalises to the right one]",
        ),
    ),
    Row(
        "4",
        "MUST",
        "Comparisons between the two strings MUST be performed as a Unicode code-point-to-code-point equality comparison.",
        (
            f"{HOSTILE}::test_metadata_are_held_against_the_issuer[the issuer in capitals]",
            "tests/tokens/test_claims.py::test_the_issuer_is_compared_exactly",
        ),
    ),
    Row(
        "6.1",
        "MUST",
        "Implementations MUST support TLS; when using TLS, the client MUST perform a TLS/SSL server certificate check, per "
        "RFC 6125.",
        CERTIFICATES,
    ),
    Row(
        "6.1",
        "MUST",
        "Confidentiality protection MUST be applied using TLS with a ciphersuite that provides confidentiality and integrity "
        "protection.",
        (f"{HTTP}::test_tls_that_protects_too_little_is_refused",),
    ),
    Row(
        "6.2",
        "MUST",
        "TLS certificate checking MUST be performed by the client when making an authorization server metadata request.",
        CERTIFICATES,
    ),
    Row(
        "6.2",
        "MUST",
        "The client MUST ensure that the issuer identifier URL it is using as the prefix for the metadata request exactly "
        'matches the value of the "issuer" metadata value in the authorization server metadata document received.',
        SAME_ISSUER,
    ),
)
