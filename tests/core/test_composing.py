"""`init --compose` where there is something already: an admin's `.env` is added to, and never rewritten."""

import shutil
from pathlib import Path

import pytest

from renderctl.core.errors import BadSettings
from renderctl.core.settings import Settings, load_settings
from renderctl.farm.admin.compose_init import write_compose
from renderctl.farm.admin.dotenv_file import values_in

NEWER = (
    "GRAFANA_PASSWORD",
    "SERVER_PASSWORD",
    "WORKER_PASSWORD",
    "S3_ROOT_USER",
    "S3_ROOT_PASSWORD",
    "METRICS_TOKEN",
    "AUDIT_KEY",
    "SECRETS",
)


def given_older_farm(folder: Path, before: str = "", behind: str = "") -> str:
    """A folder as an older version has left it, with lines of its admin's; what stands in its `.env`."""
    write_compose(folder, force=False)
    lines = (folder / ".env").read_text().splitlines(keepends=True)
    text = before + "".join(line for line in lines if line.split("=")[0] not in NEWER) + behind
    (folder / ".env").write_bytes(text.encode())
    shutil.rmtree(folder / "secrets")
    config = folder / "renderctl.yaml"
    config.write_text(config.read_text().partition("audit:")[0])
    return text


def settings_in(folder: Path) -> Settings:
    return load_settings(folder / "renderctl.yaml", {}, default_data_dir=folder)


@pytest.mark.parametrize(
    ("before", "behind"),
    [
        ("", ""),
        ("# Renders at night\n\nexport TZ='Europe/Berlin'  # ours\n", "BUILD_NETWORK=host\n"),
        ("BUILD_CA = /etc/ssl/proxy.pem\r\n", "LAST=without an end"),
        ('NOTE="two\nGRAFANA_PASSWORD=no, this is text\n"\n', "#GRAFANA_PASSWORD=neither\n"),
        ("\ufeffFIRST=1\n", ""),
    ],
)
def test_what_an_older_env_file_lacks_comes_behind_what_it_has(tmp_path: Path, before: str, behind: str) -> None:
    text = given_older_farm(tmp_path, before, behind)
    done = write_compose(tmp_path, force=False)
    env = tmp_path / ".env"
    assert (done.files, done.added) == ((env,), NEWER)
    after = env.read_bytes().decode()
    assert after.startswith(text)
    values = values_in(after)
    assert values_in(text).items() <= values.items()
    fresh = [values[name] for name in NEWER if name != "SECRETS"]
    assert all(len(value) >= 20 for value in fresh)
    assert len(set(fresh)) == len(fresh)


def test_only_its_owner_reads_it_and_nothing_else_is_left_behind(tmp_path: Path) -> None:
    given_older_farm(tmp_path)
    (tmp_path / ".env").chmod(0o644)
    write_compose(tmp_path, force=False)
    assert (tmp_path / ".env").stat().st_mode & 0o777 == 0o600
    assert {path.name for path in tmp_path.iterdir()} == {".env", "renderctl.yaml", "secrets"}


def test_a_link_to_where_secrets_are_kept_stays_a_link(tmp_path: Path) -> None:
    folder, kept = tmp_path / "compose", tmp_path / "secrets"
    given_older_farm(folder)
    (folder / ".env").rename(kept)
    (folder / ".env").symlink_to(kept)
    assert write_compose(folder, force=False).added == NEWER
    assert (folder / ".env").is_symlink()
    assert set(NEWER) <= set(values_in(kept.read_text()))


@pytest.mark.parametrize("line", ["GRAFANA_PASSWORD=\n", "GRAFANA_PASSWORD=''\n", "GRAFANA_PASSWORD\n"])
def test_what_is_set_to_nothing_is_missing_and_its_line_stays(tmp_path: Path, line: str) -> None:
    text = given_older_farm(tmp_path, line)
    assert "GRAFANA_PASSWORD" in write_compose(tmp_path, force=False).added
    after = (tmp_path / ".env").read_text()
    assert after.startswith(text)
    assert values_in(after)["GRAFANA_PASSWORD"]


@pytest.mark.parametrize("force", [False, True])
def test_secrets_of_a_running_farm_are_never_replaced(tmp_path: Path, force: bool) -> None:
    write_compose(tmp_path, force=False)
    env = tmp_path / ".env"
    before = (env.read_bytes(), env.stat().st_ino, settings_in(tmp_path))
    done = write_compose(tmp_path, force=force)
    assert done.files == ((tmp_path / "renderctl.yaml",) if force else ())
    assert (done.added, done.differing) == ((), ())
    assert (env.read_bytes(), env.stat().st_ino, settings_in(tmp_path)) == before


def test_a_config_that_lacks_what_was_added_is_told_and_written_anew_by_force_alone(tmp_path: Path) -> None:
    given_older_farm(tmp_path)
    before = (tmp_path / "renderctl.yaml").read_text()
    assert write_compose(tmp_path, force=False).differing == ("AUDIT_KEY",)
    assert write_compose(tmp_path, force=False).differing == ("AUDIT_KEY",)
    assert (tmp_path / "renderctl.yaml").read_text() == before
    assert write_compose(tmp_path, force=True).differing == ()
    assert settings_in(tmp_path).audit.key == values_in((tmp_path / ".env").read_text())["AUDIT_KEY"]


def test_what_the_config_knows_is_not_made_anew(tmp_path: Path) -> None:
    write_compose(tmp_path, force=False)
    settings = settings_in(tmp_path)
    (tmp_path / ".env").unlink()
    done = write_compose(tmp_path, force=False)
    assert (done.files, done.differing) == ((tmp_path / ".env",), ())
    write_compose(tmp_path, force=True)
    assert settings_in(tmp_path) == settings


OWN = r"""NAME=farm
MYSQL_PASSWORD='p@ss/w#rd: "%41"'
S3_SECRET_KEY="it's {a} \\ # key"
REDIS_PASSWORD=${NAME}-secret
"""


def test_an_admins_own_passwords_reach_the_config_whatever_is_in_them(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(OWN)
    write_compose(tmp_path, force=False)
    settings = settings_in(tmp_path)
    assert (
        settings.database_url == "mysql+pymysql://renderctl:p%40ss%2Fw%23rd%3A%20%22%2541%22@127.0.0.1:3306/renderctl"
    )
    assert settings.store.secret_key == "it's {a} \\ # key"
    assert settings.cache.url == "redis://:farm-secret@127.0.0.1:6379/0"
    (tmp_path / ".env").unlink()
    write_compose(tmp_path, force=False)  # and from there they come back
    write_compose(tmp_path, force=True)
    assert settings_in(tmp_path) == settings


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("A=1\nMYSQL_PASSWORD: hush-hush\n", "Line 2 of"),
        ('A=1\nB=2\nMYSQL_PASSWORD="hush-hush\n', "Line 3 of"),
        ("MYSQL_PASSWORD=${hush}\n", "makes MYSQL_PASSWORD of variables that are not set"),
        (b"MYSQL_PASSWORD=hush-\xff", "it is no text"),
    ],
)
def test_what_is_not_understood_is_told_by_its_place_and_nothing_is_written(
    tmp_path: Path, text: str, sentence: str
) -> None:
    content = text if isinstance(text, bytes) else text.encode()
    (tmp_path / ".env").write_bytes(content)
    with pytest.raises(BadSettings, match=sentence) as caught:
        write_compose(tmp_path, force=True)
    assert "hush-" not in f"{caught.value.message} {caught.value.hint}"
    assert (tmp_path / ".env").read_bytes() == content
    assert [path.name for path in tmp_path.iterdir()] == [".env"]


def test_the_containers_get_the_secrets_of_the_env_file_again_when_it_changes(tmp_path: Path) -> None:
    write_compose(tmp_path, force=False)
    env, folder = tmp_path / ".env", tmp_path / "secrets"
    inodes = {path.name: path.stat().st_ino for path in folder.iterdir()}
    env.write_text(env.read_text() + f"AUDIT_FORMER={'a' * 32}\nWORKER_PASSWORD='p@ss word'\n")
    write_compose(tmp_path, force=False)
    assert (folder / "audit_former").read_text() == "a" * 32
    assert (folder / "worker_password").read_text() == "p@ss word"
    changed = {path.name for path in folder.iterdir() if path.stat().st_ino != inodes[path.name]}
    assert changed == {"audit_former", "worker_password", "rabbitmq_definitions"}


def test_secrets_may_lie_elsewhere(tmp_path: Path) -> None:
    folder = tmp_path / "compose"
    folder.mkdir()
    (folder / ".env").write_text(f"SECRETS={tmp_path}/vault\n")
    write_compose(folder, force=False)
    assert (tmp_path / "vault" / "mysql_password").is_file()
    assert {path.name for path in folder.iterdir()} == {".env", "renderctl.yaml"}


def test_an_open_folder_of_secrets_is_closed(tmp_path: Path) -> None:
    (tmp_path / "secrets").mkdir(mode=0o755)
    write_compose(tmp_path, force=False)
    assert (tmp_path / "secrets").stat().st_mode & 0o777 == 0o700
