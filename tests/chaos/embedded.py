"""A round of the embedded farm: one job of quick frames on two workers of one machine."""

from collections.abc import Mapping, Sequence

from renderctl.farm.submit import SubmitRequest
from tests.chaos.rounds import ATTEMPTS, Harm, Round
from tests.chaos.verdict import connected
from tests.nodes import CLOCK, LIMIT_S, until

FRAMES = 36


class EmbeddedRound(Round):
    """Real renders; in some rounds it is `render` that began, and was killed."""

    def begin(self) -> int:
        if self.chance.random() < 0.3:
            self._begin_with_render()
        else:
            self._submit()
        for name in ("w1", "w2"):
            self.start(name)
        return FRAMES

    def start(self, name: str) -> None:
        self.workers[name] = self.site.start_worker(name)

    def harms(self) -> Mapping[str, Sequence[Harm]]:
        return {"workers": [*self.harms_of_workers(LIMIT_S), *self.harms_of_blenders()]}

    def _submit(self) -> None:
        request = SubmitRequest(frames=f"1-{FRAMES}", max_attempts=ATTEMPTS)
        connection = connected(self.site)
        self.jobs = [connection.submit(self.farm.repository.find_model("quick"), request).job.id]
        connection.close()

    def _begin_with_render(self) -> None:
        """`render` is killed; then workers find its job, or it is told to go on."""
        words = ["quick", "-f", f"1-{FRAMES}", "--attempts", str(ATTEMPTS), "-o", str(self.site.logs)]
        render = self.site.start("render", "render", *words)
        until(lambda: bool(self.farm.repository.summaries()) or not render.alive, 30, what="a job of `render`")
        assert render.alive, render.log.read_text()
        self.jobs = [self.farm.repository.summaries()[0].job.id]
        self.wait_for_frames(self.chance.randrange(FRAMES // 2))
        CLOCK.wait(None, self.chance.uniform(0.0, 0.3))
        render.kill()
        self.deeds["render killed"] += 1
