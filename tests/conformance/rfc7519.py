"""RFC 7519: JSON Web Token.

23 sentences read. Left out: demands on producers (sections 2, 4.1.2, 4.1.7 and 7.1; a subject or an audience with a colon
that is no URI is accepted, because issuers write such subjects); encryption (sections 7 and 8), which is not supported.
"""

from tests.conformance.rows import Row

FORGED = "tests/tokens/test_forged_tokens.py"
CLAIMS = "tests/tokens/test_claims.py"
COMPARISON = "tests/tokens/test_comparison.py"
DOOR = "tests/edges/test_door.py"

ROWS: tuple[Row, ...] = (
    Row(
        "4",
        "MUST",
        "The Claim Names within a JWT Claims Set MUST be unique.",
        (f"{FORGED}::test_a_name_that_stands_twice_is_refused",),
    ),
    Row(
        "4",
        "MUST",
        "JWT parsers MUST either reject JWTs with duplicate Claim Names or use a JSON parser that returns only the lexically "
        "last duplicate member name.",
        (f"{FORGED}::test_a_name_that_stands_twice_is_refused",),
    ),
    Row(
        "4",
        "MUST",
        "All claims that are not understood by implementations MUST be ignored.",
        (f"{CLAIMS}::test_a_claim_that_no_rule_needs_is_not_judged",),
    ),
    Row(
        "4.1.3",
        "MUST",
        "Each principal intended to process the JWT MUST identify itself with a value in the audience claim.",
        (
            f"{CLAIMS}::test_the_audience_has_to_name_this_api",
            f"{CLAIMS}::test_any_one_of_several_audiences_is_enough",
            "tests/test_settings.py::test_each_problem_has_an_id_and_a_hint[no audience]",
            "tests/test_settings.py::test_each_problem_has_an_id_and_a_hint[no audience in the list]",
        ),
    ),
    Row(
        "4.1.3",
        "MUST",
        'If the principal processing the claim does not identify itself with a value in the "aud" claim when this claim is '
        "present, then the JWT MUST be rejected.",
        (f"{CLAIMS}::test_the_audience_has_to_name_this_api", f"{CLAIMS}::test_a_compulsory_claim_is_missed"),
    ),
    Row(
        "4.1.4",
        "MUST NOT",
        '"exp" identifies the expiration time on or after which the JWT MUST NOT be accepted for processing.',
        (
            f"{CLAIMS}::test_a_token_is_good_for_its_time_and_the_skew_to_the_second",
            f"{CLAIMS}::test_a_token_expires_while_its_key_is_known",
            "tests/tokens/test_cache.py::test_a_token_that_ends_between_two_requests_is_refused_at_the_second",
            "tests/tokens/test_flow.py::test_a_token_that_expires_while_its_key_is_fetched_is_refused",
        ),
    ),
    Row(
        "4.1.4",
        "MUST",
        "The current date/time MUST be before the expiration date/time; implementers MAY provide for some small leeway.",
        (
            f"{CLAIMS}::test_a_token_is_good_for_its_time_and_the_skew_to_the_second",
            f"{CLAIMS}::test_the_skew_is_the_policys",
        ),
    ),
    Row(
        "4.1.4",
        "MUST",
        'The value of "exp" MUST be a number containing a NumericDate value.',
        (f"{CLAIMS}::test_a_date_that_is_none_is_refused",),
    ),
    Row(
        "4.1.5",
        "MUST NOT",
        '"nbf" identifies the time before which the JWT MUST NOT be accepted for processing.',
        (f"{CLAIMS}::test_a_token_is_good_for_its_time_and_the_skew_to_the_second",),
    ),
    Row(
        "4.1.5",
        "MUST",
        "The current date/time MUST be after or equal to the not-before date/time.",
        (
            f"{CLAIMS}::test_a_token_is_good_for_its_time_and_the_skew_to_the_second",
            f"{CLAIMS}::test_the_skew_is_the_policys",
        ),
    ),
    Row(
        "4.1.5",
        "MUST",
        'The value of "nbf" MUST be a number containing a NumericDate value.',
        (f"{CLAIMS}::test_a_date_that_is_none_is_refused",),
    ),
    Row(
        "4.1.6",
        "MUST",
        'The value of "iat" MUST be a number containing a NumericDate value.',
        (f"{CLAIMS}::test_a_date_that_is_none_is_refused",),
    ),
    Row(
        "5.2",
        "MUST",
        'In the case that nested signing or encryption is employed, "cty" MUST be present, and its value MUST be "JWT".',
        (f"{FORGED}::test_a_nested_token_is_refused", f"{FORGED}::test_an_encrypted_token_is_refused"),
        departs="A nested token is refused, with this member and without (ADR 41).",
    ),
    Row(
        "7.1",
        "MUST",
        "The JWT MUST conform to either the JWS or JWE specification.",
        (
            f"{FORGED}::test_what_is_no_compact_jws_is_refused",
            f"{FORGED}::test_json_serialisation_of_a_good_token_is_refused",
            f"{FORGED}::test_a_detached_payload_is_refused",
        ),
    ),
    Row(
        "7.2",
        "MUST",
        "If any of the listed steps fail (base64url without line breaks, whitespace, or other additional characters; a "
        "UTF-8-encoded, completely valid JSON object as header and as claims; the steps of RFC 7515), then the JWT MUST be "
        "rejected.",
        (
            f"{FORGED}::test_only_canonical_base64url_is_a_token",
            f"{FORGED}::test_a_length_that_base64_cannot_have_is_refused",
            f"{FORGED}::test_a_header_or_payload_that_is_not_one_json_object_is_refused",
            f"{FORGED}::test_an_empty_part_is_refused",
            "tests/tokens/test_parsers.py::test_any_text_is_an_unverified_token_or_an_invalid_one",
        ),
    ),
    Row(
        "7.2",
        "SHOULD",
        "Even if a JWT can be successfully validated, unless the algorithms used in the JWT are acceptable to the "
        "application, it SHOULD reject the JWT.",
        (f"{FORGED}::test_the_allowed_algorithms_are_the_policys",),
    ),
    Row(
        "7.3",
        "MUST",
        "The comparison rules of RFC 7515 section 5.3 MUST be used for all JSON string comparisons.",
        (
            f"{COMPARISON}::test_an_escape_stands_for_its_character",
            f"{COMPARISON}::test_a_name_that_looks_alike_is_another",
            f"{COMPARISON}::test_an_audience_is_not_normalised",
            f"{COMPARISON}::test_an_issuer_is_not_normalised",
            f"{COMPARISON}::test_scopes_and_subjects_are_not_normalised",
            f"{CLAIMS}::test_the_issuer_is_compared_exactly",
        ),
    ),
    Row(
        "8",
        "MUST",
        'Only HMAC SHA-256 ("HS256") and "none" MUST be implemented by conforming JWT implementations.',
        (
            "tests/keys/test_static_keys.py::test_a_token_with_the_secrets_mac_is_accepted",
            f"{FORGED}::test_a_public_key_is_no_secret",
            f"{FORGED}::test_alg_none_is_refused_in_any_spelling",
        ),
        departs='"HS256" is refused until the settings hold a `SECRET` of that issuer; "none" is not implemented, because RFC '
        "9068 section 4 and RFC 8725 section 3.2 forbid it for access tokens (ADR 41).",
    ),
    Row(
        "12",
        "MUST",
        "When a JWT contains privacy-sensitive information, measures MUST be taken to prevent disclosure of this information "
        "to unintended parties.",
        (
            f"{DOOR}::test_the_log_says_why_and_never_the_token",
            f"{DOOR}::test_error_reports_hold_no_token",
            f"{DOOR}::test_reprs_hold_no_token",
            f"{CLAIMS}::test_neither_token_nor_person_is_in_a_repr",
        ),
    ),
)
