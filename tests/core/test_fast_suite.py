"""`pytest --fast` fails when it uses more of a processor than it may, and not because a machine is busy."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.fast import PIECE_S, Used, overrun

ROOT = Path(__file__).parents[2]


def test_what_all_processes_use_is_added_up() -> None:
    assert overrun([Used(50.0, PIECE_S), Used(39.0, PIECE_S)], 90.0) is None
    assert "used 91.0 s of processor" in (overrun([Used(50.0, PIECE_S), Used(41.0, PIECE_S)], 90.0) or "")


def test_a_machine_that_takes_twice_as_long_for_everything_is_not_held_against_the_suite() -> None:
    assert overrun([Used(170.0, 2 * PIECE_S)], 90.0) is None
    assert overrun([Used(190.0, 2 * PIECE_S)], 90.0) is not None


def test_one_that_has_run_no_test_has_used_nothing() -> None:
    assert overrun([], 90.0) is None


@pytest.mark.slow
@pytest.mark.parametrize(("budget", "code"), [("0.001", 1), ("3600", 0)])
@pytest.mark.parametrize("processes", ["0", "2"])
def test_the_run_fails_when_it_uses_more_than_its_budget(budget: str, code: int, processes: str) -> None:
    words = ["--fast", "--budget", budget, "-q", "-n", processes, "tests/core/test_settings.py"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *words], cwd=ROOT, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == code, done.stdout + done.stderr
    assert ("The fast suite used" in done.stdout) == bool(code)
    assert " passed" in done.stdout
