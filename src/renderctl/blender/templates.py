"""The location of the script templates."""

from functools import cache
from pathlib import Path


@cache
def templates_dir() -> Path:
    """Return the folder of the templates: in the installed package, or at the top of the source tree."""
    package = Path(__file__).resolve().parent.parent
    for folder in (package / "templates", package.parent.parent / "templates"):
        if (folder / "session.py").is_file():
            return folder
    raise FileNotFoundError(f"The templates of renderctl are missing: they belong to {package / 'templates'}.")
