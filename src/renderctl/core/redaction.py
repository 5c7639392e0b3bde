"""Text for other people: the folders of this machine and of who uses it are nobody else's business."""

from contextlib import suppress
from pathlib import Path

from renderctl.core.settings import Settings


def redacted(text: str, settings: Settings) -> str:
    """The text with the data folder as `…`, and the home of whoever runs this as `~`."""
    folders = {str(folder): "…" for folder in (settings.data_dir, settings.data_dir.resolve())}
    with suppress(RuntimeError):  # a container's user without a home
        folders.setdefault(str(Path.home()), "~")
    for folder in sorted(folders, key=len, reverse=True):
        if folder != "/":
            text = text.replace(folder, folders[folder])
    return text
