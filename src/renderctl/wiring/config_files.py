"""The config of this machine: read, and written for the first time."""

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from renderctl.core.settings import Settings
    from renderctl.core.settings.config_file import Approval
    from renderctl.farm.admin.compose_init import Composed
    from renderctl.farm.admin.trusted_configs import TrustedConfigs


def read_settings(config: Path | None = None) -> "Settings":
    """The settings that hold here: see `load_settings`."""
    import platformdirs

    from renderctl.core.settings import load_settings

    return load_settings(
        config,
        default_data_dir=platformdirs.user_data_path("renderctl", appauthor=False),
        user_config=_user_config(),
        approvals=_approval,
    )


def trusted_configs() -> "TrustedConfigs":
    """What this user has approved of the configs that lie in working directories."""
    from renderctl.farm.admin.trusted_configs import TrustedConfigs

    return TrustedConfigs(_user_config().with_name("trusted.json"))


def _approval(path: Path, content: bytes) -> "Approval":
    return trusted_configs().approval(path, content)


def _user_config() -> Path:
    import platformdirs

    return platformdirs.user_config_path("renderctl", appauthor=False) / "renderctl.yaml"


def _approve(path: Path) -> None:
    """What this user has just made needs no other approval of theirs."""
    from renderctl.core.errors import OutputNotWritable

    with suppress(OutputNotWritable):  # `trust` says why
        trusted_configs().approve(path)


def write_config(path: Path | None, *, force: bool) -> Path:
    """Write the commented config to `path`, or where it is looked for. Raises BadSettings when one is there."""
    from renderctl.core.errors import BadSettings
    from renderctl.core.private_files import write_private

    target = path or _user_config()
    if target.exists() and not force:
        raise BadSettings(f"{target} is there already.", hint="--force overwrites it; -o FILE writes another one.")
    write_private(target, _example_config().read_text(encoding="utf-8"))  # passwords will stand in it
    if path is not None:
        _approve(target)
    return target


def write_compose(folder: Path, *, force: bool) -> "Composed":
    """Have the passwords of the services in compose/, and a config that points at them. Raises BadSettings."""
    from renderctl.farm.admin.compose_init import write_compose

    composed = write_compose(folder, force=force)
    for path in composed.files:
        if path.name == "renderctl.yaml":
            _approve(path)
    return composed


def _example_config() -> Path:
    package = Path(__file__).resolve().parents[1]
    packaged = package / "config.example.yaml"
    return packaged if packaged.is_file() else package.parents[1] / "config.example.yaml"
