"""What the pages about security name is there: tests, decisions, and what follows from them."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs/explanation").glob("*.md"))
STATUS = {"met", "partly", "operator", "no", "n/a"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_test_that_a_page_names_is_there(page: Path) -> None:
    for file, name in re.findall(r"`([\w/]+\.py)::(\w+)(?:\[[^]]*\])?`", page.read_text(encoding="utf-8")):
        path = ROOT / "tests" / file
        assert path.is_file(), file
        assert re.search(rf"^def {name}\(", path.read_text(encoding="utf-8"), re.MULTILINE), f"{file}::{name}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]*)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        assert not target or (page.parent / target).is_file(), target


def test_every_requirement_of_the_standard_is_met_or_said_not_to_be() -> None:
    rows = re.findall(
        r"^\| ([\d.,–, ]+) \| [^|]+ \| ([^|]+) \|", (ROOT / "docs/explanation/asvs.md").read_text(), re.MULTILINE
    )
    assert len(rows) > 200
    assert {status.strip() for _, status in rows} == STATUS
    assert len({number for number, _ in rows}) == len(rows)
