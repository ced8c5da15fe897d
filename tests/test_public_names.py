"""The names that users may rely on; a change here is a change for them."""

import ast
from importlib import import_module
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "resource_server"
NAMES = {
    "resource_server": [
        "AccessToken",
        "AuthorizationError",
        "TokenUser",
        "aauthenticate",
        "arevoke",
        "auth0_issuer",
        "authenticate",
        "averify",
        "error_response",
        "requires",
        "requires_any_scope",
        "requires_scope",
        "requires_token",
        "revoke",
        "verify",
    ],
    "resource_server.drf": [
        "AccessTokenAuthentication",
        "AuthorizationFailed",
        "RequirementMixin",
        "Requires",
        "RequiresAnyScope",
        "RequiresScope",
        "arequire",
        "reads_tokens_first",
        "require",
    ],
    "resource_server.middleware": ["AccessTokenMiddleware"],
    "resource_server.errors": [
        "AuthorizationError",
        "InsufficientScope",
        "InsufficientUserAuthentication",
        "InvalidLogoutToken",
        "InvalidProof",
        "InvalidRequest",
        "InvalidToken",
        "NoCredentials",
        "NonceNeeded",
        "Rejected",
        "Unavailable",
        "reasons",
    ],
    "resource_server.channels": ["AccessTokenWebSocketMiddleware"],
    "resource_server.ninja": ["AccessRefused", "AccessToken", "AccessTokenAPI"],
    "resource_server.requirements": [
        "Actor",
        "And",
        "AnyOrganisation",
        "AnyScope",
        "AnyToken",
        "AuthenticationContext",
        "AuthorizationDetail",
        "Claim",
        "Client",
        "Groups",
        "Issuer",
        "Machine",
        "Not",
        "Operation",
        "Or",
        "Organisation",
        "Owner",
        "PerAction",
        "PerMethod",
        "Permissions",
        "Person",
        "Requirement",
        "Roles",
        "Scopes",
        "requirement_of",
        "requirement_of_scopes",
    ],
    "resource_server.throttles": ["ClientThrottle", "IssuerThrottle", "SubjectThrottle"],
    "resource_server.logout": ["backchannel_logout"],
    "resource_server.explain": ["Explanation", "Fact", "Sent", "Step", "explain"],
    "resource_server.signals": [
        "key_added",
        "key_fetch_failed",
        "key_fetch_started",
        "key_withdrawn",
        "keys_refreshed",
        "keys_served_stale",
        "token_accepted",
        "token_rejected",
        "user_provisioned",
    ],
    "resource_server.testing": ["FakeIssuer", "ProofKey"],
}


@pytest.mark.parametrize("module", NAMES)
def test_the_public_names_are_these(module):
    assert sorted(import_module(module).__all__) == NAMES[module]


@pytest.mark.parametrize("name", ["AccessTokenAuthentication", "AuthorizationFailed"])
def test_a_class_of_rest_framework_goes_by_its_public_address(name):
    assert getattr(import_module("resource_server.drf"), name).__module__ == "resource_server.drf"


@pytest.mark.parametrize("path", sorted(SOURCE.rglob("*.py")), ids=lambda path: str(path.relative_to(SOURCE)))
def test_every_module_says_what_it_is_for(path):
    if "migrations" not in path.parts:
        assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
