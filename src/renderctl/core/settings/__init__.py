"""Settings: the config file < environment `RENDERCTL_*` < options. Unknown keys are errors; secrets are never shown."""

import os
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any, get_type_hints

from renderctl.core.errors import BadSettings, did_you_mean
from renderctl.core.settings.checking import check
from renderctl.core.settings.config_file import Approvals, find_config, no_approvals
from renderctl.core.settings.environment import ENVIRONMENT_PREFIX, set_variables, variables
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
    """The settings of this machine. Raises BadSettings, naming the key and where it stands.

    A config that merely lies in the working directory may set little unless `approvals` has it: else UntrustedConfig.
    """
    file = find_config(config, environment, user_config)
    where = str(file.path) if file else "the config"
    settings: Settings = _apply(Settings(data_dir=default_data_dir), file.document() if file else {}, where)
    if file is not None:
        file.require_approval(approvals)
    known = dict(variables(Settings))
    for name, text in set_variables(environment, known):
        settings = _apply(settings, _nested(known[name], _Text(text)), name)
    settings = replace(
        with_passwords(settings),
        source=file.path if file else None,
        data_dir=Path(settings.data_dir).expanduser().absolute(),
    )
    check(settings)
    return settings


class _Text(str):
    """The text of a variable: read as YAML, unless it is text that is wanted."""


def _nested(path: tuple[str, ...], value: Any) -> dict[str, Any]:
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
            changes[key] = _apply(current, _group(value, f"{prefix}{key} in {where}"), where, f"{prefix}{key}.")
        elif value is not None or key != "data_dir":
            changes[key] = _converted(value, _accepted(hints[key]), f"{prefix}{key} in {where}")
    return replace(target, **changes)


def _group(value: Any, name: str) -> Mapping[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise BadSettings(f"{name} is a group of settings, not {_kind(value)}.")
    return value


def _converted(value: Any, accepted: tuple[type, ...], name: str) -> Any:
    if isinstance(value, _Text):
        value = _parsed(value, accepted, name)
    if tuple in accepted and isinstance(value, str | list):
        items = value if isinstance(value, list) else value.split(",")
        if not all(isinstance(item, str | int | float) for item in items):  # lists in lists may unfold without an end
            raise BadSettings(f"{name} can not be {_kind(value)} of lists.", hint="Its items are words or numbers.")
        return tuple(str(item).strip() for item in items if str(item).strip())
    if Path in accepted and isinstance(value, str):
        return Path(value)
    if float in accepted and type(value) is int:
        return float(value)
    if type(value) in accepted and value == value:  # not NaN
        return value
    hint = f"It is {' or '.join(_NAMES[each] for each in accepted)}."
    raise BadSettings(f"{name} can not be {_kind(value)}.", hint=hint)


def _parsed(text: _Text, accepted: tuple[type, ...], name: str) -> Any:
    wants_text = {str, Path} & set(accepted) or (tuple in accepted and not text.startswith("["))
    if wants_text and not (text == "null" and type(None) in accepted):
        return str(text)
    import yaml  # few variables need it

    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise BadSettings(f"{name} can not be read.", hint="It is read as YAML.") from error


def _accepted(hint: Any) -> tuple[type, ...]:
    parts = getattr(hint, "__args__", None)
    origin = getattr(hint, "__origin__", None)
    if origin is tuple:
        return (tuple,)
    return tuple(parts) if parts else (hint,)


_NAMES: Mapping[type, str] = {
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
    """What a value is, never the value itself: it could be a secret."""
    return next((_NAMES[each] for each in type(value).__mro__ if each in _NAMES), f"a {type(value).__name__}")
