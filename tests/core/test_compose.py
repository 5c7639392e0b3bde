"""The services in compose/: what is promised of the file, read from the file."""

import json
import re
from pathlib import Path

import pytest
import yaml

from renderctl.farm.composing import write_compose
from renderctl.settings import load_settings

FOLDER = Path(__file__).parents[2] / "compose"
COMPOSE = yaml.safe_load((FOLDER / "compose.yaml").read_text(encoding="utf-8"))
SERVICES = COMPOSE["services"]
PARTS = {"mysql", "redis", "rabbitmq", "s3"}
OURS = {"worker", "server"}


def test_every_service_is_pinned_watched_and_started_again():
    assert set(SERVICES) == PARTS | OURS | {"prometheus", "grafana"}
    for name, service in SERVICES.items():
        assert service["restart"] == "unless-stopped"
        assert service["logging"]["options"]["max-size"]
        if name not in OURS:
            assert re.search(r":[\w.-]*\d+[.-]\d+[\w.-]*$", service["image"])
        if name != "worker":
            assert service["healthcheck"]["test"]
    for name in OURS:
        assert SERVICES[name]["image"] == f"renderctl-{name}"
        assert set(SERVICES[name]["depends_on"]) == PARTS


def test_ports_are_on_loopback_alone():
    for service in SERVICES.values():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))


def test_every_password_comes_from_the_env_file_and_has_no_default(tmp_path):
    write_compose(tmp_path, force=False)
    text = (FOLDER / "compose.yaml").read_text(encoding="utf-8")
    assert set(re.findall(r"(?<!\$)\$\{(\w+)[:}]", text)) == set(values_in(tmp_path))
    optional = set(re.findall(r"\$\{(\w+)-", text))
    assert optional == {"APT_MIRROR", "PIP_INDEX_URL", "BUILD_NETWORK", "BUILD_CA", "AUDIT_FORMER"}
    assert ":-" not in text
    for name, value in SERVICES["mysql"]["environment"].items():
        assert "PASSWORD" not in name or value.startswith("${")


def test_whoever_lacks_a_password_is_told_what_makes_it(tmp_path):
    write_compose(tmp_path, force=False)
    told = dict(re.findall(r"\$\{(\w+):\?(.*?)\}", (FOLDER / "compose.yaml").read_text(encoding="utf-8")))
    assert told == dict.fromkeys(values_in(tmp_path), "run renderctl init --compose")


def test_the_config_points_at_the_services_with_their_passwords(tmp_path):
    env, config = write_compose(tmp_path, force=False).files
    assert {path.stat().st_mode & 0o777 for path in (env, config)} == {0o600}
    values = values_in(tmp_path)
    settings = load_settings(config, {}, default_data_dir=tmp_path)
    assert settings.database_url == f"mysql+pymysql://renderctl:{values['MYSQL_PASSWORD']}@127.0.0.1:3306/renderctl"
    assert (settings.store.access_key, settings.store.secret_key) == (values["S3_ACCESS_KEY"], values["S3_SECRET_KEY"])
    assert values["RABBITMQ_PASSWORD"] in (settings.queue.url or "")
    assert values["REDIS_PASSWORD"] in (settings.cache.url or "")
    assert len(set(values.values())) == len(values)


@pytest.mark.parametrize("name", sorted(OURS))
def test_what_of_ours_is_in_compose_has_settings_that_there_are(tmp_path, name):
    settings = settings_in_compose(tmp_path, name)
    assert (settings.store.kind, settings.queue.kind, settings.cache.kind) == ("minio", "rabbitmq", "redis")
    assert settings.store.secure is False


def test_all_sign_the_audit_log_with_the_key_that_the_config_has(tmp_path):
    _, config = write_compose(tmp_path, force=False).files
    key = load_settings(config, {}, default_data_dir=tmp_path).audit.key
    assert len(key or "") >= 32
    assert {settings_in_compose(tmp_path, name).audit.key for name in OURS} == {key}


def test_all_verify_with_the_keys_that_were_replaced(tmp_path):
    (tmp_path / ".env").write_text(f"AUDIT_FORMER={'b' * 32},{'a' * 32}\n")
    _, config = write_compose(tmp_path, force=False).files
    known = [settings_in_compose(tmp_path, name) for name in OURS]
    known.append(load_settings(config, {}, default_data_dir=tmp_path))
    assert [each.audit.former for each in known] == [("b" * 32, "a" * 32)] * 3


def test_prometheus_asks_the_server_with_the_token_that_it_knows(tmp_path):
    write_compose(tmp_path, force=False)
    scraping = yaml.safe_load((FOLDER / "prometheus" / "prometheus.yml").read_text())["scrape_configs"][0]
    (secret,) = SERVICES["prometheus"]["secrets"]
    assert scraping["authorization"]["credentials_file"] == f"/run/secrets/{secret}"
    token = values_in(tmp_path)[COMPOSE["secrets"][secret]["environment"]]
    serve = settings_in_compose(tmp_path, "server").serve
    assert serve.metrics_token == token
    assert scraping["static_configs"] == [{"targets": [f"server:{serve.port}"]}]


def test_grafana_finds_its_dashboard_and_prometheus():
    mounts = dict(each.split(":")[:2] for each in SERVICES["grafana"]["volumes"])
    provisioning = FOLDER / "grafana" / "provisioning"
    assert mounts["./grafana/provisioning"] == "/etc/grafana/provisioning"
    (source,) = yaml.safe_load((provisioning / "datasources" / "prometheus.yaml").read_text())["datasources"]
    assert source["url"] == "http://prometheus:9090"
    (provider,) = yaml.safe_load((provisioning / "dashboards" / "renderctl.yaml").read_text())["providers"]
    assert mounts["./grafana/dashboards"] == provider["options"]["path"]
    panels = json.loads((FOLDER / "grafana" / "dashboards" / "renderctl.json").read_text())["panels"]
    sources = [each["datasource"] for panel in panels for each in (panel, *panel["targets"])]
    assert sources == [{"type": source["type"], "uid": source["uid"]}] * len(sources)
    assert len({panel["id"] for panel in panels}) == len(panels)


def settings_in_compose(folder, name):
    """The settings of a service with the values in the folder's .env, written if there are none yet."""
    if not (folder / ".env").exists():
        write_compose(folder, force=False)
    values = values_in(folder)
    given = SERVICES[name]["environment"]
    environment = {
        key: re.sub(r"\$\{(\w+).*?\}", lambda it: values.get(it[1], ""), str(value)) for key, value in given.items()
    }
    return load_settings(None, environment, default_data_dir=folder)


def values_in(folder):
    return dict(line.split("=") for line in (folder / ".env").read_text().splitlines())


def test_both_images_have_every_library_that_blender_needs():
    from renderctl.blender.libraries import DRAWING, NEEDED

    (libraries,) = re.findall(r'^libraries="(.*)"$', (FOLDER / "blender" / "debian.sh").read_text(), re.M)
    assert set(NEEDED.values()) | set(DRAWING.values()) <= set(libraries.split())
    assert "install $libraries" in (FOLDER / "blender" / "libraries.sh").read_text()
    assert "install $libraries" in (FOLDER / "worker" / "Dockerfile").read_text()
