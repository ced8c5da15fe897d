"""A person at a browser: from the page to Swagger UI, signed in at the issuer by code and PKCE, to an answer of the API."""

import os
import re
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import BrowserContext, Page, Request, expect, sync_playwright
from tests.processes import AUDIENCE, ROOT

SCREENSHOT = ROOT / "docs" / "quickstart.png"
ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture
def browser(chromium: str) -> Iterator[BrowserContext]:
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        context = running.new_context(viewport={"width": 1100, "height": 1250})
        context.set_default_timeout(30_000)
        yield context
        running.close()


def authorize(page: Page, issuer: str, person: str, scope: str | None) -> dict[str, list[str]]:
    """Signs in through Swagger UI and returns the parameters that the issuer was asked with."""
    page.get_by_role("button", name="Authorize").first.click()
    dialog = page.locator(".auth-container", has_text="accessToken")
    expect(dialog.get_by_label("client_id")).to_have_value("demo-browser")
    if scope is not None:
        dialog.locator(f'label[for^="{scope}-"]').first.click()  # the checkbox itself is not drawn
        expect(dialog.get_by_label(scope)).to_be_checked()
    with page.expect_popup() as popup:
        dialog.locator(".btn.authorize").click()
    window = popup.value
    window.wait_for_load_state()
    address = urlsplit(window.url)
    assert f"{address.scheme}://{address.netloc}{address.path}" == f"{issuer}/authorize"
    window.get_by_text(person).click()
    with window.expect_event("close"):
        window.get_by_role("button", name="Sign in").click()
    expect(dialog.get_by_text("Logout")).to_be_visible()
    dialog.get_by_text("Close").click()
    return parse_qs(address.query)


def execute(page: Page, path: str) -> tuple[str, str]:
    """Tries an operation out in Swagger UI: the status and the body that it shows."""
    operation = page.locator(".opblock", has=page.locator(f'[data-path="{path}"]'))
    operation.locator(".opblock-summary-control").click()
    operation.get_by_role("button", name="Try it out").click()
    operation.get_by_role("button", name="Execute").click()
    answer = operation.locator(".live-responses-table .response")
    status = answer.locator(".response-col_status")
    expect(status).to_contain_text(re.compile(r"\d{3}"))
    return status.inner_text().split()[0], answer.locator(".highlight-code code").first.inner_text()


def test_from_the_page_to_an_answer(browser: BrowserContext, example: str, issuer: str) -> None:
    requests: list[Request] = []
    browser.on("request", lambda request: requests.append(request))  # noqa: PLW0108 - playwright marks its handler
    errors: list[str] = []
    browser.on("weberror", lambda error: errors.append(str(error.error)))
    page = browser.new_page()
    page.goto(example)
    expect(page.get_by_role("heading", name="What this API trusts")).to_be_visible()
    expect(page.get_by_text(issuer, exact=True)).to_be_visible()
    page.get_by_role("link", name="Try it in the browser").click()
    assert urlsplit(page.url).path == "/docs/"

    asked = authorize(page, issuer, "Bo Example", "example:scope")
    assert asked["redirect_uri"] == [f"{example}/docs/oauth2-redirect.html"]
    assert asked["code_challenge_method"] == ["S256"]
    assert asked["audience"] == [AUDIENCE]
    assert asked["scope"] == ["example:scope"]

    status, body = execute(page, "/api/private-scoped")
    assert status == "200"
    assert "All good. You're authenticated and the access token has the appropriate scope" in body
    calls = [request for request in requests if urlsplit(request.url).path == "/api/private-scoped"]
    assert [call.all_headers()["authorization"].startswith("Bearer ey") for call in calls] == [True]

    hosts = {urlsplit(request.url).hostname for request in requests if not request.url.startswith(("data:", "blob:"))}
    assert hosts == {"127.0.0.1"}
    assert errors == []
    if os.environ.get("UPDATE_SCREENSHOT"):
        page.screenshot(path=SCREENSHOT)
    assert SCREENSHOT.exists()


def test_authorize_opens_at_the_development_issuer(browser: BrowserContext, example: str, issuer: str) -> None:
    page = browser.new_page()
    page.goto(f"{example}/docs/")
    page.get_by_role("button", name="Authorize").first.click()
    dialog = page.locator(".modal-ux-content")
    expect(dialog.get_by_role("heading", level=4).first).to_have_text(
        "accessToken (OAuth2, authorizationCode with PKCE)"
    )
    address = dialog.get_by_text(f"{issuer}/authorize")
    # Not scrolled away, to the field of another scheme that takes the focus when the dialog opens.
    page.wait_for_timeout(300)
    expect(address).to_be_in_viewport(ratio=1)
    assert dialog.evaluate("element => element.scrollTop") == 0
    # And never again: what the reader types stays where it is.
    cookie = dialog.get_by_label("Value:")
    cookie.fill("a")
    assert dialog.evaluate("element => element.scrollTop") > 0
    expect(cookie).to_be_focused()


def test_without_the_scope(browser: BrowserContext, example: str, issuer: str) -> None:
    page = browser.new_page()
    page.goto(f"{example}/docs/")
    assert "scope" not in authorize(page, issuer, "Ada Example", None)
    status, body = execute(page, "/api/private-scoped")
    assert status == "403"
    assert '"insufficient_scope"' in body


def test_signed_out(browser: BrowserContext, example: str) -> None:
    page = browser.new_page()
    page.goto(f"{example}/docs/")
    assert execute(page, "/api/private")[0] == "401"
    assert execute(page, "/api/public")[0] == "200"
