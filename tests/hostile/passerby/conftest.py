"""A server in this process, for whoever passes by, and for somebody with a token."""

from tests.server.conftest import client, farm, served

__all__ = ["client", "farm", "served"]
