"""Words that make no sense, names that give orders to terminals, and nowhere to print to."""

import os
import subprocess
import sys

import pytest

from renderctl.cli.ui.escaping import escape_line, escape_lines
from renderctl.farm import Farm
from tests.cli.conftest import Ctl
from tests.farms import given_job, given_model, given_worker

ORDER = "\x1b[2Jred\n\x9b"

EITHER_WAY = True


def test_control_characters_are_spelled_out() -> None:
    assert escape_line("a\x1b[31m\tb\n\x9b") == r"a\x1b[31m\tb\n\x9b"
    assert escape_lines("first\nsecond\a") == "first\nsecond\\x07"
    assert escape_line("Überblick 🎨") == "Überblick 🎨"


@pytest.mark.parametrize("words", [("jobs",), ("status", "ID"), ("watch", "ID", "--timeout", "0"), ("status", "nope")])
def test_a_name_gives_no_orders_to_the_terminal(ctl: Ctl, given: Farm, words: tuple[str, ...]) -> None:
    job = given_job(given, "1", name=ORDER)
    said = ctl(*(job.id if word == "ID" else word for word in words))
    assert "\x1b" not in said.out + said.err
    assert "\x9b" not in said.out + said.err


def test_json_tells_a_name_as_it_is(ctl: Ctl, given: Farm) -> None:
    given_job(given, "1", name=ORDER)
    assert ctl("jobs", "--json").document[0]["name"] == ORDER


def test_workers_names_give_no_orders_either(ctl: Ctl, given: Farm) -> None:
    given_worker(given, "\x1b[31m")
    assert r"\x1b[31m" in ctl("workers").out


@pytest.mark.parametrize("time", ["nan", "inf", "-1", "soon", ""])
@pytest.mark.parametrize(
    "words",
    [("submit", "shot", "--wait", "--timeout"), ("watch", "shot", "--timeout"), ("worker", "--exit-when-idle")],
)
def test_a_time_that_never_comes_is_a_usage_error(ctl: Ctl, words: tuple[str, ...], time: str) -> None:
    said = ctl(*words, time)
    assert said.code == 2
    assert "is not a number of seconds" in said.err


@pytest.mark.parametrize(
    "words",
    [
        ("worker", "--name", ""),
        ("worker", "--pool", " "),
        ("submit", ""),
        ("submit", "shot", "--name", ""),
        ("submit", "shot", "--timeout", "5"),
        ("submit", "shot", "--cancel-on-interrupt"),
        ("jobs", "--mine", "--owner", "somebody"),
        ("jobs", "--limit", "99999999999999999999"),
        ("render", "--job", "shot", "-f", "1-10"),
    ],
)
def test_options_that_could_only_be_ignored_are_usage_errors(ctl: Ctl, given: Farm, words: tuple[str, ...]) -> None:
    given_model(given)
    assert ctl(*words).code == 2
    assert ctl("jobs", "--json").document == []


@pytest.mark.slow
def test_what_is_not_utf_8_is_named_and_refused(process: Ctl) -> None:
    said = process("status", "\udcff", "--json")
    assert (said.code, said.document["error"]["code"]) == (9, "invalid_input")
    assert r"b'\xff'" in said.document["error"]["message"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("redirected", "code", "said"),
    [
        ("jobs > /dev/full", 9, "Error: The result can not be printed: No space left on device.\n"),
        ("jobs --json > /dev/full", 9, "Error: The result can not be printed: No space left on device.\n"),
        ("jobs >&-", 0, ""),
        ("status nope 2> /dev/full", 6, ""),
        ("status nope 2>&-", 6, ""),
    ],
)
def test_nowhere_to_print_to_is_no_traceback(given: Farm, redirected: str, code: int, said: str) -> None:
    environment = {**os.environ, "RENDERCTL_DATA_DIR": str(given.settings.data_dir)}
    command = f"{sys.executable} -m renderctl {redirected}"
    done = subprocess.run(command, shell=True, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (code, said)
