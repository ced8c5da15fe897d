"""RFC 7662: OAuth 2.0 Token Introspection.

25 sentences read, SHOULDs among them. Left out: demands on the authorization server (what it answers, also about inactive
tokens, what it checks before it says "active", that it authenticates those who ask, its TLS; sections 2.1 to 2.3 and 4) and
on the registry of names (sections 2.2 and 3.1). The members that section 2.2 leaves optional are judged by the rules for a
JWT, in RFC 9068.
"""

from tests.conformance.rows import Row

ANSWERS = "tests/introspection/test_answers.py"
AUTHORITY = "tests/introspection/test_authority.py"
CLIENTS = "tests/introspection/test_client_authentication.py"
FORMS = "tests/keys/test_forms.py"
SETTINGS = "tests/introspection/test_settings.py"
SHARED = "tests/introspection/test_shared_answers.py"

ROWS: tuple[Row, ...] = (
    Row(
        "1.1",
        "defines",
        "Unless otherwise noted, all the protocol parameter names and values are case sensitive.",
        (f"{ANSWERS}::test_an_answer[active with a capital]", f"{ANSWERS}::test_an_answer[an expiry with a capital]"),
    ),
    Row(
        "2",
        "MUST",
        "The introspection endpoint MUST be protected by a transport-layer security mechanism.",
        (
            f"{SETTINGS}::test_a_problem[an endpoint over http]",
            f"{AUTHORITY}::test_an_endpoint_in_the_metadata_that_must_not_be_asked",
        ),
    ),
    Row(
        "2.1",
        "defines",
        "The protected resource calls the introspection endpoint using an HTTP POST request with parameters sent as "
        "application/x-www-form-urlencoded data.",
        (f"{AUTHORITY}::test_the_form_and_the_headers", f"{FORMS}::test_the_request"),
    ),
    Row(
        "2.1",
        "REQUIRED",
        "The parameter token, the string value of the token, is REQUIRED.",
        (f"{AUTHORITY}::test_the_form_and_the_headers", f"{AUTHORITY}::test_every_other_form_is_asked_about"),
    ),
    Row(
        "2.1",
        "MUST",
        "To prevent token scanning attacks, the endpoint MUST also require some form of authorization to access this "
        "endpoint, such as client authentication.",
        (
            f"{SETTINGS}::test_a_problem[no credential]",
            f"{CLIENTS}::test_the_secret_in_the_header_is_encoded_as_rfc_6749_says",
            f"{CLIENTS}::test_the_secret_in_the_form",
            f"{CLIENTS}::test_the_assertion_of_a_private_key",
            f"{CLIENTS}::test_a_certificate_is_shown_to_the_server",
        ),
    ),
    Row(
        "2.2",
        "REQUIRED",
        "The member active, a boolean indicator of whether or not the presented token is currently active, is REQUIRED.",
        (
            f"{ANSWERS}::test_an_answer[active missing]",
            f"{ANSWERS}::test_an_answer[active as text]",
            f"{ANSWERS}::test_an_answer[active as a number]",
            f"{ANSWERS}::test_an_answer[an inactive token]",
        ),
    ),
    Row(
        "4",
        "MUST",
        "When using TLS, the client or protected resource MUST perform a TLS/SSL server certificate check, as specified in "
        "RFC 6125.",
        (f"{FORMS}::test_the_certificate_of_the_server_is_verified",),
    ),
    Row(
        "4",
        "MUST",
        "Since a protected resource MAY cache the response, designers of an OAuth 2.0 system using this protocol MUST consider "
        "the performance and security trade-offs inherent in caching security information such as this.",
        (
            f"{AUTHORITY}::test_an_answer_is_remembered_for_a_minute",
            f"{AUTHORITY}::test_an_answer_that_is_not_remembered_shows_a_revocation_at_once",
            f"{SETTINGS}::test_a_problem[a longer memory]",
        ),
    ),
    Row(
        "4",
        "MUST NOT",
        "If the response contains the exp parameter (expiration), the response MUST NOT be cached beyond the time indicated "
        "therein.",
        (
            f"{AUTHORITY}::test_an_answer_is_not_remembered_longer_than_the_token",
            f"{AUTHORITY}::test_a_clock_that_is_put_forward_ends_an_answer_with_its_token",
            f"{AUTHORITY}::test_the_life_of_an_answer",
            f"{SHARED}::test_an_answer_is_not_shared_longer_than_its_token",
        ),
    ),
    Row(
        "5",
        "MUST",
        "The introspection response may contain privacy-sensitive information such as user identifiers; when this is the case, "
        "measures MUST be taken to prevent disclosure of this information to unintended parties.",
        (
            f"{SHARED}::test_the_store_holds_neither_the_token_nor_a_claim",
            f"{SHARED}::test_an_answer_of_another_project_is_none",
            f"{FORMS}::test_a_tunnel_hides_the_token_from_the_proxy",
        ),
    ),
)
