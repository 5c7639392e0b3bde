"""A round of the farm on real services: nodes, jobs, and harm to any part of it."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from renderctl.core.models import Model
from tests.chaos import harms, hooks
from tests.chaos.clients import Clients
from tests.chaos.job_factory import BIG, COMMON_TAG, JobFactory, ordered_version
from tests.chaos.proxy import Proxy
from tests.chaos.replication import promote
from tests.chaos.rounds import Harm, Round
from tests.chaos.site import LIMIT_S, ServedSite
from tests.chaos.verdict import SIDE
from tests.fake_blender import SIZE
from tests.farms import given_model
from tests.receivers import Receiver

#: Seconds that a frame takes, and how many frames there are in a round: some ten seconds of work for three nodes.
_SIZES = ((0.03, 240), (0.2, 100), (1.0, 24))
_RENDERED = 24
#: Seeds that this divides have a server, and people who come through it.
SERVED_OVER_HTTP = 3
_CLOCKS_S = (-3600, 0, 3600)
#: Seconds by which a clock jumps.
_JUMPS_S = (-7200, -60, -3, 3, 60, 7200)
#: Seconds that a store is not as it should be, and that it takes for a DELETE: a minute, on the scale of a round.
_AWAY_S, _DELETE_S = (1.0, 2.0 * LIMIT_S), 6.0


@dataclass
class ServedRound(Round):
    """Three nodes or more, of which the first has a cable; most rounds render nothing, for volume."""

    site: ServedSite
    receiver: Receiver = field(kw_only=True)  #: who is told of every frame
    scene: Path | None = None  #: what Blender renders; None: nothing is rendered
    two_at_once: float = 0.3
    grace_s: float = 15.0  #: what a collection has marked when its store went away waits for twenty minutes
    clients: Clients | None = None  #: who come through a server
    _models: tuple[Model, Model] | None = None

    def __post_init__(self) -> None:
        self._severed = 0  #: commits of which nobody heard, as the proxy counts them
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
        for name in ("n1", "n2", "n3"):
            self.site.skew(name, chance.choice(_CLOCKS_S))
        self.site.services = self.retention()
        self.submit_all(frames, BIG if self.seed % 6 == 0 and not self.scene else 0)
        for number, name in enumerate(("n1", "n2", "n3")):
            slots = 1 if self.scene else chance.choice((1, 1, 2, 3))
            self._traits[name] = ("--slots", str(slots), *(("--tag", COMMON_TAG) if number == 1 else ()))
            self.start(name)
        self._nodes = 3
        if self.seed % SERVED_OVER_HTTP == 0:
            self._begin_serving()
        return frames

    def _begin_serving(self) -> None:
        """One more person, who comes through a server."""
        self.clients = Clients(self.site, self.farm, random.Random(f"{self.seed}-clients"))
        self.clients.begin(self.factory.jobs[:2])
        chance = random.Random(f"{self.seed}-remote")
        factory = JobFactory(chance, *self.models(), self.factory.jobs)
        self.crew.operators.append(self.operator(self.clients.connection(), factory, self.crew.log, chance))

    def revive(self) -> None:
        super().revive()
        if self.clients is not None:
            self.clients.revive()

    def play(self) -> None:
        super().play()
        if self.clients is not None:
            self.clients.end()
            self.deeds += self.clients.counts

    def _uploaded(self, scene: Path) -> Model:
        done = self.site.run("upload", str(scene))
        assert done.returncode == 0, done.stderr
        return self.farm.repository.models.find(scene.stem)

    def start(self, name: str) -> None:
        options = () if self.scene else ("--frame-s", str(self._frame_s), "--crashes", str(self._crashes))
        self.workers[name] = self.site.start_worker(name, *self._traits[name], *options, fake=self.scene is None)

    def harms(self) -> Mapping[str, Sequence[Harm]]:
        servers = self.site.servers
        found: dict[str, Sequence[Harm]] = {
            "broker": harms.harms_of_broker(self.site, servers),
            "cache": harms.harms_of_cache(servers),
            "database": harms.harms_of_database(servers),
            "store": harms.harms_of_store(servers),
            "workers": [*self.harms_of_workers(LIMIT_S), *self._replacements()],
            "clocks": [self._clock_harm(name) for name in sorted(self.workers)],
        }
        if self.clients is not None:
            found["server"] = self.clients.harms()
        if self.site.proxies:
            found["database behind a proxy"] = self._harms_behind_proxy(self.site.proxies.database)
            if self.site.replica is not None:
                kill = self.site.servers.database.kill
                found["replica"] = [Harm("database fails over to a replica", "database", kill, self._fail_over)]
            found["store behind a proxy"] = self._harms_of_proxied_store(self.site.proxies.store)
        if self.scene:
            found["Blenders"] = self.harms_of_blenders()
        for name in self.site.cables.keys() & self.workers.keys():
            found["cable"] = harms.harms_of_cable(name, self.site.cables[name])
        return found

    def _clock_harm(self, name: str) -> Harm:
        """Somebody sets the clock of a node while it works."""
        seconds = self.chance.choice(_JUMPS_S)
        return Harm("a node's clock jumps", name, lambda: self.site.skew(name, seconds))

    def _harms_behind_proxy(self, proxy: Proxy) -> Sequence[Harm]:
        """Commits of which nobody hears, another time of the database, and another server."""
        count, late_s = self.chance.randint(1, 6), self.chance.uniform(0.1, LIMIT_S)

        def heal() -> None:
            before = self._severed
            self._severed = proxy.order(severs=0, late_s=0.0).get("severed", 0)
            self.deeds["commits that went through unheard"] += self._severed - before

        def jump() -> None:
            self.clock_jumped = True
            proxy.order(skew_s=self.chance.choice(_JUMPS_S))

        self._severed = proxy.order().get("severed", 0)
        return [
            Harm("answers to COMMIT lost", "database", lambda: proxy.order(severs=count), heal, (0.5, 2.0)),
            Harm(
                "COMMIT goes on when nobody hears of it",
                "database",
                lambda: proxy.order(severs=count, late_s=late_s),
                heal,
                (0.5, 2.0),
            ),
            Harm("the database's clock jumps", "database", jump),
        ]

    def _fail_over(self) -> None:
        """To a server whose clock is another one."""
        replica, proxies = self.site.replica, self.site.proxies
        assert replica is not None
        assert proxies is not None
        promote(replica)
        self.clock_jumped = True
        proxies.database.order(target=replica.port, skew_s=self.chance.choice(_JUMPS_S))
        self.site.servers, self.site.replica = replace(self.site.servers, database=replica), None

    def _harms_of_proxied_store(self, proxy: Proxy) -> Sequence[Harm]:
        def give_wrong_bytes() -> None:
            self.damaged = True
            proxy.order(wrong=True)

        return [
            Harm("store is full", "store", lambda: proxy.order(full=True), lambda: proxy.order(full=False), _AWAY_S),
            Harm(
                "store takes long to delete",
                "store",
                lambda: proxy.order(delete_s=_DELETE_S),
                lambda: proxy.order(delete_s=0.0),
                (2.0, 6.0),
            ),
            Harm("store gives wrong bytes", "store", give_wrong_bytes, lambda: proxy.order(wrong=False), _AWAY_S),
        ]

    def _replacements(self) -> list[Harm]:
        """A node that dies and never comes back: another one takes its place."""

        def replace(name: str) -> None:
            del self.workers[name]
            self._nodes += 1
            self._traits[f"n{self._nodes}"] = self._traits[name]
            self.site.skew(f"n{self._nodes}", 0)
            self.start(f"n{self._nodes}")

        return [
            Harm("worker killed, replaced by another node", name, worker.kill, partial(replace, name))
            for name, worker in sorted(self.workers.items())
        ]
