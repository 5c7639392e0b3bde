"""`init --compose`: the passwords of the services in compose/, and a config that points at them."""

import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote

from renderctl.errors import BadSettings
from renderctl.farm.envfile import missing_in, read_env, text_with, values_in
from renderctl.private_files import write_private
from renderctl.settings import load_settings

_CONFIG = """\
# The farm that compose.yaml starts. On another machine: the name of this one in place of 127.0.0.1.
database:
  url: "mysql+pymysql://renderctl:{MYSQL_PASSWORD}@127.0.0.1:3306/renderctl"
store:
  kind: minio
  endpoint: "127.0.0.1:9000"
  access_key: {S3_ACCESS_KEY}
  secret_key: {S3_SECRET_KEY}
  secure: false
queue:
  kind: rabbitmq
  url: "amqp://renderctl:{RABBITMQ_PASSWORD}@127.0.0.1:5672/"
cache:
  kind: redis
  url: "redis://:{REDIS_PASSWORD}@127.0.0.1:6379/0"
audit:
  key: {AUDIT_KEY}
"""
_FORMER = "  former: {AUDIT_FORMER}\n"
_PASSWORDS = ("MYSQL_ROOT_PASSWORD", "MYSQL_PASSWORD", "REDIS_PASSWORD", "RABBITMQ_PASSWORD", "GRAFANA_PASSWORD")
_SECRETS = (*_PASSWORDS, "S3_ACCESS_KEY", "S3_SECRET_KEY", "METRICS_TOKEN", "AUDIT_KEY")


@dataclass(frozen=True)
class Composed:
    """What was done to a folder; the names of secrets, never the secrets."""

    files: tuple[Path, ...]  #: that were written
    added: tuple[str, ...]  #: what `.env` lacked
    differing: tuple[str, ...]  #: what the config has otherwise than `.env`, or not at all


def write_compose(folder: Path, *, force: bool) -> Composed:
    """Have every secret in `.env`, and `renderctl.yaml` beside it; both for nobody else to read.

    What is set in `.env` stays as it is, whatever `force` says: services keep the passwords that they have started
    with, and the audit log the key that has signed it. A config that is there is overwritten by force alone.
    Raises BadSettings, before anything is written, for files that can not be understood.
    """
    env, config = folder / ".env", folder / "renderctl.yaml"
    known = _secrets_in(config)
    before = read_env(env)
    added = {name: known.get(name) or _fresh(name) for name in missing_in(before, _SECRETS)}
    after = text_with(before, added)
    values = values_in(after)
    texts = {env: after} if added else {}
    if force or not config.exists():
        texts[config] = _config(values, env)
        known = {}
    for path, text in texts.items():
        write_private(path.resolve(), text)  # a link stays one
    differing = (name for name, value in known.items() if value != values.get(name, value))
    return Composed(tuple(texts), tuple(added), tuple(differing))


def _fresh(name: str) -> str:
    return secrets.token_hex(10 if name == "S3_ACCESS_KEY" else 24)


def _config(values: Mapping[str, str], env: Path) -> str:
    unknown = [name for name in _SECRETS if name not in values]
    if unknown:
        hint = "Set those here as well, or write the values out."
        raise BadSettings(f"{env} makes {', '.join(unknown)} of variables that are not set here.", hint=hint)
    template = _CONFIG + (_FORMER if "AUDIT_FORMER" in values else "")
    return template.format(**{name: _written(name, value) for name, value in values.items()})


def _written(name: str, value: str) -> str:
    """A password as a URL has it, anything else as YAML has text."""
    return quote(value, safe="") if name in _PASSWORDS else json.dumps(value, ensure_ascii=False)


def _secrets_in(config: Path) -> dict[str, str | None]:
    """What a config has of the secrets, if there is one: services may have started with them. Raises BadSettings."""
    if not config.exists():
        return {}
    settings = load_settings(config, {}, default_data_dir=config.parent)
    return {
        "MYSQL_PASSWORD": _password(settings.database.url),
        "S3_ACCESS_KEY": settings.store.access_key,
        "S3_SECRET_KEY": settings.store.secret_key,
        "RABBITMQ_PASSWORD": _password(settings.queue.url),
        "REDIS_PASSWORD": _password(settings.cache.url),
        "AUDIT_KEY": settings.audit.key,
    }


def _password(url: str | None) -> str | None:
    found = re.match(r"[^:]+://[^:@/]*:(.+)@", url or "")
    return unquote(found[1]) if found else None
