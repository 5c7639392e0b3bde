"""The config file: where it is looked for, what it says, and what one that nobody has approved may say."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from renderctl.core.errors import BadSettings, UntrustedConfig

#: Where one is looked for in the working directory.
NAME = "renderctl.yaml"
#: Bytes that a config may have.
_LARGEST = 1 << 18
#: What a config of the working directory may set that its user has not approved: whoever made the folder made it.
#: Nothing here names a program, a host, a file or a template, lets in or out, or decides what is kept.
HARMLESS = frozenset(
    {
        "blender.start_timeout",
        "blender.stall_timeout",
        "blender.frame_timeout",
        "blender.idle_timeout",
        "blender.threads",
        "worker.slots",
        "worker.pools",
        "worker.heartbeat",
        "worker.heartbeat_limit",
        "worker.quantum",
        "worker.tags",
    }
)


class Approval(StrEnum):
    """What a user has said of a config."""

    APPROVED = "approved"
    CHANGED = "changed"  #: since it was approved
    UNKNOWN = "unknown"


#: Looks up what the user has said of the config at an absolute path that has these bytes.
Approvals = Callable[[Path, bytes], Approval]


def no_approvals(_path: Path, _content: bytes) -> Approval:
    """For whoever has approved nothing."""
    return Approval.UNKNOWN


@dataclass(frozen=True)
class ConfigFile:
    """A config file as it was read, once."""

    path: Path
    content: bytes
    replaces: Path | None = None  #: the user's own config, in whose place one of the working directory is used
    named: bool = True  #: whether the user has said that it is this one

    def document(self) -> Mapping[str, Any]:
        """What it says. Raises BadSettings."""
        return _parsed(self.path, self.content)

    def require_approval(self, approvals: Approvals) -> None:
        """Raises UntrustedConfig if it sets what could harm, and its user has not approved it as it is."""
        if self.named:
            return
        approval = approvals(self.path, self.content)
        harmful = [key for key in keys_of(self.document()) if key not in HARMLESS]
        if approval is Approval.APPROVED or not (harmful or self.replaces):
            return
        reason = "has changed since you approved it" if approval is Approval.CHANGED else "was not approved by you"
        effect = f"it sets {', '.join(harmful)}" if harmful else f"it would be used in place of {self.replaces}"
        raise UntrustedConfig(
            f"{self.path} lies in the working directory and {reason}; {effect}.",
            hint=f"Read it; if all of it is as you want it: `renderctl trust`. "
            f"`--config {NAME}` uses it this once, RENDERCTL_CONFIG or --config another one.",
        )


def find_config(
    config: Path | None, environment: Mapping[str, str], user_config: Path | None = None
) -> ConfigFile | None:
    """The config of this machine: one that is named, else one of the working directory, else the user's own.

    Raises BadSettings.
    """
    named = config or (Path(environment["RENDERCTL_CONFIG"]) if environment.get("RENDERCTL_CONFIG") else None)
    if named is not None:
        if not named.is_file():
            raise BadSettings(f"There is no config file {named}.", hint="`renderctl init` writes one.")
        return ConfigFile(named, read_config(named))
    own = user_config.absolute() if user_config is not None and user_config.is_file() else None
    here = Path(NAME).absolute()
    if here.is_file() and not (own is not None and here.samefile(own)):
        return ConfigFile(here, read_config(here), replaces=own, named=False)
    return ConfigFile(own, read_config(own)) if own is not None else None


def read_config(path: Path) -> bytes:
    """The bytes of a config. Raises BadSettings."""
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST + 1)
    except OSError as error:
        raise BadSettings(f"{path} can not be read: {error}.") from error
    if len(content) > _LARGEST:
        raise BadSettings(f"{path} is too large: a config has {_LARGEST >> 10} KiB at most.")
    return content


def keys_of(document: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """The keys that a document sets: `blender.paths`."""
    for key, value in document.items():
        if isinstance(value, dict) and not prefix:
            yield from keys_of(value, f"{key}.")
        elif value is not None or prefix or key == "data_dir":
            yield f"{prefix}{key}"


def _parsed(source: Path, content: bytes) -> Mapping[str, Any]:
    import yaml  # without a config nobody needs it

    try:
        document = yaml.safe_load(content.decode()) or {}
    except (UnicodeDecodeError, RecursionError) as error:
        raise BadSettings(f"{source} can not be read: {error}.") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f", line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or "it has characters that are not text"
        # What stands in quotes may be a piece of a secret: `password: *hush` is an undefined alias 'hush'.
        problem = problem if not isinstance(error, yaml.composer.ComposerError) else problem.partition(" '")[0]
        hint = "Put text with special characters in quotes."
        raise BadSettings(f"{source}{place} is not YAML: {problem}.", hint=hint) from error
    if not isinstance(document, dict):
        raise BadSettings(f"{source} holds no settings.", hint="It is a YAML file of `key: value` lines.")
    return document
