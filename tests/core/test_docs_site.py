"""The documentation site: what is generated is current, and no page loads anything from elsewhere."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.core import settings_page

ROOT = Path(__file__).parents[2]


def test_the_page_of_settings_is_current() -> None:
    assert settings_page.PAGE.read_text(encoding="utf-8") == settings_page.page(), "`make docs` makes it current"


def test_every_setting_stands_in_the_page() -> None:
    keys = re.findall(r"^(\w+):", (ROOT / "config.example.yaml").read_text(encoding="utf-8"), re.M)
    assert re.findall(r"^## (\w+)$", settings_page.page(), re.M) == keys


@pytest.mark.slow
def test_no_page_loads_anything_from_another_site(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path)]
    subprocess.run(words, cwd=ROOT, check=True, capture_output=True)
    pages = list(tmp_path.rglob("*.html"))
    assert len(pages) > 60
    loading = r"<(?:script|img|iframe|source)\b[^>]*\bsrc=[\"']?(?:https?:)?//|<link\b[^>]*\bhref=[\"']?(?:https?:)?//"
    assert [page for page in pages if re.search(loading, page.read_text(encoding="utf-8"))] == []
    sheets = [sheet.read_text(encoding="utf-8") for sheet in tmp_path.rglob("*.css")]
    assert not any(re.search(r"url\([\"']?(?:https?:)?//|@import [\"'](?:https?:)?//", sheet) for sheet in sheets)


@pytest.mark.parametrize("name", ["architecture.md", "glossary.md"])
def test_every_file_that_a_page_names_exists(name: str) -> None:
    page = (ROOT / "docs" / name).read_text(encoding="utf-8")
    named = set(re.findall(r"`((?:[a-z_]+/)+[a-z_]+\.(?:py|js|py\.j2))`", page))
    assert named
    missing = [path for path in named if not any((base / path).exists() for base in (ROOT / "src/renderctl", ROOT))]
    assert missing == [], f"{name} names files that have moved"
