"""Decision records: numbered without gaps, each with a status and a date, and all of them in the index."""

import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOOL = runpy.run_path(str(ROOT / "tools" / "decisions.py"))
RECORDS = TOOL["records"]()


def test_records_are_numbered_without_gaps() -> None:
    assert [record.number for record in RECORDS] == list(range(1, len(RECORDS) + 1)), "run `make docs`"


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.path.name)
def test_a_record_has_the_number_of_its_file_and_a_known_status(record) -> None:  # type: ignore[no-untyped-def]
    assert record.path.name.startswith(f"{record.number:04}-")
    assert record.status in TOOL["STATUSES"]


def test_the_index_lists_every_record() -> None:
    assert TOOL["INDEX"].read_text(encoding="utf-8") == TOOL["index"](RECORDS), "run `make docs`"


def test_a_renumbered_record_is_renumbered_wherever_it_is_named() -> None:
    moved = {"0012-a-queue": "0009-a-queue"}
    text = "[decision 12](../decisions/0012-a-queue.md), docs/decisions/0012-a-queue.md, [12](0011-other.md)"
    assert TOOL["rewrite"](text, moved) == (
        "[decision 9](../decisions/0009-a-queue.md), docs/decisions/0009-a-queue.md, [12](0011-other.md)"
    )
