"""RFC 8725: JSON Web Token Best Current Practices.

31 sentences read, SHOULDs among them. Left out: encryption and compression (sections 3.2, 3.4 for ECDH-ES, and 3.6), which
are not supported; how tokens are made: deterministic ECDSA (section 3.2), "typ" values of new kinds of tokens (section 3.11).
"""

from tests.conformance.rows import Row

FORGED = "tests/tokens/test_forged_tokens.py"
CLAIMS = "tests/tokens/test_claims.py"
KEYS = "tests/keys/test_key_set.py"
SIGNATURES = "tests/keys/test_signatures.py"
STATIC = "tests/keys/test_static_keys.py"
SETTINGS = "tests/test_settings.py"
LOGOUT = "tests/revocation/test_backchannel_logout.py"
KINDS = (
    f"{FORGED}::test_any_other_type_is_refused",
    f"{CLAIMS}::test_a_token_of_another_kind_is_no_access_token",
    "tests/test_defects.py::test_an_id_token_does_not_pass",
    f"{LOGOUT}::test_a_logout_token_is_no_access_token",
    f"{LOGOUT}::test_an_id_token_or_an_access_token_is_no_logout_token",
)
KEYS_OF_THE_ISSUER = (
    f"{FORGED}::test_keys_of_one_issuer_serve_no_other",
    f"{FORGED}::test_the_same_kid_of_another_issuer_is_another_key",
    "tests/tokens/test_issuers.py::test_a_key_of_one_issuer_does_not_sign_for_another",
    "tests/keys/test_hostile_documents.py::test_metadata_are_held_against_the_issuer",
)

ROWS: tuple[Row, ...] = (
    Row(
        "2.8",
        "MUST",
        "If the JWT could be used in an application context in which it could be confused with other kinds of JWTs, then "
        "mitigations MUST be employed to prevent these substitution attacks.",
        KINDS,
    ),
    Row(
        "3.1",
        "MUST",
        "Libraries MUST enable the caller to specify a supported set of algorithms.",
        (f"{SETTINGS}::test_override_settings_takes_effect_at_once_and_ends",),
    ),
    Row(
        "3.1",
        "MUST NOT",
        "Libraries MUST NOT use any other algorithms when performing cryptographic operations.",
        (
            f"{FORGED}::test_the_allowed_algorithms_are_the_policys",
            f"{FORGED}::test_an_alg_that_is_not_one_of_ours_is_refused",
        ),
    ),
    Row(
        "3.1",
        "MUST",
        'The library MUST ensure that the "alg" header specifies the same algorithm that is used for the cryptographic '
        "operation.",
        (
            f"{FORGED}::test_no_algorithm_passes_for_another",
            f"{SIGNATURES}::test_pkcs1_and_pss_signatures_are_told_apart_and_so_are_the_hashes",
            f"{STATIC}::test_an_asymmetric_key_never_verifies_a_mac",
            f"{STATIC}::test_a_secret_never_verifies_a_signature",
        ),
    ),
    Row(
        "3.1",
        "MUST",
        "Each key MUST be used with exactly one algorithm, and this MUST be checked when the cryptographic operation is "
        "performed.",
        (
            f"{FORGED}::test_a_key_pinned_to_one_rsa_algorithm_serves_no_other_even_if_it_signed",
            f"{KEYS}::test_a_good_key_of_each_algorithm_verifies",
            f"{FORGED}::test_the_allowed_algorithms_are_the_policys",
        ),
        departs="An RSA key that names no `alg` serves each RSA signature algorithm that `ALGORITHMS` admits, because many "
        "issuers publish such keys (ADR 41).",
    ),
    Row(
        "3.2",
        "MUST",
        "Applications MUST only allow the use of cryptographically current algorithms that meet the security requirements of "
        "the application.",
        (
            f"{SETTINGS}::test_each_problem_has_an_id_and_a_hint[HS256]",
            f"{SETTINGS}::test_each_problem_has_an_id_and_a_hint[none]",
            f"{SIGNATURES}::test_a_pkcs1_signature_with_sha1_is_refused",
            f"{KEYS}::test_a_weak_rsa_key_is_skipped_alone",
        ),
    ),
    Row(
        "3.2",
        "MUST",
        "Applications MUST be designed to enable cryptographic agility.",
        (
            f"{FORGED}::test_a_good_token_of_each_algorithm_is_accepted",
            f"{SETTINGS}::test_override_settings_takes_effect_at_once_and_ends",
            f"{FORGED}::test_a_token_without_kid_is_verified_where_one_key_fits",
        ),
    ),
    Row(
        "3.2",
        "SHOULD NOT",
        'JWT libraries SHOULD NOT consume JWTs using "none" unless explicitly requested by the caller.',
        (
            f"{FORGED}::test_alg_none_is_refused_in_any_spelling",
            f"{SETTINGS}::test_each_problem_has_an_id_and_a_hint[none]",
        ),
    ),
    Row(
        "3.3",
        "MUST",
        "All cryptographic operations used in the JWT MUST be validated and the entire JWT MUST be rejected if any of them "
        "fail to validate.",
        (
            f"{FORGED}::test_a_flipped_bit_anywhere_is_noticed",
            "tests/test_defects.py::test_nothing_of_a_payload_is_believed_before_its_signature",
            "tests/bound/test_requests.py::test_a_proof_of_another_key_or_token_is_refused",
        ),
    ),
    Row(
        "3.3",
        "MUST",
        "For Nested JWTs both outer and inner operations MUST be validated using the keys and algorithms supplied by the "
        "application.",
        (f"{FORGED}::test_a_nested_token_is_refused", f"{FORGED}::test_an_encrypted_token_is_refused"),
        departs="A nested token is refused whole (ADR 41).",
    ),
    Row(
        "3.4",
        "MUST",
        "For the curves P-256, P-384, and P-521, validation MUST be performed according to the ECC Partial Public-Key "
        "Validation Routine.",
        (
            f"{KEYS}::test_a_bad_key_is_skipped_alone_and_with_its_reason",
            f"{KEYS}::test_a_point_of_small_order_is_skipped_alone",
            f"{FORGED}::test_a_published_key_that_anyone_can_sign_for_is_no_key",
        ),
    ),
    Row(
        "3.5",
        "MUST",
        "The Key Entropy and Random Values advice and the Password Considerations MUST be followed.",
        (
            f"{STATIC}::test_a_short_secret_is_refused",
            f"{STATIC}::test_a_repeated_text_counts_once",
            f"{STATIC}::test_a_public_key_is_no_secret",
        ),
    ),
    Row(
        "3.5",
        "MUST NOT",
        'Human-memorizable passwords MUST NOT be directly used as the key to a keyed-MAC algorithm such as "HS256".',
        (f"{STATIC}::test_a_short_secret_is_refused", f"{STATIC}::test_a_repeated_text_counts_once"),
        departs="A secret needs 32 bytes that do not repeat themselves; whether a person remembers a longer one cannot be seen "
        "(ADR 41).",
    ),
    Row(
        "3.7",
        "MUST",
        "UTF-8 is used for encoding and decoding JSON; implementations MUST not use or admit the use of other Unicode "
        "encodings.",
        (f"{FORGED}::test_a_header_or_payload_that_is_not_one_json_object_is_refused",),
    ),
    Row(
        "3.8",
        "MUST",
        "The application MUST validate that the cryptographic keys used for the cryptographic operations in the JWT belong "
        "to the issuer.",
        KEYS_OF_THE_ISSUER,
    ),
    Row(
        "3.8",
        "MUST",
        "If they do not, the application MUST reject the JWT.",
        KEYS_OF_THE_ISSUER,
    ),
    Row(
        "3.8",
        "MUST",
        "The application MUST validate that the subject value corresponds to a valid subject and/or issuer-subject pair at "
        "the application.",
        (
            "tests/users/test_users.py::test_an_unknown_user_is_said_to_be_unknown",
            "tests/users/test_users.py::test_an_inactive_user_is_refused_on_the_very_next_request",
            f"{FORGED}::test_the_same_subject_of_two_issuers_is_two_identities",
            f"{CLAIMS}::test_the_subject_is_a_printable_name",
        ),
    ),
    Row(
        "3.8",
        "MUST",
        "If the issuer, subject, or the pair are invalid, the application MUST reject the JWT.",
        (
            f"{CLAIMS}::test_the_issuer_is_compared_exactly",
            "tests/users/test_users.py::test_an_unknown_user_is_said_to_be_unknown",
        ),
    ),
    Row(
        "3.9",
        "MUST",
        "The relying party or application MUST validate the audience value, and if the audience value is not present or not "
        "associated with the recipient, it MUST reject the JWT.",
        (
            f"{CLAIMS}::test_the_audience_has_to_name_this_api",
            f"{CLAIMS}::test_a_compulsory_claim_is_missed",
            "tests/test_defects.py::test_an_audience_is_compulsory",
        ),
    ),
    Row(
        "3.10",
        "SHOULD",
        'Blindly following a "jku" or "x5u" header could result in server-side request forgery; applications SHOULD protect '
        "against such attacks.",
        (
            f"{FORGED}::test_a_key_in_the_token_is_never_followed",
            "tests/keys/test_hostile_documents.py::test_metadata_are_held_against_the_issuer",
        ),
    ),
    Row(
        "3.10",
        "SHOULD",
        'Applications should ensure that the "kid" does not create SQL or LDAP injection vulnerabilities by validating and/or '
        "sanitizing the received value.",
        (
            f"{FORGED}::test_an_unknown_kid_is_only_a_name",
            f"{FORGED}::test_a_kid_that_is_no_short_string_is_refused",
        ),
    ),
    Row(
        "3.11",
        "RECOMMENDED",
        "Explicit typing is RECOMMENDED for new uses of JWTs.",
        (f"{FORGED}::test_any_other_type_is_refused", "tests/example/test_contract.py::test_wrong_token"),
    ),
    Row(
        "3.12",
        "MUST",
        "If more than one kind of JWT can be issued by the same issuer, the validation rules for those JWTs MUST be written "
        "such that they are mutually exclusive, rejecting JWTs of the wrong kind.",
        KINDS,
    ),
)
