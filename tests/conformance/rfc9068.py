"""RFC 9068: JSON Web Token Profile for OAuth 2.0 Access Tokens.

36 sentences read, SHOULDs among them. Left out: how the authorization server makes tokens and metadata (sections 2.2.1 to 3,
5 and the first half of 4), encryption, which is not supported and so is never negotiated (section 4), and demands on
clients (section 6).
"""

from tests.conformance.rows import Row

FORGED = "tests/tokens/test_forged_tokens.py"
CLAIMS = "tests/tokens/test_claims.py"
CONTRACT = "tests/example/test_contract.py"
PARITY = "tests/edges/test_parity.py"

ROWS: tuple[Row, ...] = (
    Row(
        "2.1",
        "MUST",
        "JWT access tokens MUST be signed.",
        (f"{FORGED}::test_an_empty_part_is_refused", f"{FORGED}::test_alg_none_is_refused_in_any_spelling"),
    ),
    Row(
        "2.1",
        "MUST NOT",
        'JWT access tokens MUST NOT use "none" as the signing algorithm.',
        (f"{FORGED}::test_alg_none_is_refused_in_any_spelling", f"{CONTRACT}::test_wrong_token"),
    ),
    Row(
        "2.1",
        "MUST",
        "Resource servers conforming to this specification MUST include RS256 among their supported signature algorithms.",
        (
            f"{FORGED}::test_a_good_token_of_each_algorithm_is_accepted",
            "tests/test_settings.py::test_override_settings_takes_effect_at_once_and_ends",
        ),
    ),
    Row(
        "2.1",
        "MUST",
        'JWT access tokens MUST include this media type in the "typ" header parameter.',
        (f"{FORGED}::test_any_other_type_is_refused", f"{CONTRACT}::test_wrong_token"),
    ),
    Row(
        "2.2",
        "REQUIRED",
        '"iss", "exp", "aud" and "sub" are REQUIRED.',
        (
            f"{CLAIMS}::test_a_compulsory_claim_is_missed",
            f"{CLAIMS}::test_a_compulsory_claim_that_is_null_is_refused",
            f"{CONTRACT}::test_wrong_token",
        ),
    ),
    Row(
        "2.2",
        "REQUIRED",
        '"client_id", "iat" and "jti" are REQUIRED.',
        (
            f"{CLAIMS}::test_an_optional_claim_is_not_missed",
            f"{CLAIMS}::test_a_date_that_is_none_is_refused",
            f"{CLAIMS}::test_the_name_of_the_client_is_a_printable_string_too",
        ),
        departs="Section 4 has a resource server validate none of them, and tokens of known issuers lack them; where they are "
        "there, a malformed `client_id` or `iat` refuses the token (ADR 41).",
    ),
    Row(
        "4",
        "MUST",
        'The resource server MUST verify that the "typ" header value is "at+jwt" or "application/at+jwt" and reject tokens '
        "carrying any other value.",
        (
            f"{FORGED}::test_any_other_type_is_refused",
            f"{FORGED}::test_a_type_that_the_setting_names_is_accepted",
            f"{FORGED}::test_a_type_that_is_no_string_is_refused",
            f"{CONTRACT}::test_wrong_token",
        ),
        departs="This is the default; `TOKEN_TYPE` or `PROVIDER` can admit `JWT` and no type for issuers that do not follow "
        "this RFC, and then the claims of other kinds of tokens are looked for (ADR 7).",
    ),
    Row(
        "4",
        "MUST",
        'The issuer identifier for the authorization server MUST exactly match the value of the "iss" claim.',
        (
            f"{CLAIMS}::test_the_issuer_is_compared_exactly",
            f"{CLAIMS}::test_an_issuer_that_is_trusted_with_a_slash_is_not_the_one_without",
            "tests/tokens/test_rules.py::test_one_rule_alone_refuses_its_token[issuer]",
            "tests/tokens/test_comparison.py::test_an_issuer_is_not_normalised",
        ),
    ),
    Row(
        "4",
        "MUST",
        'The resource server MUST validate that the "aud" claim contains a resource indicator value corresponding to an '
        "identifier the resource server expects for itself.",
        (
            f"{CLAIMS}::test_the_audience_has_to_name_this_api",
            f"{CLAIMS}::test_any_one_of_several_audiences_is_enough",
        ),
    ),
    Row(
        "4",
        "MUST",
        'The JWT access token MUST be rejected if "aud" does not contain a resource indicator of the current resource server '
        "as a valid audience.",
        (f"{CLAIMS}::test_the_audience_has_to_name_this_api", f"{CONTRACT}::test_wrong_token"),
    ),
    Row(
        "4",
        "MUST",
        "The resource server MUST validate the signature of all incoming JWT access tokens according to RFC 7515 using the "
        'algorithm specified in the "alg" Header Parameter.',
        (
            f"{FORGED}::test_a_flipped_bit_anywhere_is_noticed",
            f"{FORGED}::test_changed_claims_with_the_old_signature_are_refused",
            f"{FORGED}::test_no_algorithm_passes_for_another",
            "tests/tokens/test_cache.py::test_a_token_without_a_signature_is_refused_beside_its_signed_twin",
        ),
    ),
    Row(
        "4",
        "MUST",
        'The resource server MUST reject any JWT in which the value of "alg" is "none".',
        (f"{FORGED}::test_alg_none_is_refused_in_any_spelling",),
    ),
    Row(
        "4",
        "MUST",
        "The resource server MUST use the keys provided by the authorization server.",
        (
            f"{FORGED}::test_a_key_in_the_token_is_never_followed",
            f"{FORGED}::test_keys_of_one_issuer_serve_no_other",
            "tests/keys/test_withdrawal.py::test_a_withdrawn_key_is_refused_within_the_refresh_age_and_its_verdicts_die",
        ),
    ),
    Row(
        "4",
        "MUST",
        'The current time MUST be before the time represented by the "exp" claim.',
        (
            f"{CLAIMS}::test_a_token_is_good_for_its_time_and_the_skew_to_the_second",
            "tests/tokens/test_cache.py::test_a_token_that_ends_between_two_requests_is_refused_at_the_second",
        ),
    ),
    Row(
        "4",
        "MUST",
        "The resource server MUST handle errors as described in Section 3.1 of RFC 6750.",
        (
            "tests/edges/test_answers.py::test_a_forged_token_is_401",
            "tests/edges/test_answers.py::test_two_tokens_are_400",
            "tests/edges/test_answers.py::test_without_the_scope_it_is_403_and_names_it",
            f"{PARITY}::test_every_edge_gives_this_answer",
        ),
    ),
    Row(
        "4",
        "MUST",
        "In case of any failure in the validation checks listed above, the response MUST include the error code "
        '"invalid_token".',
        (f"{CONTRACT}::test_wrong_token", f"{PARITY}::test_a_token_that_fails_is_refused"),
    ),
    Row(
        "4",
        "SHOULD",
        "If the JWT access token includes authorization claims, the resource server SHOULD use them to determine whether the "
        "current call should be authorized or rejected.",
        (
            f"{PARITY}::test_every_edge_gives_this_answer",
            "tests/edges/test_answers.py::test_requires_scope_demands_all",
        ),
    ),
)
