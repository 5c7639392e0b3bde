"""`python -m benchmarks.real_worker NAME`: one worker, of which only Blender is missing: its frames are done at once.

The farm is that of the settings (`RENDERCTL_*`). Ends when its input ends.
"""

import logging
import sys
from dataclasses import replace

from renderctl.core.actors import local_actor
from renderctl.farm.worker import WorkOptions, worker_for
from renderctl.wiring import open_farm, read_settings
from tests.fake_blender import FakeExecutor


def main(name: str) -> None:
    logging.basicConfig(level=logging.WARNING)
    farm = replace(open_farm(read_settings()), executor=FakeExecutor(writes=False))
    worker = worker_for(farm, local_actor("bench"), WorkOptions(name=name))
    worker.start()
    worker.work()
    print("ready", flush=True)
    sys.stdin.read()
    worker.abort()
    worker.leave()


if __name__ == "__main__":
    main(sys.argv[1])
