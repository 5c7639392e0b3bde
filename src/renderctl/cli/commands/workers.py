"""`renderctl workers`: see `worker`."""

from renderctl.cli.commands.worker import workers as app

__all__ = ["app"]
