"""A scene from a browser: chosen, sent with breaks, looked at, submitted and rendered."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.browsing import Served
from tests.browser.conftest import Windows

pytestmark = [pytest.mark.browser, pytest.mark.blender]
_SERVER = Path(__file__).parents[1] / "server"
_PIECE = 16 << 20


@pytest.fixture(scope="module")
def worker(farm: Served) -> None:
    farm.site.start_worker("node-9")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A scene with a library and textures, and a large file that it does not need."""
    root = tmp_path_factory.mktemp("artist") / "proj"
    command = [sys.executable, str(_SERVER / "folder_scene.py"), str(root / "shots/shot.blend")]
    subprocess.run(command, check=True, capture_output=True)
    with (root / "plates.mov").open("wb") as file:
        for number in range(40):
            file.write(bytes([number]) * (1 << 20))
    return root


def choose(page: Page, path: Path) -> None:
    page.get_by_label("Choose a folder" if path.is_dir() else "Choose a .blend").set_input_files(path)


@pytest.mark.usefixtures("worker")
def test_a_scene_is_uploaded_from_the_browser_submitted_and_rendered(windows: Windows, scene: Path) -> None:
    page = windows().log_in("art")
    page.get_by_role("link", name="Submit", exact=True).click()
    choose(page, scene)
    expect(page.get_by_label("Name of the model")).to_have_value("monkey")
    page.get_by_label("Name of the model").fill('<b>"monkey')
    page.get_by_role("button", name="Upload").click()
    expect(page).to_have_url(re.compile(r"/submit\?model="))
    expect(page.get_by_label("The scene's range, 1–100: 100 frames")).to_be_checked()
    page.get_by_label("These:").check()
    page.get_by_label("Frames", exact=True).fill("7")
    page.get_by_label("Samples", exact=True).fill("1")
    page.get_by_role("button", name="Submit").dblclick()
    expect(page).to_have_url(re.compile("/jobs/"))
    expect(page.locator("#head .state")).to_have_text("succeeded")
    page.get_by_role("link", name="Jobs", exact=True).first.click()
    expect(page.get_by_role("row", name=re.compile('<b>"monkey'))).to_have_count(1)


def test_a_folder_goes_on_after_a_break_and_only_what_is_needed_is_kept(windows: Windows, folder: Path) -> None:
    window = windows()
    page, offsets = window.log_in("art"), list[int]()

    def cut(route: Route) -> None:
        found = re.search(r"size=(\d+)&offset=(\d+)", route.request.url)
        assert found
        if int(found[1]) <= _PIECE:
            return route.continue_()
        offsets.append(int(found[2]))
        return route.abort() if len(offsets) == 2 else route.continue_()

    page.route(re.compile(r"/uploads/[0-9a-f]{64}\?"), cut)
    window.open("/submit")
    choose(page, folder)
    expect(page.locator("#summary")).to_have_text(re.compile(r"^5 files, 40\.\d MiB\.$"))
    page.get_by_label("Scene to render").select_option("proj/shots/shot.blend")
    page.get_by_role("button", name="Upload").click()
    expect(page).to_have_url(re.compile(r"/submit\?model="))
    window.forgive("ERR_FAILED")
    assert offsets == [0, _PIECE, _PIECE, 2 * _PIECE]
    page.get_by_role("link", name="@1").click()
    expect(page.get_by_role("table", name="Files")).to_contain_text("proj/tex/wood.png")
    expect(page.get_by_role("table", name="Files")).not_to_contain_text("plates.mov")


def test_an_upload_is_cancelled_and_begun_again(windows: Windows, folder: Path) -> None:
    window = windows()
    page, held = window.log_in("art"), list[Route]()
    page.route("**/api/v1/models/inspect", lambda route: held.append(route))  # it never answers
    window.open("/submit")
    choose(page, folder)
    page.get_by_label("Scene to render").select_option("proj/shots/shot.blend")
    page.get_by_role("button", name="Upload").click()
    expect(page.locator("#phase")).to_have_text("Inspecting the scene in Blender")
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("button", name="Upload")).to_be_visible()
    held.pop().abort()
    page.unroute("**/api/v1/models/inspect")
    page.get_by_role("button", name="Upload").click()
    expect(page).to_have_url(re.compile(r"/submit\?model="))


def test_missing_files_are_named_and_gone_on_without_when_told_to(windows: Windows, tmp_path: Path) -> None:
    hostile = tmp_path / "shot.blend"
    command = [sys.executable, str(_SERVER / "hostile_scene.py"), str(hostile), str(tmp_path / "secret.blend")]
    subprocess.run(command, check=True, capture_output=True)
    window = windows()
    page = window.log_in("art")
    window.open("/submit")
    choose(page, hostile)
    page.get_by_role("button", name="Upload").click()
    expect(page.get_by_role("heading", name="3 files are missing")).to_be_visible()
    expect(page.locator("#missing-files")).to_contain_text("/etc/passwd")
    page.get_by_role("button", name="Continue without them").click()
    expect(page.get_by_label("Render without them")).to_be_checked()


def test_the_form_works_without_javascript_and_says_that_uploads_do_not(
    windows: Windows, farm: Served, scene: Path
) -> None:
    assert farm.site.run("upload", str(scene), "--name", "known").returncode == 0
    window = windows(java_script_enabled=False)
    page = window.log_in("art")
    page.get_by_role("link", name="Submit", exact=True).click()
    expect(page.get_by_text("Uploads from this page need JavaScript.")).to_be_visible()
    page.get_by_role("link", name=re.compile("known")).click()
    page.get_by_role("button", name="Submit").click()
    expect(page).to_have_url(re.compile("/jobs/"))
