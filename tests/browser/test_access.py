"""Everybody can use the pages: by the keyboard alone, with a screen reader, on a phone, in the dark."""

from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from tests.browser.browsing import Served, Window
from tests.browser.conftest import Windows

pytestmark = [pytest.mark.browser, pytest.mark.slow]
PLACES = (
    "/",
    "/workers",
    "/workers/node-3",
    "/users",
    "/users/vic",
    "/projects",
    "/account",
    "/audit",
    "/audit/verify",
)
PHONE, DESK = {"width": 390, "height": 844}, {"width": 1280, "height": 900}
#: What the guidelines of the web (WCAG 2.2, levels A and AA) ask for, and what is good practice.
_RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
_WAYS = {"light": (DESK, "light"), "dark": (DESK, "dark"), "phone": (PHONE, "light"), "dark phone": (PHONE, "dark")}
#: Everything that can be reached, marked with a number.
_MARK = """() => { let count = 0;
    for (const each of document.querySelectorAll("a[href], button, input, select, textarea, [tabindex='0']"))
        if (each.type !== "hidden" && each.checkVisibility({ visibilityProperty: true })) each.dataset.met = count++;
    return count; }"""
#: The number of what has the focus now, and what shows that it has.
_MET = """() => { const now = document.activeElement, style = getComputedStyle(now);
    const shows = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0;
    return [now.dataset.met ?? null, shows, now.outerHTML]; }"""


@pytest.fixture(scope="module", autouse=True)
def worker(farm: Served) -> None:
    farm.site.start_worker("node-3", "--pool", "nobody")


@pytest.fixture(params=_WAYS)
def seen(request: pytest.FixtureRequest, windows: Windows) -> Window:
    """A window as somebody has it."""
    viewport, scheme = _WAYS[request.param]
    opened: Window = windows(viewport=viewport, color_scheme=scheme)
    opened.log_in("ada")
    return opened


def test_nothing_keeps_anybody_out(seen: Window, farm: Served) -> None:
    axe, found = Axe(), []
    for place in (*PLACES, "/jobs", "/login"):
        page = seen.open(place)
        results = axe.run(page, options=_RULES).response
        found += [f"{place}: {_told(each)}" for each in results["violations"]]
    seen.forgive("404")
    assert not found, "\n".join(found)


def test_nothing_is_wider_than_the_window(seen: Window) -> None:
    for place in PLACES:
        page = seen.open(place)
        wide = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
        assert wide[0] <= wide[1], place


def test_the_keyboard_reaches_everything_and_shows_where_it_is(windows: Windows) -> None:
    window = windows(viewport=DESK)
    window.log_in("ada")
    for place in PLACES:
        page = window.open(place)
        page.wait_for_load_state("networkidle")
        expected = set(map(str, range(page.evaluate(_MARK))))
        unseen, met = _walked(page, len(expected) + 20)
        assert not unseen, f"{place}: {unseen}"
        assert met == expected, f"{place}: {_lost(page, expected - met)}"


def _walked(page: Page, steps: int) -> tuple[list[str], set[str]]:
    """From the top with the Tab key: what does not show that it has the focus, and all that was met."""
    unseen, met = [], set()
    for _ in range(steps):
        page.keyboard.press("Tab")
        number, shows, html = page.evaluate(_MET)
        if number is None:
            continue
        met.add(number)
        if not shows:
            unseen.append(html)
    return unseen, met


def _lost(page: Page, numbers: set[str]) -> list[str]:
    return [page.locator(f'[data-met="{number}"]').evaluate("(each) => each.outerHTML") for number in sorted(numbers)]


def _told(violation: dict[str, Any]) -> str:
    nodes = "; ".join(node["html"][:120] + " " + node["failureSummary"][:200] for node in violation["nodes"][:4])
    return f"{violation['id']}: {violation['help']}: {nodes}"
