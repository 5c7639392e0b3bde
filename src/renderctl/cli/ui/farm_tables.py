"""Workers, images, repairs and findings, as a person reads them."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from rich.console import RenderableType
from rich.text import Text

from renderctl.cli.ui.escaping import escape_line
from renderctl.cli.ui.table import counted, duration, new_table, size, state

if TYPE_CHECKING:
    from renderctl.core.workers import Capabilities, Worker
    from renderctl.executors.images import RenderImage
    from renderctl.farm.admin.gc import Collected
    from renderctl.farm.admin.scrub import Scrubbed
    from renderctl.farm.admin.sweep import SweepReport
    from renderctl.farm.doctor import Finding


def workers(found: "Sequence[Worker]") -> RenderableType:
    """One line a worker."""
    if not found:
        return "No worker is at work. `renderctl worker` starts one."
    table = new_table("worker", "state", "slots", "pools", "offers", "works on", "seen")
    for worker in found:
        seen = (datetime.now(UTC) - worker.seen_at).total_seconds()
        stands = state(worker.state)
        if worker.reason:
            stands.append(f": {escape_line(worker.reason)}", style="")
        busy = ", ".join(worker.tasks) or "-"
        pools, offers = ", ".join(worker.pools), _offers(worker.capabilities)
        table.add_row(worker.id, stands, str(worker.slots), pools, offers, busy, f"{duration(max(0.0, seen))} ago")
    return table


def _offers(capabilities: "Capabilities") -> str:
    """What a node has, as short as it can be said."""
    memory = f"{capabilities.memory_mb / 1024:.0f} GB"
    blenders = f"Blender {', '.join(capabilities.blenders)}" if capabilities.blenders else ""
    parts = [f"{counted(capabilities.cores, 'core')}, {memory}", blenders, *capabilities.gpus, *capabilities.tags]
    return "; ".join(filter(None, parts))


def swept(report: "SweepReport") -> RenderableType:
    """What a sweep repaired."""
    if not report.held:
        return "A worker is sweeping already."
    lost = f"{counted(len(report.lost_workers), 'worker')} lost, {counted(report.requeued, 'task')} queued again"
    put = f"{counted(report.tickets, 'ticket')} put, {counted(report.canceled, 'task')} canceled"
    return f"{lost}, {counted(len(report.ended), 'job')} ended, {put}."


def images(found: "Iterable[RenderImage]") -> RenderableType:
    """One line a render image."""
    rows = list(found)
    if not rows:
        return "There are no render images. `renderctl images build` makes one."
    table = new_table("blender", "image", "digest", "size", "built", "renders")
    for image in rows:
        built = image.created_at.astimezone().strftime("%Y-%m-%d %H:%M:%S")
        engines = "Cycles" if image.cycles_only else "all engines"
        table.add_row(
            image.blender, escape_line(image.reference), _short(image.digest), size(image.size), built, engines
        )
    return table


def image(built: "RenderImage") -> str:
    """A render image in a few words."""
    return escape_line(f"{built.reference} ({_short(built.digest)}): Blender {built.blender}, {size(built.size)}")


def _short(digest: str) -> str:
    return digest.removeprefix("sha256:")[:12]


def collected(each: "Collected") -> RenderableType:
    """What the garbage collection came to, and which rows point to nothing."""
    done = "Would remove" if each.dry_run else "Removed"
    logs = f" and {counted(each.logs, 'log')} ({size(each.logs_bytes)})" if each.logs else ""
    lines = [f"{done} {counted(each.removed, 'blob')} ({size(each.removed_bytes)}){logs}; {each.kept} stay."]
    if each.young:
        lines.append(f"Nothing points to {each.young} of these yet: they are young, or somebody has asked for them.")
    lines += [f"The store lacks {escape_line(lost.what)} ({lost.digest[:12]})." for lost in each.missing[:100]]
    if len(each.missing) > 100:
        lines.append(f"The store lacks {len(each.missing) - 100} more; --json names them all.")
    return "\n".join(lines)


def scrubbed(each: "Scrubbed") -> RenderableType:
    """Which blobs are damaged, and who needs them."""
    lines = [f"Read {counted(each.read, 'blob')} ({size(each.read_bytes)}), share {each.share}."]
    if each.repaired:
        lines.append(f"{counted(each.repaired, 'blob')} that had been damaged are sound now.")
    lines += [f"Damaged: {digest[:12]}." for digest in each.damaged[:100]]
    lines += [f"{pointer.digest[:12]} is needed by {escape_line(pointer.what)}." for pointer in each.needed_by[:100]]
    return "\n".join(lines)


def findings(found: "Iterable[Finding]") -> RenderableType:
    """What the doctor says."""
    table = new_table("", "part", "finding")
    for found_item in found:
        text = Text(found_item.finding, overflow="fold")
        if found_item.hint:
            text.append(f"\n{found_item.hint}", style="yellow")
        table.add_row(_mark(found_item), found_item.part, text)
    return table


def _mark(finding: "Finding") -> Text:
    """Broken, or good; or good with something that could be better."""
    if not finding.ok:
        return Text("✗", style="red")
    return Text("!", style="yellow") if finding.hint else Text("✓", style="green")
