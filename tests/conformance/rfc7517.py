"""RFC 7517: JSON Web Key.

28 sentences read. Left out: demands on "x5u", "x5c", "x5t" and "x5t#S256" (sections 4.6 to 4.9): the address of
the key set is what is trusted, so these members are not read; on encrypted key sets (section 7), which are not supported.
"""

from tests.conformance.rows import Row

KEYS = "tests/keys/test_key_set.py"
DOCUMENTS = "tests/keys/test_hostile_documents.py"
STATIC = "tests/keys/test_static_keys.py"

ROWS: tuple[Row, ...] = (
    Row(
        "4",
        "MUST",
        "The member names within a JWK MUST be unique.",
        (f"{DOCUMENTS}::test_a_fault_is_the_issuers_and_costs_no_known_key",),
    ),
    Row(
        "4",
        "MUST",
        "JWK parsers MUST either reject JWKs with duplicate member names or use a JSON parser that returns only the lexically "
        "last duplicate member name.",
        (f"{DOCUMENTS}::test_a_fault_is_the_issuers_and_costs_no_known_key",),
    ),
    Row(
        "4",
        "MUST",
        "Additional members can be present in the JWK; if not understood, they MUST be ignored.",
        (f"{KEYS}::test_members_that_do_not_concern_us_do_no_harm", "tests/test_defects.py::test_keys_need_no_x5c"),
    ),
    Row(
        "4.1",
        "MUST",
        'The "kty" member MUST be present in a JWK.',
        (f"{KEYS}::test_a_bad_key_is_skipped_alone_and_with_its_reason",),
    ),
    Row(
        "4.3",
        "MUST NOT",
        'Duplicate key operation values MUST NOT be present in the "key_ops" array.',
        (f"{KEYS}::test_members_that_do_not_concern_us_do_no_harm",),
        departs="An issuer's own documents are read leniently where only one reading is possible (ADR 41).",
    ),
    Row(
        "4.3",
        "MUST",
        'If both "use" and "key_ops" are used, the information they convey MUST be consistent.',
        (f"{KEYS}::test_a_bad_key_is_skipped_alone_and_with_its_reason",),
    ),
    Row(
        "5",
        "MUST",
        'The JSON object MUST have a "keys" member, with its value being an array of JWKs.',
        (
            f"{KEYS}::test_a_document_without_a_list_of_at_most_100_keys_is_no_key_set",
            f"{DOCUMENTS}::test_a_set_without_usable_keys_replaces_nothing",
        ),
    ),
    Row(
        "5",
        "MUST",
        "The member names within a JWK Set MUST be unique.",
        (f"{DOCUMENTS}::test_a_fault_is_the_issuers_and_costs_no_known_key",),
    ),
    Row(
        "5",
        "MUST",
        "JWK Set parsers MUST either reject JWK Sets with duplicate member names or use a JSON parser that returns only the "
        "lexically last duplicate member name.",
        (f"{DOCUMENTS}::test_a_fault_is_the_issuers_and_costs_no_known_key",),
    ),
    Row(
        "5",
        "MUST",
        "Additional members can be present in the JWK Set; if not understood, they MUST be ignored.",
        (f"{KEYS}::test_other_members_of_the_set_do_no_harm",),
    ),
    Row(
        "5",
        "SHOULD",
        'Implementations SHOULD ignore JWKs with a "kty" that is not understood, that are missing required members, or for '
        "which values are out of the supported ranges.",
        (
            f"{KEYS}::test_a_bad_key_is_skipped_alone_and_with_its_reason",
            f"{DOCUMENTS}::test_a_bad_key_is_skipped_alone_and_told_once",
        ),
    ),
    Row(
        "9.2",
        "MUST",
        "Private and symmetric keys MUST be protected from disclosure to unintended parties.",
        (
            f"{STATIC}::test_a_secret_is_never_shown",
            f"{STATIC}::test_a_private_key_has_no_place_in_the_settings",
            f"{KEYS}::test_a_bad_key_is_skipped_alone_and_with_its_reason",
        ),
    ),
)
