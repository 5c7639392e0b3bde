"""Where logs go: to standard error, as lines with the time."""

import logging
from typing import Any

from renderctl.cli import context
from renderctl.cli.ui import escaping


class _OneLine(logging.Formatter):
    def formatMessage(self, record: logging.LogRecord) -> str:
        return escaping.escape_line(super().formatMessage(record))

    def formatException(self, ei: Any) -> str:
        return escaping.escape_lines(super().formatException(ei))


def log_to_stderr(level: int = logging.INFO, *, tasks: bool = True) -> None:
    """Show what renderctl logs; everything, libraries too, with `--debug`.

    Without `tasks`, what is logged about a single task is left out: the caller shows it in another way.
    """
    if context.current.debug:
        level, tasks = logging.DEBUG, True
    elif context.current.quiet:
        level = logging.ERROR
    shown = logging.StreamHandler()
    shown.setFormatter(_OneLine("%(asctime)s %(levelname)s %(message)s", "%Y-%m-%d %H:%M:%S"))
    logging.basicConfig(level=logging.DEBUG if context.current.debug else logging.WARNING, handlers=[shown])
    logging.getLogger("renderctl").setLevel(level)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    if not tasks:
        for handler in logging.getLogger().handlers:
            handler.addFilter(lambda record: not hasattr(record, "task"))
