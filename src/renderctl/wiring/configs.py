"""The config of this machine: read, and written for the first time."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from renderctl.farm.composing import Composed
    from renderctl.settings import Settings


def read_settings(config: Path | None = None) -> "Settings":
    """The settings that hold here: see `load_settings`."""
    import platformdirs

    from renderctl.settings import load_settings

    return load_settings(
        config,
        default_data_dir=platformdirs.user_data_path("renderctl", appauthor=False),
        user_config=platformdirs.user_config_path("renderctl", appauthor=False) / "renderctl.yaml",
    )


def write_config(path: Path | None, *, force: bool) -> Path:
    """Write the commented config to `path`, or where it is looked for. Raises BadSettings when one is there."""
    import platformdirs

    from renderctl.errors import BadSettings
    from renderctl.farm.composing import write_private

    target = path or platformdirs.user_config_path("renderctl", appauthor=False) / "renderctl.yaml"
    if target.exists() and not force:
        raise BadSettings(f"{target} is there already.", hint="--force overwrites it; -o FILE writes another one.")
    write_private(target, _example_config().read_text(encoding="utf-8"))  # passwords will stand in it
    return target


def write_compose(folder: Path, *, force: bool) -> "Composed":
    """Have the passwords of the services in compose/, and a config that points at them. Raises BadSettings."""
    from renderctl.farm.composing import write_compose

    return write_compose(folder, force=force)


def _example_config() -> Path:
    package = Path(__file__).resolve().parents[1]
    packaged = package / "config.example.yaml"
    return packaged if packaged.is_file() else package.parents[1] / "config.example.yaml"
