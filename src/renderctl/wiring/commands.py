"""The verbs, bound to a farm and to who is using it."""

import importlib
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from renderctl.wiring.ports import open_farm
from renderctl.wiring.verbs import VERBS

if TYPE_CHECKING:
    from renderctl.core.actors import Actor
    from renderctl.core.settings import Settings


class LocalCommands:
    """The verbs, bound to a farm and to who is using it."""

    url = ""  #: there is no server on the way
    is_in_the_clear = False

    def __init__(self, settings: "Settings", actor: "Actor", farm: Any = None) -> None:
        self.settings = settings
        self.actor = actor
        self._opened: list[Any] = []
        if farm is not None:
            self.__dict__["farm"] = farm

    def acting(self, actor: "Actor") -> "LocalCommands":
        """The verbs of the same farm for somebody else."""
        return LocalCommands(self.settings, actor, self.farm)

    def __getattr__(self, verb: str) -> Callable[..., Any]:
        if verb not in VERBS:
            raise AttributeError(verb)
        place, action = VERBS[verb]
        module, _, function = place.partition(":")
        bound = getattr(importlib.import_module(f"renderctl.farm.{module}"), function)
        return partial(bound, self.farm, self.actor) if action else partial(bound, self.farm)

    @property
    def farm(self) -> Any:
        """The farm of the settings; its parts open when they are first used."""
        if "farm" not in self.__dict__:
            self.__dict__["farm"] = open_farm(self.settings, self._opened)
        return self.__dict__["farm"]

    def upgrade_database(self) -> str:
        """Bring the database to the revision that this renderctl needs; that revision.

        Raises DatabaseUnavailable, and Conflict while workers are at work with the old one.
        """
        from renderctl.repository.engine import open_engine
        from renderctl.repository.migrations import HEAD, current_revision, fence_workers, upgrade

        engine = open_engine(self.settings.database_url, patient=True)
        try:
            if current_revision(engine) in (None, HEAD):
                return upgrade(engine)
            fence_workers(engine, self.settings.worker.heartbeat_limit)
            revision = upgrade(engine)
        finally:
            engine.dispose()
        self.farm.repository.expire()  # by the rules of the new code
        return revision

    def close(self) -> None:
        """Let go of what was opened."""
        while self._opened:
            self._opened.pop().close()
