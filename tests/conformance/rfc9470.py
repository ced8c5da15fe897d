"""RFC 9470: OAuth 2.0 Step Up Authentication Challenge Protocol.

2 sentences with such words read. Left out: that of section 5, for the authorization server. The RFC states the rest for a
resource server without these words: the rows of section 3 have the level "defines".
"""

from tests.conformance.rows import Row

CHALLENGES = "tests/edges/test_challenges.py"
PARITY = "tests/edges/test_parity.py::test_every_edge_gives_this_answer"
VOCABULARY = "tests/requirements/test_vocabulary.py"
SAYS = f"{VOCABULARY}::test_a_step_up_says_how_to_sign_in"

ROWS: tuple[Row, ...] = (
    Row(
        "3",
        "defines",
        "The error code insufficient_user_authentication: the authentication event associated with the access token presented "
        "with the request does not meet the authentication requirements of the protected resource.",
        (SAYS, PARITY, f"{VOCABULARY}::test_the_right_and_its_opposite"),
    ),
    Row(
        "3",
        "defines",
        "The parameter acr_values is a space-separated string listing the authentication context class reference values, in "
        "order of preference.",
        (
            SAYS,
            f"{CHALLENGES}::test_a_step_up_names_what_it_wants",
            f"{VOCABULARY}::test_what_cannot_be_meant_is_an_error_where_it_is_made",
        ),
    ),
    Row(
        "3",
        "defines",
        "The parameter max_age indicates the allowable elapsed time in seconds since the last active authentication event; it "
        "has to represent a non-negative integer.",
        (
            SAYS,
            f"{CHALLENGES}::test_a_step_up_names_what_it_wants",
            f"{VOCABULARY}::test_what_cannot_be_meant_is_an_error_where_it_is_made",
            f"{VOCABULARY}::test_the_right_and_its_opposite",
        ),
    ),
    Row(
        "9",
        "MUST NOT",
        "This document MUST NOT be used to position OAuth as an authentication protocol.",
        (
            "tests/test_defects.py::test_an_id_token_does_not_pass",
            "tests/tokens/test_claims.py::test_a_token_of_another_kind_is_no_access_token",
        ),
    ),
)
