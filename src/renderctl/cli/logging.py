"""Where logs go: to standard error, as lines with the time."""

import logging

from renderctl.cli import invocation


def log_to_stderr(level: int = logging.INFO) -> None:
    """Show what renderctl logs; everything, libraries too, with `--debug`."""
    if invocation.current.debug:
        level = logging.DEBUG
    elif invocation.current.quiet:
        level = logging.ERROR
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("renderctl").setLevel(level)
    logging.getLogger("alembic").setLevel(logging.WARNING)
