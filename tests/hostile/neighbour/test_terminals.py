"""What somebody else has named, or let Blender print, gives no orders to a terminal and reads as it is."""

import logging
import sys
import unicodedata

import pytest
from rich.text import Text

from renderctl.cli.logging import log_to_stderr
from renderctl.cli.ui import console, escaping
from renderctl.core.attempts import Cost
from renderctl.core.errors import NotFound
from renderctl.core.jobs import Failure, Fault, Job
from renderctl.farm import Farm
from tests.cli.conftest import Ctl, ctl, data_dir, given, server  # noqa: F401
from tests.farms import given_job, given_model, given_worker

#: Clears the screen, paints, sets the title, rings, goes back to the line's begin, turns the writing, hides letters.
ORDERS = (
    "\x1b[2J\x1b[31mred\x1b]0;owned\x07\x9b2J\r\x08\u202egnp.exe\u2066\u2069\u200e\u200f\u200b\u2060\ufeff\x7f\u2028"
)
EITHER_WAY = True


def orders_in(text: str) -> set[str]:
    """The characters of a text that no line of a terminal should have."""
    return {item for item in text if item != "\n" and unicodedata.category(item) in ("Cc", "Cf", "Cs", "Zl", "Zp")}


@pytest.fixture
def job(given: Farm) -> Job:  # noqa: F811
    """A failed job of a neighbour who has put orders wherever he could."""
    model = given_model(given, f"shot{ORDERS}")
    job = given_job(given, "1", model=model, name=f"job{ORDERS}")
    claimant = given_worker(given, f"w{ORDERS}", offered=given_worker(given).capabilities)
    attempt = given.repository.attempts.claim(job.id, claimant).attempts[0]
    given.repository.attempts.start(attempt)
    given.repository.jobs.add_notes(job.id, (f"note{ORDERS}",))
    given.store.put_log(attempt.id, [f"Fra:1\ttab{ORDERS}\n".encode()])
    given.repository.attempts.fail(attempt, Failure(Fault.SCENE, f"reason{ORDERS}", whole_job=True), Cost())
    return job


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        ("jobs",),
        ("status", "ID"),
        ("watch", "ID"),
        ("logs", "ID"),
        ("logs", "ID", "--task", "1"),
        ("logs", "ID", "--follow"),
        ("models",),
        ("models", "show", "MODEL"),
        ("workers",),
        ("audit",),
        ("retry", "ID"),
        ("priority", "ID", "7"),
        ("jobs", "rm", "ID"),
        ("download", "ID"),
        ("webhooks",),
        ("users",),
        ("projects",),
        ("tokens",),
        ("sessions",),
        ("sweep",),
        ("gc", "--dry-run"),
        ("doctor",),
        ("whoami",),
    ],
    ids=" ".join,
)
def test_no_command_shows_an_order_of_somebody_elses(ctl: Ctl, job: Job, words: tuple[str, ...]) -> None:  # noqa: F811
    said = ctl(*({"ID": job.id, "MODEL": job.model}.get(word, word) for word in words))
    assert "--help" not in said.err, "no such command"
    assert not orders_in(said.out.replace("\t", "") + said.err)


def test_a_log_keeps_its_lines_and_tabs_and_loses_its_colours(ctl: Ctl, job: Job) -> None:  # noqa: F811
    assert ctl("logs", job.id).out.startswith("Fra:1\ttab\\x1b[2Jred\\x1b]0;owned\\x07\\x9b2J\\r\\x08\\u202egnp.exe")


def test_json_tells_a_log_as_it_is(ctl: Ctl, job: Job) -> None:  # noqa: F811
    assert ORDERS in ctl("logs", job.id, "--json").document[0]["text"]


@pytest.mark.slow
def test_every_such_character_is_spelled_out() -> None:
    every = [chr(code) for code in range(sys.maxunicode + 1) if orders_in(chr(code))]
    assert len(every) > 2000  # the surrogates among them
    assert not orders_in(escaping.escape_line("".join(every)))
    assert not orders_in(escaping.escape_lines("".join(every)))
    assert not orders_in(escaping.escape_log("".join(every)).replace("\t", ""))


def test_what_a_view_forgets_is_caught_on_its_way_out(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    console.show([ORDERS], lambda found: Text(f"\x1b[2J{found[0]}"))
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    console.show([ORDERS], lambda found: Text(found[0]))
    said = capsys.readouterr()
    assert "red" in said.out
    assert not orders_in(said.out + said.err)


def test_an_error_with_its_traceback_gives_no_orders(capsys: pytest.CaptureFixture[str]) -> None:
    console.show_traceback(NotFound(ORDERS))
    console.print_error(NotFound(ORDERS, hint=ORDERS))
    console.note(ORDERS)
    assert not orders_in(capsys.readouterr().err)


def test_what_is_logged_gives_no_orders(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    log_to_stderr()
    try:
        raise ValueError(ORDERS)
    except ValueError:
        logging.getLogger("renderctl.test").exception("a task failed: %s", ORDERS)
    said = capsys.readouterr().err
    assert "a task failed" in said
    assert not orders_in(said)
