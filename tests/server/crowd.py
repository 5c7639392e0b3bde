"""`python -m tests.server.crowd [--jobs N] [--frames N]`: a server of a farm that has much to show.

`ada`, password `correct horse`, is its admin, `vic` a viewer. Nothing is rendered but by a fake Blender.
"""

import argparse
import random
import signal
import tempfile
import threading
from collections.abc import Mapping
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from renderctl.core.actors import Role
from renderctl.farm import Farm
from renderctl.farm.people.passwords import Hashing
from tests.fake_blender import Behaviour, FakeBlender, FakeExecutor, failing, rendered
from tests.farms import ACTOR, at_work, close, given_job, given_model, make_farm
from tests.server.live import listening

PASSWORD = "correct horse"
PICTURE = Path(__file__).parents[2] / "docs/images/turntable.png"


def given_people(farm: Farm) -> None:
    """One of each role, all of project `default`, with the same password."""
    kept = _kept()
    for name, role in (("ada", Role.ADMIN), ("art", Role.ARTIST), ("vic", Role.VIEWER)):
        farm.repository.users.add(name, role, ("default",), password=kept, actor=ACTOR)


@cache
def _kept() -> str:
    """What is kept of the password: argon2 takes its time, and every farm may have the same."""
    return Hashing().hashed(PASSWORD)


class Painter(FakeExecutor):
    """Takes a moment for a frame, prints what a Blender would, and has always the same picture to show."""

    def __init__(self, frame_s: float = 0.2) -> None:
        super().__init__(gpus=("OPTIX: NVIDIA L4",), size=(960, 540))
        self.frame_s = frame_s
        self.chance = random.Random(7)

    def behaviour(self, frame: int) -> Behaviour:
        return failing("scene", "The image wood.png is missing.") if frame % 40 == 17 else self._paint

    def _paint(self, blender: FakeBlender, order: Mapping[str, Any]) -> None:
        seconds = self.frame_s * self.chance.uniform(0.6, 1.4) * (4 if order["frame"] % 31 == 5 else 1)
        for done in range(16, 129, 16):
            blender.print(f"Fra:{order['frame']} Mem:182.40M | Time:00:00.4 | Scene, ViewLayer | Sample {done}/128")

        def finish() -> None:
            if not blender.stopped.is_set():
                rendered(blender, order, PICTURE.read_bytes(), seconds=seconds)

        timer = threading.Timer(seconds, finish)
        timer.daemon = True
        timer.start()


def given_crowd(farm: Farm, jobs: int, frames: int) -> None:
    """Many small jobs, and a large one."""
    model = given_model(farm)
    for number in range(jobs):
        given_job(farm, "1", model=model, name=f"shot {number:05d}")
    if frames:
        given_job(farm, f"1-{frames}", model=model, name="turntable", priority=9)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--jobs", type=int, default=20)
    parser.add_argument("--frames", type=int, default=300)
    parser.add_argument("--workers", type=int, default=0)
    said, leave = parser.parse_args(), SimpleQueue[int]()  # a handler takes no lock, as setting an event does
    signal.signal(signal.SIGTERM, lambda number, _frame: leave.put(number))
    with tempfile.TemporaryDirectory() as folder:
        farm = make_farm(Path(folder) / "data", executor=Painter())
        given_people(farm)
        given_crowd(farm, said.jobs, said.frames)
        with ExitStack() as crew, listening(farm) as url:
            for number in range(said.workers):
                crew.enter_context(at_work(farm, f"node-{number + 1:02d}"))
            print(url, flush=True)
            leave.get()
        close(farm)


if __name__ == "__main__":
    main()
