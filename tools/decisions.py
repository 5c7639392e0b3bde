"""`python tools/decisions.py`: number the decision records without gaps, and write their index.

A record is `docs/decisions/NNNN-slug.md`. It begins with `# N. Title`, its status and its date. A new record
takes the next free number. Where two branches took the same one, or left a gap, this renumbers: the file, its title,
and every reference in the repository (a file name, with or without a link whose text is `decision N`).
"""

import datetime
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "docs" / "decisions"
INDEX = FOLDER / "index.md"
STATUSES = ("proposed", "accepted", "superseded", "deprecated")
_NAME = re.compile(r"(\d{4})-[a-z0-9-]+")
_TITLE = re.compile(r"# (\d+)[.:] (.+)\n")
_METADATA = re.compile(r"- Status: (\w+)(?:, by \[.+\]\(.+\))?\n- Date: (\d{4}-\d{2}-\d{2})\n")
_HEAD = """\
# Decision records

Why renderctl is built as it is: the context of each decision, what was decided, and what follows from it. A record is
not rewritten when the decision changes: a new record replaces it, and its status says so. New records start from
[the template](#a-new-record); `make docs` keeps the numbers without gaps and writes this table.

| | decision | date | status |
|---|---|---|---|
"""
_TAIL = """
## A new record

Copy this to `docs/decisions/NNNN-a-short-title.md`, with the next number:

```markdown
# N. A sentence that states the decision

- Status: accepted
- Date: YYYY-MM-DD

**Context.** What is the case, what it costs, with figures.

**Decision.** What we do.

**Consequences.** What follows, the bad included. What else was considered, and why not.
```
"""


@dataclass(frozen=True)
class Record:
    """A decision record as its file has it."""

    path: Path
    number: int
    title: str
    status: str
    date: str


def records() -> Sequence[Record]:
    """Return all records, by number. Raises ValueError for one that does not begin as it should."""
    return [_read(path) for path in sorted(FOLDER.glob("[0-9]*.md"))]


def index(of: Sequence[Record]) -> str:
    """Return what the index page should hold."""
    rows = [
        f"| {record.number} | [{record.title}]({record.path.name}) | {record.date} | {record.status} |" for record in of
    ]
    return _HEAD + "\n".join(rows) + "\n" + _TAIL


def renumber() -> None:
    """Number the records 1, 2, 3 … in the order of their numbers, and correct every reference to them."""
    stems = {
        path.stem: f"{number:04}{path.stem[4:]}" for number, path in enumerate(sorted(FOLDER.glob("[0-9]*.md")), 1)
    }
    moved = {old: new for old, new in stems.items() if old != new}
    for old, new in moved.items():
        (FOLDER / f"{old}.md").rename(FOLDER / f"_{new}.md")
    for new in moved.values():
        path = FOLDER / f"_{new}.md"
        path.write_text(_TITLE.sub(rf"# {int(new[:4])}. \2\n", path.read_text("utf-8"), count=1), "utf-8")
        path.rename(FOLDER / f"{new}.md")
    if moved:
        for path in _text_files():
            text = path.read_text("utf-8")
            changed = rewrite(text, moved)
            if changed != text:
                path.write_text(changed, "utf-8")


def rewrite(text: str, moved: Mapping[str, str]) -> str:
    """Return `text` with the records called by their new names: `moved` is from old stem to new."""

    def link(match: re.Match[str]) -> str:
        new = moved.get(match[3])
        return match[0] if new is None else f"{match[1]}{int(new[:4])}]({match[2]}{new}.md"

    text = re.sub(r"(\[(?:[Dd]ecisions?\s+)?)\d+\]\(([^()\s]*)(\d{4}-[a-z0-9-]+)\.md", link, text)
    return _NAME.sub(lambda match: moved.get(match[0], match[0]), text)


def _read(path: Path) -> Record:
    text = path.read_text("utf-8")
    title = _TITLE.match(text)
    metadata = _METADATA.match(text, title.end() + 1) if title else None
    if not title or not metadata or not _NAME.fullmatch(path.stem):
        raise ValueError(f"{path.name} does not begin with its title, status and date: see {INDEX.name}")
    return Record(path, int(title[1]), title[2], metadata[1], metadata[2])


def _complete(path: Path) -> None:
    """Give a record without a status and a date those of an accepted one of today."""
    text = path.read_text("utf-8")
    title = _TITLE.match(text)
    if title and "\n- Status: " not in text[:400]:
        today = datetime.datetime.now(datetime.UTC).date().isoformat()
        head = f"# {int(title[1])}. {title[2]}\n\n- Status: accepted\n- Date: {today}\n"
        path.write_text(head + text[title.end() :], "utf-8")


def _text_files() -> Sequence[Path]:
    words = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--deduplicate"]
    names = subprocess.run(words, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\0")
    suffixes = {".md", ".py", ".yaml", ".yml", ".toml", ".j2", ".html", ".js", ".sh", ".cfg", ""}
    return [path for name in names if (path := ROOT / name).is_file() and path.suffix in suffixes]


if __name__ == "__main__":
    for path in FOLDER.glob("[0-9]*.md"):
        _complete(path)
    renumber()
    INDEX.write_text(index(records()), "utf-8")
