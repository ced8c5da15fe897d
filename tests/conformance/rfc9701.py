"""RFC 9701: JWT Response for OAuth Token Introspection.

17 sentences read. Left out: demands on the authorization server (it authenticates those who ask, tells them no more than
they may know, uses TLS; sections 5, 8.2 and 9), on registries, and on encrypted answers, which are not supported: the
package asks for signed ones and understands no other.
"""

from tests.conformance.rows import Row

CLAIMS = "tests/tokens/test_claims.py"
SIGNED = "tests/introspection/test_signed_answers.py"
CASE = f"{SIGNED}::test_a_signed_answer"

ROWS: tuple[Row, ...] = (
    Row(
        "5",
        "MUST",
        "The JWT MUST include the top-level claims iss, aud, iat and token_introspection.",
        (
            f"{CASE}[of no issuer]",
            f"{CASE}[to no client]",
            f"{CASE}[without a date]",
            f"{CASE}[without the answer]",
            f"{CASE}[with the answer beside]",
        ),
    ),
    Row(
        "5",
        "MUST",
        "The claim iss MUST be set to the issuer URL of the authorization server.",
        (f"{CASE}[of another issuer]",),
    ),
    Row(
        "5",
        "MUST",
        "The claim aud MUST identify the resource server receiving the token introspection response.",
        (f"{CASE}[to another client]", f"{CASE}[to several clients]", f"{CASE}[to this API]", f"{CASE}[to an object]"),
    ),
    Row(
        "5",
        "MUST",
        "The claim iat MUST be set to the time when the introspection response was created by the authorization server.",
        (f"{CASE}[a recording]", f"{CASE}[from the future]", f"{CASE}[with a date that is text]"),
    ),
    Row(
        "5",
        "MUST",
        "If the access token is invalid, expired, revoked, or not intended for the calling resource server, the authorization "
        "server MUST set the value of the active member in the token_introspection claim to false.",
        (f"{CASE}[inactive]", f"{CASE}[with active as text]", f"{CASE}[about a token for another API]"),
    ),
    Row(
        "5",
        "SHOULD NOT",
        "The JWT SHOULD NOT include the sub and exp claims, as an additional prevention against misuse of the JWT as an access "
        "token.",
        (f"{SIGNED}::test_a_signed_answer_is_no_access_token", f"{CLAIMS}::test_a_compulsory_claim_is_missed"),
    ),
    Row(
        "8.1",
        "MUST",
        "Resource servers MUST check the typ JWT header value of received JWT-encoded access tokens.",
        (
            f"{SIGNED}::test_a_signed_answer_is_no_access_token",
            "tests/tokens/test_forged_tokens.py::test_any_other_type_is_refused",
            f"{CASE}[an access token]",
        ),
    ),
    Row(
        "8.1",
        "MUST",
        "Resource servers MUST ensure all minimally required claims for a valid access token are present.",
        (f"{CLAIMS}::test_a_compulsory_claim_is_missed", f"{CLAIMS}::test_a_compulsory_claim_that_is_null_is_refused"),
    ),
    Row(
        "8.1",
        "MUST",
        "Resource servers MUST additionally apply the countermeasures against access token replay, as described in RFC 9700.",
        (
            f"{CLAIMS}::test_the_audience_has_to_name_this_api",
            "tests/bound/test_requests.py::test_a_stolen_token_is_worth_nothing_as_bearer",
            "tests/bound/test_requests.py::test_a_certificate_bound_token_passes_with_its_certificate",
        ),
    ),
)
