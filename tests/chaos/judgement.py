"""The verdict on a round: all that must be true of its jobs, whatever people and chance did to them."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from renderctl.core.actors import local_actor
from renderctl.core.states import JobState
from renderctl.decoder.pixels import verify
from renderctl.farm.jobs.download import download
from tests.chaos.consistency import require_all_collected, require_consistent, require_silent_sweep
from tests.chaos.history import JobHistory, histories_of, require_allowed
from tests.chaos.limits import require_limits_held
from tests.chaos.rounds import Round
from tests.chaos.verdict import require_right_counts


@dataclass(frozen=True)
class Judgement:
    """What is left of a round that is as it has to be."""

    histories: Mapping[str, JobHistory]
    counts: Counter[str]  #: for the tally


def require_sound(played: Round) -> Judgement:
    """Once nobody works any more: nothing is left to repair, and every job is as people's actions allow, and whole."""
    farm = played.farm
    require_silent_sweep(farm)
    require_right_counts(farm)
    blobs = require_all_collected(farm)
    require_right_counts(farm)
    histories = histories_of(farm)
    counts = require_allowed(histories, played.crew.log.actions, damaged=played.damaged)
    for history in histories.values():
        counts += require_consistent(farm, history, played.side, blobs)
        if not played.clock_jumped:  # else times do not say what was at the same time
            counts += require_limits_held(history)
        if history.state is JobState.SUCCEEDED:
            _require_delivered(played, history)
    counts["jobs removed"] = len(played.factory.jobs) - len(histories)
    counts["blobs"], counts["rounds"] = len(blobs), 1
    return Judgement(histories, counts)


def _require_delivered(played: Round, history: JobHistory) -> None:
    """Who asks for the images gets all of them, whole."""
    folder = played.site.data / "images" / history.id
    fetched = download(played.farm, local_actor("verdict"), history.id, folder)
    assert fetched.files == len(history.tasks)
    for task in history.tasks:
        verify(fetched.folder / f"{task.frame:04d}.png", width=played.side, height=played.side)
