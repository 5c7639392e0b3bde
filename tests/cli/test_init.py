"""`renderctl init --compose`, as an admin sees it."""

from pathlib import Path

from tests.cli.conftest import Ctl


def without(env: Path, *names: str) -> None:
    env.write_text("".join(line for line in env.read_text().splitlines(True) if line.split("=")[0] not in names))


def test_init_says_by_name_what_it_has_added_to_an_env_file_and_never_a_value(ctl: Ctl, tmp_path: Path) -> None:
    assert ctl("init", "--compose", "compose").code == 0
    env = tmp_path / "compose" / ".env"
    without(env, "GRAFANA_PASSWORD", "METRICS_TOKEN")
    said = ctl("init", "--compose", "compose")
    assert said.out == "Wrote compose/.env.\nNew in .env: GRAFANA_PASSWORD, METRICS_TOKEN.\n"
    assert said.err == ""
    values = [line.partition("=")[2] for line in env.read_text().splitlines()]
    assert not any(value in said.out for value in values)


def test_init_lists_in_json_what_it_has_written_and_added(ctl: Ctl, tmp_path: Path) -> None:
    ctl("init", "--compose", "compose")
    without(tmp_path / "compose" / ".env", "METRICS_TOKEN")
    document = ctl("init", "--compose", "compose", "--json").document
    assert document == {"files": ["compose/.env"], "added": ["METRICS_TOKEN"], "differing": []}
    document = ctl("init", "--compose", "compose", "--json").document
    assert document == {"files": [], "added": [], "differing": []}


def test_init_says_that_nothing_is_missing(ctl: Ctl) -> None:
    ctl("init", "--compose", "compose")
    said = ctl("init", "--compose", "compose")
    assert (said.code, said.out) == (0, "Nothing is missing: the files are left as they are.\n")


def test_init_says_in_what_the_config_differs_and_that_force_writes_it_anew(ctl: Ctl, tmp_path: Path) -> None:
    ctl("init", "--compose", "compose")
    config = tmp_path / "compose" / "renderctl.yaml"
    config.write_text(config.read_text().partition("audit:")[0])
    said = ctl("init", "--compose", "compose")
    assert "compose/renderctl.yaml differs from .env in AUDIT_KEY." in said.err
    assert ctl("init", "--compose", "compose", "--force").out == "Wrote compose/renderctl.yaml.\n"
    assert ctl("init", "--compose", "compose").err == ""
