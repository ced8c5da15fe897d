"""RFC 6750: Bearer Token Usage.

48 sentences read. Left out: demands on clients (sections 2, 2.1, 2.2 and 5) and on the authorization server
(section 5.2, which encrypts and signs tokens). Sections 2.2 and 2.3 are optional for a resource server, and this one reads
no token in a body or a query. No challenge has an "error_uri" (section 3). TLS between client and API, and between a proxy
and the API (section 5.2), is the deployment's: Django's `check --deploy` asks for it.
The SHOULDs of section 3.1 are here, because RFC 9068 section 4 makes each a MUST.
"""

from tests.conformance.rows import Row

ANSWERS = "tests/edges/test_answers.py"
CHALLENGES = "tests/edges/test_challenges.py"
CONTRACT = "tests/example/test_contract.py"
PARITY = "tests/edges/test_parity.py"
FORGED = "tests/tokens/test_forged_tokens.py"
GRAMMAR = (
    f"{CHALLENGES}::test_clients_that_parse_and_clients_that_search_find_the_same",
    f"{CHALLENGES}::test_a_parameter_that_is_not_there_is_not_found",
)
NO_COOKIE = (f"{ANSWERS}::test_with_the_scope_the_view_answers", f"{CONTRACT}::test_token_outside_the_header")

ROWS: tuple[Row, ...] = (
    Row(
        "2.1",
        "MUST",
        "Resource servers MUST support this method: the token in the Authorization request header field, scheme Bearer.",
        (
            "tests/tokens/test_credentials.py::test_a_bearer_token_is_found",
            f"{ANSWERS}::test_with_the_scope_the_view_answers",
            f"{PARITY}::test_every_edge_gives_this_answer",
        ),
    ),
    Row(
        "3",
        "MUST",
        "If the request does not include authentication credentials or does not contain an access token that enables access "
        "to the protected resource, the resource server MUST include the WWW-Authenticate response header field.",
        (
            f"{ANSWERS}::test_without_bearer_credentials_the_challenge_has_the_scope_and_no_error",
            f"{ANSWERS}::test_malformed_credentials_are_401",
            f"{ANSWERS}::test_without_the_scope_it_is_403_and_names_it",
            f"{ANSWERS}::test_a_session_has_no_scopes",
            f"{PARITY}::test_every_edge_gives_this_answer",
            f"{PARITY}::test_without_a_token_every_requirement_is_401",
        ),
    ),
    Row(
        "3",
        "MUST",
        'All challenges defined by this specification MUST use the auth-scheme value "Bearer".',
        (*GRAMMAR, f"{ANSWERS}::test_a_forged_token_is_401"),
    ),
    Row(
        "3",
        "MUST",
        "This scheme MUST be followed by one or more auth-param values.",
        (*GRAMMAR, f"{ANSWERS}::test_without_bearer_credentials_the_challenge_has_the_scope_and_no_error"),
    ),
    Row("3", "MUST NOT", 'The "realm" attribute MUST NOT appear more than once.', GRAMMAR),
    Row("3", "MUST NOT", 'The "scope" attribute MUST NOT appear more than once.', GRAMMAR),
    Row(
        "3",
        "SHOULD",
        "If the request included an access token and failed authentication, the resource server SHOULD include the "
        '"error" attribute.',
        (f"{ANSWERS}::test_a_forged_token_is_401", f"{CONTRACT}::test_wrong_token"),
    ),
    Row(
        "3",
        "MUST NOT",
        'The "error", "error_description", and "error_uri" attributes MUST NOT appear more than once.',
        GRAMMAR,
    ),
    Row(
        "3",
        "MUST NOT",
        'Values for the "scope" attribute MUST NOT include characters outside the set %x21 / %x23-5B / %x5D-7E for scope '
        "values and %x20 for delimiters between them.",
        GRAMMAR,
    ),
    Row(
        "3",
        "MUST NOT",
        'Values for the "error" and "error_description" attributes MUST NOT include characters outside the set %x20-21 / '
        "%x23-5B / %x5D-7E.",
        GRAMMAR,
    ),
    Row(
        "3.1",
        "SHOULD",
        "invalid_request: a request that includes more than one token is malformed; the resource server SHOULD respond with "
        "400 (Bad Request).",
        (
            f"{ANSWERS}::test_two_tokens_are_400",
            "tests/tokens/test_credentials.py::test_repeated_credentials_are_a_bad_request",
        ),
    ),
    Row(
        "3.1",
        "SHOULD",
        "invalid_token: the access token is expired, revoked, malformed, or invalid for other reasons; the resource SHOULD "
        "respond with 401 (Unauthorized).",
        (
            f"{CONTRACT}::test_wrong_token",
            f"{ANSWERS}::test_malformed_credentials_are_401",
            f"{ANSWERS}::test_a_forged_token_is_401",
            f"{PARITY}::test_a_token_that_fails_is_refused",
            f"{PARITY}::test_a_revoked_token_is_401_everywhere",
        ),
    ),
    Row(
        "3.1",
        "SHOULD",
        "insufficient_scope: the request requires higher privileges than the access token provides; the resource server "
        "SHOULD respond with 403 (Forbidden).",
        (f"{ANSWERS}::test_without_the_scope_it_is_403_and_names_it", f"{PARITY}::test_every_edge_gives_this_answer"),
    ),
    Row(
        "3.1",
        "SHOULD NOT",
        "If the request lacks any authentication information, the resource server SHOULD NOT include an error code or other "
        "error information.",
        (
            f"{ANSWERS}::test_without_bearer_credentials_the_challenge_has_the_scope_and_no_error",
            f"{CONTRACT}::test_no_authorization",
        ),
    ),
    Row(
        "5.2",
        "MUST",
        "The token integrity protection MUST be sufficient to prevent the token from being modified.",
        (
            f"{FORGED}::test_a_flipped_bit_anywhere_is_noticed",
            f"{FORGED}::test_changed_claims_with_the_old_signature_are_refused",
            f"{FORGED}::test_alg_none_is_refused_in_any_spelling",
        ),
    ),
    Row(
        "5.2",
        "MUST",
        "The lifetime of the token MUST be limited.",
        (
            "tests/tokens/test_claims.py::test_a_compulsory_claim_is_missed",
            "tests/tokens/test_claims.py::test_a_token_is_good_for_its_time_and_the_skew_to_the_second",
        ),
    ),
    Row(
        "5.2",
        "MUST NOT",
        "Bearer tokens MUST NOT be stored in cookies that can be sent in the clear.",
        NO_COOKIE,
    ),
    Row(
        "5.3",
        "MUST NOT",
        "Implementations MUST NOT store bearer tokens within cookies that can be sent in the clear.",
        NO_COOKIE,
    ),
)
