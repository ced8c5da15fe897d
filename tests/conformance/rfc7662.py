"""RFC 7662: OAuth 2.0 Token Introspection.

20 sentences read. Left out: demands on the authorization server (what it answers, what it checks before it says "active",
that it authenticates those who ask, its TLS) and on the registry of names. The members that section 2.2 leaves optional
are judged by the rules for a JWT, in RFC 9068.
"""

from tests.conformance.rows import Row

ANSWERS = "tests/introspection/test_answers.py"
AUTHORITY = "tests/introspection/test_authority.py"
FORMS = "tests/keys/test_forms.py"
SETTINGS = "tests/introspection/test_settings.py"
SHARED = "tests/introspection/test_shared_answers.py"

ROWS: tuple[Row, ...] = (
    Row(
        "2",
        "MUST",
        "The introspection endpoint MUST be protected by a transport-layer security mechanism.",
        (
            f"{SETTINGS}::test_a_problem[an endpoint over http]",
            f"{AUTHORITY}::test_an_endpoint_in_the_metadata_that_must_not_be_asked",
            f"{AUTHORITY}::test_metadata_from_elsewhere_lead_to_no_service_of_this_machine",
        ),
    ),
    Row(
        "2.1",
        "REQUIRED",
        "The parameter token, the string value of the token, is REQUIRED; it is sent by POST as "
        "application/x-www-form-urlencoded data.",
        (
            f"{AUTHORITY}::test_the_form_and_the_headers",
            f"{AUTHORITY}::test_every_other_form_is_asked_about",
            f"{FORMS}::test_the_request",
        ),
    ),
    Row(
        "2.1",
        "MUST",
        "To prevent token scanning attacks, the endpoint MUST also require some form of authorization to access this "
        "endpoint, such as client authentication.",
        (
            f"{SETTINGS}::test_a_problem[no credential]",
            "tests/introspection/test_client_authentication.py::test_the_secret_in_the_header_is_encoded_as_rfc_6749_says",
            "tests/introspection/test_client_authentication.py::test_the_secret_in_the_form",
            "tests/introspection/test_client_authentication.py::test_the_assertion_of_a_private_key",
            "tests/introspection/test_client_authentication.py::test_a_certificate_is_shown_to_the_server",
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
            f"{ANSWERS}::test_any_member_of_any_form_is_a_verdict_and_no_500",
        ),
    ),
    Row(
        "4",
        "MUST",
        "The client or protected resource MUST perform a TLS/SSL server certificate check, per RFC 6125.",
        (
            f"{FORMS}::test_the_certificate_of_the_server_is_verified",
            f"{FORMS}::test_a_tunnel_hides_the_token_from_the_proxy",
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
        "Since the response may contain privacy-sensitive information, measures MUST be taken to prevent disclosure of it to "
        "unintended parties.",
        (
            f"{SHARED}::test_the_store_holds_neither_the_token_nor_a_claim",
            f"{SHARED}::test_an_answer_of_another_project_is_none",
            f"{FORMS}::test_a_tunnel_hides_the_token_from_the_proxy",
        ),
    ),
)
