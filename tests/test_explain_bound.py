"""`manage.py resource_server explain` for bound and opaque tokens: what they are bound to, and the check that fails."""

import io
import sys
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import pytest
from django.core.cache import cache
from django.core.management import CommandError, call_command
from django.test import Client, override_settings
from django.urls import set_script_prefix
from pytest_django import Settings
from tests.test_explain import exit_status

from resource_server.explain import explain
from resource_server.testing import FakeIssuer, ProofKey

Command: TypeAlias = Callable[..., tuple[object, list[str]]]

URL = "https://api.test/plain"
BOUND = {"DPOP": "allowed", "PUBLIC_ORIGIN": "https://api.test", "CACHE": "default"}
X5T = "A" * 43


@pytest.fixture
def issuer(settings: Settings) -> Iterator[FakeIssuer]:
    issuer = FakeIssuer(algorithm="ES256")
    settings.ROOT_URLCONF = "tests.bound.views"
    settings.RESOURCE_SERVER = issuer.settings(**BOUND)
    with issuer.serving():
        yield issuer


@pytest.fixture(scope="module")
def key() -> ProofKey:
    return ProofKey()


@pytest.fixture
def token(issuer: FakeIssuer, key: ProofKey) -> str:
    return issuer.token(scope="read", cnf=key.confirmation)


@pytest.fixture
def command(issuer: FakeIssuer, monkeypatch: pytest.MonkeyPatch) -> Command:
    def run(*lines: str, **options: str) -> tuple[object, list[str]]:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("\n".join(lines).encode())))
        out = io.StringIO()
        status = exit_status(lambda: call_command("resource_server", "explain", stdout=out, no_color=True, **options))
        shown = out.getvalue()
        assert not any(part in shown for line in lines for part in line.split() if len(part) > 100)
        return status, shown.splitlines()

    return run


def proof_lines(lines: list[str]) -> list[str]:
    """What the command says of the proof, without the indentation."""
    (start,) = [number for number, line in enumerate(lines) if line.endswith(" proof (RFC 7800 section 3)")]
    ends = next(number for number in range(start + 1, len(lines)) if not lines[number].startswith(" " * 14))
    return [line.strip() for line in lines[start:ends]]


@pytest.mark.parametrize("sent", ["{}", "DPoP {}", "Authorization: DPoP {}"])
def test_without_a_proof_it_says_what_the_token_is_bound_to(
    command: Command, key: ProofKey, token: str, sent: str
) -> None:
    status, lines = command(sent.format(token))
    assert proof_lines(lines) == [
        "not run     proof (RFC 7800 section 3)",
        f"the token is bound to the key with the thumbprint {key.confirmation['jkt']}",
        "a request brings a proof of this key: give it in a second line, with --path and --method",
    ]
    assert (status, lines[-1]) == (
        0,
        "Verdict: the token is good for a request with its proof; a view may still demand scopes",
    )
    status, lines = command(token, path="/plain")
    assert (
        lines[-1] == "Verdict: the token is good for a request with its proof, and no demand that was judged refuses it"
    )


def test_under_bearer_it_is_refused(command: Command, token: str) -> None:
    for sent in (f"Bearer {token}", f"authorization: bearer {token}"):
        status, lines = command(sent)
        assert (status, lines[-1]) == (1, "Verdict: a request is answered 401, token_bound_to_key")


@pytest.mark.parametrize("proof_line", ["{}", "DPoP: {}", "dpop: {}", '"DPoP": "{}"', "\n\n  {}  \n"])
def test_a_good_proof_passes_and_stays_unused(command: Command, key: ProofKey, token: str, proof_line: str) -> None:
    cache.clear()
    headers = key.headers("GET", URL, token)
    for _ in range(2):
        status, lines = command(token, proof_line.format(headers["DPoP"]), path="/plain")
        assert proof_lines(lines)[0].startswith("ok ")
        assert proof_lines(lines)[2].startswith("a request marks the proof as used")
        assert lines[-1] == "Verdict: the token is good, and no demand that was judged refuses it"
        assert status == 0
    assert Client().get("/plain", headers=headers).status_code == 200
    assert Client().get("/plain", headers=headers).json()["reason"] == "proof_replayed"


def test_the_lines_may_stand_in_the_other_order(command: Command, key: ProofKey, token: str) -> None:
    headers = key.headers("GET", URL, token)
    lines = [f"{name}: {value}" for name, value in reversed(headers.items())]
    assert lines[0].startswith("DPoP: ")
    assert command(*lines, path="/plain")[0] == 0


# A change to a good proof -> the reason, which is that of a request.
PROOFS: dict[str, tuple[dict[str, Any], str]] = {
    "htm": ({"htm": "POST"}, "proof_method_differs"),
    "htu": ({"htu": "https://api.test/rest"}, "proof_url_differs"),
    "iat": ({"iat": 1}, "proof_not_current"),
    "ath": ({"ath": "x"}, "proof_token_differs"),
    "jti": ({"jti": ""}, "proof_jti_malformed"),
    "typ": ({"header": {"typ": "JWT"}}, "proof_type_differs"),
    "alg": ({"header": {"alg": "HS256"}}, "proof_alg_not_allowed"),
    "jwk": ({"header": {"jwk": {"kty": "EC"}}}, "proof_key_malformed"),
    "another key": ({"header": {"jwk": ProofKey().jwk}}, "proof_key_differs"),
}


@pytest.mark.parametrize(("changes", "reason"), PROOFS.values(), ids=PROOFS)
def test_the_check_that_fails_is_named(
    command: Command, key: ProofKey, token: str, changes: dict[str, Any], reason: str
) -> None:
    proof = key.proof("GET", URL, token, **changes)
    status, lines = command(token, proof, path="/plain")
    assert proof_lines(lines)[0].startswith("refused ")
    assert any(line.startswith(f"{reason}: ") for line in proof_lines(lines))
    assert (status, lines[-1]) == (1, f"Verdict: a request is answered 401, {reason}")
    headers = {"Authorization": f"DPoP {token}", "DPoP": proof}
    assert Client().get("/plain", headers=headers).json()["reason"] == reason


def test_the_method_and_the_prefix_belong_to_the_request(command: Command, key: ProofKey, token: str) -> None:
    proof = key.proof("POST", URL, token)
    assert command(token, proof, path="/plain", method="post")[0] == 0
    assert command(token, proof, path="/plain")[1][-1].endswith("proof_method_differs")
    try:
        set_script_prefix("/prefix/")
        proof = key.proof("GET", "https://api.test/prefix/plain", token)
        assert command(token, proof, path="/plain")[0] == 0
    finally:
        set_script_prefix("/")


def test_a_proof_needs_the_path_of_its_request(command: Command, key: ProofKey, token: str) -> None:
    with pytest.raises(CommandError, match="give its --path"):
        command(token, key.proof("GET", URL, token))


def test_two_proofs_and_a_nonce(command: Command, issuer: FakeIssuer, key: ProofKey, token: str) -> None:
    proofs = [key.proof("GET", URL, token) for _ in range(2)]
    assert command(token, *proofs, path="/plain")[1][-1].endswith("proof_repeated")
    with override_settings(RESOURCE_SERVER=issuer.settings(**BOUND, DPOP_NONCE="required")):
        assert command(token, proofs[0], path="/plain")[1][-1].endswith("401, nonce_missing")


def test_a_bearer_token_with_a_proof_is_refused(command: Command, issuer: FakeIssuer, key: ProofKey) -> None:
    bearer = issuer.token(scope="read")
    assert command(bearer, path="/plain")[0] == 0
    for sent in (bearer, f"DPoP {bearer}"):
        assert command(sent, key.proof("GET", URL, bearer), path="/plain")[1][-1].endswith("token_not_bound")
    assert command(f"DPoP {bearer}")[1][-1].endswith("token_not_bound")
    with override_settings(RESOURCE_SERVER=issuer.settings(**{**BOUND, "DPOP": "required"})):
        assert command(bearer)[1][-1].endswith("token_not_bound")


def test_a_certificate_is_named_and_assumed(command: Command, issuer: FakeIssuer, key: ProofKey) -> None:
    status, lines = command(issuer.token(scope="read", cnf={"x5t#S256": X5T}), path="/plain")
    assert proof_lines(lines) == [
        "not run     proof (RFC 7800 section 3)",
        f"the token is bound to the certificate with the SHA-256 digest {X5T}",
        "a request brings this certificate; here it is assumed",
    ]
    assert (status, "for a request with its proof" in lines[-1]) == (0, True)
    both = issuer.token(scope="read", cnf={"x5t#S256": X5T, **key.confirmation})
    status, lines = command(both, key.proof("GET", URL, both), path="/plain")
    assert proof_lines(lines)[1].count("the certificate with") == proof_lines(lines)[1].count("the key with") == 1
    assert (status, proof_lines(lines)[0][:3]) == (0, "ok ")
    assert command(both, key.proof("GET", URL, both, iat=1), path="/plain")[0] == 1


def test_where_dpop_is_off_a_bound_token_is_refused_by_the_rule(
    command: Command, settings: Settings, issuer: FakeIssuer, token: str
) -> None:
    settings.RESOURCE_SERVER = issuer.settings()
    assert command(token)[1][-1].endswith("401, proof_not_supported")


def test_the_view_is_judged_by_the_rights_of_a_bound_token(command: Command, issuer: FakeIssuer, key: ProofKey) -> None:
    token = issuer.token(cnf=key.confirmation)
    status, lines = command(token, key.proof("GET", URL, token), path="/plain")
    assert (status, lines[-1].partition(":")[2].split()[4:6]) == (1, ["403,", "scope_missing:"])


# Opaque tokens


def test_without_introspection_it_says_why_an_opaque_token_cannot_be_read(command: Command) -> None:
    _, lines = command("an-opaque-token")
    position = lines.index("  refused     signed JWT (RFC 7515 section 3.1)")
    assert lines[position + 1].strip().startswith("the form and the settings decide the kind of a token")
    assert lines[-1].endswith("401, token_malformed")
    assert not any("decide the kind" in line for line in command("e30.e30.AAAA")[1])


def test_with_introspection_the_issuer_is_asked(
    command: Command, issuer: FakeIssuer, settings: Settings, key: ProofKey
) -> None:
    settings.RESOURCE_SERVER = issuer.settings(**BOUND, INTROSPECTION=issuer.introspection(FOR="all"))
    token = issuer.opaque_token(scope="read", cnf=key.confirmation)
    status, lines = command(token, key.proof("GET", URL, token), path="/plain")
    position = lines.index("  ok          introspection (RFC 7662 section 2.2)")
    assert lines[position + 1].strip() == "INTROSPECTION: https://issuer.test/ is asked about an opaque token"
    assert (status, proof_lines(lines)[0][:3]) == (0, "ok ")
    assert issuer.introspection_endpoint in issuer.fetched
    assert any("is asked about this JWT" in line for line in command(issuer.token())[1])
    issuer.revoke(token)
    status, lines = command(token, key.proof("GET", URL, token), path="/plain")
    assert (status, lines[-1]) == (1, "Verdict: a request is answered 401, token_inactive")
    assert explain(token).token is None


def test_of_several_issuers_none_is_asked_about_an_opaque_token(
    command: Command, issuer: FakeIssuer, settings: Settings
) -> None:
    other = FakeIssuer("https://other.test/", algorithm="ES256")
    entries = [each.settings(INTROSPECTION=each.introspection(FOR="all")) for each in (issuer, other)]
    settings.RESOURCE_SERVER = {"ISSUERS": entries}
    assert any("decide the kind" in line for line in command("an-opaque-token")[1])
