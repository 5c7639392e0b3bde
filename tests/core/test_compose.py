"""The services in compose/: what is promised of the file, read from the file."""

import re
from pathlib import Path

import pytest
import yaml

from renderctl.errors import BadSettings
from renderctl.farm.composing import write_compose
from renderctl.settings import load_settings

FOLDER = Path(__file__).parents[2] / "compose"
SERVICES = yaml.safe_load((FOLDER / "compose.yaml").read_text(encoding="utf-8"))["services"]


def test_every_service_is_pinned_watched_and_started_again():
    assert set(SERVICES) == {"mysql", "redis", "rabbitmq", "s3", "worker"}
    for name, service in SERVICES.items():
        assert service["restart"] == "unless-stopped"
        assert service["logging"]["options"]["max-size"]
        if name != "worker":
            assert re.search(r":[\w.-]*\d+[.-]\d+[\w.-]*$", service["image"])
            assert service["healthcheck"]["test"]
    assert set(SERVICES["worker"]["depends_on"]) == set(SERVICES) - {"worker"}


def test_ports_are_on_loopback_alone():
    for service in SERVICES.values():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))


def test_every_password_comes_from_the_env_file_and_has_no_default(tmp_path):
    env, _ = write_compose(tmp_path, force=False)
    written = {line.split("=")[0] for line in env.read_text().splitlines()}
    text = (FOLDER / "compose.yaml").read_text(encoding="utf-8")
    assert set(re.findall(r"(?<!\$)\$\{(\w+)[:}]", text)) == written
    optional = set(re.findall(r"\$\{(\w+)-", text))
    assert optional == {"APT_MIRROR", "PIP_INDEX_URL", "BUILD_NETWORK", "BUILD_CA"}
    assert ":-" not in text
    for name, value in SERVICES["mysql"]["environment"].items():
        assert "PASSWORD" not in name or value.startswith("${")


def test_the_config_points_at_the_services_with_their_passwords(tmp_path):
    env, config = write_compose(tmp_path, force=False)
    assert {path.stat().st_mode & 0o777 for path in (env, config)} == {0o600}
    values = dict(line.split("=") for line in env.read_text().splitlines())
    settings = load_settings(config, {}, default_data_dir=tmp_path)
    assert settings.database_url == f"mysql+pymysql://renderctl:{values['MYSQL_PASSWORD']}@127.0.0.1:3306/renderctl"
    assert (settings.store.access_key, settings.store.secret_key) == (values["S3_ACCESS_KEY"], values["S3_SECRET_KEY"])
    assert values["RABBITMQ_PASSWORD"] in (settings.queue.url or "")
    assert values["REDIS_PASSWORD"] in (settings.cache.url or "")
    assert len(set(values.values())) == len(values)


def test_passwords_are_never_overwritten_by_accident(tmp_path):
    env, _ = write_compose(tmp_path, force=False)
    before = env.read_text()
    with pytest.raises(BadSettings, match=r"\.env"):
        write_compose(tmp_path, force=False)
    assert env.read_text() == before
    write_compose(tmp_path, force=True)
    assert env.read_text() != before


def test_the_worker_of_compose_has_settings_that_there_are(tmp_path):
    given = SERVICES["worker"]["environment"]
    environment = {key: re.sub(r"\$\{\w+\}", "x", str(value)) for key, value in given.items()}
    settings = load_settings(None, environment, default_data_dir=tmp_path)
    assert (settings.store.kind, settings.queue.kind, settings.cache.kind) == ("minio", "rabbitmq", "redis")
    assert settings.store.secure is False


def test_both_images_have_every_library_that_blender_needs():
    from renderctl.blender.libraries import DRAWING, NEEDED

    (libraries,) = re.findall(r'^libraries="(.*)"$', (FOLDER / "blender" / "debian.sh").read_text(), re.M)
    assert set(NEEDED.values()) | set(DRAWING.values()) <= set(libraries.split())
    assert "install $libraries" in (FOLDER / "blender" / "libraries.sh").read_text()
    assert "install $libraries" in (FOLDER / "worker" / "Dockerfile").read_text()
