"""Step-up (RFC 9470): `acr_values` and `max_age` in a request; `acr` and `auth_time` in its tokens; more scopes."""

import re
import time

import pytest

SILVER, GOLD = "urn:example:silver", "urn:example:gold"


def _tokens(issuer, *, acr=None, **changes):
    page = issuer.sign_in_page(**changes)
    fields = {} if acr is None else {"acr": acr}
    code = issuer.redirected(issuer.decide(page, agreed=("openid", "example:scope"), **fields))["code"]
    return issuer.redeem(code).json()


def _choices(page):
    text = page.answer.data.decode()
    return re.findall(r'name="acr" value="([^"]*)"( checked)?>', text)


def test_the_page_offers_what_was_asked_for_and_none(issuer):
    page = issuer.sign_in_page(acr_values=f"{GOLD} {SILVER} {GOLD}")

    assert _choices(page) == [(GOLD, " checked"), (SILVER, ""), ("", "")]
    assert _choices(issuer.sign_in_page()) == []


@pytest.mark.parametrize(("chosen", "acr"), [(GOLD, GOLD), (SILVER, SILVER), (None, GOLD)])
def test_the_chosen_context_or_else_the_first_is_in_the_tokens(issuer, chosen, acr):
    body = _tokens(issuer, acr_values=f"{GOLD} {SILVER}", acr=chosen)
    refreshed = issuer.refresh(body["refresh_token"]).json()["access_token"]

    for token in (body["access_token"], body["id_token"], refreshed):
        assert issuer.verified(token).claims["acr"] == acr


@pytest.mark.parametrize("chosen", ["", "urn:example:platinum"])
def test_a_context_that_was_not_asked_for_is_none(issuer, chosen):
    body = _tokens(issuer, acr_values=GOLD, acr=chosen)

    for token in (body["access_token"], body["id_token"]):
        assert "acr" not in issuer.verified(token).claims


def test_without_acr_values_the_form_can_name_no_context(issuer):
    assert "acr" not in issuer.verified(_tokens(issuer, acr=GOLD)["access_token"]).claims


def test_a_choice_survives_a_problem(issuer):
    page = issuer.sign_in_page(acr_values=f"{GOLD} {SILVER}")
    page.answer = issuer.decide(page, acr=SILVER, subject="")

    assert page.answer.status == 400
    assert _choices(page) == [(GOLD, ""), (SILVER, " checked"), ("", "")]


def test_each_authorization_is_a_new_sign_in_that_a_refresh_does_not_renew(issuer):
    before = int(time.time())
    first = _tokens(issuer, max_age="3600")
    signed_in = issuer.verified(first["access_token"]).claims["auth_time"]
    while int(time.time()) == signed_in:
        time.sleep(0.05)  # auth_time is in whole seconds
    refreshed = issuer.refresh(first["refresh_token"]).json()
    second = _tokens(issuer, max_age="0")

    assert before <= signed_in
    assert issuer.verified(refreshed["access_token"]).claims["auth_time"] == signed_in
    assert issuer.verified(second["access_token"]).claims["auth_time"] > signed_in
    assert issuer.verified(second["id_token"]).claims["auth_time"] > signed_in


@pytest.mark.parametrize("max_age", ["-1", "x", "1.5", "", " 1", "\u0661", "9" * 30])
def test_a_max_age_that_is_no_number_goes_back_to_the_client(issuer, max_age):
    sent_back = issuer.redirected(issuer.get(issuer.authorize_url(max_age=max_age)))

    assert (sent_back["error"], sent_back["iss"]) == ("invalid_request", issuer.address)


def test_the_contexts_can_be_limited_and_are_then_advertised(run_issuer):
    issuer = run_issuer("--acr", SILVER, GOLD)
    refused = issuer.redirected(issuer.get(issuer.authorize_url(acr_values="urn:example:platinum")))

    assert issuer.get("/.well-known/openid-configuration").json()["acr_values_supported"] == [SILVER, GOLD]
    assert (refused["error"], refused["state"]) == ("unmet_authentication_requirements", "the state")
    assert _choices(issuer.sign_in_page(acr_values=f"urn:example:platinum {GOLD}")) == [(GOLD, " checked"), ("", "")]
    assert _choices(issuer.sign_in_page(acr_values="")) == []


def test_a_client_steps_up_by_asking_for_more_scopes(run_issuer):
    issuer = run_issuer("--scope", "read", "write")
    granted = []
    for scope in ("read", "read write"):
        code = issuer.code(scope=scope, agreed=tuple(scope.split()))
        granted.append(issuer.verified(issuer.redeem(code).json()["access_token"]).claims["scope"])

    assert granted == ["read", "read write"]
