"""RFC 7515: JSON Web Signature.

50 sentences read. Left out: demands on producers (sections 2, 5.1 and 6); those on "jku", "x5u" and "x5c" (sections 4.1.2,
4.1.5, 4.1.6 and 8), which this package reads in no token, and on "cty", which it does not need; those on the JWS JSON
Serialization (sections 3.2 and 7.2), which RFC 7519 section 1 rules out for a JWT, so it is refused.
"""

from tests.conformance.rows import Row

FORGED = "tests/tokens/test_forged_tokens.py"
CLAIMS = "tests/tokens/test_claims.py"
COMPARISON = "tests/tokens/test_comparison.py"
SIGNATURES = "tests/keys/test_signatures.py"

ROWS: tuple[Row, ...] = (
    Row(
        "4",
        "MUST",
        "The Header Parameter names within the JOSE Header MUST be unique.",
        (f"{FORGED}::test_a_name_that_stands_twice_is_refused",),
    ),
    Row(
        "4",
        "MUST",
        "JWS parsers MUST either reject JWSs with duplicate Header Parameter names or use a JSON parser that returns only "
        "the lexically last duplicate member name.",
        (
            f"{FORGED}::test_a_name_that_stands_twice_is_refused",
            "tests/tokens/test_parsers.py::test_what_strict_json_accepts_everybody_reads_alike",
        ),
    ),
    Row(
        "4",
        "MUST",
        'All other Header Parameters defined by this specification that are not designated as "MUST be understood" MUST be '
        "ignored when not understood.",
        (
            f"{CLAIMS}::test_a_header_that_no_rule_needs_is_not_judged",
            f"{FORGED}::test_a_key_in_the_token_is_never_followed",
        ),
    ),
    Row(
        "4",
        "MUST",
        "Unless listed as a critical Header Parameter, all Header Parameters not defined by this specification MUST be "
        "ignored when not understood.",
        (
            f"{CLAIMS}::test_a_header_that_no_rule_needs_is_not_judged",
            f"{FORGED}::test_extensions_are_refused_by_their_mere_name",
        ),
        departs="`b64` (RFC 7797) and `zip` (RFC 7516) are refused outside `crit` too, because they give the payload another "
        "reading; all others are ignored (ADR 41).",
    ),
    Row(
        "4.1.1",
        "MUST",
        'The "alg" Header Parameter MUST be present and MUST be understood and processed by implementations.',
        (
            f"{FORGED}::test_an_alg_that_is_not_one_of_ours_is_refused",
            f"{FORGED}::test_a_good_token_of_each_algorithm_is_accepted",
        ),
    ),
    Row(
        "4.1.4",
        "MUST",
        'The value of "kid" MUST be a case-sensitive string.',
        (
            f"{COMPARISON}::test_a_kid_is_case_sensitive_and_not_normalised",
            f"{FORGED}::test_a_kid_that_is_no_short_string_is_refused",
        ),
    ),
    Row(
        "4.1.9",
        "MUST",
        'A recipient using the media type value MUST treat it as if "application/" were prepended to any "typ" value not '
        "containing a '/'.",
        (
            f"{FORGED}::test_a_type_that_the_setting_names_is_accepted",
            f"{FORGED}::test_any_other_type_is_refused",
            "tests/tokens/test_parsers.py::test_a_media_type_is_compared_in_one_form",
        ),
    ),
    Row(
        "4.1.11",
        "MUST",
        'The "crit" Header Parameter indicates that extensions are being used that MUST be understood and processed; if any '
        "of them are not understood and supported by the recipient, then the JWS is invalid.",
        (
            f"{FORGED}::test_extensions_are_refused_by_their_mere_name",
            f"{FORGED}::test_an_unencoded_payload_is_refused",
        ),
    ),
    Row(
        "4.1.11",
        "MUST NOT",
        'Producers MUST NOT use the empty list "[]" as the "crit" value, duplicate names, or names that are defined by this '
        "specification.",
        (f"{FORGED}::test_extensions_are_refused_by_their_mere_name",),
    ),
    Row(
        "4.1.11",
        "MUST",
        'The "crit" Header Parameter MUST be understood and processed by implementations.',
        (
            f"{FORGED}::test_extensions_are_refused_by_their_mere_name",
            "tests/tokens/test_rules.py::test_without_the_rule_the_signed_token_passes",
        ),
    ),
    Row(
        "5.2",
        "MUST",
        "At least one JWS Signature value MUST successfully validate, or the JWS MUST be considered invalid.",
        (
            f"{FORGED}::test_a_flipped_bit_anywhere_is_noticed",
            f"{FORGED}::test_changed_claims_with_the_old_signature_are_refused",
            f"{FORGED}::test_an_empty_part_is_refused",
        ),
    ),
    Row(
        "5.2",
        "MUST",
        "Validate the JWS Signature against the JWS Signing Input in the manner defined for the algorithm being used, which "
        'MUST be accurately represented by the value of "alg", which MUST be present.',
        (
            f"{FORGED}::test_no_algorithm_passes_for_another",
            f"{FORGED}::test_a_signature_over_the_payload_alone_is_refused",
            f"{FORGED}::test_a_mac_with_the_public_key_is_no_signature",
            f"{FORGED}::test_an_alg_that_is_not_one_of_ours_is_refused",
            f"{SIGNATURES}::test_a_pss_salt_of_another_length_than_the_digest_is_refused",
        ),
    ),
    Row(
        "5.2",
        "MUST",
        "If none of the validations succeeded, then the JWS MUST be considered invalid.",
        (
            f"{FORGED}::test_another_key_of_the_set_under_this_kid",
            "tests/keys/test_static_keys.py::test_all_keys_of_a_text_are_tried_also_without_a_kid",
        ),
    ),
    Row(
        "5.3",
        "MUST",
        "Compare strings by their Unicode code points after any escapes are removed, without normalization; these comparison "
        "rules MUST be used for all JSON string comparisons.",
        (
            f"{COMPARISON}::test_an_escape_stands_for_its_character",
            f"{COMPARISON}::test_a_name_that_looks_alike_is_another",
            f"{COMPARISON}::test_a_kid_is_case_sensitive_and_not_normalised",
        ),
    ),
    Row(
        "8",
        "MUST",
        "The identity of the service provider encoded in the TLS server certificate MUST be verified whenever TLS is used.",
        (
            "tests/keys/test_connections.py::test_a_certificate_of_another_name_is_refused_before_anything_is_sent",
            "tests/keys/test_http.py::test_a_self_signed_certificate_is_refused_before_anything_is_sent",
        ),
    ),
    Row(
        "10.6",
        "MUST",
        "Implementations MUST ensure that the algorithm information encoded in the signature corresponds to that specified "
        'with the "alg" Header Parameter.',
        (
            f"{SIGNATURES}::test_pkcs1_and_pss_signatures_are_told_apart_and_so_are_the_hashes",
            f"{SIGNATURES}::test_a_pkcs1_signature_with_sha1_is_refused",
            f"{SIGNATURES}::test_pss_with_another_hash_for_its_mask_is_refused",
        ),
    ),
    Row(
        "10.12",
        "MUST",
        "Any JSON inputs not conforming to the JSON-text syntax MUST be rejected in their entirety by JSON parsers.",
        (
            f"{FORGED}::test_a_header_or_payload_that_is_not_one_json_object_is_refused",
            "tests/tokens/test_parsers.py::test_what_strict_json_accepts_everybody_reads_alike",
        ),
    ),
    Row(
        "10.12",
        "MUST",
        "Some JSON parsers might not reject input that contains extra significant characters after a valid input; "
        "implementations MUST consider JWSs containing such input to be invalid.",
        (f"{FORGED}::test_a_header_or_payload_that_is_not_one_json_object_is_refused",),
    ),
    Row(
        "10.13",
        "MUST",
        "Characters outside the Basic Multilingual Plane are preserved and compared correctly, or input containing them MUST "
        "be rejected.",
        (
            f"{FORGED}::test_what_is_still_one_json_object_is_accepted",
            f"{CLAIMS}::test_the_subject_is_a_printable_name",
        ),
    ),
)
