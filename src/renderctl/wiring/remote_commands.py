"""The verbs, bound to a server."""

from typing import TYPE_CHECKING

from renderctl.wiring.commands import Commands, LocalCommands
from renderctl.wiring.verbs import ServerBinding, refused_through_server

if TYPE_CHECKING:
    from renderctl.client.connection import ServerConnection
    from renderctl.core.actors import Actor


class RemoteCommands(Commands, ServerBinding):
    """The verbs, bound to a server, for whoever holds a token of it; some are done on this machine, some refused."""

    def __init__(self, server: "ServerConnection", local: LocalCommands) -> None:
        """`local` has the verbs of this machine's own farm."""
        self.settings = local.settings
        self.server = server
        self._local = local

    @property
    def local(self) -> LocalCommands:
        """The verbs of this machine's own farm."""
        return self._local

    @property
    def actor(self) -> "Actor":
        """Who one is to the server."""
        return self.whoami()

    @property
    def url(self) -> str:
        """The address of the server."""
        return self.server.api.url

    @property
    def is_unencrypted(self) -> bool:
        """Whether a token is sent to another machine without TLS."""
        return self.server.is_unencrypted

    def upgrade_database(self) -> str:
        """Refused: the database is the farm's. Raises UsageError."""
        raise refused_through_server("`database upgrade`")

    def close(self) -> None:
        """Let go of the connections."""
        self.server.api.close()
        self._local.close()
