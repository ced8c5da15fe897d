"""`explain` and `manage.py resource_server explain`: every step of the verification, and the verdict of a request."""

import base64
import io
import json
import string
import sys
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import pytest
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command
from django.db import OperationalError
from django.http import HttpRequest
from pytest_django import Settings
from tests.docs.pages import ROOT
from tests.tokens.test_forged_tokens import DOCUMENTS, DUPLICATES, FORMS, HOPELESS
from tests.tokens.test_rules import LONG_KID, OTHER_ISSUER, ROWS, Row

from resource_server.accounts.models import Account
from resource_server.authentication import authenticate, verify
from resource_server.devissuer.signing import SigningKeys
from resource_server.errors import AuthorizationError, InvalidToken
from resource_server.explain import Explanation, Step, explain
from resource_server.reasons import TokenReason
from resource_server.testing import FakeIssuer
from resource_server.tokens.facts import MAX_SHOWN_CHARACTERS
from resource_server.tokens.rules import RULES

SETTING_OF = {"algorithms": "ALGORITHMS", "token_types": "TOKEN_TYPE"}
# Runs the command with standard input; gives its exit status and the lines of its output.
Command: TypeAlias = Callable[..., tuple[object, list[str]]]
LISTED = FakeIssuer("https://tenant.test/", algorithm="ES256")


@pytest.fixture
def issuer(settings: Settings) -> Iterator[FakeIssuer]:
    issuer = FakeIssuer(algorithm="ES256")
    settings.RESOURCE_SERVER = issuer.settings()
    with issuer.serving():
        yield issuer


def refusal_of(call: Callable[[], object]) -> str | None:
    try:
        call()
    except AuthorizationError as error:
        return error.reason
    return None


def verdict(explanation: Explanation) -> str | None:
    return explanation.refusal.reason if explanation.refusal is not None else None


def agreed(token: str) -> str | None:
    """The verdict of `explain`, which must be that of `verify`, whichever is asked first."""
    found = verdict(explain(token))
    assert refusal_of(lambda: verify(token)) == found
    assert verdict(explain(token)) == found
    return found


def request_with(token: str) -> HttpRequest:
    request = HttpRequest()
    request.META["HTTP_AUTHORIZATION"] = f"Bearer {token}"
    return request


def step(explanation: Explanation, name: str) -> Step:
    (found,) = [step for step in explanation.steps if step.name == name]
    return found


# All steps


def test_a_good_token_passes_every_step(issuer: FakeIssuer) -> None:
    explanation = explain(issuer.token())
    assert {step.outcome for step in explanation.steps} == {"ok"}
    assert explanation.refusal is None
    assert agreed(issuer.token()) is None


def test_the_rules_are_those_of_the_one_list(issuer: FakeIssuer) -> None:
    steps = explain(issuer.token()).steps
    names = [step.name for step in steps]
    assert len(set(names)) == len(names)
    listed = [(step.name, step.source) for step in steps]
    assert listed[4:-4] == [(rule.name, rule.source) for rule in RULES]


def test_it_goes_on_after_a_refusal(issuer: FakeIssuer) -> None:
    explanation = explain(issuer.token(header={"typ": "JWT"}, exp=1, aud="https://other.test/"))
    refused = [step.reason for step in explanation.steps if step.outcome == "refused"]
    assert refused == ["typ_not_accepted", "token_expired", "audience_not_accepted"]
    assert verdict(explanation) == "typ_not_accepted"
    assert step(explanation, "signature").outcome == "ok"
    assert step(explanation, "user").outcome == "not run"


def test_a_refusal_has_its_message_its_remedy_and_its_status(issuer: FakeIssuer) -> None:
    found = explain(issuer.token(exp=1)).refusal
    assert found is not None
    assert found.reason is not None
    assert (found.name, found.status, found.reason.message) == ("expiry", 401, "access token has expired")
    assert found.reason.remedy


# The verdict is that of `verify`


@pytest.mark.parametrize("row", [row for name, row in ROWS.items() if name not in ("issuer", "key identifier")])
def test_what_one_rule_alone_refuses(issuer: FakeIssuer, settings: Settings, row: Row) -> None:
    changes = {SETTING_OF[name]: list(value) for name, value in row.policy.items()}
    settings.RESOURCE_SERVER = issuer.settings(**changes)
    token = row.token(issuer, issuer.claims()["iat"])
    assert agreed(token) == row.reason
    refused = [step.name for step in explain(token).steps if step.reason is not None]
    assert [name for name in refused if name in ROWS] == refused[:1]


@pytest.mark.parametrize(("claims", "header", "reason"), HOPELESS.values(), ids=HOPELESS)
def test_what_is_hopeless(issuer: FakeIssuer, claims: dict[str, Any], header: dict[str, Any], reason: str) -> None:
    assert agreed(issuer.token(header=header, **claims)) == reason


@pytest.mark.parametrize("token", [token for token, _ in FORMS.values()], ids=FORMS)
def test_what_is_not_a_compact_jws(issuer: FakeIssuer, token: str) -> None:
    assert agreed(token) is not None
    assert {step.outcome for step in explain(token).steps[3:]} == {"not run"}
    assert explain(token).facts == ()


@pytest.mark.parametrize("document", DOCUMENTS.values(), ids=DOCUMENTS)
def test_what_is_not_one_json_object(issuer: FakeIssuer, document: bytes) -> None:
    header = {"alg": "ES256", "kid": issuer.keys.current_kid, "typ": "at+jwt"}
    good = [json.dumps(part).encode() for part in (header, issuer.claims())]
    for position, reason in ((0, "header_malformed"), (1, "payload_malformed")):
        parts = list(good)
        parts[position] = document.replace(b"%s", good[position])
        assert agreed(issuer.keys.sign_parts(*parts)) == reason


@pytest.mark.parametrize(("position", "member"), DUPLICATES.values(), ids=DUPLICATES)
def test_a_name_that_stands_twice(issuer: FakeIssuer, position: int, member: bytes) -> None:
    header = {"alg": "ES256", "kid": issuer.keys.current_kid, "typ": "at+jwt"}
    parts = [json.dumps(part).encode() for part in (header, issuer.claims())]
    parts[position] = b"{" + member + parts[position][1:]
    assert agreed(issuer.keys.sign_parts(*parts)) == ("header_malformed", "payload_malformed")[position]


def other_signature(issuer: FakeIssuer) -> str:
    signed, _, signature = issuer.token().rpartition(".")
    return f"{signed}.{'B' if signature[0] == 'A' else 'A'}{signature[1:]}"


def other_claims(issuer: FakeIssuer) -> str:
    return ".".join((*issuer.token(sub="admin").split(".")[:2], issuer.token().rpartition(".")[2]))


FORGERIES: dict[str, tuple[Callable[[FakeIssuer], str], str]] = {
    "another signature": (other_signature, "signature_invalid"),
    "other claims": (other_claims, "signature_invalid"),
    "another key": (
        lambda issuer: SigningKeys("ES256").sign(issuer.claims(), header={"kid": issuer.keys.current_kid}),
        "signature_invalid",
    ),
    "an unknown kid": (lambda issuer: issuer.token(header={"kid": "unknown"}), "key_unknown"),
    "a long kid": (lambda issuer: issuer.token(header={"kid": LONG_KID}), "kid_malformed"),
    "alg none": (lambda issuer: issuer.token(header={"alg": "none"}), "alg_not_allowed"),
    "an alg that is a list": (lambda issuer: issuer.token(header={"alg": ["ES256"]}), "alg_not_allowed"),
    "a kid that is a list": (lambda issuer: issuer.token(header={"kid": ["a"]}), "kid_malformed"),
    "another alg of ours": (lambda issuer: issuer.token(header={"alg": "RS256"}), "key_unknown"),
    "an iss that is a list": (lambda issuer: issuer.token(iss=[issuer.issuer]), "iss_malformed"),
    "nothing": (lambda issuer: issuer.keys.sign({}), "iss_missing"),
    "all wrong at once": (
        lambda issuer: issuer.token(
            header={"typ": 1, "kid": {}, "alg": None},
            aud=[[]], exp=True, nbf="x", iat=-1, sub={}, client_id=1, jti=[], scope=1,
            cnf=[],
        ),
        "alg_not_allowed",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("forge", "reason"), FORGERIES.values(), ids=FORGERIES)
def test_a_forgery(issuer: FakeIssuer, forge: Callable[[FakeIssuer], str], reason: str) -> None:
    assert agreed(forge(issuer)) == reason


def test_a_token_without_kid_where_two_keys_fit(issuer: FakeIssuer) -> None:
    issuer.keys.rotate()
    assert agreed(issuer.token(header={"kid": None})) == "kid_missing"


# No issuer, no settings


def test_a_token_of_another_issuer_is_judged_by_the_only_policy(issuer: FakeIssuer) -> None:
    explanation = explain(issuer.token(iss=OTHER_ISSUER, aud="https://other.test/"))
    refused = {step.name: step.reason for step in explanation.steps if step.reason is not None}
    assert refused == {
        "trusted issuer": "issuer_not_trusted",
        "issuer": "issuer_not_trusted",
        "audience": "audience_not_accepted",
    }
    assert issuer.fetched == []
    assert agreed(issuer.token(iss=OTHER_ISSUER)) == "issuer_not_trusted"


def test_of_several_issuers_none_is_guessed(issuer: FakeIssuer, settings: Settings) -> None:
    settings.RESOURCE_SERVER = {"ISSUERS": [issuer.settings(), LISTED.settings()]}
    explanation = explain(issuer.token(iss=OTHER_ISSUER))
    assert step(explanation, "issuer").outcome == "not run"
    expected = {fact.name: fact.expected for fact in explanation.facts}
    assert expected["iss"] == "'https://issuer.test/' 'https://tenant.test/'"
    assert {name for name, value in expected.items() if value} == {"iss"}
    assert agreed(issuer.token(iss=OTHER_ISSUER)) == "issuer_not_trusted"
    assert agreed(issuer.token()) is None


def tenants(issuer: str) -> dict[str, Any] | None:
    return LISTED.settings(JWKS=LISTED.keys.jwks()) if issuer == LISTED.issuer else None


def test_an_issuer_of_a_function(settings: Settings) -> None:
    settings.RESOURCE_SERVER = {"ISSUERS": f"{__name__}.tenants"}
    assert agreed(LISTED.token()) is None
    assert agreed(LISTED.token(iss=OTHER_ISSUER)) == "issuer_not_trusted"


def test_an_issuer_that_cannot_be_reached(issuer: FakeIssuer) -> None:
    issuer.failure = "fetch_timeout"
    explanation = explain(issuer.token(exp=1))
    assert (step(explanation, "key").outcome, step(explanation, "key").reason) == ("unavailable", "fetch_timeout")
    assert verdict(explanation) == "token_expired"
    found = explain(issuer.token()).refusal
    assert found is not None
    assert (found.name, found.status) == ("key", 503)
    assert agreed(issuer.token()) == "fetch_timeout"


@pytest.mark.parametrize("value", [None, {}, {"ISSUER": "https://issuer.test/"}])
def test_invalid_settings(issuer: FakeIssuer, settings: Settings, value: object) -> None:
    settings.RESOURCE_SERVER = value
    explanation = explain(issuer.token())
    assert (step(explanation, "settings").outcome, step(explanation, "signed JWT").outcome) == ("unavailable", "ok")
    assert {step.outcome for step in explanation.steps[3:]} == {"not run"}
    found = {fact.name: fact.found for fact in explanation.facts}
    assert found["iss"] == "'https://issuer.test/'"
    assert agreed(issuer.token()) == "settings_invalid"
    assert agreed("opaque") == "settings_invalid"
    assert agreed("not one token") == "token_malformed"


# The user


def raises(token: object) -> object:
    raise OperationalError("the database is down")


def found_by(token: str) -> str | None:
    """The verdict of `explain`, which must be that of a request."""
    found = verdict(explain(token))
    assert refusal_of(lambda: authenticate(request_with(token))) == found
    return found


@pytest.mark.django_db
def test_the_user_is_looked_up(issuer: FakeIssuer, settings: Settings) -> None:
    settings.RESOURCE_SERVER = issuer.settings(USERS="lookup")
    assert found_by(issuer.token()) == "user_unknown"
    user = get_user_model().objects.create_user("auth0|ada")
    assert found_by(issuer.token()) is None
    user.is_active = False
    user.save()
    assert found_by(issuer.token()) == "user_inactive"


@pytest.mark.django_db
def test_a_machine_needs_no_user(issuer: FakeIssuer, settings: Settings) -> None:
    for users in ("lookup", "provision"):
        settings.RESOURCE_SERVER = issuer.settings(USERS=users)
        assert found_by(issuer.token(sub="client", client_id="client")) is None
    assert get_user_model().objects.count() == 0


@pytest.mark.django_db
def test_no_user_is_made(issuer: FakeIssuer, settings: Settings) -> None:
    settings.RESOURCE_SERVER = issuer.settings(USERS="provision")
    explanation = explain(issuer.token())
    user = step(explanation, "user")
    assert (explanation.refusal, user.outcome) == (None, "not run")
    assert user.note.startswith("a request would make this user now; ")
    assert (get_user_model().objects.count(), Account.objects.count()) == (0, 0)
    assert found_by(issuer.token()) is None
    assert Account.objects.count() == 1
    get_user_model().objects.update(is_active=False)
    assert found_by(issuer.token()) == "user_inactive"


def refuses(*_: object) -> None:
    raise InvalidToken(TokenReason.USER_NOT_STORABLE)


@pytest.mark.django_db
def test_the_command_does_not_promise_that_a_new_person_is_admitted(
    issuer: FakeIssuer, settings: Settings, command: Command
) -> None:
    users = {"FIND": "provision", "CREATE": f"{__name__}.refuses"}
    settings.RESOURCE_SERVER = issuer.settings(USERS=users)
    status, lines = command(issuer.token())
    page = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    assert status == 0
    assert "\n".join(lines[-3:]) in page
    assert refusal_of(lambda: authenticate(request_with(issuer.token()))) == "user_not_storable"


@pytest.mark.django_db
def test_the_command_says_that_update_is_not_called(issuer: FakeIssuer, settings: Settings, command: Command) -> None:
    get_user_model().objects.create_user("auth0|ada")
    settings.RESOURCE_SERVER = issuer.settings(USERS={"FIND": "lookup", "UPDATE": f"{__name__}.refuses"})
    _status, lines = command(issuer.token())
    assert lines[-3:-1] == [
        "  ok          user (USERS)",
        f"  {'':<11} a request may call UPDATE; here it is not called",
    ]
    assert "the project may still refuse the person" in lines[-1]
    machine = command(issuer.token(sub="client", client_id="client"))[1]
    assert machine[-1] == "Verdict: the token is good; a view may still demand scopes"


def test_the_database_of_users_is_down(issuer: FakeIssuer, settings: Settings) -> None:
    settings.RESOURCE_SERVER = issuer.settings(USERS=f"{__name__}.raises")
    assert found_by(issuer.token()) == "user_lookup_failed"


# The facts


def test_what_is_found_stands_beside_what_is_expected(issuer: FakeIssuer) -> None:
    facts = {fact.name: fact for fact in explain(issuer.token(header={"typ": "JWT"}, aud=["b"], nbf=True)).facts}
    assert list(facts) == ["alg", "typ", "kid", "iss", "aud", "exp", "nbf", "iat"]
    assert (facts["typ"].found, facts["typ"].expected) == ("'JWT'", "'at+jwt'")
    assert (facts["aud"].found, facts["aud"].expected) == ("['b']", "'https://api.test/'")
    assert facts["kid"].found == facts["kid"].expected == ascii(issuer.keys.current_kid)
    assert facts["nbf"].found == "True"
    assert facts["exp"].found.endswith(" UTC)")
    assert facts["exp"].expected.startswith("after 20")
    assert {fact.name: fact.found for fact in explain(issuer.token(exp=None)).facts}["exp"] == "absent"


def test_the_audience_has_the_name_that_the_settings_give_it(issuer: FakeIssuer, settings: Settings) -> None:
    settings.RESOURCE_SERVER = issuer.settings(CLAIMS={"audience": "client_id"}, AUDIENCE="the client")
    facts = {fact.name: fact for fact in explain(issuer.token(client_id="the client")).facts}
    assert facts["client_id"].found == facts["client_id"].expected == "'the client'"
    assert "aud" not in facts


@pytest.mark.parametrize("date", [10**3000, 1e300, -1, -(10**15), 0.5, "x", [], None])
def test_any_date_can_be_shown(issuer: FakeIssuer, date: object) -> None:
    claims = {**issuer.claims(), "exp": date, "nbf": date, "iat": date}
    for fact in explain(issuer.keys.sign(claims)).facts:
        assert len(fact.found) <= MAX_SHOWN_CHARACTERS


# A change to a good token -> the fact that differs, and by what.
NEAR = {
    "slash": ({"iss": "https://issuer.test"}, {"iss": "differs only by the slash at the end"}),
    "scheme": ({"iss": "http://issuer.test/"}, {"iss": "differs only by the scheme"}),
    "case": ({"aud": "https://API.test/"}, {"aud": "differs only by upper and lower case"}),
    "one of several": ({"aud": [1, "x", "https://api.test"]}, {"aud": "differs only by the slash at the end"}),
    "one is accepted": ({"aud": ["https://api.test", "https://api.test/"]}, {}),
    "another": ({"iss": "https://other.test/", "aud": "other"}, {}),
    "without a scheme": ({"aud": "api.test/"}, {}),
    "no text": ({"iss": 1, "aud": None}, {}),
    "nothing but a scheme": ({"aud": "https://"}, {}),
}


@pytest.mark.parametrize(("change", "differences"), NEAR.values(), ids=NEAR)
def test_a_small_difference_is_named(
    issuer: FakeIssuer, change: dict[str, Any], differences: dict[str, str], command: Command
) -> None:
    token = issuer.token(**change)
    facts = explain(token).facts
    assert {fact.name: fact.difference for fact in facts if fact.difference} == differences
    _status, lines = command(token)
    assert [line.partition(", ")[2] for line in lines if ", differs only" in line] == [*differences.values()]


HOSTILE = "\x1b[2J\r\n\u202egood\u00e9\x00" * 200


def test_what_a_token_claims_is_cut_and_printable(issuer: FakeIssuer) -> None:
    claims: dict[str, Any] = dict.fromkeys(("iss", "aud", "exp", "nbf", "iat"), HOSTILE)
    for token in (
        issuer.token(header={"typ": HOSTILE, "kid": HOSTILE, "alg": HOSTILE}),
        issuer.token(**claims),
        issuer.token(aud=[HOSTILE, {HOSTILE: [HOSTILE]}]),
    ):
        for fact in explain(token).facts:
            for text in (fact.found, fact.expected):
                assert len(text) <= MAX_SHOWN_CHARACTERS
                assert set(text) <= set(string.printable) - set("\x0b\x0c\r\n\t")


# The command


def exit_status(call: Callable[[], object]) -> object:
    try:
        call()
    except SystemExit as end:
        return end.code
    return 0


@pytest.fixture
def command(issuer: FakeIssuer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs the command with standard input; gives its exit status and the lines of its output."""

    def run(text: str | bytes, **options: str) -> tuple[object, list[str]]:
        data = text.encode() if isinstance(text, str) else text
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
        out = io.StringIO()
        status = exit_status(lambda: call_command("resource_server", "explain", stdout=out, no_color=True, **options))
        assert capsys.readouterr() == ("", "")
        return status, out.getvalue().splitlines()

    return run


def test_the_command_prints_each_step_and_the_verdict_last(command: Command, issuer: FakeIssuer) -> None:
    status, lines = command(issuer.token())
    assert (status, lines[-1]) == (0, "Verdict: the token is good; a view may still demand scopes")
    for rule in RULES:
        assert f"  ok          {rule.name} ({rule.source})" in lines

    status, lines = command(issuer.token(exp=1))
    assert (status, lines[-1]) == (1, "Verdict: a request is answered 401, token_expired")
    position = lines.index("  refused     expiry (RFC 7519 section 4.1.4, RFC 9068 section 4)")
    assert lines[position + 1].strip() == "token_expired: access token has expired"
    assert lines[position + 2].strip() == "Get a new token. If it is new, a clock is wrong."


def test_the_command_judges_the_token_by_a_view(command: Command, issuer: FakeIssuer, settings: Settings) -> None:
    settings.ROOT_URLCONF = "tests.edges.demanding_views"
    status, lines = command(issuer.token(scope="read"), path="/orders")
    assert (status, lines[-4:]) == (
        0,
        [
            "The view at GET /orders demands",
            "  ok          scope `read`",
            "  not judged  `OnMondays`",
            "Verdict: the token is good, and no demand that was judged refuses it",
        ],
    )
    status, lines = command(issuer.token(scope="read"), path="/orders", method="post")
    assert status == 1
    assert "  refused     role `clerk`" in lines
    assert lines[-1] == "Verdict: a request is answered 403, right_missing: access token lacks a right: role `clerk`"
    assert command(issuer.token(), path="/open")[1][-2:] == [
        "  nothing that can be read without a request",
        "Verdict: the token is good, and no demand that was judged refuses it",
    ]
    with pytest.raises(CommandError, match="no view is at '/nowhere'"):
        command(issuer.token(), path="/nowhere")
    # A token that is refused is judged by no view.
    assert command(issuer.token(exp=1), path="/nowhere")[1][-1].endswith("401, token_expired")


def test_the_command_says_when_there_is_no_verdict(command: Command, issuer: FakeIssuer) -> None:
    issuer.failure = "fetch_timeout"
    status, lines = command(issuer.token())
    assert (status, lines[-1]) == (1, "Verdict: a request is answered 503, fetch_timeout")
    assert "  unavailable key (RFC 7515 section 4.1.4)" in lines


COPIED = [
    "Authorization: Bearer {}\r\n",
    "authorization:bearer {}",
    '"Authorization: Bearer {}"',
    "'{}'",
    '"Bearer {}"\n',
    '"authorization": "Bearer {}"',
]


@pytest.mark.parametrize("pasted", ["{}", "{}\n", "  {}\r\n\n", "Bearer {}\n", "bearer  {}", *COPIED])
def test_the_command_takes_a_token_as_people_paste_it(command: Command, issuer: FakeIssuer, pasted: str) -> None:
    assert command(pasted.format(issuer.token()))[0] == 0


@pytest.mark.parametrize("data", ["", " \n", "Bearer \n"])
def test_the_command_says_that_it_has_read_nothing(command: Command, data: str) -> None:
    with pytest.raises(CommandError, match="nothing was read from standard input"):
        command(data)


@pytest.mark.parametrize("data", [b"\xff\xfe\x00", b"x" * 1_000_000, "not one token", "a.b.c", "\u00e9"])
def test_the_command_takes_any_input(command: Command, data: str | bytes) -> None:
    status, lines = command(data)
    assert status == 1
    assert lines[-1].startswith("Verdict: a request is answered 401, token_")


def test_the_command_prints_no_token_and_no_person(command: Command, issuer: FakeIssuer) -> None:
    claims: dict[str, Any] = {
        "sub": "auth0|the-person",
        "email": "person@example.test",
        "scope": "the-scope",
        "jti": "the-jti",
    }
    for token in (
        issuer.token(**claims),
        issuer.token(**claims, exp=1),
        issuer.token(**claims, iss=OTHER_ISSUER),
        f"{issuer.token(**claims)}x",
        base64.urlsafe_b64encode(b"an opaque token of another kind").decode(),
    ):
        text = "\n".join(command(token)[1])
        for secret in (token, *token.split("."), "the-person", "person@", "the-scope", "the-jti"):
            assert secret not in text


def test_a_token_is_no_argument(issuer: FakeIssuer) -> None:
    token = issuer.token()
    for arguments in ([token], [token, "more"]):
        with pytest.raises(CommandError, match="standard input, never as an argument") as caught:
            call_command("resource_server", "explain", *arguments)
        assert token not in str(caught.value)


def test_a_person_at_a_terminal_is_asked_for_the_token(issuer: FakeIssuer, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = io.TextIOWrapper(io.BytesIO(issuer.token().encode()))
    monkeypatch.setattr(terminal, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(sys, "stdin", terminal)
    out, error = io.StringIO(), io.StringIO()
    call_command("resource_server", "explain", stdout=out, stderr=error, no_color=True)
    assert "Paste the token" in error.getvalue()
    assert "Paste" not in out.getvalue()
