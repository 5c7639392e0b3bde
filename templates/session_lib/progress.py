"""Parsing a render's progress from Blender's statistics (texts of 4.2 to 5.2, as measured)."""

import re
import time
from typing import Any

from session_lib.protocol import ProtocolChannel

SAMPLE = re.compile(r"Sample (\d+)/(\d+)")
TILE = re.compile(r"Rendered (\d+)/(\d+) Tiles")
EEVEE = re.compile(r"Rendering (\d+) / (\d+) samples")
REMAINING = re.compile(r"Remaining: ?((?:\d+:)+\d+\.\d+)")
MEMORY = re.compile(r"(?<!Peak)(?:\| |^)Mem: ?([\d.]+)M")

INTERVAL_S = 0.2


def parse(text: str) -> dict[str, Any]:
    """Parse one line of statistics into the fields of a `progress` event."""
    values: dict[str, Any] = {}
    if sample := SAMPLE.search(text) or EEVEE.search(text):
        values["sample"], values["samples"] = int(sample[1]), int(sample[2])
    if tile := TILE.search(text):
        values["tile"], values["tiles"] = int(tile[1]), int(tile[2])
    if "samples" in values:
        values["fraction"] = _fraction(values)
    if remaining := REMAINING.search(text):
        values["remaining_s"] = _seconds(remaining[1])
    if memory := MEMORY.findall(text):
        values["memory_mb"] = float(memory[-1])
    values["phase"] = "Rendering" if "fraction" in values else text.rsplit(" | ", 1)[-1].strip()
    return values


def _fraction(values: dict[str, Any]) -> float:
    done = values["sample"] / max(values["samples"], 1)
    if "tiles" not in values:
        return min(1.0, done)
    # A finished tile is reported a second time with all of its samples.
    return min(1.0, (values["tile"] + (done if done < 1 else 0)) / max(values["tiles"], 1))


def _seconds(text: str) -> float:
    seconds = 0.0
    for part in text.split(":"):
        seconds = seconds * 60 + float(part)
    return seconds


class ProgressReporter:
    """A render_stats handler that sends the progress of the current task, at most every 0.2 s."""

    def __init__(self, channel: ProtocolChannel) -> None:
        self.task: str | None = None
        self.memory_mb = 0.0
        self._channel = channel
        self._last_sent_at = 0.0
        self._phase = ""

    def __call__(self, text: str, *_: object) -> None:
        values = parse(text)
        self.memory_mb = max(self.memory_mb, values.get("memory_mb", 0.0))
        now = time.monotonic()
        if self.task is None or (now - self._last_sent_at < INTERVAL_S and values["phase"] == self._phase):
            return
        if now - self._last_sent_at < INTERVAL_S / 4:
            return
        self._last_sent_at, self._phase = now, values["phase"]
        self._channel.emit("progress", task=self.task, **values)

    def begin(self, task: str | None) -> None:
        """Report for `task` from now on; None stops reporting."""
        self.task, self.memory_mb, self._last_sent_at, self._phase = task, 0.0, 0.0, ""
