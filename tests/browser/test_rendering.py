"""From a log-in to an image, in a real browser: everything happens on the page by itself."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.browsing import Served, come_true, drawn
from tests.browser.conftest import Windows

pytestmark = [pytest.mark.browser, pytest.mark.blender]


@pytest.fixture(scope="module")
def worker(farm: Served) -> None:
    farm.site.start_worker("node-1", "--tag", "big")


def stay(page: Page) -> None:
    """Mark the page: what is put into it later came without loading it anew."""
    page.evaluate("window.stayed = true")


def has_stayed(page: Page) -> bool:
    return bool(page.evaluate("window.stayed === true"))


@pytest.mark.usefixtures("worker")
def test_a_job_is_watched_from_the_list_to_its_last_image(windows: Windows, farm: Served, scene: Path) -> None:
    page = windows().log_in("ada")
    expect(page.locator("#live")).to_be_visible()
    job = farm.submit(scene, "--frames", "1-12", "--name", "turntable")
    row = page.get_by_role("row", name=re.compile("turntable"))
    expect(row).to_be_visible()
    row.get_by_role("link", name="turntable").click()
    expect(page).to_have_url(re.compile(f"/jobs/{job}$"))
    stay(page)
    progress = page.get_by_role("progressbar", name="Progress")
    expect(page.locator("#head .state")).to_have_text("running")
    expect(progress).not_to_have_attribute("aria-valuenow", "0")
    expect(page.locator("#head .state")).to_have_text("succeeded")
    expect(progress).to_have_attribute("aria-valuenow", "100")
    expect(page.locator('[data-field="done"]')).to_have_text("12")
    expect(page.get_by_role("button", name="Remove")).to_be_visible()
    expect(page.get_by_role("button", name="Cancel")).to_have_count(0)
    image = page.locator("#latest .large img")
    expect(image).to_be_visible()
    come_true(page, "document.querySelector('#latest .large img').naturalWidth === 64")
    assert has_stayed(page)


@pytest.mark.usefixtures("worker")
def test_a_scene_is_uploaded_and_submitted_from_the_browser(windows: Windows, scene: Path) -> None:
    window = windows()
    page = window.log_in("art")
    page.get_by_role("link", name="Submit").click()
    page.get_by_label("Choose a .blend").set_input_files(scene)
    page.get_by_label("Name of the model").fill("from afar")
    page.get_by_role("button", name="Upload").click()
    expect(page.get_by_role("heading", name=re.compile("from afar"))).to_be_visible()
    page.get_by_label("These:").check()
    page.get_by_label("Frames", exact=True).fill("3-x")
    page.get_by_role("button", name="Submit").click()
    expect(page.get_by_role("alert")).to_contain_text("The job was not submitted.")
    window.forgive("422")
    page.get_by_label("Frames", exact=True).fill("3-4")
    page.get_by_label("Name", exact=True).fill("two")
    page.get_by_role("button", name="Submit").click()
    expect(page.locator("#head h1")).to_contain_text("two")
    expect(page.locator("#head .state")).to_have_text("succeeded")
    expect(page.locator("#latest .large img")).to_be_visible()


@pytest.mark.usefixtures("worker")
def test_a_frame_is_opened_with_the_keyboard_and_its_log_read(windows: Windows, farm: Served, scene: Path) -> None:
    job = farm.submit(scene, "--frames", "5-7", "--name", "three", "--wait")
    window = windows()
    window.log_in("vic")
    page = drawn(window.open(f"/jobs/{job}"))
    expect(page.locator("#head .state")).to_have_text("succeeded")
    page.locator("#frame-grid").focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator("#frame-label")).to_have_text(re.compile(r"^Frame 6: succeeded, \d+\.\d s$"))
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="three Frame 6")).to_be_visible()
    expect(page.get_by_role("log")).to_contain_text("renders frame 6")
    expect(page.locator("figure img")).to_be_visible()
    expect(page.get_by_role("button", name="Render again")).to_have_count(0)
    page.get_by_role("link", name="Next").click()
    expect(page.get_by_role("heading", name="three Frame 7")).to_be_visible()


@pytest.mark.usefixtures("worker")
def test_a_log_is_read_while_it_is_printed(windows: Windows, farm: Served, scene: Path) -> None:
    farm.submit(scene, "--frames", "1", "--samples", "4000", "--name", "slow")
    window = windows()
    window.log_in("ada")
    page = window.open("/workers")
    page.get_by_role("row", name=re.compile("node-1")).get_by_role("link", name="frame 1").click()
    stay(page)
    expect(page.locator("#status")).to_have_text("running")
    expect(page.get_by_role("log")).not_to_contain_text("Saved:")
    expect(page.get_by_role("log")).to_contain_text("Saved:")
    expect(page.locator("#status")).to_have_text("succeeded")
    expect(page.locator("figure img")).to_be_visible()
    assert has_stayed(page)


@pytest.mark.usefixtures("worker")
def test_what_is_canceled_stops_and_is_taken_up_again(windows: Windows, farm: Served, scene: Path) -> None:
    job = farm.submit(scene, "--frames", "1-100", "--name", "too many")
    window = windows()
    window.log_in("ada")
    page = window.open(f"/jobs/{job}")
    stay(page)
    page.get_by_role("button", name="Cancel").click()
    dialog = page.get_by_role("dialog", name="Cancel too many? Finished frames are kept.")
    dialog.get_by_role("button", name="Back").click()
    expect(dialog).to_have_count(0)
    page.get_by_role("button", name="Cancel").click()
    dialog.get_by_role("button", name="Cancel").click()
    expect(page.locator("#head .state")).to_have_text("canceled")
    expect(page.get_by_role("button", name="Retry")).to_be_visible()
    expect(page.get_by_role("button", name="Pause")).to_have_count(0)
    assert has_stayed(page)
    page.get_by_role("button", name="Remove").click()
    page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    expect(page.get_by_role("heading", name="Jobs")).to_be_visible()
    expect(page.get_by_role("link", name="too many")).to_have_count(0)
