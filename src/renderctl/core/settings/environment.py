"""Settings as environment variables: RENDERCTL_GROUP__KEY, or RENDERCTL_GROUP__KEY_FILE with the path of a file."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, get_type_hints

from renderctl.core.errors import BadSettings, did_you_mean

ENVIRONMENT_PREFIX = "RENDERCTL_"
#: Suffix of a variable that names a file, as for secrets of containers.
_FILE = "_FILE"
#: The largest such file, in bytes.
_MAX_BYTES = 1 << 16
#: Variables of renderctl that are not settings.
_NOT_SETTINGS = ("RENDERCTL_CONFIG", "RENDERCTL_TEST_", "RENDERCTL_DEBUG")


def variables(
    group: Any, prefix: str = ENVIRONMENT_PREFIX, path: tuple[str, ...] = ()
) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield the variable of every setting, and the path of its key."""
    hints = get_type_hints(group)
    for setting in fields(group):
        if is_dataclass(hints[setting.name]):
            yield from variables(hints[setting.name], f"{prefix}{setting.name.upper()}__", (*path, setting.name))
        elif setting.name != "source":
            yield prefix + setting.name.upper(), (*path, setting.name)


def variables_set(environment: Mapping[str, str], known: Collection[str]) -> Iterator[tuple[str, str]]:
    """Yield the variables that are set, and their text; an empty variable or file counts as not set.

    Raises BadSettings for an unknown setting, and for a file that cannot be read.
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
    """Return the text of a file without trailing newlines. Errors never show it."""
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_BYTES + 1)
        text = content.decode()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        raise BadSettings(f"{path}, which {name} names, cannot be read: {reason}.") from error
    if len(content) > _MAX_BYTES:
        raise BadSettings(f"{path}, which {name} names, is too large: at most {_MAX_BYTES >> 10} KiB are allowed.")
    return text.rstrip("\r\n")
