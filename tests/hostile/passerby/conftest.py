"""Who works in a folder that somebody else made: the command line, as `tests/cli` runs it."""

from tests.cli.conftest import ctl, data_dir, given, server

__all__ = ["ctl", "data_dir", "given", "server"]
