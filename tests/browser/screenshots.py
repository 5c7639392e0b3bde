"""`python -m tests.browser.screenshots DIR [NAME…]`: the pages of a farm that renders a turntable.

Each at three widths, light and dark: `job-desk-light.png`, `workers-phone-dark.png`; or only those that are named.

Real processes: a server, workers, Blender, Chromium. It takes some minutes.
"""

import re
import subprocess
import sys
import tempfile
from collections.abc import Collection, Mapping
from pathlib import Path

from playwright.sync_api import Browser, Page, expect

from tests.browser.browsing import Served, Window, chromium, chromium_path, come_true, drawn, served, window
from tests.server.crowd import PASSWORD

WIDTHS = {"phone": (390, 844), "tablet": (768, 1024), "desk": (1280, 860)}
_SMALL = ("--resolution", "320x180", "--samples", "8")
_PLACES = {
    "jobs": "/",
    "models": "/models",
    "submit": "/submit",
    "workers": "/workers",
    "worker": "/workers/node-1",
    "users": "/users",
    "user": "/users/vic",
    "projects": "/projects",
    "account": "/account",
    "audit": "/audit",
    "verified": "/audit/verify",
}
_ROOT = Path(__file__).parents[2]


def main(folder: Path, only: Collection[str]) -> None:
    """Make the images."""
    path = chromium_path()
    if path is None:
        sys.exit("There is no Chromium: apt-get install chromium")
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as given, served(Path(given)) as farm, chromium(path) as browser:
        places = _given_content(farm, Path(given) / "scene", browser)
        for scheme in ("light", "dark"):
            for width, size in WIDTHS.items():
                wanted = {
                    f"{name}-{width}-{scheme}": place
                    for name, place in places.items()
                    if not only or f"{name}-{width}-{scheme}" in only
                }
                viewport = dict(zip(("width", "height"), size, strict=True))
                with window(browser, farm.url, viewport=viewport, color_scheme=scheme) as opened:
                    _shots(folder, opened, wanted)


def _given_content(farm: Served, scene: Path, browser: Browser) -> dict[str, str]:
    """A job that is being rendered, others that wait, and what people do; where all that is to be seen."""
    subprocess.run([sys.executable, str(_ROOT / "examples/turntable/make_scene.py"), str(scene)], check=True)
    turntable = scene / "turntable.blend"
    farm.site.start_worker("node-1", "--tag", "fast")
    farm.site.start_worker("node-2", "--pool", "night", "--pool", "preview")
    farm.submit(turntable, "--frames", "1-2", "--name", "robot stills", *_SMALL)
    farm.submit(turntable, "--frames", "1-48", "--name", "robot night", "--pool", "night", "--paused", *_SMALL)
    farm.submit(turntable, "--frames", "1-12", "--name", "robot on optix", "--device", "optix", *_SMALL)
    job = farm.submit(turntable, "--frames", "1-48", "--name", "robot turntable", "--priority", "8", *_SMALL)
    with window(browser, farm.url) as opened:
        opened.log_in("vic")
        opened.open("/audit")
        opened.forgive("403")
        page = opened.log_in("ada")
        opened.open("/workers")
        page.get_by_role("button", name="Drain node-2").click()
        expect(page.get_by_role("row", name=re.compile("node-2"))).to_contain_text("draining")
        opened.open("/models")
        model = page.get_by_role("link", name="turntable").first.get_attribute("href") or ""
        opened.open(model)
        form = page.get_by_role("link", name="Render").get_attribute("href") or ""
        opened.open(f"/jobs/{job}")
        come_true(page, "Number(document.querySelector('[data-field=\"done\"]').textContent) >= 6", 900)
    return _PLACES | {
        "job": f"/jobs/{job}",
        "frame": f"/jobs/{job}/frames/3",
        "model": model,
        "form": form,
    }


def _shots(folder: Path, opened: Window, wanted: Mapping[str, str]) -> None:
    if wanted:
        opened.log_in("ada", PASSWORD)
    for name, place in wanted.items():
        _settled(opened.open(place)).screenshot(path=folder / f"{name}.png", full_page=True)


def _settled(page: Page) -> Page:
    """When its images are there and its first look at the farm is done."""
    page.wait_for_load_state("load")
    page.evaluate("for (const each of document.images) each.loading = 'eager'")
    come_true(page, "[...document.images].every((each) => each.complete)")
    if page.locator("#frame-grid").count():
        drawn(page)
    return page


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
