"""The config file: where it is found, how it is parsed, and what an unapproved one may set."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from renderctl.core.errors import BadSettings, UntrustedConfig

#: The config's name in the working directory.
CONFIG_FILE_NAME = "renderctl.yaml"
#: The largest config, in bytes.
_MAX_BYTES = 1 << 18
#: Keys that an unapproved config of the working directory may set: it may come from whoever made the folder.
#: None names a program, a host, a file or a template, grants access, or decides what is kept.
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
    """Whether a user has approved a config."""

    APPROVED = "approved"
    CHANGED = "changed"  #: since it was approved
    UNKNOWN = "unknown"


#: Looks up the user's approval of the config with an absolute path and these bytes.
Approvals = Callable[[Path, bytes], Approval]


def no_approvals(_path: Path, _content: bytes) -> Approval:
    """Approve nothing."""
    return Approval.UNKNOWN


@dataclass(frozen=True)
class ConfigFile:
    """The content of a config file, read once."""

    path: Path
    content: bytes
    replaces: Path | None = None  #: the user's own config, which this one of the working directory replaces
    named: bool = True  #: whether the user named it, by an option or the environment

    def document(self) -> Mapping[str, Any]:
        """Parse the YAML. Raises BadSettings."""
        return _parse(self.path, self.content)

    def require_approval(self, approvals: Approvals) -> None:
        """Raise UntrustedConfig if it sets harmful keys and the user has not approved this content."""
        if self.named:
            return
        approval = approvals(self.path, self.content)
        harmful = [key for key in config_keys(self.document()) if key not in HARMLESS]
        if approval is Approval.APPROVED or not (harmful or self.replaces):
            return
        reason = "has changed since you approved it" if approval is Approval.CHANGED else "was not approved by you"
        effect = f"it sets {', '.join(harmful)}" if harmful else f"it would be used in place of {self.replaces}"
        raise UntrustedConfig(
            f"{self.path} lies in the working directory and {reason}; {effect}.",
            hint=f"Read it, then approve it with `renderctl trust`. "
            f"`--config {CONFIG_FILE_NAME}` uses it once; --config or RENDERCTL_CONFIG can name another one.",
        )


def find_config(
    config: Path | None, environment: Mapping[str, str], user_config: Path | None = None
) -> ConfigFile | None:
    """Return the config of this machine: the named one, else that of the working directory, else the user's own.

    Raises BadSettings.
    """
    named = config or (Path(environment["RENDERCTL_CONFIG"]) if environment.get("RENDERCTL_CONFIG") else None)
    if named is not None:
        if not named.is_file():
            raise BadSettings(f"There is no config file {named}.", hint="`renderctl init` writes one.")
        return ConfigFile(named, read_config(named))
    own = user_config.absolute() if user_config is not None and user_config.is_file() else None
    here = Path(CONFIG_FILE_NAME).absolute()
    if here.is_file() and not (own is not None and here.samefile(own)):
        return ConfigFile(here, read_config(here), replaces=own, named=False)
    return ConfigFile(own, read_config(own)) if own is not None else None


def read_config(path: Path) -> bytes:
    """Read a config's bytes. Raises BadSettings."""
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise BadSettings(f"{path} cannot be read: {error}.") from error
    if len(content) > _MAX_BYTES:
        raise BadSettings(f"{path} is too large: a config may have at most {_MAX_BYTES >> 10} KiB.")
    return content


def config_keys(document: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """Yield the keys that a document sets, such as `blender.paths`."""
    for key, value in document.items():
        if isinstance(value, dict) and not prefix:
            yield from config_keys(value, f"{key}.")
        elif value is not None or prefix or key == "data_dir":
            yield f"{prefix}{key}"


def _parse(source: Path, content: bytes) -> Mapping[str, Any]:
    import yaml  # imported here: not needed without a config

    try:
        document = yaml.safe_load(content.decode()) or {}
    except (UnicodeDecodeError, RecursionError) as error:
        raise BadSettings(f"{source} cannot be read: {error}.") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f", line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or "it has characters that are not text"
        # Quoted text may be a piece of a secret: `password: *hush` is an undefined alias 'hush'.
        problem = problem if not isinstance(error, yaml.composer.ComposerError) else problem.partition(" '")[0]
        hint = "Quote text that has special characters."
        raise BadSettings(f"{source}{place} is not YAML: {problem}.", hint=hint) from error
    if not isinstance(document, dict):
        raise BadSettings(f"{source} holds no settings.", hint="It must be a YAML file of `key: value` lines.")
    return document
