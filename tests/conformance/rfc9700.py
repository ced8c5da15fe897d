"""RFC 9700: Best Current Practice for OAuth 2.0 Security.

60 sentences read. Left out: demands on clients (among them that no token stands in a URL; this API reads none there, see
RFC 6750), on authorization servers, and on reverse proxies (section 4.13; this API reads the header of a proxy only if the
request comes from it, see RFC 8705). SHOULDs that concern the security of a resource server are here.
"""

from tests.conformance.rows import Row

CLAIMS = "tests/tokens/test_claims.py"
DOOR = "tests/edges/test_door.py"
REQUESTS = "tests/bound/test_requests.py"
SHARED = "tests/introspection/test_shared_answers.py"
BOUND = (
    f"{REQUESTS}::test_a_stolen_token_is_worth_nothing_as_bearer",
    f"{REQUESTS}::test_required_refuses_bearer_tokens",
    f"{REQUESTS}::test_a_certificate_bound_token_passes_with_its_certificate",
)
AUDIENCE = (
    f"{CLAIMS}::test_the_audience_has_to_name_this_api",
    f"{CLAIMS}::test_a_compulsory_claim_is_missed",
    "tests/introspection/test_answers.py::test_an_answer[another audience]",
    "tests/test_settings.py::test_each_problem_has_an_id_and_a_hint[no audience]",
)

ROWS: tuple[Row, ...] = (
    Row(
        "2.2.1",
        "SHOULD",
        "Authorization and resource servers SHOULD use mechanisms for sender-constraining access tokens, such as mutual TLS for "
        "OAuth 2.0 or DPoP, to prevent misuse of stolen and leaked access tokens.",
        BOUND,
    ),
    Row(
        "2.3",
        "MUST",
        "Every resource server is obliged to verify, for every request, whether the access token was meant to be used for that "
        "particular resource server; if it was not, it MUST refuse to serve the respective request.",
        (*AUDIENCE, "tests/tokens/test_cache.py::test_two_verifiers_do_not_share_what_they_have_seen"),
    ),
    Row(
        "2.3",
        "MUST",
        "Every resource server is obliged to verify, for every request, whether the access token was meant to be used for that "
        "particular action on the particular resource; if not, it must refuse to serve the respective request.",
        (
            "tests/edges/test_parity.py::test_every_edge_gives_this_answer",
            "tests/edges/test_answers.py::test_without_the_scope_it_is_403_and_names_it",
            "tests/edges/test_seen_tokens.py::test_scopes_are_judged_on_each_request",
        ),
    ),
    Row(
        "2.5",
        "RECOMMENDED",
        "It is RECOMMENDED to use asymmetric cryptography for client authentication, such as mutual TLS or signed JWTs.",
        (
            "tests/introspection/test_client_authentication.py::test_the_assertion_of_a_private_key",
            "tests/introspection/test_client_authentication.py::test_a_certificate_is_shown_to_the_server",
        ),
    ),
    Row(
        "4.9.3",
        "SHOULD",
        "Sender-constrained access tokens SHOULD be used to prevent the attacker from replaying the access tokens on other "
        "resource servers.",
        BOUND,
    ),
    Row(
        "4.9.3",
        "SHOULD",
        "Audience restriction SHOULD be used to prevent replay of captured access tokens on other resource servers.",
        AUDIENCE,
    ),
    Row(
        "4.9.3",
        "MUST",
        "The resource server MUST treat access tokens like other sensitive secrets and not store or transfer them in plaintext.",
        (
            f"{DOOR}::test_the_log_says_why_and_never_the_token",
            f"{DOOR}::test_error_reports_hold_no_token",
            f"{DOOR}::test_reprs_hold_no_token",
            "tests/edges/test_ways_in.py::test_no_frame_of_a_refusal_holds_the_token",
            "tests/edges/test_ways_in.py::test_no_frame_of_a_failing_fetch_or_user_holds_the_token",
            "tests/test_defects.py::test_the_raw_token_is_not_kept",
            f"{SHARED}::test_the_store_holds_neither_the_token_nor_a_claim",
            f"{REQUESTS}::test_a_used_proof_is_in_the_cache_as_a_digest",
            "tests/revocation/test_requests.py::test_nothing_personal_is_in_redis",
            "tests/introspection/test_settings.py::test_a_problem[an endpoint over http]",
        ),
    ),
)
