"""RFC 7518: JSON Web Algorithms.

52 sentences read. Left out: key management and content encryption (sections 4, 5 and 8.4), because this package decrypts
nothing; the parameters of private keys (sections 6.2.2 and 6.3.2), because a private key is skipped, whatever they are; the
form of Unsecured JWSs (section 3.6), because none is accepted.
"""

from tests.conformance.rows import Row

FORGED = "tests/tokens/test_forged_tokens.py"
KEYS = "tests/keys/test_key_set.py"
SIGNATURES = "tests/keys/test_signatures.py"
STATIC = "tests/keys/test_static_keys.py"

ROWS: tuple[Row, ...] = (
    Row(
        "2",
        "MUST",
        "Base64urlUInt: the octet sequence MUST utilize the minimum number of octets needed to represent the value.",
        (f"{KEYS}::test_zeros_in_front_of_a_number_do_not_make_another_key",),
        departs="Some issuers write a zero in front; the number is the same, and so is its thumbprint (ADR 41).",
    ),
    Row(
        "3.1",
        "REQUIRED",
        'The algorithm "HS256" (HMAC using SHA-256) is Required.',
        (
            f"{STATIC}::test_a_token_with_the_secrets_mac_is_accepted",
            f"{STATIC}::test_an_asymmetric_key_never_verifies_a_mac",
            f"{FORGED}::test_a_public_key_is_no_secret",
        ),
        departs="Refused until the settings hold a `SECRET` of that issuer, because each verifier of a MAC can sign too (ADR 41).",
    ),
    Row(
        "3.2",
        "MUST",
        'A key of the same size as the hash output (for instance, 256 bits for "HS256") or larger MUST be used.',
        (
            f"{STATIC}::test_a_short_secret_is_refused",
            f"{STATIC}::test_a_secret_serves_the_algorithms_that_it_is_long_enough_for",
            f"{STATIC}::test_a_secret_that_is_too_short_for_an_allowed_algorithm_does_not_serve_for_it",
        ),
    ),
    Row(
        "3.2",
        "MUST",
        "The comparison of the computed HMAC value to the JWS Signature value MUST be done in a constant-time manner.",
        (f"{SIGNATURES}::test_a_mac_is_compared_in_constant_time",),
    ),
    Row(
        "3.3",
        "MUST",
        "A key of size 2048 bits or larger MUST be used with RS256, RS384 and RS512.",
        (
            f"{KEYS}::test_a_weak_rsa_key_is_skipped_alone",
            f"{KEYS}::test_a_bad_key_is_skipped_alone_and_with_its_reason",
            f"{STATIC}::test_what_is_no_strong_public_key_in_pem_is_refused_whole",
        ),
    ),
    Row(
        "3.4",
        "MUST NOT",
        "ECDSA: the octet sequence representations of R and S MUST NOT be shortened to omit any leading zero octets.",
        (f"{SIGNATURES}::test_an_ecdsa_signature_is_r_and_s_at_full_length",),
    ),
    Row(
        "3.4",
        "MUST",
        "The JWS Signature value MUST be a 64-octet sequence (ES256; 96 for ES384, 132 for ES512).",
        (
            f"{SIGNATURES}::test_an_ecdsa_signature_is_r_and_s_at_full_length",
            f"{FORGED}::test_a_signature_of_another_length_is_refused",
            f"{FORGED}::test_an_ecdsa_signature_in_der_is_refused",
        ),
    ),
    Row(
        "3.5",
        "MUST",
        "A key of size 2048 bits or larger MUST be used with PS256, PS384 and PS512.",
        (f"{KEYS}::test_a_weak_rsa_key_is_skipped_alone",),
    ),
    Row(
        "3.6",
        "MUST NOT",
        "Implementations that support Unsecured JWSs MUST NOT accept such objects as valid unless the application specifies "
        "that it is acceptable for a specific object to not be integrity protected.",
        (f"{FORGED}::test_alg_none_is_refused_in_any_spelling",),
    ),
    Row(
        "3.6",
        "MUST NOT",
        "Implementations MUST NOT accept Unsecured JWSs by default.",
        (f"{FORGED}::test_alg_none_is_refused_in_any_spelling", "tests/example/test_contract.py::test_wrong_token"),
    ),
    Row(
        "3.6",
        "MUST NOT",
        "Applications MUST NOT signal acceptance of Unsecured JWSs at a global level.",
        ("tests/test_settings.py::test_each_problem_has_an_id_and_a_hint[none]",),
    ),
    Row(
        "6.2.1",
        "MUST",
        'The members "crv", "x" and, for the curves of this specification, "y" MUST be present for Elliptic Curve public keys.',
        (f"{KEYS}::test_a_bad_key_is_skipped_alone_and_with_its_reason",),
    ),
    Row(
        "6.2.1.2",
        "MUST",
        'The length of the octet string "x" MUST be the full size of a coordinate for the curve.',
        (f"{KEYS}::test_a_coordinate_of_any_length_is_the_same_number",),
        departs="Some issuers leave zeros out; the point is the same, and it must be on the curve (ADR 41).",
    ),
    Row(
        "6.2.1.3",
        "MUST",
        'The length of the octet string "y" MUST be the full size of a coordinate for the curve.',
        (f"{KEYS}::test_a_coordinate_of_any_length_is_the_same_number",),
        departs='As for "x" (ADR 41).',
    ),
    Row(
        "6.3.1",
        "MUST",
        'The members "n" and "e" MUST be present for RSA public keys.',
        (f"{KEYS}::test_a_bad_key_is_skipped_alone_and_with_its_reason",),
    ),
)
