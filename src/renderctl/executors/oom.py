"""Out of memory: have the kernel kill Blender before the worker, and detect that it did."""

from contextlib import suppress
from pathlib import Path

_OOM_SCORE = 500
_PREFIX = "oom_kill "


def prefer_for_oom_kill(pid: int) -> None:
    """Raise the OOM score of a process and its future children, so that the kernel kills them first."""
    with suppress(OSError, ValueError):
        score = Path(f"/proc/{pid}/oom_score_adj")
        score.write_text(str(max(int(score.read_text()), _OOM_SCORE)))


def oom_kills() -> int | None:
    """Return how many processes of this one's control group the OOM killer has killed, or None if unknown.

    Without a count for the group, it is that of the whole machine.
    """
    for counter in (*_group_counters(), Path("/proc/vmstat")):
        with suppress(OSError):
            for line in counter.read_text().splitlines():
                if line.startswith(_PREFIX):
                    return int(line.removeprefix(_PREFIX))
    return None


def _group_counters() -> list[Path]:
    counters = []
    with suppress(OSError):
        for line in Path("/proc/self/cgroup").read_text().splitlines():
            _, controllers, group = line.split(":", 2)
            if not controllers:
                counters.append(Path(f"/sys/fs/cgroup{group}/memory.events"))
            elif controllers == "memory":
                counters.append(Path(f"/sys/fs/cgroup/memory{group}/memory.oom_control"))
    return counters
