"""Settings, from the config file, the environment (`RENDERCTL_*`) and options, each overriding the one before.

Unknown keys are errors; errors never show secrets.
"""

import os
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any, get_type_hints

from renderctl.core.errors import BadSettings, did_you_mean
from renderctl.core.settings.checking import check
from renderctl.core.settings.config_file import Approvals, find_config, no_approvals
from renderctl.core.settings.environment import ENVIRONMENT_PREFIX, variables, variables_set
from renderctl.core.settings.groups import (
    AuditSettings,
    BlenderSettings,
    CacheSettings,
    DatabaseSettings,
    DecoderSettings,
    ExecutorSettings,
    QueueSettings,
    QuotaSettings,
    RetentionSettings,
    ServerSettings,
    ServeSettings,
    Settings,
    StoreSettings,
    UploadSettings,
    WebhookSettings,
    WorkerSettings,
)
from renderctl.core.settings.passwords import with_passwords

__all__ = [
    "ENVIRONMENT_PREFIX",
    "AuditSettings",
    "BlenderSettings",
    "CacheSettings",
    "DatabaseSettings",
    "DecoderSettings",
    "ExecutorSettings",
    "QueueSettings",
    "QuotaSettings",
    "RetentionSettings",
    "ServeSettings",
    "ServerSettings",
    "Settings",
    "StoreSettings",
    "UploadSettings",
    "WebhookSettings",
    "WorkerSettings",
    "load_settings",
]


def load_settings(
    config: Path | None = None,
    environment: Mapping[str, str] = os.environ,
    *,
    default_data_dir: Path,
    user_config: Path | None = None,
    approvals: Approvals = no_approvals,
) -> Settings:
    """Load the settings of this machine. Raises BadSettings, which names the key and its source.

    A config found in the working directory may only set harmless keys unless `approvals` includes it: otherwise raises
    UntrustedConfig.
    """
    file = find_config(config, environment, user_config)
    where = str(file.path) if file else "the config"
    settings: Settings = _apply(Settings(data_dir=default_data_dir), file.document() if file else {}, where)
    if file is not None:
        file.require_approval(approvals)
    known = dict(variables(Settings))
    for name, text in variables_set(environment, known):
        settings = _apply(settings, _nest(known[name], _Text(text)), name)
    settings = replace(
        with_passwords(settings),
        source=file.path if file else None,
        data_dir=Path(settings.data_dir).expanduser().absolute(),
    )
    check(settings)
    return settings


class _Text(str):
    """The text of an environment variable, parsed as YAML unless its setting is text."""


def _nest(path: tuple[str, ...], value: Any) -> dict[str, Any]:
    return {path[0]: value if len(path) == 1 else _nest(path[1:], value)}


def _apply(target: Any, document: Mapping[str, Any], where: str, prefix: str = "") -> Any:
    known = [setting.name for setting in fields(target) if setting.name != "source"]
    hints = get_type_hints(type(target))
    changes = {}
    for key, value in document.items():
        if key not in known:
            raise BadSettings(f"{where} has an unknown setting {prefix}{key}.", hint=did_you_mean(str(key), known))
        current = getattr(target, key)
        if is_dataclass(current):
            changes[key] = _apply(current, _require_group(value, f"{prefix}{key} in {where}"), where, f"{prefix}{key}.")
        elif value is not None or key != "data_dir":
            changes[key] = _convert(value, _accepted_types(hints[key]), f"{prefix}{key} in {where}")
    return replace(target, **changes)


def _require_group(value: Any, name: str) -> Mapping[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise BadSettings(f"{name} must be a group of settings, not {_kind(value)}.")
    return value


def _convert(value: Any, accepted: tuple[type, ...], name: str) -> Any:
    if isinstance(value, _Text):
        value = _parse(value, accepted, name)
    if tuple in accepted and isinstance(value, str | list):
        items = value if isinstance(value, list) else value.split(",")
        if not all(
            isinstance(item, str | int | float) for item in items
        ):  # nested lists may expand without end (YAML aliases)
            raise BadSettings(f"{name} cannot be {_kind(value)} of lists.", hint="Its items must be words or numbers.")
        return tuple(str(item).strip() for item in items if str(item).strip())
    if Path in accepted and isinstance(value, str):
        return Path(value)
    if float in accepted and type(value) is int:
        return float(value)
    if type(value) in accepted and value == value:  # not NaN
        return value
    hint = f"It must be {' or '.join(_TYPE_NAMES[accepted_type] for accepted_type in accepted)}."
    raise BadSettings(f"{name} cannot be {_kind(value)}.", hint=hint)


def _parse(text: _Text, accepted: tuple[type, ...], name: str) -> Any:
    wants_text = {str, Path} & set(accepted) or (tuple in accepted and not text.startswith("["))
    if wants_text and not (text == "null" and type(None) in accepted):
        return str(text)
    import yaml  # imported here: few variables need it

    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise BadSettings(f"{name} cannot be read.", hint="It must be YAML.") from error


def _accepted_types(hint: Any) -> tuple[type, ...]:
    parts = getattr(hint, "__args__", None)
    origin = getattr(hint, "__origin__", None)
    if origin is tuple:
        return (tuple,)
    return tuple(parts) if parts else (hint,)


_TYPE_NAMES: Mapping[type, str] = {
    float: "a number",
    int: "a whole number",
    bool: "true or false",
    str: "text",
    Path: "a folder",
    tuple: "a list",
    list: "a list",
    dict: "a group of settings",
    type(None): "null",
}


def _kind(value: Any) -> str:
    """Return the kind of a value, never the value itself: it could be a secret."""
    return next((_TYPE_NAMES[base] for base in type(value).__mro__ if base in _TYPE_NAMES), f"a {type(value).__name__}")
