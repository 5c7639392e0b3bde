"""Whole processes, timed in turn with their rivals, so that a machine whose speed drifts does not favour one."""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

PYTHON = sys.executable


@dataclass(frozen=True)
class Timing:
    """Seconds of wall time of a process, run several times."""

    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    def __str__(self) -> str:
        low, high = min(self.seconds), max(self.seconds)
        return f"{self.median:7.3f} s  (min {low:.3f}, max {high:.3f}, n {len(self.seconds)})"


def in_turn(commands: Mapping[str, Sequence[str]], *, runs: int, environment: Mapping[str, str]) -> dict[str, Timing]:
    """A, B, A, B, …: the time of every command, after one run of each that is not counted."""
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    for run in range(runs + 1):
        for name, command in commands.items():
            took = timed(command, environment)
            if run:
                seconds[name].append(took)
    return {name: Timing(tuple(each)) for name, each in seconds.items()}


def timed(command: Sequence[str], environment: Mapping[str, str]) -> float:
    """Seconds that a process takes. Raises CalledProcessError, after showing what it said."""
    started = time.perf_counter()
    done = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, check=False)
    took = time.perf_counter() - started
    if done.returncode:
        print(done.stdout, done.stderr, file=sys.stderr)
        done.check_returncode()
    return took


@contextmanager
def empty_folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="renderctl-bench-") as folder:
        yield Path(folder)
