"""When memory runs out: Blender goes before the worker, and the kernel's count says that it was so."""

from contextlib import suppress
from pathlib import Path

_RAISED_SCORE = 500
_PREFIX = "oom_kill "


def offer_first(pid: int) -> None:
    """Have the kernel kill this process, and what it will start, before others when memory runs out."""
    with suppress(OSError, ValueError):
        score = Path(f"/proc/{pid}/oom_score_adj")
        score.write_text(str(max(int(score.read_text()), _RAISED_SCORE)))


def oom_kills() -> int | None:
    """How many processes of this one's control group the kernel has killed for memory; None: it does not say.

    Where the group keeps no count it is that of the whole machine.
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
