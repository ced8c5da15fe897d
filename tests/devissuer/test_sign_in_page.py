"""The sign-in page as browsers see it: what it offers, and what protects it."""

import re
from html.parser import HTMLParser

import pytest


class _Controls(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.controls: list[dict[str, str | None]] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag in {"input", "button"}:
            self.controls.append(dict(attrs))


def _parsed(page) -> _Controls:
    parser = _Controls()
    parser.feed(page.answer.data.decode())
    return parser


def _values(page, name, *, checked=None):
    return [
        control["value"]
        for control in _parsed(page).controls
        if control.get("name") == name and (checked is None or ("checked" in control) == checked)
    ]


def test_it_offers_people_scopes_and_a_way_out(issuer):
    page = issuer.sign_in_page()

    assert page.answer.status == 200
    assert _values(page, "subject") == ["auth0|ada", "auth0|bo", "google-oauth2|1070"]
    assert _values(page, "subject", checked=True) == ["auth0|ada"]
    assert _values(page, "agreed", checked=True) == ["openid", "example:scope"]
    assert _values(page, "other") == [""]
    assert _values(page, "decision") == ["allow", "deny"]


def test_it_says_who_asks_and_where_one_goes(issuer):
    text = issuer.sign_in_page().answer.data.decode()

    assert "Sign in to demo-browser" in text
    assert "http://127.0.0.1:8000/callback" in text
    assert "https://api.example.test" in text


def test_without_scopes_there_is_nothing_to_tick(issuer):
    page = issuer.sign_in_page(scope=None)

    assert _values(page, "agreed") == []
    assert issuer.redirected(issuer.decide(page))["code"]


@pytest.mark.parametrize(
    ("hint", "chosen", "other"), [("auth0|bo", "auth0|bo", ""), ('x"><script>', "auth0|ada", 'x"><script>')]
)
def test_a_hint_fills_it_in(issuer, hint, chosen, other):
    page = issuer.sign_in_page(login_hint=hint)

    assert _values(page, "subject", checked=True) == [chosen]
    assert _values(page, "other") == [other]
    assert b"<script" not in page.answer.data


def test_nothing_is_loaded_framed_or_kept(issuer):
    page = issuer.sign_in_page()
    headers = page.answer.headers
    nonce = re.search(r"'nonce-([^']+)'", headers["Content-Security-Policy"])

    assert nonce is not None
    assert headers["Content-Security-Policy"] == (
        f"default-src 'none'; style-src 'nonce-{nonce[1]}'; base-uri 'none'; frame-ancestors 'none'"
    )
    assert f'<style nonce="{nonce[1]}">' in page.answer.data.decode()
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "same-origin"
    assert headers["Cache-Control"] == "no-store"
    assert not {"script", "link", "img", "iframe"} & set(_parsed(page).tags)
    assert nonce[1] not in issuer.sign_in_page().answer.headers["Content-Security-Policy"]


def test_its_cookie_is_its_own(issuer):
    cookie = issuer.sign_in_page().answer.headers["Set-Cookie"]

    assert cookie.strip().startswith("devissuer_csrf=")
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie


@pytest.mark.parametrize(("changes", "groups"), [({}, 2), ({"acr_values": "gold silver"}, 3)])
def test_every_field_has_a_label(issuer, changes, groups):
    text = issuer.sign_in_page(**changes).answer.data.decode()
    labelled = "".join(re.findall(r"<label.*?</label>", text, re.DOTALL))

    assert labelled.count("<input") == text.count("<input") - text.count('<input type="hidden"')
    assert text.count("<legend>") == text.count("<fieldset>") == groups
    assert '<html lang="en">' in text


def test_another_site_cannot_sign_anybody_in(issuer):
    page = issuer.sign_in_page()
    good = {"subject": "auth0|ada", "decision": "allow", **page.hidden}

    def status(fields, **headers):
        answer = issuer.post(page.url, fields, headers)
        assert "Location" not in answer.headers
        return answer.status

    assert status({**good, "csrfmiddlewaretoken": "x" * 64}, Cookie=page.cookie) == 403
    assert status({"subject": "auth0|ada", "decision": "allow"}, Cookie=page.cookie) == 403
    assert status(good) == 403
    assert status(good, Cookie=page.cookie, Origin="http://attacker.example") == 403
    assert status(good, Cookie=page.cookie, Origin="null") == 403


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"subject": ""}, "Pick a person"),
        ({"other": "x" * 256}, "at most 255"),
        ({"other": "a\x00b"}, "control characters"),
        ({"other": "a\u202eb"}, "control characters"),
    ],
)
def test_a_subject_that_cannot_be_is_asked_for_again(issuer, fields, problem):
    page = issuer.sign_in_page()
    answer = issuer.decide(page, agreed=["example:scope"], **fields)

    assert answer.status == 400
    assert problem in answer.data.decode()
    page.answer = answer
    assert _values(page, "agreed", checked=True) == ["example:scope"]
    assert _values(page, "agreed", checked=False) == ["openid"]
    assert _values(page, "other") == [fields.get("other", "")]


def test_the_form_cannot_change_the_request(issuer):
    page = issuer.sign_in_page()
    answer = issuer.decide(page, redirect_uri="https://attacker.example/")

    assert answer.status == 400
    assert "Location" not in answer.headers
