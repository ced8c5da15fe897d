"""The authorization chapter of the Model Context Protocol: each MUST and SHOULD for a server, and the tests that hold it.

The revisions 2025-11-25 and 2026-07-28; a sentence is in both unless its row names one. Sentences for clients and for
authorization servers are not here: the walk of the official client and the tests of the development issuer hold those.
"""

import pytest
from tests.named_tests import problem

EXAMPLE = "tests/mcp/test_mcp_example.py"
CHALLENGE = f"{EXAMPLE}::test_a_401_names_the_metadata_and_the_least_scope_alone"
METADATA = f"{EXAMPLE}::test_the_metadata_name_the_issuer_and_the_least_scope"
AUDIENCE = f"{EXAMPLE}::test_a_token_for_another_resource_is_refused"
NO_AUDIENCE = f"{EXAMPLE}::test_a_token_without_an_audience_is_refused"
INVALID = f"{EXAMPLE}::test_a_call_with_an_invalid_token_is_401_and_does_nothing"
MALFORMED = f"{EXAMPLE}::test_malformed_credentials_are_400"
NO_SCOPE = f"{EXAMPLE}::test_a_tool_without_its_scope_is_403_and_names_it"
CONSISTENT = f"{EXAMPLE}::test_the_scopes_of_a_challenge_depend_on_the_operation_alone"
PASSED_ON = f"{EXAMPLE}::test_a_token_is_never_passed_on"
WALK = "tests/mcp/test_walk.py::test_from_a_401_to_each_tool"

SENTENCES: dict[str, tuple[str, ...]] = {
    # Overview, and the discovery of the authorization server
    "MUST: serve protected resource metadata (RFC 9728)": (METADATA, WALK),
    "MUST: name at least one authorization server in the metadata": (METADATA,),
    "MUST: name the metadata in the challenge of a 401, or serve them at a well-known address": (CHALLENGE, METADATA),
    # Scopes
    "SHOULD: name the scopes that the resource needs in the challenge": (CHALLENGE, NO_SCOPE),
    "SHOULD: make sets of scopes alike": (CONSISTENT,),
    "SHOULD NOT: name offline_access in a challenge or in the metadata (2026-07-28)": (
        CONSISTENT,
        METADATA,
        "tests/edges/test_challenges.py::test_a_client_that_steps_up_loses_no_scope_if_the_settings_say_so",
    ),
    # The resource parameter
    "SHOULD: write the canonical address without a slash at its end": (
        f"{EXAMPLE}::test_the_resource_is_written_without_a_slash_at_its_end",
    ),
    # Use and handling of tokens
    "MUST: demand the token in each request": (f"{EXAMPLE}::test_each_request_needs_its_own_token",),
    "MUST NOT: take a token from the query": (f"{EXAMPLE}::test_a_token_in_the_query_is_not_read",),
    "MUST: validate tokens (OAuth 2.1 section 5.2)": (INVALID,),
    "MUST: validate that a token was issued for this server (RFC 8707 section 2)": (AUDIENCE, NO_AUDIENCE),
    "MUST: answer a failure as OAuth 2.1 section 5.3 does": (INVALID, MALFORMED, NO_SCOPE),
    "MUST: answer an invalid or expired token with 401": (INVALID,),
    "MUST: accept only tokens that are valid for its own resources": (AUDIENCE, NO_AUDIENCE),
    "MUST NOT: accept or pass on any other token": (AUDIENCE, INVALID, PASSED_ON),
    # Errors
    "MUST: answer 401, 403 and 400 as the table of errors says": (CHALLENGE, INVALID, NO_SCOPE, MALFORMED),
    "SHOULD: answer too few scopes with 403, insufficient_scope, scope and resource_metadata": (NO_SCOPE,),
    "SHOULD: name the scopes of the operation, all in one challenge": (
        NO_SCOPE,
        "tests/edges/test_answers.py::test_requires_scope_demands_all",
        "tests/edges/test_parity.py::test_every_edge_gives_this_answer",
    ),
    "SHOULD: include scopes by one strategy": (CONSISTENT,),
    "SHOULD: consider the experience of people when it chooses the scopes": (WALK,),
    "MUST: account for hierarchies of scopes (2026-07-28)": (
        "tests/requirements/test_settings_of_rights.py::test_a_view_admits_by_an_implied_scope",
    ),
    # Security considerations
    "MUST: store tokens securely; caches and logs of the server hold none": (
        "tests/edges/test_door.py::test_the_log_says_why_and_never_the_token",
        "tests/edges/test_door.py::test_error_reports_hold_no_token",
        "tests/edges/test_door.py::test_reprs_hold_no_token",
    ),
    "MUST: talk to the authorization server by https": (
        "tests/test_settings.py::test_http_is_for_loopback_while_debug_is_on",
    ),
    "MUST: validate a token before it processes the request, and return no data without one": (CHALLENGE, INVALID),
    "MUST: reject tokens that do not name this server as an audience": (AUDIENCE, NO_AUDIENCE),
    "MUST NOT: pass the client's token to other servers": (PASSED_ON,),
}


@pytest.mark.parametrize("sentence", SENTENCES)
def test_each_sentence_has_tests_that_exist(sentence: str) -> None:
    assert SENTENCES[sentence]
    assert [found for found in map(problem, SENTENCES[sentence]) if found is not None] == []
