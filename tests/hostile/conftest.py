"""The command line, as `tests/cli` runs it."""

from tests.cli.conftest import ctl, data_dir, given, process, server

__all__ = ["ctl", "data_dir", "given", "process", "server"]
