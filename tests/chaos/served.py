"""A round of the farm on real services: nodes, jobs, and harm to any part of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from renderctl.models import Model
from tests.chaos import harms, hooks
from tests.chaos.job_factory import BIG, COMMON_TAG, ordered_version
from tests.chaos.rounds import Harm, Round
from tests.chaos.site import LIMIT_S, ServedSite, Servers
from tests.chaos.verdict import SIDE
from tests.fake_blender import SIZE
from tests.farms import given_model
from tests.receivers import Receiver

#: Seconds that a frame takes, and how many frames there are in a round: some ten seconds of work for three nodes.
_SIZES = ((0.03, 240), (0.2, 100), (1.0, 24))
_RENDERED = 24
_CLOCKS_S = (-3600, 0, 3600)


@dataclass
class ServedRound(Round):
    """Three nodes or more, of which the first has a cable; most rounds render nothing, for volume."""

    site: ServedSite
    servers: Servers = field(kw_only=True)
    receiver: Receiver = field(kw_only=True)  #: who is told of every frame
    scene: Path | None = None  #: what Blender renders; None: nothing is rendered
    two_at_once: float = 0.3
    _models: tuple[Model, Model] | None = None

    def __post_init__(self) -> None:
        self.side = SIDE if self.scene else SIZE
        self.small = 4 if self.scene else 20
        self._traits: dict[str, tuple[str, ...]] = {}
        super().__post_init__()
        self.webhook = hooks.given_webhook(self.farm, self.receiver)

    def models(self) -> tuple[Model, Model]:
        if not self._models:
            model = self._uploaded(self.scene) if self.scene else given_model(self.farm)
            self._models = (model, ordered_version(self.farm, model, self._connection))
        return self._models

    def begin(self) -> int:
        chance = self.chance
        self._frame_s, frames = (0.1, _RENDERED) if self.scene else chance.choice(_SIZES)
        self._crashes = chance.choice((0.0, 0.02))
        if self.site.skewed_clock:
            self.site.skews = {name: chance.choice(_CLOCKS_S) for name in ("n1", "n2", "n3")}
        self.site.services = self.retention()
        self.submit_all(frames, BIG if self.seed % 6 == 0 and not self.scene else 0)
        for number, name in enumerate(("n1", "n2", "n3")):
            slots = 1 if self.scene else chance.choice((1, 1, 2, 3))
            self._traits[name] = ("--slots", str(slots), *(("--tag", COMMON_TAG) if number == 1 else ()))
            self.start(name)
        self._nodes = 3
        return frames

    def _uploaded(self, scene: Path) -> Model:
        done = self.site.run("upload", str(scene))
        assert done.returncode == 0, done.stderr
        return self.farm.repository.find_model(scene.stem)

    def start(self, name: str) -> None:
        options = () if self.scene else ("--frame-s", str(self._frame_s), "--crashes", str(self._crashes))
        self.workers[name] = self.site.start_worker(name, *self._traits[name], *options, fake=self.scene is None)

    def harms(self) -> Mapping[str, Sequence[Harm]]:
        found = {
            "broker": harms.harms_of_broker(self.site, self.servers),
            "cache": harms.harms_of_cache(self.servers),
            "database": harms.harms_of_database(self.servers),
            "store": harms.harms_of_store(self.servers),
            "workers": [*self.harms_of_workers(LIMIT_S), *self._replacements()],
        }
        if self.scene:
            found["Blenders"] = self.harms_of_blenders()
        for name in self.site.cables.keys() & self.workers.keys():
            found["cable"] = harms.harms_of_cable(name, self.site.cables[name])
        return found

    def _replacements(self) -> list[Harm]:
        """A node that dies and never comes back: another one takes its place."""

        def replace(name: str) -> None:
            del self.workers[name]
            self._nodes += 1
            self._traits[f"n{self._nodes}"] = self._traits[name]
            self.start(f"n{self._nodes}")

        return [
            Harm("worker killed, replaced by another node", name, worker.kill, lambda name=name: replace(name))
            for name, worker in sorted(self.workers.items())
        ]
