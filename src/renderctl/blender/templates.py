"""Where the templates of the scripts lie that sessions run."""

from functools import cache
from pathlib import Path


@cache
def templates_dir() -> Path:
    """Where the templates lie: inside the installed package, or at the top of the source tree."""
    package = Path(__file__).resolve().parent.parent
    for folder in (package / "templates", package.parent.parent / "templates"):
        if (folder / "session.py").is_file():
            return folder
    raise FileNotFoundError(f"The templates of renderctl are missing: they belong to {package / 'templates'}.")
