"""What holds for every command: options in any position, one document on stdout, errors that are sentences."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from renderctl.farm import Farm
from tests.cli.conftest import Ctl
from tests.farms import given_job, work_off

EITHER_WAY = True


@pytest.mark.parametrize(
    "words",
    [("--json", "--quiet", "jobs"), ("jobs", "--json", "-q"), ("--json", "jobs", "--limit", "3", "--quiet")],
)
def test_global_options_stand_in_front_of_a_command_or_after_it(ctl: Ctl, given: Farm, words: tuple[str, ...]) -> None:
    job = given_job(given)
    assert [each["id"] for each in ctl(*words).document] == [job.id]


def test_another_config_is_named_in_any_position(ctl: Ctl, tmp_path: Path) -> None:
    (tmp_path / "other.yaml").write_text("worker: {slotz: 2}\n")
    for words in (("--config", "other.yaml", "jobs"), ("jobs", "--config=other.yaml")):
        said = ctl(*words, "--json")
        assert (said.code, said.document["error"]["code"]) == (9, "bad_settings")


def test_config_without_a_file_is_a_usage_error(ctl: Ctl) -> None:
    assert ctl("jobs", "--config").code == 2


def test_frames_may_begin_with_a_minus(ctl: Ctl, given: Farm) -> None:
    given_job(given)
    document = ctl("submit", "shot", "-f", "-5--1", "--json").document
    assert (document["frames"], document["tasks"]["total"]) == ("-5--1", 5)


def test_names_are_taken_in_any_case(ctl: Ctl, given: Farm) -> None:
    given_job(given)
    words = ("--engine", "Cycles", "--format", "jpg", "--device", "CPU", "--quality", "1K")
    assert ctl("submit", "shot", *words, "--json").code == 0


@pytest.mark.slow
@pytest.mark.directly
def test_no_traceback_is_shown_without_debug(process: Ctl, data_dir: Path) -> None:
    data_dir.mkdir()
    (data_dir / "renderctl.db").write_text("this is no database")
    quiet, debug = process("jobs"), process("jobs", "--debug")
    assert quiet.code == debug.code == 8
    assert "Traceback" not in quiet.err
    assert "Traceback" in debug.err


@pytest.mark.slow
def test_a_reader_that_has_enough_is_no_error(tmp_path: Path) -> None:
    command = f"{sys.executable} -m renderctl --help | true"
    environment = {**os.environ, "HOME": str(tmp_path)}
    done = subprocess.run(command, shell=True, env=environment, capture_output=True, text=True, check=True)
    assert done.stderr == ""


@pytest.mark.slow
def test_help_imports_neither_typer_nor_anything_heavy() -> None:
    code = "import sys; from renderctl.cli import run; run(['--help']); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.splitlines()[-1].split())
    assert not loaded & {"typer", "rich", "yaml", "sqlmodel", "sqlalchemy", "jinja2", "renderctl.core.settings"}


@pytest.mark.slow
def test_a_cached_status_needs_neither_database_nor_queue(given: Farm) -> None:
    job = given_job(given)
    work_off(given)
    broker = {"RENDERCTL_QUEUE__KIND": "rabbitmq", "RENDERCTL_QUEUE__URL": "amqp://no-such-host.invalid/"}
    environment = {**os.environ, **broker, "RENDERCTL_DATA_DIR": str(given.settings.data_dir)}
    code = f"import sys; from renderctl.cli import run; run(['status', '{job.id}', '--json']); print(*sys.modules)"
    heavy = {"sqlmodel", "sqlalchemy", "jinja2", "pika"}
    for _ in range(6):  # the first asks the database and leaves a copy, which is good for two seconds
        done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
        document, loaded = done.stdout.splitlines()
        assert json.loads(document)["state"] == "succeeded"
        if not set(loaded.split()) & heavy:
            return
    pytest.fail("every one of them has asked the database")


def test_the_version_is_told(ctl: Ctl) -> None:
    assert ctl("--version").out == ctl("version").out
    assert set(ctl("--version", "--json").document) == {"version"}
