"""The services in compose/: what is promised of the file, read from the file."""

import json
import re
from pathlib import Path

import pytest
import yaml

from renderctl.core.settings import Settings, load_settings
from renderctl.farm.admin.compose_init import write_compose

FOLDER = Path(__file__).parents[2] / "compose"
COMPOSE = yaml.safe_load((FOLDER / "compose.yaml").read_text(encoding="utf-8"))
SERVICES = COMPOSE["services"]
PARTS = {"mysql", "redis", "rabbitmq", "s3"}
OURS = {"worker", "server"}
WATCHING = {"prometheus", "grafana"}
SETUP = {"mysql-setup", "s3-setup", "database"}  #: they do their work and end
BUILT = OURS | {"database"}


def test_every_service_is_pinned_watched_and_started_again() -> None:
    assert set(SERVICES) == PARTS | OURS | WATCHING | SETUP
    for name, service in SERVICES.items():
        assert service["restart"] == ("on-failure" if name in SETUP else "unless-stopped")
        assert service["logging"]["options"]["max-size"]
        if name not in BUILT:
            assert re.search(r":[\w.-]*\d+[.-]\d+[\w.-]*@sha256:[0-9a-f]{64}$", service["image"])
        if name not in {"worker"} | SETUP:
            assert service["healthcheck"]["test"]
    for name in BUILT:
        assert SERVICES[name]["image"] == f"renderctl-{name}"
    for name in OURS:
        needed = {part: state["condition"] for part, state in SERVICES[name]["depends_on"].items()}
        assert needed == {
            "database": "service_completed_successfully",
            "s3-setup": "service_completed_successfully",
            "redis": "service_healthy",
            "rabbitmq": "service_healthy",
        }


def test_every_service_may_do_nothing_but_its_work() -> None:
    for service in SERVICES.values():
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert service["read_only"] is True
        assert service["pids_limit"]
        assert service["mem_limit"]
        assert {"privileged", "cap_add", "devices", "network_mode", "pid", "ipc"}.isdisjoint(service)


def test_every_service_has_a_user_of_its_own() -> None:
    users = {name: service["user"] for name, service in SERVICES.items()}
    assert {name for name, user in users.items() if user.split(":")[0] in ("0", "root")} == {"s3"}
    assert all(re.fullmatch(r"\d+:\d+|redis", user) for user in users.values())


def test_no_service_has_the_socket_of_the_engine_or_a_folder_that_it_may_write_to() -> None:
    mounts = [mount for service in SERVICES.values() for mount in service.get("volumes", [])]
    assert mounts
    for mount in mounts:
        source = mount.split(":")[0]
        assert source in COMPOSE["volumes"] or (source.startswith("./") and mount.endswith(":ro")), mount


def test_what_holds_data_has_no_way_out() -> None:
    inside = {"com.docker.network.bridge.enable_ip_masquerade": "false"}
    networks = {name: (network or {}).get("driver_opts") for name, network in COMPOSE["networks"].items()}
    assert networks == {"front": None, "back": inside, "watch": inside}
    assert {name for name, service in SERVICES.items() if "front" in service["networks"]} == {"server"}
    for name in PARTS | SETUP | {"worker"}:
        assert SERVICES[name]["networks"] == ["back"]
    for name in WATCHING:
        assert SERVICES[name]["networks"] == ["watch"]


def test_no_service_has_a_secret_in_its_environment(tmp_path: Path) -> None:
    write_compose(tmp_path, force=False)
    secret = [value for name, value in values_in(tmp_path).items() if name != "SECRETS"]
    for service in SERVICES.values():
        given = json.dumps([service.get("environment", {}), service.get("command", [])])
        assert not any(value in given for value in secret)
        assert "${" not in given
        for name, value in service.get("environment", {}).items():
            if re.search(r"PASSWORD|SECRET_KEY|TOKEN|ROOT_USER|AUDIT", name):
                assert name.endswith("_FILE")
                assert value.removeprefix("/run/secrets/") in service["secrets"]


def test_every_service_gets_the_secrets_that_it_uses_and_no_others() -> None:
    for name, service in SERVICES.items():
        folder = {"mysql-setup": "mysql", "s3-setup": "s3", "redis": "redis", "rabbitmq": "rabbitmq"}.get(name)
        files = sorted((FOLDER / folder).iterdir()) if folder else []
        files += [FOLDER / "prometheus" / "prometheus.yml"] if name == "prometheus" else []
        text = json.dumps(service.get("environment", {})) + "".join(path.read_text() for path in files)
        for secret in service.get("secrets", []):
            assert re.search(rf"\b{secret}\b", text), f"{name} has no use for {secret}"
    server, worker = (set(SERVICES[name]["secrets"]) for name in ("server", "worker"))
    assert server & worker == {"audit_key", "audit_former"}


def test_the_secrets_are_the_files_that_are_written_for_nobody_else_to_enter(tmp_path: Path) -> None:
    write_compose(tmp_path, force=False)
    folder = tmp_path / "secrets"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {secret["file"] for name, secret in COMPOSE["secrets"].items() if name != "ca"} == {
        f"${{SECRETS:?run renderctl init --compose}}/{path.name}" for path in folder.iterdir()
    }
    values = values_in(tmp_path)
    assert values["SECRETS"] == "./secrets"
    for path in folder.iterdir():
        assert path.stat().st_mode & 0o777 == 0o444  # the users of the containers read it
        assert path.read_text() == values.get(path.name.upper(), path.read_text())
    assert (folder / "mysql_password").read_text() == values["MYSQL_PASSWORD"]
    assert (folder / "audit_former").read_text() == ""


def test_ports_are_on_loopback_alone() -> None:
    for service in SERVICES.values():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))


def test_every_password_comes_from_the_env_file_and_has_no_default(tmp_path: Path) -> None:
    write_compose(tmp_path, force=False)
    text = (FOLDER / "compose.yaml").read_text(encoding="utf-8")
    assert set(re.findall(r"(?<!\$)\$\{(\w+)[:}]", text)) == {"SECRETS"} <= set(values_in(tmp_path))
    optional = set(re.findall(r"\$\{(\w+)-", text))
    memory = {"WORKER_MEMORY", "SERVER_MEMORY"}
    assert optional == {"APT_MIRROR", "PIP_INDEX_URL", "BUILD_NETWORK", "BUILD_CA"} | memory
    assert ":-" not in text


def test_whoever_lacks_a_password_is_told_what_makes_it(tmp_path: Path) -> None:
    write_compose(tmp_path, force=False)
    told = dict(re.findall(r"\$\{(\w+):\?(.*?)\}", (FOLDER / "compose.yaml").read_text(encoding="utf-8")))
    assert told == {"SECRETS": "run renderctl init --compose"}


def test_the_config_points_at_the_services_with_their_passwords(tmp_path: Path) -> None:
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
def test_each_of_ours_logs_in_everywhere_as_a_user_of_its_own(tmp_path: Path, name: str) -> None:
    settings = settings_in_compose(tmp_path, name)
    password = values_in(tmp_path)[f"{name.upper()}_PASSWORD"]
    assert settings.database_url == f"mysql+pymysql://{name}:{password}@mysql:3306/renderctl"
    assert settings.queue.url == f"amqp://{name}:{password}@rabbitmq:5672/"
    assert settings.cache.url == f"redis://{name}:{password}@redis:6379/0"
    assert (settings.store.access_key, settings.store.secret_key) == (name, password)


@pytest.mark.parametrize("name", sorted(OURS))
def test_what_of_ours_is_in_compose_has_settings_that_there_are(tmp_path: Path, name: str) -> None:
    settings = settings_in_compose(tmp_path, name)
    assert (settings.store.kind, settings.queue.kind, settings.cache.kind) == ("minio", "rabbitmq", "redis")
    assert settings.store.secure is False


def test_all_sign_the_audit_log_with_the_key_that_the_config_has(tmp_path: Path) -> None:
    _, config = write_compose(tmp_path, force=False).files
    key = load_settings(config, {}, default_data_dir=tmp_path).audit.key
    assert len(key or "") >= 32
    assert {settings_in_compose(tmp_path, name).audit.key for name in OURS} == {key}


def test_all_verify_with_the_keys_that_were_replaced(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(f"AUDIT_FORMER={'b' * 32},{'a' * 32}\n")
    _, config = write_compose(tmp_path, force=False).files
    known = [settings_in_compose(tmp_path, name) for name in OURS]
    known.append(load_settings(config, {}, default_data_dir=tmp_path))
    assert [item.audit.former for item in known] == [("b" * 32, "a" * 32)] * 3


def test_prometheus_asks_the_server_with_the_token_that_it_knows(tmp_path: Path) -> None:
    write_compose(tmp_path, force=False)
    scraping = yaml.safe_load((FOLDER / "prometheus" / "prometheus.yml").read_text())["scrape_configs"][0]
    (secret,) = SERVICES["prometheus"]["secrets"]
    assert scraping["authorization"]["credentials_file"] == f"/run/secrets/{secret}"
    token = (tmp_path / "secrets" / secret).read_text()
    serve = settings_in_compose(tmp_path, "server").serve
    assert serve.metrics_token == token
    assert scraping["static_configs"] == [{"targets": [f"server:{serve.port}"]}]


def test_grafana_finds_its_dashboard_and_prometheus() -> None:
    mounts = dict(service.split(":")[:2] for service in SERVICES["grafana"]["volumes"])
    provisioning = FOLDER / "grafana" / "provisioning"
    assert mounts["./grafana/provisioning"] == "/etc/grafana/provisioning"
    (source,) = yaml.safe_load((provisioning / "datasources" / "prometheus.yaml").read_text())["datasources"]
    assert source["url"] == "http://prometheus:9090"
    (provider,) = yaml.safe_load((provisioning / "dashboards" / "renderctl.yaml").read_text())["providers"]
    assert mounts["./grafana/dashboards"] == provider["options"]["path"]
    panels = json.loads((FOLDER / "grafana" / "dashboards" / "renderctl.json").read_text())["panels"]
    sources = [item["datasource"] for panel in panels for item in (panel, *panel["targets"])]
    assert sources == [{"type": source["type"], "uid": source["uid"]}] * len(sources)
    assert len({panel["id"] for panel in panels}) == len(panels)


def settings_in_compose(folder: Path, name: str) -> Settings:
    """The settings of a service with the values in the folder's .env, written if there are none yet."""
    if not (folder / ".env").exists():
        write_compose(folder, force=False)
    given = SERVICES[name]["environment"]
    environment = {key: str(value).replace("/run/secrets", f"{folder}/secrets") for key, value in given.items()}
    return load_settings(None, environment, default_data_dir=folder)


def values_in(folder: Path) -> dict[str, str]:
    lines = (folder / ".env").read_text().splitlines()
    return {name: value for name, _, value in (line.partition("=") for line in lines)}


def test_both_images_have_every_library_that_blender_needs() -> None:
    from renderctl.blender.libraries import BPY_LIBRARIES, OPENGL_LIBRARIES

    (libraries,) = re.findall(r'^libraries="(.*)"$', (FOLDER / "blender" / "debian.sh").read_text(), re.M)
    assert set(BPY_LIBRARIES.values()) | set(OPENGL_LIBRARIES.values()) <= set(libraries.split())
    assert "install $libraries" in (FOLDER / "blender" / "libraries.sh").read_text()
    assert "install $libraries" in (FOLDER / "worker" / "Dockerfile").read_text()
