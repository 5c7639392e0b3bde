"""A `./renderctl.yaml` that somebody else left in a folder decides nothing that could harm whoever works there."""

import os
import stat
from pathlib import Path

import pytest

from renderctl.core.settings import load_settings
from renderctl.core.settings.config_file import HARMLESS
from tests.cli.conftest import Ctl

PROGRAM = "#!/bin/sh\ntouch {mark}\necho 'Blender 5.0.1'\n"


@pytest.fixture
def evil(tmp_path: Path, ctl: Ctl) -> Path:
    """A folder with a config that names a program beside it; what the program leaves when it runs."""
    mark, program = tmp_path / "it-ran", tmp_path / "evil" / "blender"
    program.parent.mkdir()
    program.write_text(PROGRAM.format(mark=mark))
    program.chmod(0o755)
    (tmp_path / "renderctl.yaml").write_text("blender: {paths: [evil/blender]}\n")
    (tmp_path / "shot.blend").write_bytes(b"BLENDER-v402")
    return mark


@pytest.mark.parametrize("words", [("doctor",), ("render", "shot.blend"), ("worker", "--exit-when-idle", "0")])
def test_a_config_in_the_working_directory_runs_no_program_of_its_maker(
    ctl: Ctl, evil: Path, words: tuple[str, ...]
) -> None:
    said = ctl(*words)
    assert said.code == (8 if words == ("doctor",) else 9)
    assert not evil.exists()
    text = " ".join((said.out + said.err).split())
    assert "blender.paths" in text
    assert "renderctl trust" in text


def test_once_approved_it_is_used_until_it_changes(ctl: Ctl, evil: Path, tmp_path: Path) -> None:
    config = tmp_path / "renderctl.yaml"
    assert "blender.paths" in ctl("trust").out
    assert ctl("jobs").code == 0
    config.write_text("blender: {paths: [evil/other]}\n")
    said = ctl("jobs")
    assert said.code == 9
    assert "has changed since you approved it" in said.err
    assert ctl("trust", "renderctl.yaml").code == 0
    assert ctl("jobs").code == 0


def test_approval_is_of_that_place_alone(ctl: Ctl, evil: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ctl("trust")
    other = tmp_path / "other"
    other.mkdir()
    (other / "renderctl.yaml").write_bytes((tmp_path / "renderctl.yaml").read_bytes())
    monkeypatch.chdir(other)
    assert ctl("jobs").code == 9


def test_approval_is_taken_back(ctl: Ctl, evil: Path, tmp_path: Path) -> None:
    ctl("trust")
    path = str(tmp_path / "renderctl.yaml")
    assert [(item["config"], item["state"]) for item in ctl("trust", "--list", "--json").document] == [
        (path, "approved")
    ]
    assert ctl("trust", "--remove").code == 0
    assert ctl("jobs").code == 9
    assert ctl("trust", "--list", "--json").document == []
    assert ctl("trust", "--remove").code == 6


def test_what_was_approved_is_remembered_in_a_file_for_its_owner_alone(ctl: Ctl, evil: Path, tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        ctl("trust")
    finally:
        os.umask(before)
    kept = tmp_path / ".config" / "renderctl" / "trusted.json"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert stat.S_IMODE(kept.parent.stat().st_mode) == 0o700


def test_init_approves_what_it_writes(ctl: Ctl, tmp_path: Path) -> None:
    ctl("init", "-o", "renderctl.yaml")
    assert ctl("jobs").code == 0
    with (tmp_path / "renderctl.yaml").open("a") as file:
        file.write("\n")
    assert ctl("jobs").code == 9


def test_init_approves_the_config_of_compose_when_it_writes_it(
    ctl: Ctl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "farm").mkdir()
    ctl("init", "--compose", "farm")
    approved = ctl("trust", "--list", "--json").document
    assert [item["config"] for item in approved] == [str(tmp_path / "farm" / "renderctl.yaml")]
    config = tmp_path / "farm" / "renderctl.yaml"
    config.write_text(config.read_text() + "blender: {paths: [evil/blender]}\n")
    ctl("init", "--compose", "farm")  # leaves it as it is
    assert ctl("trust", "--list", "--json").document[0]["state"] == "changed"


def test_whoever_names_a_config_needs_no_approval(ctl: Ctl, evil: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ctl("jobs", "--config", "renderctl.yaml").code == 0
    monkeypatch.setenv("RENDERCTL_CONFIG", "renderctl.yaml")
    assert ctl("jobs").code == 0


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("executor: {host: 'tcp://evil:2375'}", "executor.host"),
        ("server: {url: 'https://evil'}", "server.url"),
        ("data_dir: /tmp/evil", "data_dir"),
        ("database: {url: 'sqlite:///evil.db'}", "database.url"),
        ("store: {endpoint: evil}", "store.endpoint"),
        ("queue: {kind: rabbitmq, url: 'amqp://evil'}", "queue.url"),
        ("cache: {kind: redis, url: 'redis://evil'}", "cache.url"),
        ("serve: {host: 0.0.0.0}", "serve.host"),
        ("worker: {allow_scripts: true}", "worker.allow_scripts"),
        ("retention: {succeeded_days: 0}", "retention.succeeded_days"),
        ("webhooks: {allow_private: true}", "webhooks.allow_private"),
        ("audit: {key: kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk}", "audit.key"),
    ],
)
def test_it_may_not_set_what_could_harm(ctl: Ctl, tmp_path: Path, text: str, key: str) -> None:
    (tmp_path / "renderctl.yaml").write_text(f"worker: {{slots: 1}}\n{text}\n" if "worker" not in text else text)
    error = ctl("jobs", "--json")
    assert error.code == 9
    assert error.document["error"]["code"] == "untrusted_config"
    assert key in error.document["error"]["message"]
    assert "slots" not in error.document["error"]["message"]


def test_what_harms_nobody_needs_no_approval(ctl: Ctl, tmp_path: Path) -> None:
    (tmp_path / "renderctl.yaml").write_text("worker: {slots: 2, pools: [cpu]}\nblender: {threads: 2}\n")
    assert ctl("jobs").code == 0


def test_it_does_not_put_a_harmless_config_in_place_of_the_users_own(ctl: Ctl, tmp_path: Path) -> None:
    """Whose own says `executor: docker` would render without containers in such a folder."""
    own = tmp_path / ".config" / "renderctl" / "renderctl.yaml"
    own.parent.mkdir(parents=True)
    own.write_text("executor: {kind: docker}\n")
    (tmp_path / "renderctl.yaml").write_text("worker: {slots: 1}\n")
    said = ctl("jobs")
    assert said.code == 9
    assert str(own) in said.err
    assert ctl("trust").code == 0
    assert ctl("jobs").code == 0


def test_a_harmless_setting_is_one_that_exists(tmp_path: Path) -> None:
    known = load_settings(None, {}, default_data_dir=tmp_path)
    for key in HARMLESS:
        group, _, name = key.partition(".")
        assert hasattr(getattr(known, group), name)


def test_a_config_of_a_folder_that_unfolds_without_an_end_is_refused(ctl: Ctl, tmp_path: Path) -> None:
    folds = "".join(f"  - &f{n} [{', '.join([f'*f{n - 1}'] * 9)}]\n" for n in range(1, 12))
    (tmp_path / "renderctl.yaml").write_text(f"worker:\n tags:\n  - &f0 [x]\n{folds}")
    said = ctl("jobs")
    assert said.code == 9
    assert "worker.tags" in said.err


def test_a_config_of_a_folder_that_has_no_end_is_not_read(ctl: Ctl, tmp_path: Path) -> None:
    with (tmp_path / "renderctl.yaml").open("wb") as file:
        file.truncate(1 << 30)
    said = ctl("jobs")
    assert said.code == 9
    assert "too large" in said.err
