"""`python -m tests.fake_worker --name NAME …`: `renderctl worker` with a Blender that renders nothing, for volume."""

import signal

# As `renderctl`, it says nothing of a Ctrl-C that comes before it listens: imports take a second on a busy machine.
signal.signal(signal.SIGINT, signal.SIG_DFL)

import argparse
import random
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from renderctl import wiring
from renderctl.cli.logging import log_to_stderr
from renderctl.cli.signals import on_first_and_second_signal, pausable
from renderctl.core.actors import local_actor
from renderctl.core.errors import RenderctlError
from renderctl.core.ids import new_token
from renderctl.farm.worker import WorkOptions, worker_for
from tests.fake_blender import Behaviour, FakeBlender, FakeExecutor, png, rendered


@dataclass
class SlowExecutor(FakeExecutor):
    """Takes `frame_s` seconds for a frame, more or less, and crashes now and then. No two files are alike."""

    frame_s: float = 0.1
    crashes: float = 0.0  #: of 1
    chance: random.Random = field(default_factory=random.Random)

    def behaviour(self, frame: int) -> Behaviour:
        return self._crash if self.chance.random() < self.crashes else self._render

    def _render(self, blender: FakeBlender, order: Mapping[str, Any]) -> None:
        seconds = self.frame_s * self.chance.uniform(0.5, 1.5)

        def finish() -> None:
            if not blender.stopped.is_set():
                rendered(blender, order, png(note=new_token().encode()), seconds=seconds)
                blender.is_held = False
                blender.go_on()

        blender.is_held = True  # the next frame, of which it is told already, waits for this one
        timer = threading.Timer(seconds, finish)
        timer.daemon = True
        timer.start()

    def _crash(self, blender: FakeBlender, _order: Mapping[str, Any]) -> None:
        blender.is_held = True
        timer = threading.Timer(self.frame_s * self.chance.random(), blender.end)
        timer.daemon = True
        timer.start()


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--name", required=True)
    parser.add_argument("--slots", type=int)
    parser.add_argument("--tag", action="append")
    parser.add_argument("--exit-when-idle", type=float)
    parser.add_argument("--frame-s", type=float, default=0.1)
    parser.add_argument("--crashes", type=float, default=0.0)
    words = parser.parse_args()
    log_to_stderr()
    executor = SlowExecutor(frame_s=words.frame_s, crashes=words.crashes)
    farm = replace(wiring.open_farm(wiring.read_settings()), executor=executor)
    tags = tuple(words.tag) if words.tag else None
    options = WorkOptions(words.name, words.slots, tags=tags, idle_exit_s=words.exit_when_idle)
    try:
        worker = worker_for(farm, local_actor("chaos"), options)
        with on_first_and_second_signal(worker.drain, worker.abort), pausable(worker.hold, worker.resume):
            worker.run()
    except RenderctlError as error:
        print(f"Error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
