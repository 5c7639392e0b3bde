import inspect
import re
from pathlib import Path

import pytest

from renderctl.cli.catalog import COMMANDS
from renderctl.core.permissions import TABLE
from renderctl.farm import Farm
from renderctl.wiring.verbs import Verb
from tests.cli.conftest import Ctl
from tests.cli.reference import PAGE, page
from tests.farms import given_job, given_model, work_off
from tests.verbs import VERBS

#: Every command is called directly, and through a server.
EITHER_WAY = True
ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_the_reference_of_the_commands_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "`make docs` makes it current"


def test_every_verb_is_there_takes_an_actor_and_has_a_row_in_the_permission_table() -> None:
    assert len(VERBS) > 80
    for name, verb in VERBS.items():
        parameters = list(inspect.signature(verb.use_case()).parameters)
        assert parameters[0] == "farm", name
        assert (verb.action in TABLE) == ("actor" in parameters[1:2]), name
        assert verb.action is None or verb.action in TABLE


def test_what_is_had_through_a_server_has_the_very_parameters_that_it_has_on_the_farm() -> None:
    shared = {name: verb for name, verb in VERBS.items() if isinstance(verb, Verb)}
    assert len(shared) > 50
    for name, verb in shared.items():
        here, there = (list(inspect.signature(load()).parameters.values()) for load in (verb.use_case, verb.request))
        assert [(it.name, it.kind, it.default) for it in here[2:]] == [
            (it.name, it.kind, it.default) for it in there[1:]
        ], name


def test_help_names_every_command(ctl: Ctl) -> None:
    said = ctl("--help")
    assert said.code == 0
    assert all(re.search(rf"^  {name} ", said.out, re.M) for name in COMMANDS)


def test_an_unknown_command_is_a_usage_error_with_a_suggestion(ctl: Ctl) -> None:
    said = ctl("statsu")
    assert said.code == 2
    assert "Did you mean 'status'?" in said.err


@pytest.mark.parametrize("words", [("--json", "status", "nope"), ("status", "nope", "--json")])
def test_an_error_is_one_document_wherever_json_stands(ctl: Ctl, given: Farm, words: tuple[str, ...]) -> None:
    said = ctl(*words)
    assert said.code == 6
    assert said.document["error"]["code"] == "not_found"


def test_a_usage_error_is_a_document_too(ctl: Ctl) -> None:
    said = ctl("submit", "--json")
    assert said.code == 2
    assert said.document["error"]["code"] == "usage_error"


def test_status_prints_the_fields_that_are_promised(ctl: Ctl, given: Farm) -> None:
    job = given_job(given, "1-3")
    document = ctl("status", job.id, "--json").document
    assert document["tasks"] == {
        "total": 3,
        "blocked": 0,
        "queued": 3,
        "running": 0,
        "succeeded": 0,
        "failed": 0,
        "canceled": 0,
    }
    assert document["waiting_reason"] == "no worker serves pool default"
    promised = "id name state model project owner pool priority progress eta_seconds created_at started_at finished_at"
    assert set(promised.split()) | {"error", "waiting_reason", "outputs", "tasks"} <= set(document)


def test_a_job_is_found_by_a_unique_beginning_and_by_its_name(ctl: Ctl, given: Farm) -> None:
    job = given_job(given, "1", name="hero")
    assert ctl("status", job.id[:10], "--json").document["id"] == job.id
    assert ctl("status", "hero", "--json").document["id"] == job.id


def test_jobs_are_paused_resumed_and_canceled(ctl: Ctl, given: Farm) -> None:
    job = given_job(given, "1-3")
    for verb, state in (("pause", "paused"), ("resume", "queued"), ("cancel", "canceled")):
        assert ctl(verb, job.id, "--json").document["state"] == state
    assert ctl("pause", job.id).code == 9
    assert ctl("watch", job.id).code == 4


def test_the_images_are_downloaded_whole_and_only_once(ctl: Ctl, given: Farm, tmp_path: Path) -> None:
    job = given_job(given, "1-3")
    work_off(given)
    first = ctl("download", job.id, "-o", "out", "--json").document
    again = ctl("download", job.id, "-o", "out", "--json").document
    assert (first["files"], first["written"], again["written"]) == (3, 3, 0)
    assert sorted(path.name for path in (tmp_path / "out" / "shot").glob("*.png")) == [
        "0001.png",
        "0002.png",
        "0003.png",
    ]


def test_logs_show_the_command_first(ctl: Ctl, given: Farm) -> None:
    job = given_job(given, "1")
    work_off(given)
    assert ctl("logs", job.id).out.startswith("$ ")


def test_models_are_listed_shown_and_removed(ctl: Ctl, given: Farm) -> None:
    given_model(given)
    assert "shot@1" in ctl("models").out
    assert "Camera" in ctl("models", "show", "shot").out
    assert ctl("models", "rm", "shot@1").code == 0
    assert ctl("models", "show", "shot").code == 6


def test_a_config_with_a_typo_says_what_was_meant(ctl: Ctl, tmp_path: Path) -> None:
    (tmp_path / "renderctl.yaml").write_text("worker: {slotz: 2}\n")
    said = ctl("jobs")
    assert said.code == 9
    assert "worker.slotz" in said.err
    assert "'slots'" in said.err


def test_init_writes_a_config_that_is_valid_and_never_overwrites_one(ctl: Ctl, tmp_path: Path) -> None:
    assert ctl("init", "-o", "renderctl.yaml").code == 0
    assert ctl("jobs").code == 0
    assert ctl("init", "-o", "renderctl.yaml").code == 9


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("render", "nope.blend"), "There is no scene file"),
        (("render", "."), "is a folder, not a scene"),
        (("render", "empty.blend"), "is empty"),
        (("render", "picture.blend"), "it is a PNG image"),
        (("render", "x.blend", "-f", "5-1"), "ends before it begins"),
        (("render", "x.blend", "-f", "1-99999999999"), "is outside Blender's frame range"),
        (("render", "x.blend", "--engine", "cycle"), "There is no engine 'cycle'"),
        (("render", "x.blend", "--format", "GIF"), "There is no format 'GIF'"),
        (("render", "x.blend", "--resolution", "big"), "is not a resolution"),
    ],
)
def test_bad_input_gets_a_sentence_and_exit_code_9(
    ctl: Ctl, given: Farm, tmp_path: Path, words: tuple[str, ...], sentence: str
) -> None:
    (tmp_path / "empty.blend").touch()
    (tmp_path / "picture.blend").write_bytes(b"\x89PNG\r\n\x1a\n" + b"\0" * 64)
    said = ctl(*words)
    assert said.code == 9
    assert sentence in said.err
    assert ctl("jobs", "--json").document == []


@pytest.mark.slow
def test_a_process_says_one_thing_on_stdout_and_ends_with_the_exit_code(process: Ctl) -> None:
    said = process("status", "nope", "--json")
    assert (said.code, said.document["error"]["code"], said.err) == (6, "not_found", "")
