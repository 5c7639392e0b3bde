"""`init --compose`: the passwords of the services in compose/, and a config that points at them."""

import os
import secrets
from pathlib import Path

from renderctl.errors import BadSettings, OutputNotWritable

_CONFIG = """\
# The farm that compose.yaml starts. On another machine: the name of this one in place of 127.0.0.1.
database:
  url: "mysql+pymysql://renderctl:{MYSQL_PASSWORD}@127.0.0.1:3306/renderctl"
store:
  kind: minio
  endpoint: "127.0.0.1:9000"
  access_key: "{S3_ACCESS_KEY}"
  secret_key: "{S3_SECRET_KEY}"
  secure: false
queue:
  kind: rabbitmq
  url: "amqp://renderctl:{RABBITMQ_PASSWORD}@127.0.0.1:5672/"
cache:
  kind: redis
  url: "redis://:{REDIS_PASSWORD}@127.0.0.1:6379/0"
audit:
  key: "{AUDIT_KEY}"
"""
_PASSWORDS = ("MYSQL_ROOT_PASSWORD", "MYSQL_PASSWORD", "REDIS_PASSWORD", "RABBITMQ_PASSWORD", "GRAFANA_PASSWORD")
_SECRETS = (*_PASSWORDS, "S3_SECRET_KEY", "METRICS_TOKEN", "AUDIT_KEY")


def write_compose(folder: Path, *, force: bool) -> list[Path]:
    """Write `.env` and `renderctl.yaml` with fresh random secrets, for nobody else to read; where they are.

    Raises BadSettings when one is there: services that have started once keep the passwords they started with.
    """
    values = {name: secrets.token_hex(24) for name in _SECRETS} | {"S3_ACCESS_KEY": secrets.token_hex(10)}
    values |= _for_life(folder / ".env")
    lines = [f"{name}={value}\n" for name, value in values.items()]
    contents = {folder / ".env": "".join(lines), folder / "renderctl.yaml": _CONFIG.format(**values)}
    for path in contents:
        if path.exists() and not force:
            hint = "--force makes new passwords; services that have started once do not know them. The audit key stays."
            raise BadSettings(f"{path} is there already.", hint=hint)
    for path, text in contents.items():
        write_private(path, text)
    return list(contents)


def _for_life(env: Path) -> dict[str, str]:
    """The key of the audit log, if there is one: under another one nobody could verify what it has signed."""
    lines = env.read_text(encoding="utf-8").splitlines() if env.is_file() else []
    return {name: value for name, _, value in (line.partition("=") for line in lines) if name == "AUDIT_KEY" and value}


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner may read, whole or not at all. Raises OutputNotWritable."""
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise OutputNotWritable(f"{path} can not be written: {error.strerror or error}.") from error
