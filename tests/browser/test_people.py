"""Who may do what, in a real browser: tokens, invitations, workers, refusals, the audit log."""

import re
from datetime import UTC, datetime, timedelta

import httpx2
import pyotp
import pytest
from playwright.sync_api import expect

from tests.browser.browsing import Served
from tests.browser.conftest import Windows
from tests.server.crowd import PASSWORD

pytestmark = [pytest.mark.browser, pytest.mark.slow]

_ASK = """async (address) => (await fetch(address, { method: "POST",
    headers: { "X-CSRF-Token": document.querySelector('meta[name="csrf"]').content } })).status"""


@pytest.fixture(scope="module")
def worker(farm: Served) -> None:
    farm.site.start_worker("node-2", "--pool", "nobody")


def test_who_is_somebody_else_is_told_so(windows: Windows) -> None:
    window = windows()
    page = window.open("/audit")
    expect(page.get_by_role("heading", name="Log in")).to_be_visible()
    page.get_by_label("Name").fill("ada")
    page.get_by_label("Password").fill("a wrong one")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("alert")).to_contain_text("wrong")
    window.forgive("401")
    page.get_by_label("Name").fill("ada")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("heading", name="Audit")).to_be_visible()


@pytest.mark.usefixtures("worker")
def test_a_viewer_is_offered_nothing_that_he_may_not_and_is_refused_it(windows: Windows) -> None:
    window = windows()
    page = window.log_in("vic")
    for name in ("Audit", "Users", "Submit"):
        expect(page.get_by_role("link", name=name)).to_have_count(0)
    page.get_by_role("link", name="Workers").click()
    expect(page.get_by_role("row", name=re.compile("node-2"))).to_be_visible()
    expect(page.locator("main button[data-action]")).to_have_count(0)
    assert page.evaluate(_ASK, "/api/v1/workers/node-2/drain") == 403
    window.forgive("403")
    window.open("/audit")
    expect(page.get_by_role("heading", name=re.compile("may not"))).to_be_visible()
    window.forgive("403")
    page.get_by_role("link", name="Go to jobs").click()
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_role("heading", name="Log in")).to_be_visible()


@pytest.mark.usefixtures("worker")
def test_a_worker_is_drained_and_resumed_where_it_stands(windows: Windows) -> None:
    window = windows()
    window.log_in("ada")
    page = window.open("/workers")
    row = page.get_by_role("row", name=re.compile("node-2"))
    row.get_by_role("button", name="Drain node-2").click()
    expect(row).to_contain_text("asked for by ada")
    expect(row.get_by_role("button", name="Resume node-2")).to_be_focused()
    page.keyboard.press("Enter")
    expect(row.locator(".state")).to_have_text("active")
    expect(row.get_by_role("button", name="Drain node-2")).to_be_visible()


def test_a_token_is_shown_once_lets_in_and_is_revoked(windows: Windows, farm: Served) -> None:
    window = windows()
    page = window.log_in("art")
    page.get_by_role("link", name="Your account: art").click()
    page.get_by_label("Purpose").fill("nightly build")
    page.get_by_label("Scope").select_option("read")
    page.get_by_role("button", name="Create token").click()
    shown = page.get_by_role("textbox", name="The token")
    expect(shown).to_have_value(re.compile("^rctl_"))
    headers = {"Authorization": f"Bearer {shown.input_value()}"}
    assert httpx2.get(f"{farm.url}/api/v1/whoami", headers=headers).json()["name"] == "art"
    row = page.get_by_role("row", name=re.compile("nightly build"))
    expect(row).to_be_visible()
    page.reload()
    expect(shown).to_be_hidden()
    row.get_by_role("button", name="Revoke nightly build").click()
    page.get_by_role("dialog").get_by_role("button", name=re.compile("Revoke")).click()
    expect(row).to_have_count(0)
    assert httpx2.get(f"{farm.url}/api/v1/whoami", headers=headers).status_code == 401


def test_who_is_invited_joins_and_is_let_in_no_more_when_disabled(windows: Windows) -> None:
    window, guest = windows(), windows()
    page = window.log_in("ada")
    page.get_by_role("link", name="Users").click()
    invite = page.get_by_role("region", name="Invite a user")
    invite.get_by_label("Role").select_option("viewer")
    invite.get_by_role("button", name="Create invitation").click()
    address = page.get_by_role("textbox", name="The link of the invitation")
    expect(address).to_have_value(re.compile("/register#code="))
    theirs = guest.open(address.input_value().removeprefix(guest.url))
    theirs.get_by_label("Name").fill("gus")
    theirs.get_by_label("Password").fill("a long password")
    theirs.get_by_role("button", name="Join").click()
    expect(theirs.get_by_role("heading", name="Jobs")).to_be_visible()
    window.open("/users/gus")
    page.get_by_role("region", name="Role").get_by_label("Role").select_option("operator")
    page.get_by_role("button", name="Change", exact=True).click()
    expect(page.locator("#facts")).to_contain_text("operator")
    page.get_by_role("button", name="Disable").click()
    page.get_by_role("dialog").get_by_role("button", name="Disable").click()
    expect(page.get_by_role("button", name="Enable")).to_be_visible()
    theirs.goto(f"{guest.url}/workers")
    expect(theirs.get_by_role("heading", name="Log in")).to_be_visible()


def test_the_old_password_is_asked_for_and_the_new_one_lets_in(windows: Windows) -> None:
    window = windows()
    window.log_in("art")
    page = window.open("/account")
    for old, new in (("not this", "another password"), (PASSWORD, "another password"), ("another password", PASSWORD)):
        page.get_by_label("Old password").fill(old)
        page.get_by_label("New password").fill(new)
        page.get_by_role("button", name="Change password").click()
        if old == "not this":
            expect(page.get_by_role("alert")).to_contain_text("The old password is wrong.")
            window.forgive("401")
            continue
        expect(page.get_by_role("heading", name="Log in")).to_be_visible()
        window.log_in("art", new)
        window.open("/account")


def test_a_second_factor_is_set_up_asked_for_and_taken_away(windows: Windows) -> None:
    window, own = windows(), windows()
    page = window.log_in("ada")
    page.goto(f"{window.url}/users")
    page.get_by_role("button", name="Create invitation").click()
    address = page.get_by_role("textbox", name="The link of the invitation")
    expect(address).to_have_value(re.compile("#code="))
    theirs = own.open(address.input_value().removeprefix(own.url))
    theirs.get_by_label("Name").fill("tess")
    theirs.get_by_label("Password").fill("a long password")
    theirs.get_by_role("button", name="Join").click()
    expect(theirs.get_by_role("heading", name="Jobs")).to_be_visible()
    own.open("/account")
    factor = theirs.get_by_role("region", name="Second factor")
    factor.get_by_label("Password").fill("a long password")
    factor.get_by_role("button", name="Set up").click()
    secret = factor.get_by_role("textbox", name="The secret")
    expect(secret).to_have_value(re.compile("[A-Z2-7]{32}"))
    app, now = pyotp.TOTP(secret.input_value()), datetime.now(UTC)
    factor.get_by_label("Code from the app").fill(app.at(now))
    factor.get_by_role("button", name="Confirm").click()
    codes = factor.get_by_role("textbox", name="The recovery codes")
    expect(codes).to_have_value(re.compile("^([a-z2-7-]{19}\\s?){10}$"))
    theirs.locator("#main").get_by_role("button", name="Log out").click()
    for code in ("", app.at(now + timedelta(seconds=30))):  # the one of now was used
        theirs.get_by_label("Name").fill("tess")
        theirs.get_by_label("Password").fill("a long password")
        theirs.get_by_label("Code").fill(code)
        theirs.get_by_role("button", name="Log in").click()
        if not code:
            expect(theirs.get_by_role("alert")).to_contain_text("A code of the second factor is required.")
            own.forgive("401")
    expect(theirs.get_by_role("heading", name="Jobs")).to_be_visible()
    window.open("/users/tess")
    page.get_by_role("button", name="Disable second factor").click()
    page.get_by_role("dialog").get_by_role("button", name="Disable second factor").click()
    expect(page.locator("#facts")).to_contain_text("Second factornone")


def test_a_log_in_elsewhere_is_ended_from_an_account(windows: Windows) -> None:
    window, other = windows(), windows()
    theirs = other.log_in("art")
    window.log_in("art")
    page = window.open("/account")
    sessions = page.get_by_role("region", name="Sessions")
    expect(sessions.get_by_text("this one", exact=True)).to_have_count(1)
    sessions.get_by_role("button", name=re.compile("^End")).last.click()
    page.get_by_role("dialog").get_by_role("button", name=re.compile("^End")).click()
    expect(sessions.get_by_role("button", name=re.compile("^End"))).to_have_count(0)
    theirs.reload()
    expect(theirs.get_by_role("heading", name="Log in")).to_be_visible()
    page.reload()
    expect(page.get_by_role("heading", name="art")).to_be_visible()


def test_an_open_invitation_is_withdrawn_and_leads_nowhere(windows: Windows) -> None:
    window, guest = windows(), windows()
    window.log_in("ada")
    page = window.open("/users")
    page.get_by_role("button", name="Create invitation").click()
    address = page.get_by_role("textbox", name="The link of the invitation")
    expect(address).to_have_value(re.compile("/register#code="))
    open_ones = page.get_by_role("region", name="Open invitations")
    open_ones.get_by_role("button", name=re.compile("^Withdraw")).click()
    page.get_by_role("dialog").get_by_role("button", name=re.compile("^Withdraw")).click()
    expect(open_ones).to_contain_text("There are no open invitations.")
    theirs = guest.open(address.input_value().removeprefix(guest.url))
    theirs.get_by_label("Name").fill("eve")
    theirs.get_by_label("Password").fill("a long password")
    theirs.get_by_role("button", name="Join").click()
    expect(theirs.get_by_role("alert")).to_contain_text("invalid")
    guest.forgive("403")


def test_projects_get_pools_and_members(windows: Windows) -> None:
    window = windows()
    window.log_in("ada")
    page = window.open("/projects")
    page.get_by_label("Name", exact=True).fill("film")
    page.get_by_label("Pools", exact=True).fill("gpu night")
    page.get_by_role("button", name="Add").click()
    row = page.get_by_role("row", name=re.compile("film"))
    expect(row.get_by_label("Pools of film")).to_have_value("gpu, night")
    row.get_by_label("New members of film").fill("vic, nobody")
    row.get_by_role("button", name="Join").click()
    expect(row.get_by_role("alert")).to_contain_text("There is no user 'nobody'.")
    window.forgive("404")
    row.get_by_label("New members of film").fill("vic, art")
    page.keyboard.press("Enter")
    expect(row).to_contain_text("art, vic")
    expect(row.get_by_label("New members of film")).to_be_focused()
    window.open("/users/vic")
    page.get_by_role("button", name="Leave film").click()
    expect(page.get_by_role("button", name="Join film")).to_be_focused()


def test_the_audit_log_is_followed_and_verified(windows: Windows) -> None:
    window, other = windows(), windows()
    window.log_in("ada")
    page = window.open("/audit?action=session&by=vic")
    page.evaluate("window.stayed = true")
    before = page.get_by_role("row").count()
    other.log_in("vic")
    expect(page.get_by_role("row")).to_have_count(max(before, 1) + 1)
    assert page.evaluate("window.stayed === true")
    page.get_by_role("link", name="Verify the log").click()
    expect(page.get_by_text("Every entry is unchanged")).to_be_visible()
