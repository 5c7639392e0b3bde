"""A server in front of a farm of either side, and people with tokens who ask it for what nobody should get."""

from tests.server.conftest import served

__all__ = ["served"]
