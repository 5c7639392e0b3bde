"""The variables that are settings: RENDERCTL_GROUP__KEY, or RENDERCTL_GROUP__KEY_FILE for one that stands in a file."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, get_type_hints

from renderctl.core.errors import BadSettings, did_you_mean

ENVIRONMENT_PREFIX = "RENDERCTL_"
#: What a variable ends with that names a file, as secrets of containers are handed over.
_FILE = "_FILE"
#: Bytes that such a file may have.
_LARGEST = 1 << 16
#: Variables of ours that are not settings.
_NOT_SETTINGS = ("RENDERCTL_CONFIG", "RENDERCTL_TEST_", "RENDERCTL_DEBUG")


def variables(
    group: Any, prefix: str = ENVIRONMENT_PREFIX, path: tuple[str, ...] = ()
) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The variable of every setting, and the path of its key."""
    hints = get_type_hints(group)
    for setting in fields(group):
        if is_dataclass(hints[setting.name]):
            yield from variables(hints[setting.name], f"{prefix}{setting.name.upper()}__", (*path, setting.name))
        elif setting.name != "source":
            yield prefix + setting.name.upper(), (*path, setting.name)


def set_variables(environment: Mapping[str, str], known: Collection[str]) -> Iterator[tuple[str, str]]:
    """Those that are settings, and their text; one that is empty, or whose file is, counts as not set.

    Raises BadSettings for a variable that is no setting, and for a file that can not be read.
    """
    for name, text in sorted(environment.items()):
        if not name.startswith(ENVIRONMENT_PREFIX) or name.startswith(_NOT_SETTINGS) or not text.strip():
            continue
        setting = name.removesuffix(_FILE)
        if name in known:
            yield name, text
        elif setting not in known:
            raise BadSettings(f"There is no setting {name}.", hint=did_you_mean(name, list(known)))
        elif environment.get(setting, "").strip():
            raise BadSettings(f"Both {setting} and {name} are set.", hint="Set one of them.")
        elif content := _read(Path(text), name):
            yield setting, content


def _read(path: Path, name: str) -> str:
    """The text in a file, without the end of its line. Nothing of it is ever shown."""
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST + 1)
        text = content.decode()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise BadSettings(f"{path}, which {name} names, can not be read: {reason}.") from error
    if len(content) > _LARGEST:
        raise BadSettings(f"{path}, which {name} names, is too large: it has {_LARGEST >> 10} KiB at most.")
    return text.rstrip("\r\n")
