"""RFC 9449: OAuth 2.0 Demonstrating Proof of Possession (DPoP).

44 sentences read. Left out: demands on clients (how they make proofs, nonces of authorization servers, unknown parameters
of a challenge) and on the authorization server (sections 5, 8 and 10, and `token_type` in section 6.2). Section 8 is here
where section 9 makes it the resource server's.
"""

from tests.conformance.rows import Row

CHALLENGES = "tests/bound/test_challenges.py"
CLAIMS = "tests/tokens/test_claims.py"
NONCES = "tests/bound/test_nonces.py"
OPAQUE = "tests/bound/test_opaque_tokens.py::test_a_token_that_is_bound_to_a_key_needs_its_proof_on_each_request"
PROOFS = "tests/bound/test_proofs.py"
BROKEN = f"{PROOFS}::test_a_broken_proof_is_refused"
REQUESTS = "tests/bound/test_requests.py"
URIS = "tests/bound/test_target_uri.py"
OPTIONAL = (
    'DPOP_NONCE "optional", which is not the default, gives nonces and accepts proofs without one while clients learn them '
    "(ADR 42)."
)

ROWS: tuple[Row, ...] = (
    Row(
        "2",
        "MUST",
        "DPoP is not a substitute for a secure transport and MUST always be used in conjunction with HTTPS.",
        (
            "tests/bound/test_settings.py::test_dpop_needs_an_origin_and_a_cache",
            "tests/test_metadata.py::test_each_problem_has_an_id[an origin over http]",
            f"{BROKEN}[9: another scheme]",
        ),
    ),
    Row(
        "4.2",
        "MUST",
        "The JOSE Header of a DPoP JWT MUST contain at least typ, alg and jwk.",
        (f"{BROKEN}[4: no typ]", f"{BROKEN}[5: no alg]", f"{BROKEN}[7: no jwk]"),
    ),
    Row(
        "4.2",
        "MUST NOT",
        "The alg MUST NOT be none or an identifier for a symmetric algorithm.",
        (f"{BROKEN}[5: none]", f"{BROKEN}[5: symmetric]", f"{PROOFS}::test_a_secret_is_no_key"),
    ),
    Row(
        "4.2",
        "MUST NOT",
        "The jwk MUST NOT contain a private key.",
        (f"{PROOFS}::test_a_private_member_in_jwk_is_refused",),
    ),
    Row(
        "4.2",
        "MUST",
        "The payload of a DPoP proof MUST contain at least jti, htm, htu and iat.",
        (f"{BROKEN}[3: no jti]", f"{BROKEN}[3: no htm]", f"{BROKEN}[3: no htu]", f"{BROKEN}[3: no iat]"),
    ),
    Row(
        "4.2",
        "MUST",
        "When the DPoP proof is used in conjunction with the presentation of an access token, it MUST also contain ath.",
        (f"{BROKEN}[3: no ath]", f"{PROOFS}::test_the_example_of_the_rfc_passes_for_its_own_request_alone"),
    ),
    Row(
        "4.2",
        "MUST",
        "The value of ath MUST be the base64url encoding of the SHA-256 hash of the ASCII encoding of the access token's value.",
        (f"{PROOFS}::test_the_example_of_the_rfc_passes", f"{BROKEN}[12: of another token]"),
    ),
    Row(
        "4.2",
        "MUST",
        "When the resource server provides a DPoP-Nonce HTTP header in a response, the DPoP proof MUST also contain nonce.",
        (
            f"{NONCES}::test_a_required_nonce_is_demanded_and_then_good",
            f"{NONCES}::test_an_optional_nonce_is_offered_and_not_demanded",
        ),
        OPTIONAL,
    ),
    Row(
        "4.3",
        "MUST",
        "The receiving server MUST ensure that there is not more than one DPoP HTTP request header field.",
        (
            f"{REQUESTS}::test_without_a_proof_or_with_two_it_is_refused",
            f"{BROKEN}[1: two proofs]",
            f"{BROKEN}[1: an empty second one]",
        ),
    ),
    Row(
        "4.3",
        "MUST",
        "The receiving server MUST ensure that the DPoP HTTP request header field value is a single and well-formed JWT.",
        (
            f"{BROKEN}[2: not a JWT]",
            f"{BROKEN}[2: encrypted]",
            f"{BROKEN}[2: an empty header]",
            f"{BROKEN}[2: beyond ASCII]",
        ),
    ),
    Row(
        "4.3",
        "MUST",
        "The receiving server MUST ensure that all required claims per section 4.2 are contained in the JWT.",
        (BROKEN, f"{PROOFS}::test_a_known_key_spares_no_check"),
    ),
    Row(
        "4.3",
        "MUST",
        "The receiving server MUST ensure that the typ JOSE Header Parameter has the value dpop+jwt.",
        (
            f"{BROKEN}[4: another typ]",
            f"{BROKEN}[4: no typ]",
            f"{BROKEN}[4: typ is a list]",
            f"{PROOFS}::test_typ_is_a_media_type",
        ),
    ),
    Row(
        "4.3",
        "MUST",
        "The receiving server MUST ensure that alg indicates a registered asymmetric digital signature algorithm, is not none, "
        "is supported by the application, and is acceptable per local policy.",
        (
            f"{PROOFS}::test_each_algorithm_signs_a_proof",
            f"{BROKEN}[5: none]",
            f"{BROKEN}[5: symmetric]",
            f"{BROKEN}[5: alg is a dict]",
            f"{PROOFS}::test_a_weak_key_is_refused_though_it_signed",
        ),
    ),
    Row(
        "4.3",
        "MUST",
        "The receiving server MUST ensure that the JWT signature verifies with the public key contained in jwk.",
        (f"{BROKEN}[6: forged]", f"{BROKEN}[6: no signature]", f"{BROKEN}[6: signed by another key]"),
    ),
    Row(
        "4.3",
        "MUST",
        "The receiving server MUST ensure that the jwk JOSE Header Parameter does not contain a private key.",
        (f"{PROOFS}::test_a_private_member_in_jwk_is_refused",),
    ),
    Row(
        "4.3",
        "MUST",
        "The receiving server MUST ensure that the htm claim matches the HTTP method of the current request.",
        (
            f"{BROKEN}[8: another method]",
            f"{BROKEN}[8: the method in lower case]",
            f"{REQUESTS}::test_the_method_is_that_of_the_wire",
        ),
    ),
    Row(
        "4.3",
        "MUST",
        "The receiving server MUST ensure that the htu claim matches the HTTP URI value for the HTTP request, ignoring any query "
        "and fragment parts.",
        (
            f"{BROKEN}[9: another path]",
            f"{BROKEN}[9: the path in another case]",
            f"{BROKEN}[9: another host]",
            f"{BROKEN}[9: another scheme]",
            f"{BROKEN}[9: another port]",
            f"{BROKEN}[9: a path alone]",
            f"{REQUESTS}::test_host_and_forwarded_headers_say_nothing",
            f"{REQUESTS}::test_the_path_of_the_request_is_compared_decoded",
            f"{REQUESTS}::test_a_script_name_belongs_to_the_path",
            f"{URIS}::test_query_and_fragment_do_not_count",
            f"{URIS}::test_two_addresses_differ",
        ),
    ),
    Row(
        "4.3",
        "MUST",
        "If the server provided a nonce value to the client, it MUST ensure that the nonce claim matches the server-provided "
        "nonce value.",
        (
            f"{NONCES}::test_a_required_nonce_is_demanded_and_then_good",
            f"{NONCES}::test_anything_else_is_not_accepted",
            f"{NONCES}::test_an_optional_nonce_is_offered_and_not_demanded",
        ),
        OPTIONAL,
    ),
    Row(
        "4.3",
        "MUST",
        "The receiving server MUST ensure that the creation time of the JWT, as determined by iat, is within an acceptable "
        "window.",
        (
            f"{PROOFS}::test_a_proof_is_good_from_5_seconds_ahead_to_60_seconds_old",
            f"{BROKEN}[11: too old]",
            f"{BROKEN}[11: from the future]",
            f"{BROKEN}[11: a string]",
        ),
    ),
    Row(
        "4.3",
        "MUST",
        "The protected resource MUST ensure that the value of the ath claim equals the hash of that access token.",
        (f"{BROKEN}[12: of another token]", f"{REQUESTS}::test_a_proof_of_another_key_or_token_is_refused"),
    ),
    Row(
        "4.3",
        "MUST",
        "The protected resource MUST confirm that the public key to which the access token is bound matches the public key from "
        "the DPoP proof.",
        (f"{BROKEN}[12: by another key]", f"{REQUESTS}::test_a_proof_of_another_key_or_token_is_refused"),
    ),
    Row(
        "4.3",
        "SHOULD",
        "Servers SHOULD employ syntax-based normalization and scheme-based normalization before comparing the htu claim.",
        (
            f"{URIS}::test_two_spellings_of_one_address_are_equal",
            f"{URIS}::test_a_path_equals_itself_in_any_percent_encoding",
        ),
    ),
    Row(
        "6",
        "MUST",
        "Resource servers MUST be able to reliably identify whether an access token is DPoP-bound and ascertain sufficient "
        "information to verify the binding to the public key of the DPoP proof.",
        (
            f"{REQUESTS}::test_a_bound_token_passes_with_a_new_proof_each_time",
            f"{REQUESTS}::test_all_members_of_cnf_must_hold",
            OPAQUE,
            "tests/introspection/test_answers.py::test_an_answer[DPoP without the key]",
        ),
    ),
    Row(
        "6",
        "MUST",
        "Resource servers supporting DPoP MUST ensure that the public key from the DPoP proof matches the one bound to the "
        "access token.",
        (f"{REQUESTS}::test_a_proof_of_another_key_or_token_is_refused", OPAQUE),
    ),
    Row(
        "6.1",
        "MUST",
        "The value of the jkt member MUST be the base64url encoding of the JWK SHA-256 Thumbprint of the DPoP public key.",
        (f"{PROOFS}::test_the_example_of_the_rfc_passes", f"{CLAIMS}::test_a_key_that_is_no_thumbprint_is_refused"),
    ),
    Row(
        "7",
        "MUST",
        "Requests to DPoP-protected resources MUST include both a DPoP proof and the access token.",
        (f"{REQUESTS}::test_without_a_proof_or_with_two_it_is_refused", OPAQUE),
    ),
    Row(
        "7",
        "MUST",
        "The DPoP proof MUST include the ath claim with a valid hash of the associated access token.",
        (f"{BROKEN}[3: no ath]", f"{REQUESTS}::test_another_token_on_the_same_request_object_is_judged_with_the_proof"),
    ),
    Row(
        "7.1",
        "MUST",
        "A resource server MUST check that a DPoP proof was also received in the DPoP header field of the HTTP request, check it "
        "according to the rules in section 4.3, and check that its public key matches the one to which the access token is bound.",
        (
            f"{REQUESTS}::test_a_bound_token_passes_with_a_new_proof_each_time",
            f"{REQUESTS}::test_without_remembered_tokens_it_is_the_same",
            f"{REQUESTS}::test_a_bearer_token_does_not_pass_as_dpop",
            OPAQUE,
        ),
    ),
    Row(
        "7.1",
        "MUST NOT",
        "The resource server MUST NOT grant access to the resource unless all checks are successful.",
        (
            BROKEN,
            f"{REQUESTS}::test_the_store_down_lets_nothing_pass",
            f"{REQUESTS}::test_a_cache_that_keeps_nothing_lets_nothing_pass",
            f"{REQUESTS}::test_off_refuses_tokens_that_are_bound_to_a_key",
            f"{REQUESTS}::test_a_bound_token_outside_a_request_is_refused",
        ),
    ),
    Row(
        "7.1",
        "MUST NOT",
        "This authentication scheme MUST NOT be used with the Proxy-Authenticate or Proxy-Authorization header fields.",
        (f"{REQUESTS}::test_credentials_for_a_proxy_are_not_read",),
    ),
    Row(
        "7.1",
        "SHOULD",
        "An error parameter SHOULD be included to indicate the reason why the request was declined.",
        (
            f"{CHALLENGES}::test_an_error_of_dpop_stands_in_the_challenge_of_dpop",
            f"{CHALLENGES}::test_an_invalid_token_under_dpop_is_told_under_dpop",
        ),
    ),
    Row(
        "7.1",
        "SHOULD",
        "An algs parameter SHOULD be included to signal to the client the JWS algorithms that are acceptable for the DPoP proof "
        "JWT.",
        (
            f"{CHALLENGES}::test_without_credentials_both_schemes_are_offered",
            f"{CHALLENGES}::test_required_offers_dpop_alone_and_off_bearer_alone",
        ),
    ),
    Row(
        "7.2",
        "MUST",
        "A protected resource supporting both the DPoP and Bearer schemes MUST reject a DPoP-bound access token received as a "
        "bearer token.",
        (
            f"{REQUESTS}::test_a_stolen_token_is_worth_nothing_as_bearer",
            "tests/edges/test_seen_tokens.py::test_a_bound_token_is_refused_each_time_it_comes_as_a_bearer_token",
            OPAQUE,
        ),
    ),
    Row(
        "7.2",
        "SHOULD NOT",
        "If no authentication information has been included with the request, then the challenges SHOULD NOT include an error "
        "code or other error information.",
        (f"{CHALLENGES}::test_without_credentials_both_schemes_are_offered",),
    ),
    Row(
        "7.2",
        "SHOULD",
        "If the mechanism used to attempt authentication could be established unambiguously, then the corresponding challenge "
        "SHOULD be used to deliver error information.",
        (
            f"{CHALLENGES}::test_an_invalid_token_under_dpop_is_told_under_dpop",
            f"{CHALLENGES}::test_a_bound_token_as_bearer_is_told_under_bearer",
            f"{CHALLENGES}::test_a_missing_scope_is_told_under_the_scheme_of_the_request",
        ),
    ),
    Row(
        "8",
        "MUST",
        "Nonce values MUST be unpredictable.",
        (
            f"{NONCES}::test_the_nonce_of_another_project_is_not_accepted",
            f"{NONCES}::test_a_nonce_lives_for_two_periods_and_is_known_to_each_process",
        ),
    ),
    Row(
        "8",
        "MUST NOT",
        "There MUST NOT be more than one DPoP-Nonce header.",
        (f"{CHALLENGES}::test_the_nonce_is_demanded_with_the_answer_that_brings_it",),
    ),
    Row(
        "8",
        "MUST",
        "If the nonce claim in the DPoP proof does not exactly match a nonce recently supplied by the server to the client, the "
        "server MUST reject the request.",
        (
            f"{NONCES}::test_anything_else_is_not_accepted",
            f"{CHALLENGES}::test_the_nonce_is_demanded_with_the_answer_that_brings_it",
            f"{NONCES}::test_a_nonce_lives_for_two_periods_and_is_known_to_each_process",
        ),
    ),
    Row(
        "11.1",
        "MUST",
        "Servers MUST only accept DPoP proofs for a limited time after their creation.",
        (
            f"{PROOFS}::test_a_proof_is_good_from_5_seconds_ahead_to_60_seconds_old",
            f"{BROKEN}[11: too old]",
            "tests/bound/test_used_proofs.py::test_an_entry_outlives_every_proof",
            f"{REQUESTS}::test_a_replayed_proof_is_refused",
        ),
    ),
    Row(
        "11.3",
        "MUST NOT",
        "A server MUST NOT accept any DPoP proofs without the nonce claim when a DPoP nonce has been provided to the client.",
        (
            f"{NONCES}::test_a_required_nonce_is_demanded_and_then_good",
            f"{NONCES}::test_an_optional_nonce_is_offered_and_not_demanded",
            f"{CHALLENGES}::test_optional_offers_and_off_does_not",
        ),
        OPTIONAL,
    ),
    Row(
        "11.5",
        "MUST",
        "Servers accepting signed DPoP proof JWTs MUST verify that the typ field is dpop+jwt in the headers of the JWTs.",
        (f"{BROKEN}[4: another typ]", f"{BROKEN}[4: no typ]"),
    ),
    Row(
        "11.6",
        "MUST",
        "Implementers MUST ensure that only asymmetric digital signature algorithms that are deemed secure can be used for "
        "signing DPoP proofs.",
        (f"{PROOFS}::test_each_algorithm_signs_a_proof", f"{PROOFS}::test_a_secret_is_no_key"),
    ),
    Row("11.6", "MUST NOT", "The algorithm none MUST NOT be allowed.", (f"{BROKEN}[5: none]",)),
)
