"""A round of the embedded farm: jobs of all kinds on two workers of one machine."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from renderctl.core.models import Model
from renderctl.core.states import JobState
from tests.chaos.job_factory import ATTEMPTS, BIG, COMMON_TAG, ordered_version
from tests.chaos.rounds import Harm, Round
from tests.chaos.site import FAKE, fake_variables
from tests.chaos.verdict import SIDE
from tests.fake_blender import SIZE
from tests.nodes import CLOCK, LIMIT_S, until

#: Frames that Blender renders, and those that nothing does.
_RENDERED, _FRAMES = 24, 120


@dataclass
class EmbeddedRound(Round):
    """Real renders in every third round; in some of these it is `render` that began, and was killed."""

    _models: tuple[Model, Model] | None = None

    def __post_init__(self) -> None:
        self.renders = self.seed % 3 == 0
        self.small = 4 if self.renders else 20
        self.side = SIDE if self.renders else SIZE
        super().__post_init__()

    def models(self) -> tuple[Model, Model]:
        if self._models is None:
            quick = self.farm.repository.models.find("quick")
            self._models = quick, ordered_version(self.farm, quick, self._connection)
        return self._models

    def begin(self) -> int:
        chance = self.chance
        self._slots = {name: chance.choice((1, 1, 2, 3)) for name in ("w1", "w2")}
        self._frame_s, self._crashes = chance.choice((0.01, 0.05, 0.2)), chance.choice((0.0, 0.02))
        self.site.services = {**self.site.services, **self.retention(), **fake_variables()}
        frames = _RENDERED if self.renders else _FRAMES
        if self.renders and chance.random() < 0.5:
            self._begin_with_render(frames)
        else:
            self.submit_all(frames, BIG if not self.renders and self.seed % 8 == 0 else 0)
        for name in ("w1", "w2"):
            self.start(name)
        return frames

    def start(self, name: str) -> None:
        options = ("--slots", str(self._slots[name]), *(("--tag", COMMON_TAG) if name == "w2" else ()))
        if self.renders:
            self.workers[name] = self.site.start_worker(name, *options)
            return
        fake = ("--frame-s", str(self._frame_s), "--crashes", str(self._crashes))
        self.workers[name] = self.site.start(name, "--name", name, *options, *fake, program=FAKE)

    def harms(self) -> Mapping[str, Sequence[Harm]]:
        blenders = self.harms_of_blenders() if self.renders else ()
        return {"workers": [*self.harms_of_workers(LIMIT_S), *blenders]}

    def _begin_with_render(self, frames: int) -> None:
        """`render` is killed; then workers find its job, or it is told to go on."""
        words = ["quick", "-f", f"1-{frames}", "--attempts", str(ATTEMPTS), "-o", str(self.site.logs)]
        render = self.site.start("render", "render", *words)
        until(lambda: bool(self.farm.repository.summaries.newest()) or not render.alive, 30, what="a job of `render`")
        assert render.alive, render.log.read_text()
        job = self.farm.repository.summaries.newest()[0].job
        assert job.state in (JobState.QUEUED, JobState.RUNNING)
        self.factory.jobs.append(job.id)
        self.wait_for_frames(self.chance.randrange(frames // 2))
        CLOCK.wait(None, self.chance.uniform(0.0, 0.3))
        render.kill()
        self.deeds["render killed"] += 1
