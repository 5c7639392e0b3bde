"""One round: a job of quick frames on two workers, and what a seed has in store for them."""

import random
import signal
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from renderctl.farm import Farm
from renderctl.farm.submit import SubmitRequest
from tests.chaos.verdict import connected, wait_for_end
from tests.nodes import CLOCK, LIMIT_S, Node, Site, until

FRAMES = 36
#: So many that chance can not use them up: every kill costs the frame that it hits one attempt.
_ATTEMPTS = 50
_ROUND_S = 120.0


@dataclass
class Round:
    """What a seed makes of a farm; the same seed does the same things, each after the same number of frames."""

    site: Site
    seed: int
    workers: dict[str, Node] = field(default_factory=dict)
    deeds: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._chance = random.Random(self.seed)
        self._farm: Farm = connected(self.site).farm
        self.job_id = ""

    @property
    def farm(self) -> Farm:
        return self._farm

    def play(self) -> None:
        """From the start of the workers until the job has ended."""
        if self._chance.random() < 0.3:
            self._begin_with_render()
        else:
            self._submit()
            self._start("w1", "w2")
        deeds = self._chance.randint(3, 7)
        for frames in sorted(self._chance.randrange(FRAMES) for _ in range(deeds)):
            self._wait_for_frames(frames)
            CLOCK.wait(None, self._chance.uniform(0.0, 0.3))
            self._chance.choice(self._injuries())()
        wait_for_end(self._farm, self.job_id, _ROUND_S)
        for worker in self.workers.values():
            # one that is still getting up has not told the system yet that it wants to leave in good order
            assert worker.end() in (0, -signal.SIGTERM), worker.log.read_text()

    def _injuries(self) -> list[Callable[[], None]]:
        return [self._kill_a_blender, self._kill_and_restart, self._kill_and_restart, self._kill_for_long, self._freeze]

    def _submit(self) -> None:
        request = SubmitRequest(frames=f"1-{FRAMES}", max_attempts=_ATTEMPTS)
        connection = connected(self.site)
        self.job_id = connection.submit(self._farm.repository.find_model("quick"), request).job.id
        connection.close()

    def _begin_with_render(self) -> None:
        """`render` is killed; then workers find its job, or it is told to go on."""
        render = self.site.start(
            "render", "render", "quick", "-f", f"1-{FRAMES}", "--attempts", str(_ATTEMPTS), "-o", str(self.site.logs)
        )
        until(lambda: bool(self._farm.repository.summaries()) or not render.alive, 30, what="a job of `render`")
        assert render.alive, render.log.read_text()
        self.job_id = self._farm.repository.summaries()[0].job.id
        self._wait_for_frames(self._chance.randrange(FRAMES // 2))
        CLOCK.wait(None, self._chance.uniform(0.0, 0.3))
        render.kill()
        self.deeds["render killed"] += 1
        self._start("w1", "w2")

    def _start(self, *names: str) -> None:
        for name in names:
            self.workers[name] = self.site.start_worker(name)

    def _wait_for_frames(self, frames: int) -> None:
        def there() -> bool:
            return self._farm.repository.count_outputs(self.job_id) >= frames

        until(there, _ROUND_S, what=f"{frames} frames of seed {self.seed}")

    def _any(self) -> str:
        return self._chance.choice(sorted(self.workers))

    def _kill_a_blender(self) -> None:
        self.deeds["Blender killed"] += self.workers[self._any()].kill_blender()

    def _kill_and_restart(self) -> None:
        """The worker is back before anybody can know that it was away."""
        name = self._any()
        self.workers[name].kill()
        CLOCK.wait(None, self._chance.uniform(0.0, LIMIT_S / 2))
        self._start(name)
        self.deeds["worker killed, back at once"] += 1

    def _kill_for_long(self) -> None:
        name = self._any()
        self.workers[name].kill()
        CLOCK.wait(None, self._chance.uniform(1.5, 3.0) * LIMIT_S)
        self._start(name)
        self.deeds["worker killed, back late"] += 1

    def _freeze(self) -> None:
        """A worker that is taken for dead, and comes back."""
        worker = self.workers[self._any()]
        worker.freeze()
        CLOCK.wait(None, self._chance.uniform(1.5, 4.0) * LIMIT_S)
        worker.thaw()
        self.deeds["worker frozen"] += 1
