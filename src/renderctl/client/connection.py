"""A server of a farm, as the verbs of this package use it."""

from dataclasses import dataclass

from renderctl.client.addresses import is_unencrypted
from renderctl.client.http import HttpClient
from renderctl.farm import Farm


@dataclass(frozen=True)
class ServerConnection:
    """A server, and the farm of this machine for what is done here."""

    api: HttpClient
    local_farm: Farm  #: of it the clock, the executor and the data folder are used

    @property
    def is_unencrypted(self) -> bool:
        """Whether a token is sent to another machine without TLS."""
        return "Authorization" in self.api.headers and is_unencrypted(self.api.url)
