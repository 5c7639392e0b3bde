"""What a server runs besides the verbs, which are bound to an actor: this serves all of them, or comes before."""

from collections.abc import Callable

from renderctl.core.errors import RenderctlError
from renderctl.core.ids import new_id
from renderctl.farm.change_feed import ChangeFeed
from renderctl.farm.jobs.thumbnails import Thumbnails
from renderctl.farm.people.authentication import Authentication
from renderctl.farm.webhooks.dispatcher import WebhookDispatcher
from renderctl.wiring.commands import LocalCommands

#: A blob that no store has: only a store that can be reached knows that it is missing.
_NO_BLOB = "0" * 64


class ServerParts:
    """The parts of a farm that a server holds: its threads run between `start` and `stop`."""

    def __init__(self, commands: LocalCommands) -> None:
        self._farm = commands.farm
        self.clock = self._farm.clock
        self.authentication = Authentication(self._farm)
        self.thumbnails = Thumbnails(self._farm)
        self._webhooks: WebhookDispatcher | None = None

    def start(self) -> None:
        """Send webhooks, and write when tokens and sessions were last used."""
        self._webhooks = WebhookDispatcher(self._farm, f"server-{new_id()}")
        self._webhooks.start()
        self.authentication.start()

    def stop(self) -> None:
        """Stop the threads; what they have begun is finished, within seconds."""
        if self._webhooks is not None:
            self._webhooks.stop()
        self.thumbnails.close()
        self.authentication.stop()

    def change_feed(self) -> ChangeFeed:
        """Changes of jobs, tasks and outputs from now on, for all whom the server tells of them."""
        return ChangeFeed(self._farm)

    def require_database(self) -> None:
        """Raises DatabaseUnavailable, DatabaseOutdated."""
        self._farm.repository.time()

    def readiness(self) -> dict[str, bool]:
        """Whether the database and the store can be used now."""
        return {"database": self._is_up(self.require_database), "store": self._is_up(self._ask_store)}

    def _ask_store(self) -> None:
        self._farm.store.missing({_NO_BLOB})

    @staticmethod
    def _is_up(ask: Callable[[], None]) -> bool:
        try:
            ask()
        except RenderctlError:
            return False
        return True
