"""RFC 9728: OAuth 2.0 Protected Resource Metadata.

29 sentences read. Left out: demands on clients, which read and check the metadata (sections 3.3, 6, 7.3), and on members
that are not published: keys of the resource, signed metadata, texts for people (sections 2, 2.1, 2.2). TLS between client
and API is the deployment's; the addresses in the metadata are https.
"""

from tests.conformance.rows import Row

CHALLENGES = "tests/edges/test_challenges.py"
METADATA = "tests/test_metadata.py"
DOCUMENTS = f"{METADATA}::test_the_documents_are_those_and_no_other"
ELSEWHERE = (
    "An identifier of another origin, such as those of Auth0, which are names, is published below PUBLIC_ORIGIN; clients that "
    "check it by RFC 9728 section 3.3 refuse it, and RESOURCE names an identifier that they accept."
)

ROWS: tuple[Row, ...] = (
    Row(
        "2",
        "REQUIRED",
        "The member resource is REQUIRED: the protected resource's resource identifier, a URL that uses the https scheme and has "
        "no fragment component.",
        (
            DOCUMENTS,
            f"{METADATA}::test_each_problem_has_an_id[a resource over http]",
            f"{METADATA}::test_each_problem_has_an_id[a resource with a fragment]",
            f"{METADATA}::test_each_problem_has_an_id[a resource that is no address]",
        ),
    ),
    Row(
        "2",
        "RECOMMENDED",
        "The member scopes_supported, a JSON array containing a list of scope values, is RECOMMENDED.",
        (f"{METADATA}::test_scopes_are_gathered_from_views_of_every_kind", f"{DOCUMENTS}[sync-scopes of the setting]"),
    ),
    Row(
        "3",
        "MUST",
        "Protected resources supporting metadata MUST make a JSON document containing metadata available at a URL formed by "
        "inserting a well-known URI string into the protected resource's resource identifier between the host component and the "
        "path.",
        (DOCUMENTS, f"{METADATA}::test_a_document_that_is_not_served_is_a_warning"),
        ELSEWHERE,
    ),
    Row(
        "3",
        "MUST",
        'The well-known URI path suffix used MUST be registered in the "Well-Known URIs" registry.',
        (DOCUMENTS,),
    ),
    Row(
        "3",
        "MUST",
        "An OAuth 2.0 application using this specification MUST specify what well-known URI suffix it will use for this purpose.",
        (f"{CHALLENGES}::test_without_a_token_the_challenge_names_the_metadata_and_the_scope", DOCUMENTS),
    ),
    Row(
        "3.1",
        "MUST",
        "A protected resource metadata document MUST be queried using an HTTP GET request.",
        (DOCUMENTS, f"{METADATA}::test_other_methods_are_405", f"{METADATA}::test_head_is_get_without_a_body"),
    ),
    Row(
        "3.1",
        "MUST",
        "If the resource identifier value contains a path or query component, any terminating slash following the host component "
        "MUST be removed before inserting /.well-known/ and the well-known URI path suffix.",
        (f"{DOCUMENTS}[sync-nor with a slash alone]", f"{DOCUMENTS}[sync-the path of the audience is appended]"),
    ),
    Row(
        "3.2",
        "MUST",
        "A successful response MUST use the 200 OK HTTP status code and return a JSON object using the application/json content "
        "type.",
        (DOCUMENTS, f"{METADATA}::test_a_client_with_an_old_token_reads_the_document"),
    ),
    Row(
        "3.2",
        "MUST",
        "Parameters with zero values MUST be omitted from the response.",
        (
            f"{DOCUMENTS}[sync-issuers of a function cannot be listed]",
            f"{METADATA}::test_without_views_that_demand_a_scope_the_member_is_left_out",
            "tests/bound/test_challenges.py::test_the_metadata_say_what_is_accepted",
        ),
    ),
    Row(
        "3.3",
        "MUST",
        "The resource value returned MUST be identical to the resource identifier value into which the well-known URI path "
        "suffix was inserted to create the URL used to retrieve the metadata.",
        (DOCUMENTS, f"{METADATA}::test_the_host_of_a_request_decides_nothing"),
        ELSEWHERE,
    ),
    Row(
        "3.3",
        "MUST",
        "If the metadata was retrieved from a URL returned via the WWW-Authenticate resource_metadata parameter, then the resource "
        "value returned MUST be identical to the URL that the client used to make the request to the resource server.",
        (
            f"{CHALLENGES}::test_of_several_resources_the_challenge_names_the_one_of_the_path",
            f"{DOCUMENTS}[sync-several resources]",
        ),
        "One document stands for all addresses below its identifier, so for a deeper address the values differ; RFC 9728 section "
        "3.1 derives a document from an identifier, and not from each address.",
    ),
    Row(
        "7.1",
        "MUST",
        "Implementations MUST support TLS.",
        (
            f"{METADATA}::test_each_problem_has_an_id[an origin over http]",
            f"{METADATA}::test_an_http_origin_on_loopback_is_for_development",
        ),
    ),
)
