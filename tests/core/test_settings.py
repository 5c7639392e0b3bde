"""Settings: config file < environment; typos are answered, secrets never shown."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from renderctl.core.errors import BadSettings
from renderctl.core.settings import Settings, load_settings
from renderctl.core.settings.config_file import Approval

EXAMPLE = Path(__file__).parents[2] / "config.example.yaml"
DEFAULT = Path("/data")

Load = Callable[..., Settings]


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    monkeypatch.chdir(tmp_path)

    def loaded(text: str | None = None, **environment: str) -> Settings:
        config = tmp_path / "config.yaml" if text is not None else None
        if config is not None:
            config.write_text(text or "", encoding="utf-8")
        return load_settings(config, environment, default_data_dir=DEFAULT)

    return loaded


def test_without_a_config_everything_has_its_default(load: Load) -> None:
    assert load() == Settings(data_dir=DEFAULT)


def test_the_example_loads_and_has_every_default() -> None:
    example = load_settings(EXAMPLE, {}, default_data_dir=DEFAULT)
    assert replace(example, source=None) == Settings(data_dir=DEFAULT)


def test_the_example_names_every_setting() -> None:
    document = EXAMPLE.read_text(encoding="utf-8")
    for group in ("blender", "worker"):
        for name in vars(getattr(Settings(data_dir=DEFAULT), group)):
            assert f"\n  {name}:" in document


def test_the_environment_wins_over_the_file(load: Load) -> None:
    settings = load("worker: {slots: 2, heartbeat: 2}", RENDERCTL_WORKER__SLOTS="4")
    assert (settings.worker.slots, settings.worker.heartbeat) == (4, 2.0)


def test_a_group_whose_lines_are_all_comments_has_its_defaults(load: Load) -> None:
    assert load("worker:\n  # slots: 4\nblender:\n").worker == Settings(data_dir=DEFAULT).worker


@pytest.mark.parametrize(
    ("name", "text", "group", "value"),
    [
        ("RENDERCTL_WORKER__POOLS", "cpu, gpu", ("worker", "pools"), ("cpu", "gpu")),
        ("RENDERCTL_WORKER__POOLS", "[cpu, gpu]", ("worker", "pools"), ("cpu", "gpu")),
        ("RENDERCTL_WORKER__ALLOW_SCRIPTS", "true", ("worker", "allow_scripts"), True),
        ("RENDERCTL_WORKER__HEARTBEAT", "3", ("worker", "heartbeat"), 3.0),
        ("RENDERCTL_BLENDER__FRAME_TIMEOUT", "null", ("blender", "frame_timeout"), None),
        ("RENDERCTL_BLENDER__PATHS", "/opt/blender 4.2/blender", ("blender", "paths"), ("/opt/blender 4.2/blender",)),
        ("RENDERCTL_DATABASE__URL", "12345", ("database", "url"), "12345"),
        ("RENDERCTL_DATABASE__URL", "mysql://u:a #b: [c@h/d", ("database", "url"), "mysql://u:a #b: [c@h/d"),
        ("RENDERCTL_DATABASE__URL", "null", ("database", "url"), None),
    ],
)
def test_a_variable_is_read_as_its_setting_needs_it(
    load: Load, name: str, text: str, group: tuple[str, str], value: object
) -> None:
    settings = load(**{name: text})
    assert getattr(getattr(settings, group[0]), group[1]) == value


def test_an_empty_variable_counts_as_not_set(load: Load) -> None:
    assert load(RENDERCTL_WORKER__POOLS="", RENDERCTL_DATA_DIR=" ") == Settings(data_dir=DEFAULT)


def test_variables_of_the_tests_and_of_others_are_no_settings(load: Load) -> None:
    assert load(RENDERCTL_TEST_MYSQL="x", RENDERCTL_DEBUG="1", PATH="/bin") == Settings(data_dir=DEFAULT)


def test_the_data_folder_moves_with_its_variable(load: Load, tmp_path: Path) -> None:
    assert load(RENDERCTL_DATA_DIR="farm").data_dir == tmp_path / "farm"
    assert load("data_dir: ~/farm").data_dir == Path("~/farm").expanduser()
    assert load("data_dir: null").data_dir == DEFAULT


def test_the_config_is_looked_for_where_it_may_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for number, name in enumerate(("named.yaml", "variable.yaml", "renderctl.yaml", "user.yaml"), start=1):
        (tmp_path / name).write_text(f"worker: {{slots: {number}}}")
    user, variable = tmp_path / "user.yaml", {"RENDERCTL_CONFIG": str(tmp_path / "variable.yaml")}
    named = load_settings(tmp_path / "named.yaml", variable, default_data_dir=DEFAULT, user_config=user)
    by_variable = load_settings(None, variable, default_data_dir=DEFAULT, user_config=user)
    here = load_settings(
        None, {}, default_data_dir=DEFAULT, user_config=user, approvals=lambda _path, _content: Approval.APPROVED
    )
    (tmp_path / "renderctl.yaml").unlink()
    of_user = load_settings(None, {}, default_data_dir=DEFAULT, user_config=user)
    assert [item.worker.slots for item in (named, by_variable, here, of_user)] == [1, 2, 3, 4]
    assert of_user.source == user


@pytest.mark.parametrize(
    ("text", "named", "hint"),
    [
        ("wroker: {slots: 2}", "unknown setting wroker", "'worker'"),
        ("worker: {slot: 2}", r"unknown setting worker\.slot", "'slots'"),
        ("source: x", "unknown setting source", "'store'"),
        ("worker: {slots: two}", r"worker\.slots in .* cannot be text", "a whole number"),
        ("worker: {slots: 1.5}", "cannot be a number", "a whole number"),
        ("worker: {slots: true}", "cannot be true or false", "a whole number"),
        ("worker: {heartbeat: .nan}", "cannot be a number", "a number"),
        ("worker: 5", "must be a group of settings, not a whole number", None),
        ("worker: {pools: 5}", "cannot be a whole number", "a list"),
        ("worker: {slots: 0}", "slots must be 1 or more", None),
        ("worker: {pools: []}", "pools not empty", None),
        ("worker: {heartbeat: 10, heartbeat_limit: 15}", "too short", "three times"),
        ("blender: {stall_timeout: 0}", "above 0", None),
        ("blender: {frame_timeout: 0}", "above 0", None),
        ("blender: {threads: -1}", "0 or more", None),
        ("store: {kind: locale}", "no store of kind 'locale'", "'local'"),
        ("- a\n- b", "holds no settings", "key: value"),
        ("a: b: c", "line 1 is not YAML", "Quote"),
        ("worker: {slots: 2", "is not YAML", "Quote"),
        ("a: \x00", "is not YAML", "Quote"),
    ],
)
def test_a_wrong_config_is_an_error_that_names_the_place(load: Load, text: str, named: str, hint: str | None) -> None:
    with pytest.raises(BadSettings, match=named) as caught:
        load(text)
    assert caught.value.exit_code == 9
    assert hint is None or hint in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("name", "text", "named", "hint"),
    [
        ("RENDERCTL_WORKER_SLOTS", "2", "RENDERCTL_WORKER_SLOTS", "'RENDERCTL_WORKER__SLOTS'"),
        ("RENDERCTL_WORKER__SLOT", "2", "RENDERCTL_WORKER__SLOT", "'RENDERCTL_WORKER__SLOTS'"),
        ("RENDERCTL_WORKER__SLOTS", "[2", "RENDERCTL_WORKER__SLOTS cannot be read", "YAML"),
        ("RENDERCTL_WORKER__SLOTS", "many", "RENDERCTL_WORKER__SLOTS cannot be text", "a whole number"),
        ("RENDERCTL_CONFIG", "/no/such/config.yaml", "no config file /no/such", "init"),
    ],
)
def test_a_wrong_variable_is_an_error_that_names_it(load: Load, name: str, text: str, named: str, hint: str) -> None:
    with pytest.raises(BadSettings, match=named) as caught:
        load(**{name: text})
    assert hint in (caught.value.hint or "")


def test_a_file_that_can_not_be_read_is_an_error(load: Load, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(BadSettings, match="cannot be read"):
        load_settings(tmp_path / "config.yaml", {}, default_data_dir=DEFAULT)


def test_secrets_are_not_in_what_is_printed_of_settings(load: Load) -> None:
    settings = load("database: {url: 'mysql+pymysql://render:hush@db/renderctl'}")
    assert "hush" not in repr(settings)
    assert "hush" in settings.database_url


@pytest.mark.parametrize(
    "text",
    [
        "database: {url: {hush: hush}}",
        "database: {url: [hush]}",
        "database: {url: 4815}",
        "database: hush",
        "database: {url: *hush}",
    ],
)
def test_secrets_are_not_in_errors(load: Load, text: str) -> None:
    with pytest.raises(BadSettings) as caught:
        load(text)
    said = f"{caught.value} {caught.value.hint}"
    assert "hush" not in said
    assert "4815" not in said


def test_the_embedded_database_lies_in_the_data_folder(load: Load) -> None:
    assert load(RENDERCTL_DATA_DIR="/farm").database_url == "sqlite:////farm/renderctl.db"


def test_a_variable_may_name_a_file_that_holds_its_value(load: Load, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("hush: {hush}\n")
    (tmp_path / "pools").write_text("cpu, gpu\r\n")
    (tmp_path / "empty").write_text("\n")
    settings = load(
        RENDERCTL_STORE__SECRET_KEY_FILE=str(tmp_path / "key"),
        RENDERCTL_WORKER__POOLS_FILE=str(tmp_path / "pools"),
        RENDERCTL_AUDIT__FORMER_FILE=str(tmp_path / "empty"),
        RENDERCTL_AUDIT__KEY_FILE="",
    )
    assert (settings.store.secret_key, settings.worker.pools) == ("hush: {hush}", ("cpu", "gpu"))
    assert (settings.audit.former, settings.audit.key) == ((), None)


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({"RENDERCTL_AUDIT__KEY_FILE": "/nowhere"}, "/nowhere, which RENDERCTL_AUDIT__KEY_FILE names, cannot be read"),
        ({"RENDERCTL_AUDIT__KEY_FILE": "/"}, "cannot be read"),
        ({"RENDERCTL_AUDIT__KEY_FILE": "/dev/zero"}, "too large"),
        ({"RENDERCTL_AUDIT__KEY": "a", "RENDERCTL_AUDIT__KEY_FILE": "b"}, "Both RENDERCTL_AUDIT__KEY and"),
        ({"RENDERCTL_AUDIT__KAY_FILE": "/dev/null"}, "There is no setting RENDERCTL_AUDIT__KAY_FILE"),
    ],
)
def test_an_unreadable_file_is_an_error_that_names_it(load: Load, variables: dict[str, str], sentence: str) -> None:
    with pytest.raises(BadSettings, match=sentence):
        load(**variables)


@pytest.mark.parametrize(
    ("url", "whole"),
    [
        ("mysql+pymysql://ada@db:3306/farm?ssl=true", "mysql+pymysql://ada:p%40ss%2F@db:3306/farm?ssl=true"),
        ("mysql+pymysql://db/farm", "mysql+pymysql://:p%40ss%2F@db/farm"),
    ],
)
def test_a_password_may_be_apart_from_its_url(load: Load, url: str, whole: str) -> None:
    settings = load(RENDERCTL_DATABASE__URL=url, RENDERCTL_DATABASE__PASSWORD="p@ss/")
    assert settings.database_url == whole
    assert "p@ss" not in repr(settings)
    assert "p%40" not in repr(settings)


@pytest.mark.parametrize("url", ["mysql+pymysql://ada:first@db/farm", "ada@db", ""])
def test_a_password_without_a_place_in_its_url_is_refused_and_not_told(load: Load, url: str) -> None:
    with pytest.raises(BadSettings) as caught:
        load(RENDERCTL_DATABASE__URL=url, RENDERCTL_DATABASE__PASSWORD="hush")
    assert "hush" not in f"{caught.value} {caught.value.hint}"
    assert "first" not in f"{caught.value} {caught.value.hint}"


@pytest.mark.parametrize("name", ["QUOTA__USER_JOBS", "QUOTA__PROJECT_STORED_MB", "QUOTA__JOB_TASKS"])
@pytest.mark.parametrize("value", ["0", "-1", str(1 << 60)])
def test_a_quota_must_be_a_positive_number_or_null(load: Load, name: str, value: str) -> None:
    with pytest.raises(BadSettings, match="must be 1 to"):
        load(**{f"RENDERCTL_{name}": value})
    assert load(**{f"RENDERCTL_{name}": "null"}).quota.user_pings == 2
