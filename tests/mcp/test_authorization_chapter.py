"""The authorization chapter of the Model Context Protocol: each MUST and SHOULD, and the tests that hold it.

Sentences for servers are held by the example and the library, those for authorization servers by the development issuer,
and those for clients, as far as it goes, by the walk of the official client. A sentence is in both revisions unless its row
names one. These texts were read:

- 2025-11-25, `basic/authorization`, all sections: Introduction; Roles; Overview; Authorization Server Discovery; Client
  Registration Approaches; Scope Selection Strategy; Authorization Flow Steps; Resource Parameter Implementation; Access
  Token Usage; Error Handling; Security Considerations; MCP Authorization Extensions. Of `basic/security_best_practices`,
  to which it refers: Token Passthrough, Session Hijacking and Scope Minimization.
- 2026-07-28, `basic/authorization`: the overview page (Introduction; Roles; Overview; Authorization Server Discovery; Client
  Registration; Scope Selection Strategy; Authorization Flow Steps with Authorization Response Validation; Resource
  Parameter Implementation; Access Token Usage; Refresh Tokens; Error Handling; Security Considerations), Client
  Registration, and Security Considerations. Authorization Server Discovery was read in its draft before the release, and
  in a translation of the release: Authorization Server Location; Protected Resource Metadata Discovery Requirements;
  Authorization Server Metadata Discovery.

No test holds these sentences. An authorization server MUST serve its endpoints by https: the development issuer speaks
http on loopback, and the library refuses such an issuer in production. A proxy with a static client id MUST obtain consent
for each client: the example is not a proxy. Session ids MUST be unpredictable and SHOULD be bound to a user: the example
has no sessions. Implementations of STDIO and of other transports have sentences of their own.
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
OWN_TOKEN = f"{EXAMPLE}::test_each_request_needs_its_own_token"

SERVERS: dict[str, tuple[str, ...]] = {
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
    "MUST: demand the token in each request": (OWN_TOKEN,),
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
    # Security best practices (2025-11-25)
    "MUST: verify all inbound requests": (OWN_TOKEN, CHALLENGE),
    "MUST NOT: use sessions for authentication": (OWN_TOKEN,),
    "SHOULD: publish a minimal set of scopes and challenge for more": (METADATA, CHALLENGE, NO_SCOPE),
}

ISSUER = "tests/devissuer"
CODE = f"{ISSUER}/test_authorization_code.py"
DOCUMENTS = f"{ISSUER}/test_metadata_documents.py"
OFFERS = f"{ISSUER}/test_metadata.py::test_the_document_says_what_the_issuer_does_and_no_more"
SIGN_IN = f"{CODE}::test_a_person_signs_in_and_the_client_gets_tokens"
ERRORS_GO_BACK = f"{CODE}::test_a_bad_request_of_a_known_client_goes_back_to_it"
UNTRUSTED = f"{CODE}::test_an_untrusted_redirect_uri_is_never_followed"
BAD_DOCUMENTS = f"{DOCUMENTS}::test_a_document_that_makes_no_client_is_refused"
WITH_DOCUMENT = f"{DOCUMENTS}::test_a_person_signs_in_to_a_client_with_a_document"
REGISTRATION = f"{ISSUER}/test_registration.py"

AUTHORIZATION_SERVERS: dict[str, tuple[str, ...]] = {
    # Overview, and the discovery of the authorization server
    "MUST: implement OAuth 2.1 for confidential and public clients": (
        SIGN_IN,
        ERRORS_GO_BACK,  # no implicit grant, no code without PKCE
        f"{CODE}::test_a_code_is_good_only_for_whom_it_was_meant",
        f"{CODE}::test_a_code_that_is_used_twice_ends_what_it_began",
        f"{REGISTRATION}::test_without_a_method_a_client_gets_a_secret_and_must_use_it",
    ),
    "SHOULD: support client ID metadata documents": (WITH_DOCUMENT, OFFERS),
    "MAY: support dynamic client registration": (f"{REGISTRATION}::test_a_public_client_is_registered", OFFERS),
    "MUST: provide RFC 8414 or OpenID Connect Discovery": (
        f"{ISSUER}/test_metadata.py::test_the_two_documents_are_one_and_name_the_issuer_exactly",
    ),
    # Authorization response validation
    "SHOULD: include iss in authorization responses, also in errors (2026-07-28)": (
        SIGN_IN,
        ERRORS_GO_BACK,
        f"{CODE}::test_a_person_may_deny",
    ),
    "MUST: advertise authorization_response_iss_parameter_supported (2026-07-28)": (OFFERS,),
    # Resource parameter
    "SHOULD: accept scheme and host in capitals": (
        f"{ISSUER}/test_resource_indicators.py::test_scheme_and_host_may_be_in_capitals",
    ),
    # Client ID metadata documents
    "SHOULD: fetch the document of an id that is an address": (WITH_DOCUMENT,),
    "MUST: validate that the client_id of the document is its address": (BAD_DOCUMENTS,),
    "SHOULD: cache documents as their headers say": (
        f"{DOCUMENTS}::TestKept::test_a_document_is_kept_as_its_headers_say",
        f"{DOCUMENTS}::TestKept::test_a_document_is_kept_for_a_minute",
    ),
    "MUST: validate redirect URIs against those in the document": (
        f"{DOCUMENTS}::test_the_redirect_uri_must_be_in_the_document",
    ),
    "MUST: validate that the document is JSON with the required fields": (
        BAD_DOCUMENTS,
        f"{DOCUMENTS}::test_an_answer_without_a_document_is_refused",
    ),
    "SHOULD: consider server-side request forgery": (
        f"{DOCUMENTS}::test_an_issuer_that_other_machines_reach_refuses_documents_of_its_own",
        f"{DOCUMENTS}::TestKept::test_an_issuer_for_other_machines_asks_no_server_of_its_own_machine",
        f"{DOCUMENTS}::test_an_id_that_is_not_an_address_of_a_document_is_refused",
        f"{DOCUMENTS}::test_a_server_that_never_answers_costs_five_seconds",
    ),
    "SHOULD: warn of clients with redirect URIs on localhost alone": (
        f"{DOCUMENTS}::test_the_page_warns_of_a_client_that_any_program_can_pretend_to_be",
    ),
    "MUST: display the host of the redirect URI": (
        f"{ISSUER}/test_sign_in_page.py::test_it_says_who_asks_and_where_one_goes",
    ),
    # Tokens and codes
    "SHOULD: issue access tokens that live for a short time": (SIGN_IN,),
    "MUST: rotate the refresh tokens of public clients": (
        f"{CODE}::TestRefresh::test_it_rotates",
        f"{CODE}::TestRefresh::test_reuse_ends_the_session",
    ),
    "MUST: include code_challenge_methods_supported": (OFFERS,),
    # Redirection
    "MUST: take redirect URIs on localhost or by https alone": (
        f"{REGISTRATION}::test_what_makes_no_client_is_refused",
        UNTRUSTED,
    ),
    "MUST: compare redirect URIs exactly": (
        f"{CODE}::test_a_registered_redirect_uri_is_compared_exactly",
        f"{REGISTRATION}::test_on_loopback_the_port_of_a_redirect_uri_is_free",
    ),
    "MUST: redirect to no untrusted address": (UNTRUSTED, f"{CODE}::test_an_unknown_client_is_never_redirected"),
    "SHOULD: redirect by itself to trusted addresses alone": (UNTRUSTED,),
}

STEPS = f"{ISSUER}/test_mcp_client.py::test_it_signs_in_steps_up_and_refreshes"

CLIENTS: dict[str, tuple[str, ...]] = {
    "MUST: find the authorization server by the metadata that the challenge names": (WALK,),
    "MUST: discover the authorization server by its well-known address": (WALK,),
    "SHOULD: use a client ID metadata document if that is supported": (STEPS,),
    "SHOULD: ask for the scopes of the challenge first": (WALK, STEPS),
    "MUST: send resource in authorization requests and token requests": (WALK,),
    "MUST: send the token in the Authorization header of every request": (WALK,),
    "MUST NOT: send the token in the query": (WALK,),
    "SHOULD: step up with the union of the scopes": (WALK, STEPS),
    "MUST: use PKCE with S256": (WALK,),
    "SHOULD: use state": (WALK,),
}

SENTENCES = {
    f"{who}: {sentence}": tests
    for who, sentences in {"server": SERVERS, "issuer": AUTHORIZATION_SERVERS, "client": CLIENTS}.items()
    for sentence, tests in sentences.items()
}


@pytest.mark.parametrize("sentence", SENTENCES)
def test_each_sentence_has_tests_that_exist(sentence: str) -> None:
    assert SENTENCES[sentence]
    assert [found for found in map(problem, SENTENCES[sentence]) if found is not None] == []
