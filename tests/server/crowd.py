"""`python -m tests.server.crowd [--jobs N] [--frames N]`: a server of a farm that has much to show.

`ada`, password `correct horse`, is its admin, `vic` a viewer. Nothing is rendered but by a fake Blender.
"""

import argparse
import signal
import tempfile
from pathlib import Path
from threading import Event

from renderctl.actors import Role
from renderctl.farm import Farm
from renderctl.farm.people.passwords import hashed
from tests.farms import ACTOR, close, given_job, given_model, make_farm, work_off
from tests.server.live import listening

PASSWORD = "correct horse"


def given_people(farm: Farm) -> None:
    """One of each role, all of project `default`, with the same password."""
    kept = hashed(PASSWORD)
    for name, role in (("ada", Role.ADMIN), ("art", Role.ARTIST), ("vic", Role.VIEWER)):
        farm.repository.add_user(name, role, ("default",), password=kept, actor=ACTOR)


def given_crowd(farm: Farm, jobs: int, frames: int) -> None:
    """Many small jobs, and a large one; some frames of the latest are rendered."""
    model = given_model(farm)
    for number in range(jobs):
        given_job(farm, "1", model=model, name=f"shot {number:05d}")
    if frames:
        given_job(farm, f"1-{frames}", model=model, name="long one")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--jobs", type=int, default=20)
    parser.add_argument("--frames", type=int, default=300)
    parser.add_argument("--work", action="store_true", help="Have everything rendered first.")
    said, leave = parser.parse_args(), Event()
    signal.signal(signal.SIGTERM, lambda *_: leave.set())
    with tempfile.TemporaryDirectory() as folder:
        farm = make_farm(Path(folder) / "data")
        given_people(farm)
        given_crowd(farm, said.jobs, said.frames)
        if said.work:
            work_off(farm)
        with listening(farm) as url:
            print(url, flush=True)
            leave.wait()
        close(farm)


if __name__ == "__main__":
    main()
