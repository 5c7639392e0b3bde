"""Settings: the config file < environment `RENDERCTL_*` < options. Unknown keys are errors; secrets are never shown."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, get_type_hints

import yaml

from renderctl.errors import BadSettings, did_you_mean

ENVIRONMENT_PREFIX = "RENDERCTL_"
#: Variables of ours that are not settings.
_NOT_SETTINGS = ("RENDERCTL_CONFIG", "RENDERCTL_TEST_", "RENDERCTL_DEBUG")


@dataclass(frozen=True)
class DatabaseSettings:
    url: str | None = field(default=None, repr=False)  #: None: an SQLite file in data_dir


@dataclass(frozen=True)
class StoreSettings:
    kind: str = "local"


@dataclass(frozen=True)
class QueueSettings:
    kind: str = "sqlite"


@dataclass(frozen=True)
class CacheSettings:
    kind: str = "sqlite"


@dataclass(frozen=True)
class ExecutorSettings:
    kind: str = "process"


@dataclass(frozen=True)
class BlenderSettings:
    paths: tuple[str, ...] = ()
    start_timeout: float = 300.0  #: seconds
    stall_timeout: float = 120.0  #: seconds
    frame_timeout: float | None = None  #: seconds
    idle_timeout: float = 60.0  #: seconds
    threads: int = 0


@dataclass(frozen=True)
class WorkerSettings:
    slots: int = 1
    pools: tuple[str, ...] = ("default",)
    heartbeat: float = 5.0  #: seconds
    heartbeat_limit: float = 15.0  #: seconds
    quantum: float = 60.0  #: seconds
    allow_scripts: bool = False
    cache_mb: int = 20480


@dataclass(frozen=True)
class Settings:
    data_dir: Path
    database: DatabaseSettings = DatabaseSettings()
    store: StoreSettings = StoreSettings()
    queue: QueueSettings = QueueSettings()
    cache: CacheSettings = CacheSettings()
    executor: ExecutorSettings = ExecutorSettings()
    blender: BlenderSettings = BlenderSettings()
    worker: WorkerSettings = WorkerSettings()
    source: Path | None = None  #: the config file that was read

    @property
    def database_url(self) -> str:
        return self.database.url or f"sqlite:///{self.data_dir / 'renderctl.db'}"


#: What a kind may be; another implementation of a port adds its name here.
KINDS: Mapping[str, tuple[str, ...]] = {
    "store": ("local",),
    "queue": ("sqlite",),
    "cache": ("sqlite",),
    "executor": ("process",),
}


def load_settings(
    config: Path | None = None,
    environment: Mapping[str, str] = os.environ,
    *,
    default_data_dir: Path,
    user_config: Path | None = None,
) -> Settings:
    """The settings of this machine. Raises BadSettings, naming the key and where it stands."""
    source = _config_file(config, environment, user_config)
    document = _read(source) if source else {}
    where = str(source) if source else "the config"
    settings = _apply(Settings(data_dir=default_data_dir), document, where)
    for key, text in _environment(environment):
        settings = _apply(settings, _nested(key.split("."), yaml.safe_load(text)), _variable(key))
    settings = replace(settings, source=source, data_dir=Path(settings.data_dir).expanduser().absolute())
    _check(settings)
    return settings


def _config_file(config: Path | None, environment: Mapping[str, str], user_config: Path | None) -> Path | None:
    named = config or (Path(environment["RENDERCTL_CONFIG"]) if environment.get("RENDERCTL_CONFIG") else None)
    if named is not None:
        if not named.is_file():
            raise BadSettings(f"There is no config file {named}.", hint="`renderctl init` writes one.")
        return named
    for candidate in (Path("renderctl.yaml"), user_config):
        if candidate is not None and candidate.is_file():
            return candidate.absolute()
    return None


def _read(source: Path) -> Mapping[str, Any]:
    try:
        document = yaml.safe_load(source.read_text(encoding="utf-8")) or {}
    except (OSError, UnicodeDecodeError) as error:
        raise BadSettings(f"{source} can not be read: {error}.") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f", line {mark.line + 1}" if mark else ""
        raise BadSettings(f"{source}{place} is not YAML: {getattr(error, 'problem', None) or error}.") from error
    if not isinstance(document, dict):
        raise BadSettings(f"{source} holds no settings.", hint="It is a YAML file of `key: value` lines.")
    return document


def _environment(environment: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for name, text in sorted(environment.items()):
        if name.startswith(ENVIRONMENT_PREFIX) and not name.startswith(_NOT_SETTINGS):
            yield name.removeprefix(ENVIRONMENT_PREFIX).lower().replace("__", "."), text


def _variable(key: str) -> str:
    return ENVIRONMENT_PREFIX + key.upper().replace(".", "__")


def _nested(path: list[str], value: Any) -> dict[str, Any]:
    return {path[0]: value if len(path) == 1 else _nested(path[1:], value)}


def _apply(target: Any, document: Mapping[str, Any], where: str, prefix: str = "") -> Any:
    known = [each.name for each in fields(target) if each.name != "source"]
    hints = get_type_hints(type(target))
    changes = {}
    for key, value in document.items():
        if key not in known:
            raise BadSettings(f"{where} has an unknown setting {prefix}{key}.", hint=did_you_mean(str(key), known))
        current = getattr(target, key)
        if is_dataclass(current):
            if not isinstance(value, dict):
                raise BadSettings(f"{prefix}{key} in {where} is a group of settings, not {_shown(value)}.")
            changes[key] = _apply(current, value, where, f"{prefix}{key}.")
        elif value is not None or key != "data_dir":
            changes[key] = _converted(value, hints[key], f"{prefix}{key} in {where}")
    return replace(target, **changes)


def _converted(value: Any, hint: Any, name: str) -> Any:
    accepted = _accepted(hint)
    if value is None and type(None) in accepted:
        return None
    if tuple in accepted:
        items = value if isinstance(value, list) else str(value or "").split(",")
        return tuple(str(item).strip() for item in items if str(item).strip())
    if Path in accepted and isinstance(value, str):
        return Path(value)
    if float in accepted and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if type(value) in accepted:
        return value
    raise BadSettings(f"{name} can not be {_shown(value)}.", hint=f"It is {_described(accepted)}.")


def _accepted(hint: Any) -> tuple[type, ...]:
    parts = getattr(hint, "__args__", None)
    origin = getattr(hint, "__origin__", None)
    if origin is tuple:
        return (tuple,)
    return tuple(parts) if parts else (hint,)


def _described(accepted: tuple[type, ...]) -> str:
    names = {
        float: "a number",
        int: "a whole number",
        bool: "true or false",
        str: "text",
        Path: "a folder",
        type(None): "null",
    }
    return " or ".join(names.get(each, each.__name__) for each in accepted)


def _shown(value: Any) -> str:
    return repr(value) if isinstance(value, int | float | bool | None) else f"a {type(value).__name__}"


def _check(settings: Settings) -> None:
    for port, kinds in KINDS.items():
        kind = getattr(settings, port).kind
        if kind not in kinds:
            raise BadSettings(f"There is no {port} of kind {kind!r}.", hint=did_you_mean(kind, list(kinds)))
    worker = settings.worker
    if worker.slots < 1 or worker.heartbeat <= 0 or worker.quantum <= 0 or not worker.pools:
        raise BadSettings("A worker has one slot or more, a pool or more, a heartbeat and a quantum above 0.")
    if worker.heartbeat_limit < 2 * worker.heartbeat:
        raise BadSettings(
            f"worker.heartbeat_limit ({worker.heartbeat_limit} s) is too short for a heartbeat every {worker.heartbeat} s.",
            hint="Make it three times the heartbeat.",
        )
