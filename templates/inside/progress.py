"""Reading how far a render is from what Blender says about it, in every version alike (measured on 4.2 to 5.2)."""

import re
import time
from typing import Any

from inside.wire import Wire

SAMPLE = re.compile(r"Sample (\d+)/(\d+)")
TILE = re.compile(r"Rendered (\d+)/(\d+) Tiles")
EEVEE = re.compile(r"Rendering (\d+) / (\d+) samples")
REMAINING = re.compile(r"Remaining: ?((?:\d+:)+\d+\.\d+)")
MEMORY = re.compile(r"(?<!Peak)(?:\| |^)Mem: ?([\d.]+)M")

EVERY_S = 0.2


def parse(text: str) -> dict[str, Any]:
    """One line of Blender's statistics as a progress document: see `session.Progress`."""
    found: dict[str, Any] = {}
    if sample := SAMPLE.search(text) or EEVEE.search(text):
        found["sample"], found["samples"] = int(sample[1]), int(sample[2])
    if tile := TILE.search(text):
        found["tile"], found["tiles"] = int(tile[1]), int(tile[2])
    if "samples" in found:
        found["fraction"] = _fraction(found)
    if remaining := REMAINING.search(text):
        found["remaining_s"] = _seconds(remaining[1])
    if memory := MEMORY.findall(text):
        found["memory_mb"] = float(memory[-1])
    found["phase"] = "Rendering" if "fraction" in found else text.rsplit(" | ", 1)[-1].strip()
    return found


def _fraction(found: dict[str, Any]) -> float:
    done = found["sample"] / max(found["samples"], 1)
    if "tiles" not in found:
        return min(1.0, done)
    # A finished tile is reported once more with all of its samples.
    return min(1.0, (found["tile"] + (done if done < 1 else 0)) / max(found["tiles"], 1))


def _seconds(text: str) -> float:
    seconds = 0.0
    for part in text.split(":"):
        seconds = seconds * 60 + float(part)
    return seconds


class Reporter:
    """Sends the progress of the task at hand, at most every 0.2 s."""

    def __init__(self, wire: Wire) -> None:
        self.task: str | None = None
        self.memory_mb = 0.0
        self._wire = wire
        self._last = 0.0
        self._phase = ""

    def __call__(self, text: str, *_: object) -> None:
        found = parse(text)
        self.memory_mb = max(self.memory_mb, found.get("memory_mb", 0.0))
        now = time.monotonic()
        if self.task is None or (now - self._last < EVERY_S and found["phase"] == self._phase):
            return
        if now - self._last < EVERY_S / 4:
            return
        self._last, self._phase = now, found["phase"]
        self._wire.emit("progress", task=self.task, **found)

    def begin(self, task: str | None) -> None:
        """What is reported from now on belongs to `task` (None: to nothing)."""
        self.task, self.memory_mb, self._last, self._phase = task, 0.0, 0.0, ""
