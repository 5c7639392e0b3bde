"""`init --compose`: the passwords of the services in compose/, and a config that points at them."""

import json
import re
import secrets
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from urllib.parse import quote, unquote

from renderctl.core.errors import BadSettings
from renderctl.core.private_files import ensure_private_folder, write_private
from renderctl.core.settings import load_settings
from renderctl.farm.admin.dotenv_file import missing_in, read_env, text_with, values_in

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
#: What `server` and `worker` log in with, everywhere.
_OWN = ("SERVER_PASSWORD", "WORKER_PASSWORD")
_S3 = ("S3_ROOT_USER", "S3_ROOT_PASSWORD", "S3_ACCESS_KEY", "S3_SECRET_KEY")
_SECRETS = (*_PASSWORDS, *_OWN, *_S3, "METRICS_TOKEN", "AUDIT_KEY")
#: Where the files are that containers have their secrets from; beside `.env`, or where that says.
_FOLDER = "SECRETS"
#: Secrets that are a file as they are. RabbitMQ has its own in a file of its own.
_IN_FILES = tuple(name for name in _SECRETS if name != "RABBITMQ_PASSWORD")
#: The containers' users read them; nobody else enters the folder.
_READABLE = 0o444


@dataclass(frozen=True)
class Composed:
    """What was done to a folder; the names of secrets, never the secrets."""

    files: tuple[Path, ...]  #: that were written, without those of secrets
    added: tuple[str, ...]  #: what `.env` lacked
    differing: tuple[str, ...]  #: what the config has otherwise than `.env`, or not at all


def write_compose(folder: Path, *, force: bool) -> Composed:
    """Have every secret in `.env` and in a file for the containers, and `renderctl.yaml` beside it; private, all of it.

    What is set in `.env` stays as it is, whatever `force` says: services keep the passwords that they have started
    with, and the audit log the key that has signed it. A config that is there is overwritten by force alone.
    Raises BadSettings, before anything is written, for files that can not be understood.
    """
    env, config = folder / ".env", folder / "renderctl.yaml"
    known = _secrets_in(config)
    before = read_env(env)
    added = {name: known.get(name) or _fresh(name) for name in missing_in(before, (*_SECRETS, _FOLDER))}
    after = text_with(before, added)
    values = values_in(after)
    texts = {env: after} if added else {}
    if force or not config.exists():
        texts[config] = _config(values, env)
        known = {}
    handed_over = _files_of(values, env)
    for path, text in texts.items():
        write_private(path.resolve(), text)  # a link stays one
    _hand_over(folder / values[_FOLDER], handed_over)
    differing = (name for name, value in known.items() if value != values.get(name, value))
    return Composed(tuple(texts), tuple(added), tuple(differing))


def _fresh(name: str) -> str:
    if name == _FOLDER:
        return "./secrets"
    return secrets.token_hex(10 if name in ("S3_ACCESS_KEY", "S3_ROOT_USER") else 24)


def _require_known(values: Mapping[str, str], env: Path) -> None:
    unknown = [name for name in (*_SECRETS, _FOLDER) if name not in values]
    if unknown:
        hint = "Set those here as well, or write the values out."
        raise BadSettings(f"{env} makes {', '.join(unknown)} of variables that are not set here.", hint=hint)


def _files_of(values: Mapping[str, str], env: Path) -> dict[str, str]:
    """What stands in each file, by its name. Raises BadSettings."""
    _require_known(values, env)
    files = {name.lower(): values[name] for name in _IN_FILES}
    return {**files, "audit_former": values.get("AUDIT_FORMER", ""), "rabbitmq_definitions": _definitions(values)}


def _hand_over(folder: Path, files: Mapping[str, str]) -> None:
    """Have the files in a folder that only its owner may enter; one that has the text already is left alone."""
    ensure_private_folder(folder)
    for name, text in files.items():
        path = folder / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            write_private(path, text)
        path.chmod(_READABLE)


def _definitions(values: Mapping[str, str]) -> str:
    """RabbitMQ's users: `renderctl` for whoever looks after it, and one for each part of the farm."""
    everything = dict.fromkeys(("configure", "write", "read"), ".*")
    queues = {"configure": "^renderctl", "write": r"^(renderctl.*|amq\.default)$", "read": "^renderctl"}
    users = {
        "renderctl": (values["RABBITMQ_PASSWORD"], ["administrator"], everything),
        "server": (values["SERVER_PASSWORD"], [], queues),
        "worker": (values["WORKER_PASSWORD"], [], queues),
    }
    document = {
        "vhosts": [{"name": "/"}],
        "users": [
            {
                "name": name,
                "password_hash": _rabbit_hash(name, password),
                "hashing_algorithm": "rabbit_password_hashing_sha256",
                "tags": tags,
            }
            for name, (password, tags, _rights) in users.items()
        ],
        "permissions": [{"user": name, "vhost": "/", **rights} for name, (_password, _tags, rights) in users.items()],
    }
    return json.dumps(document, indent=1)


def _rabbit_hash(name: str, password: str) -> str:
    """As RabbitMQ keeps it: four bytes of salt, and the SHA-256 of these and the password. The same each time."""
    salt = sha256(f"{name}:{password}".encode()).digest()[:4]
    return b64encode(salt + sha256(salt + password.encode()).digest()).decode()


def _config(values: Mapping[str, str], env: Path) -> str:
    _require_known(values, env)
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
    match = re.match(r"[^:]+://[^:@/]*:(.+)@", url or "")
    return unquote(match[1]) if match else None
