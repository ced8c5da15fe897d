"""RFC 9701: JSON Web Token (JWT) Response for OAuth Token Introspection.

26 sentences read, SHOULDs among them. Left out: demands on the authorization server (it authenticates those who ask, tells
them no more than they may know, is allowed to, and uses TLS; sections 3, 4, 5, 7, 8.2 and 9), on the registration of this API
as a client (section 6) and on registries. An answer may be encrypted too (section 5): that is not supported, and such an
answer is refused.
"""

from tests.conformance.rows import Row

AUTHORITY = "tests/introspection/test_authority.py"
CLAIMS = "tests/tokens/test_claims.py"
SIGNED = "tests/introspection/test_signed_answers.py"
CASE = f"{SIGNED}::test_a_signed_answer"

ROWS: tuple[Row, ...] = (
    Row(
        "4",
        "defines",
        "A resource server requests a JWT introspection response by sending an introspection request with an Accept HTTP header "
        'field set to "application/token-introspection+jwt".',
        (CASE, f"{SIGNED}::test_an_answer_that_is_not_signed_counts_for_nothing"),
    ),
    Row(
        "5",
        "defines",
        'The introspection endpoint responds with a JWT, setting the JWT typ header parameter to "token-introspection+jwt".',
        (f"{CASE}[an access token]", f"{CASE}[without a type]", f"{CASE}[a type in full]"),
    ),
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
        "server MUST set the value of the active member in the token_introspection claim to false and MUST NOT include other "
        "members.",
        (
            f"{CASE}[inactive]",
            f"{CASE}[inactive, with all other members]",
            f"{CASE}[inactive, with another word beside]",
            f"{CASE}[with active as text]",
            f"{CASE}[about a token for another API]",
        ),
    ),
    Row(
        "5",
        "SHOULD NOT",
        "The JWT SHOULD NOT include the sub and exp claims, as an additional measure to prevent misuse of the JWT as an access "
        "token.",
        (f"{SIGNED}::test_a_signed_answer_is_no_access_token", f"{CLAIMS}::test_a_compulsory_claim_is_missed"),
    ),
    Row(
        "5",
        "defines",
        "The JWT is cryptographically secured as specified in RFC 7519.",
        (
            f"{CASE}[an unsigned one]",
            f"{CASE}[with an extension]",
            f"{CASE}[with an unknown key]",
            f"{SIGNED}::test_an_answer_that_is_not_signed_counts_for_nothing",
            f"{SIGNED}::test_an_answer_that_another_key_signed",
            f"{SIGNED}::test_an_altered_answer",
            f"{SIGNED}::test_an_encrypted_answer_is_not_understood",
        ),
    ),
    Row(
        "8.1",
        "MUST",
        "Resource servers MUST check the typ JWT header value of received JWT-encoded access tokens.",
        (
            f"{SIGNED}::test_a_signed_answer_is_no_access_token",
            "tests/tokens/test_forged_tokens.py::test_any_other_type_is_refused",
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
    Row(
        "9",
        "MUST",
        "A token introspection request lets the authorization server know when the client is accessing the resource server; if "
        "this implication is not acceptable, implementers MUST use other means to relay access token data, for example within "
        "the access token.",
        (
            f"{AUTHORITY}::test_an_opaque_token_is_asked_about_and_a_jwt_is_not",
            f"{AUTHORITY}::test_a_jwt_that_fails_is_not_asked_about",
        ),
    ),
)
