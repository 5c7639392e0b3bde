"""What is misspelt between the command line, the server, the client and the use-cases is an error of `make check`."""

import re
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = Path("src/renderctl")


@dataclass(frozen=True)
class Mistake:
    """A piece of a file, as it is and as somebody may misspell it."""

    file: str
    right: str
    wrong: str
    reported: str  #: part of what mypy says
    where: str = ""  #: the file that mypy names; the same unless it says otherwise


MISTAKES = {
    "a verb, of a command": Mistake(
        "cli/commands/control.py", "connection.cancel(job)", "connection.cancle(job)", 'no attribute "cancle"'
    ),
    "a verb, of a route": Mistake("server/api/jobs.py", "verbs.pause(job)", "verbs.pasue(job)", 'no attribute "pasue"'),
    "an argument, of a command": Mistake(
        "cli/commands/jobs.py", "connection.jobs(", "connection.jobs(onwer=None, *", 'argument "onwer"'
    ),
    "an argument, of a route": Mistake(
        "server/api/outputs.py", "verbs.outputs(job, after=after", "verbs.outputs(job, aftr=after", 'argument "aftr"'
    ),
    "the type of an argument": Mistake(
        "cli/commands/users.py", "set_role(name, role)", "set_role(role, name)", 'expected "Role"'
    ),
    "a field, of a command": Mistake(
        "cli/commands/upload.py", "uploaded.notes", "uploaded.remarks", 'no attribute "remarks"'
    ),
    "a field, of a table": Mistake("cli/ui/job_tables.py", '["waiting_reason"]', '["waits"]', 'no key "waits"'),
    "a field, of a route": Mistake("server/api/jobs.py", ".new,", ".fresh,", 'no attribute "fresh"'),
    "a field, of a request to a server": Mistake(
        "client/jobs.py", "request.max_slots", "request.max_slot", 'no attribute "max_slot"'
    ),
    "a field, of what a server answers": Mistake(
        "client/outputs.py", "output.digest", "output.hash", 'no attribute "hash"'
    ),
    "a parameter, of a request to a server": Mistake(
        "client/workers.py", "worker_ref: str", "ref: str", "incompatible type", "wiring/commands.py"
    ),
    "a module of the table": Mistake(
        "wiring/commands.py", "farm.jobs.remove.select_jobs", "farm.jobs.removal.select_jobs", 'attribute "removal"'
    ),
    "a use-case of the table": Mistake(
        "wiring/commands.py", "farm.jobs.watch.watch", "farm.jobs.watch.wacth", 'attribute "wacth"'
    ),
    "a request of the table": Mistake(
        "wiring/commands.py", "client.people.whoami", "client.people.whoim", 'attribute "whoim"'
    ),
}


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What mypy says, called as `make check` calls it, of the sources with all the mistakes in them."""
    folder = tmp_path_factory.mktemp("planted")
    texts = {each.file: (ROOT / SOURCES / each.file).read_text(encoding="utf-8") for each in MISTAKES.values()}
    for each in MISTAKES.values():
        texts[each.file] = texts[each.file].replace(each.right, each.wrong)
    shadows = []
    for number, (file, text) in enumerate(texts.items()):
        shadow = folder / f"{number}.py"
        shadow.write_text(text, encoding="utf-8")
        shadows += ["--shadow-file", str(SOURCES / file), str(shadow)]
    words = [
        sys.executable,
        "-m",
        "mypy",
        "-p",
        "renderctl",
        "--cache-dir",
        str(folder / "cache"),
        "--no-pretty",
        *shadows,
    ]
    return subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False).stdout


def test_make_check_runs_mypy_over_the_whole_package() -> None:
    recipe = re.search(r"^static:\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M)
    assert recipe is not None
    assert "\t.venv/bin/mypy\n" in recipe[1]
    config = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["mypy"]
    assert config["strict"]
    assert "renderctl" in config["packages"]


@pytest.mark.parametrize("what", MISTAKES)
def test_what_is_to_be_misspelt_is_there(what: str) -> None:
    mistake = MISTAKES[what]
    assert mistake.right in (ROOT / SOURCES / mistake.file).read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.parametrize("what", MISTAKES)
def test_what_is_misspelt_is_found(report: str, what: str) -> None:
    mistake = MISTAKES[what]
    named = SOURCES / (mistake.where or mistake.file)
    lines = [line for line in report.splitlines() if line.startswith(f"{named}:")]
    assert any(": error: " in line and mistake.reported in line for line in lines), "\n".join(lines) or report
