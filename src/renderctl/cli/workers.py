"""`renderctl workers`: see `worker`."""

from renderctl.cli.worker import workers as app

__all__ = ["app"]
