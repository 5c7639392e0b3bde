"""`trust`: the configs of working directories that a user has approved, each by its path and its SHA-256."""

import hashlib
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from renderctl.core.errors import NotFound
from renderctl.core.private_files import write_private
from renderctl.core.settings.config_file import CONFIG_FILE_NAME, Approval, ConfigFile, config_keys, read_config

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrustedConfig:
    """A config that was approved."""

    config: Path
    sha256: str  #: of what it was then
    state: Approval  #: UNKNOWN: there is no such file any more


@dataclass(frozen=True)
class ApprovedConfig:
    """A config that was approved just now."""

    config: Path
    sha256: str
    sets: tuple[str, ...]  #: the keys in it


class TrustedConfigs:
    """What a user has approved, in a file of theirs. One that is damaged approves nothing."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def approval(self, path: Path, content: bytes) -> Approval:
        """What was said of a config that has these bytes."""
        known = self._load().get(_key(path))
        if known is None:
            return Approval.UNKNOWN
        return Approval.APPROVED if known == _sha256(content) else Approval.CHANGED

    def approve(self, path: Path | None = None) -> ApprovedConfig:
        """Approve a config as it is now; None: that of the working directory. Raises BadSettings, NotFound."""
        path = path or Path(CONFIG_FILE_NAME)
        if not path.is_file():
            raise NotFound(f"There is no config {path}.", hint="`renderctl trust FILE` names another one.")
        config = ConfigFile(path, read_config(path))
        keys = tuple(config_keys(config.document()))
        digest = _sha256(config.content)
        write_private(self._file, json.dumps({**self._load(), _key(path): digest}, indent=1) + "\n")
        return ApprovedConfig(Path(_key(path)), digest, keys)

    def remove(self, path: Path | None = None) -> Path:
        """Approve it no longer. Raises NotFound."""
        key, known = _key(path or Path(CONFIG_FILE_NAME)), dict(self._load())
        if known.pop(key, None) is None:
            raise NotFound(f"{key} was not approved.", hint="`renderctl trust --list` lists what was.")
        write_private(self._file, json.dumps(known, indent=1) + "\n")
        return Path(key)

    def list(self) -> list[TrustedConfig]:
        """All that were approved, and whether they are still what they were."""
        return [TrustedConfig(Path(key), digest, _state(Path(key), digest)) for key, digest in self._load().items()]

    def _load(self) -> Mapping[str, str]:
        try:
            known = json.loads(self._file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            logger.warning("%s can not be read, and approves nothing: %s", self._file, error)
            return {}
        return {str(key): str(value) for key, value in known.items()} if isinstance(known, dict) else {}


def _state(path: Path, digest: str) -> Approval:
    if not path.is_file():
        return Approval.UNKNOWN
    return Approval.APPROVED if _sha256(read_config(path)) == digest else Approval.CHANGED


def _key(path: Path) -> str:
    """Where a config lies; a link in a folder's name changes nothing, one in its own place does."""
    path = path.expanduser().absolute()
    return str(path.parent.resolve() / path.name)


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
