"""RFC 7516: JSON Web Encryption.

32 sentences read. Left out: all others, because this package decrypts nothing. RFC 9068 section 4 leaves encryption to an
agreement between the two servers. The rows hold that an encrypted token is refused and never taken for a signed one.
"""

from tests.conformance.rows import Row

FORGED = "tests/tokens/test_forged_tokens.py"

ROWS: tuple[Row, ...] = (
    Row(
        "4.1.3",
        "MUST",
        'The "zip" Header Parameter MUST be understood and processed by implementations.',
        (f"{FORGED}::test_extensions_are_refused_by_their_mere_name",),
        departs="It is refused, as every encrypted token is (ADR 41).",
    ),
    Row(
        "5.2",
        "MUST",
        "The encrypted content for at least one recipient MUST successfully validate or the JWE MUST be considered invalid.",
        (f"{FORGED}::test_what_is_no_compact_jws_is_refused", f"{FORGED}::test_an_encrypted_token_is_refused"),
    ),
)
