"""A real Chromium that looks at a real server, and what it complains of; and the farm behind that, in processes."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright

from tests.farms import close, make_farm
from tests.nodes import Node, Site, site_in, until
from tests.server.crowd import PASSWORD, given_people

#: Milliseconds in which anything that is waited for has come, on a machine that has other things to do.
PATIENCE_MS = 60_000
#: Heartbeats that a busy machine does not miss.
_STEADY = {"RENDERCTL_WORKER__HEARTBEAT": "1", "RENDERCTL_WORKER__HEARTBEAT_LIMIT": "30"}
#: Tell the console of what a Content-Security-Policy has kept from happening, and of nothing else.
_TELL = """addEventListener("securitypolicyviolation",
    ({ violatedDirective, blockedURI }) => console.error(`CSP: ${violatedDirective} ${blockedURI}`))"""


def chromium_path() -> str | None:
    """Debian's Chromium, or whatever is called so."""
    return shutil.which("chromium")


@contextmanager
def chromium(path: str) -> Iterator[Browser]:
    """A headless browser for as long as the context."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@dataclass
class Window:
    """A browser's window that nobody else's cookies are in."""

    page: Page
    url: str
    troubles: list[str] = field(default_factory=list)  #: errors on its console, CSP violations among them

    def open(self, path: str) -> Page:
        self.page.goto(f"{self.url}{path}")
        return self.page

    def log_in(self, name: str, password: str = PASSWORD) -> Page:
        self.open("/login")
        self.page.get_by_label("Name").fill(name)
        self.page.get_by_label("Password").fill(password)
        self.page.get_by_role("button", name="Log in").click()
        expect(self.page.get_by_role("heading", name="Jobs")).to_be_visible()
        return self.page

    def forgive(self, text: str) -> None:
        """An error that has to be there: a refusal that a test asks for. A failure of the test when it is not."""
        found = [each for each in self.troubles if text in each]
        assert found, f"{text!r} is not among {self.troubles}"
        self.troubles = [each for each in self.troubles if text not in each]


def come_true(page: Page, fact: str, within_s: float = PATIENCE_MS / 1000) -> None:
    """Wait for what a script says of the page. (Playwright's own way is to `eval` it, which no page of ours allows.)"""
    until(lambda: bool(page.evaluate(fact)), within_s, what=fact)


def drawn(page: Page) -> Page:
    """The page, once all frames of its job are on the canvas."""
    come_true(page, "document.getElementById('frame-grid').style.width !== ''")
    return page


@contextmanager
def window(browser: Browser, url: str, **options: Any) -> Iterator[Window]:
    """A window; at its end nothing may be wrong with what was seen in it."""
    context = browser.new_context(reduced_motion="reduce", **options)
    context.set_default_timeout(PATIENCE_MS)
    context.add_init_script(_TELL)
    opened = Window(context.new_page(), url)

    def listen(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            opened.troubles.append(f"{message.location.get('url')}: {message.text}")

    opened.page.on("console", listen)
    opened.page.on("pageerror", lambda error: opened.troubles.append(f"{error}"))
    yield opened
    context.close()
    assert not opened.troubles, "\n".join(opened.troubles)


@dataclass
class Served:
    """A farm with a server and workers, each a process of its own."""

    site: Site
    url: str
    server: Node

    def submit(self, scene: Path, *options: str) -> str:
        """Submit a job at the desk; its id."""
        done = self.site.run("submit", str(scene), *options)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


@contextmanager
def served(folder: Path) -> Iterator[Served]:
    """A farm in a folder, with the people of `given_people`, and its server."""
    expect.set_options(timeout=PATIENCE_MS)
    with site_in(folder, _STEADY) as site:
        farm = make_farm(site.data, settings=site.settings)
        given_people(farm)
        close(farm)
        server = site.start("server", "serve", "--port", "0")
        until(lambda: "Serving at" in server.log.read_text(), 60, what="a server")
        url = server.log.read_text().partition("Serving at ")[2].split()[0].rstrip(".")
        yield Served(site, url, server)
        for node in site.nodes:
            if node.alive:
                assert node.end() == 0, node.log.read_text()


def make_quick_scene(path: Path, samples: int) -> None:
    """A scene of 100 frames, each 64 pixels wide."""
    maker = Path(__file__).parents[1] / "quick_scene.py"
    subprocess.run([sys.executable, str(maker), str(path), str(samples)], check=True, capture_output=True)
