"""Jobs of every kind: that follow others, have slot limits, go in order, require a tag, are paused, or are big."""

import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from renderctl.core.models import Model
from renderctl.core.new_model import NewModel
from renderctl.farm import Farm
from renderctl.farm.jobs.submit import SubmitRequest
from renderctl.wiring import Commands, LocalCommands

#: So many that chance can not use them up: every kill costs the frame that it hits one attempt.
ATTEMPTS = 60
#: What some workers have, and what none has.
COMMON_TAG, MISSING_TAG = "big", "nowhere"
#: Tasks of a job that a round has no time to render.
BIG = 20_000
_RECENT = 6


@dataclass
class JobFactory:
    """Submits jobs as chance has it; of which kinds they were is counted."""

    chance: random.Random
    plain: Model
    ordered: Model  #: a simulation that is not baked
    jobs: list[str] = field(default_factory=list)  #: ids of all that were submitted
    kinds: Counter[str] = field(default_factory=Counter)

    def submit(self, connection: Commands, frames: int, **given: object) -> str:
        """A job of so many frames; `given` decides what chance does not. Its id. Raises RenderctlError."""
        chosen = self._chosen() | given
        model = self.ordered if chosen.pop("in_order", False) else self.plain
        request = SubmitRequest(frames=f"1-{frames}", **chosen)  # type: ignore[arg-type]
        job_id = str(connection.submit(model, request).job.id)
        if job_id not in self.jobs:
            self.jobs.append(job_id)
            self.kinds.update(_kinds(model is self.ordered, frames, chosen))
        return job_id

    def _chosen(self) -> dict[str, object]:
        chance = self.chance
        chosen: dict[str, object] = {"priority": chance.randint(0, 10), "max_attempts": ATTEMPTS}
        if chance.random() < 0.25:
            chosen["max_slots"] = chance.randint(1, 2)
        if chance.random() < 0.15:
            chosen["in_order"] = True
        if self.jobs and chance.random() < 0.35:
            recent = self.jobs[-_RECENT:]
            chosen[chance.choice(("after", "after_any"))] = (chance.choice(recent),)
        if chance.random() < 0.2:
            chosen["requires"] = (COMMON_TAG,)
        elif chance.random() < 0.1:
            chosen["requires"] = (MISSING_TAG,)
        if chance.random() < 0.15:
            chosen["paused"] = True
        if chance.random() < 0.15:
            chosen["idempotency_key"] = f"key-{chance.randrange(5)}"
        if chance.random() < 0.15:
            chosen["max_attempts"] = 1
        return chosen


def ordered_version(farm: Farm, model: Model, connection: LocalCommands) -> Model:
    """The same model under another name, with a simulation that is not baked."""
    scenes = tuple(replace(scene, unbaked=("Domain",)) for scene in model.facts.scenes)
    facts = replace(model.facts, scenes=scenes)
    inputs = tuple(farm.repository.models.inputs(model.id))
    new = NewModel(f"{model.name}-unbaked", model.main, model.digest, facts, inputs)
    return farm.repository.models.add(new, actor=connection.actor)[0]


def _kinds(in_order: bool, frames: int, chosen: Mapping[str, object]) -> Counter[str]:
    """What a job is, in the words of the tally."""
    kinds = Counter({"jobs submitted": 1})
    options = {
        "max_slots": "jobs with a slot limit",
        "after": "jobs after another one",
        "after_any": "jobs after any end of another one",
        "paused": "jobs submitted paused",
        "idempotency_key": "jobs with an idempotency key",
    }
    kinds.update(text for option, text in options.items() if chosen.get(option))
    if in_order:
        kinds["jobs in order"] += 1
    if frames >= BIG:
        kinds["jobs of 20,000 tasks"] += 1
    if chosen["max_attempts"] == 1:
        kinds["jobs with one attempt a frame"] += 1
    if chosen.get("requires"):
        kinds["jobs that no worker suits" if chosen["requires"] == (MISSING_TAG,) else "jobs that require a tag"] += 1
    return kinds
