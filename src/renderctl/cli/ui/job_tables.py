"""Results as a person reads them."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypedDict

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from renderctl.cli.ui.escaping import escape_line, escape_lines

if TYPE_CHECKING:
    from pathlib import Path

    from renderctl.core.job_status import JobStatus
    from renderctl.core.jobs import Attempt, RemovedJob
    from renderctl.core.models import Dependency, Model, SceneFacts
    from renderctl.core.workers import Capabilities, Worker
    from renderctl.executors.images import RenderImage
    from renderctl.farm.admin.gc import Collected
    from renderctl.farm.admin.scrub import Scrubbed
    from renderctl.farm.admin.sweep import SweepReport
    from renderctl.farm.doctor import Finding
    from renderctl.farm.jobs.download import Downloaded, Link
    from renderctl.farm.models.upload import Uploaded

    class FetchedStatus(JobStatus):
        """A job whose images are in a folder."""

        folder: Path
        files: int


class RemovedJobs(TypedDict):
    """What a removal came to, or would come to."""

    dry_run: bool
    jobs: "Sequence[RemovedJob]"


_COLOURS = {
    "queued": "yellow",
    "running": "cyan",
    "paused": "magenta",
    "succeeded": "green",
    "failed": "red",
    "canceled": "bright_black",
    "active": "green",
    "draining": "yellow",
    "unhealthy": "red",
    "quarantined": "red",
    "lost": "red",
    "gone": "bright_black",
}


def jobs(documents: "Sequence[JobStatus]") -> RenderableType:
    """One line a job."""
    if not documents:
        return "There are no jobs."
    table = new_table("id", "name", "state", "done", "pri", "pool", "left")
    for job in documents:
        done = f"{job['tasks']['succeeded']}/{job['tasks']['total']}"
        left = duration(job["eta_seconds"]) or _waits(job)
        name = Text(escape_line(job["name"]), overflow="ellipsis", no_wrap=True)
        table.add_row(job["id"], name, state(job["state"]), done, str(job["priority"]), job["pool"], left)
    return table


def job(each: "JobStatus") -> RenderableType:
    """Everything that is known of a job's state."""
    tasks = each["tasks"]
    by_state = ", ".join(f"{count} {name}" for name, count in tasks.items() if count and name != "total")
    rows: list[tuple[str, RenderableType | None]] = [
        ("job", f"{each['id']}  {each['name']}"),
        ("state", state(each["state"])),
        ("waits", _waits(each)),
        ("model", each["model"]),
        ("frames", each["frames"]),
        ("tasks", f"{tasks['total']}: {by_state}"),
        ("progress", f"{each['progress']:.1%}"),
        ("left", duration(each["eta_seconds"]) or None),
        ("priority", f"{each['priority']}, pool {each['pool']}, project {each['project']}, owner {each['owner']}"),
        ("submitted", moment(each["created_at"])),
        ("started", moment(each["started_at"])),
        ("finished", moment(each["finished_at"])),
        ("error", Text(escape_lines(each["error"]), style="red") if each["error"] else None),
        *(("note", note) for note in each["notes"]),
    ]
    return _grid(rows)


def job_line(job: "JobStatus") -> str:
    """A job on one line, for those who follow it."""
    tasks = job["tasks"]
    parts = [f"{job['id']}  {job['state']}  {tasks['succeeded']}/{tasks['total']}  {job['progress']:.0%}"]
    parts += [f"{tasks['failed']} failed"] if tasks["failed"] else []
    parts += [f"{duration(job['eta_seconds'])} left"] if job["eta_seconds"] is not None else []
    parts += [_waits(job)] if _waits(job) else []
    return escape_line("  ".join(parts))


def models(found: "Iterable[Model]") -> RenderableType:
    """One line a model."""
    rows = list(found)
    if not rows:
        return "There are no models. `renderctl upload SCENE` makes one."
    table = new_table("model", "saved by", "engine", "frames", "files", "size", "uploaded")
    for model in rows:
        scene = model.facts.scene(None)
        frames = f"{scene.frame_start}-{scene.frame_end}"
        engine = scene.engine.removeprefix("BLENDER_").lower()
        uploaded = moment(model.created_at.isoformat())
        table.add_row(model.ref, model.facts.saved_by, engine, frames, str(model.files), size(model.size), uploaded)
    return table


def model(each: "Model") -> RenderableType:
    """All that is known of a model."""
    facts = each.facts
    head: list[tuple[str, RenderableType | None]] = [
        ("model", f"{each.ref}  ({each.id})"),
        ("owner", each.owner),
        ("uploaded", moment(each.created_at.isoformat())),
        ("saved by", f"Blender {facts.saved_by}, looked at by {facts.opened_by}"),
        ("contents", f"{facts.objects} objects, {facts.faces} faces, {facts.materials} materials"),
        ("files", f"{each.files}, {size(each.size)}"),
        *(("script", script) for script in facts.scripts),
    ]
    scenes = [_scene(scene, active=scene.name == facts.active_scene) for scene in facts.scenes]
    return Group(_grid(head), *scenes, *([_dependencies(facts.dependencies)] if facts.dependencies else []))


def log_heading(attempt: "Attempt") -> str:
    """What parts the logs of several attempts."""
    camera = f", camera {attempt.camera}" if attempt.camera else ""
    place = f"task {attempt.task_id}, frame {attempt.frame}{camera}, on {attempt.worker_id}"
    return f"{escape_line(f'==> {place}: {attempt.state} <==')}\n"


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


def submitted(job: "JobStatus") -> RenderableType:
    """The id alone, for scripts that read it."""
    return job["id"]


def fetched(fetched_status: "FetchedStatus") -> RenderableType:
    """The id, and the folder of the images."""
    return f"{fetched_status['id']}  {fetched_status['folder']}"


def uploaded(each: "Uploaded") -> RenderableType:
    """The model, and what it took."""
    if not each.new:
        return f"{each.model.ref}  (nothing has changed)"
    return f"{each.model.ref}  ({counted(each.model.files, 'file')}, {size(each.model.size)}; {each.sent} of them sent)"


def rendered(fetched_status: "FetchedStatus") -> RenderableType:
    """Where the images are."""
    return f"{fetched_status['folder']}  ({counted(fetched_status['files'], 'file')})"


def downloaded(each: "Downloaded") -> RenderableType:
    return f"{each.folder}  ({counted(each.files, 'file')}, {each.written} of them new)"


def links(found: "Iterable[Link]") -> RenderableType:
    """One address a line: for `wget -i`."""
    return Text("\n".join(link.url for link in found), no_wrap=True, overflow="ignore")


def swept(report: "SweepReport") -> RenderableType:
    """What a sweep repaired."""
    if not report.held:
        return "A worker is sweeping already."
    lost = f"{counted(len(report.lost_workers), 'worker')} lost, {counted(report.requeued, 'task')} queued again"
    put = f"{counted(report.tickets, 'ticket')} put, {counted(report.canceled, 'task')} canceled"
    return f"{lost}, {counted(len(report.ended), 'job')} ended, {put}."


def removed(document: RemovedJobs) -> str:
    """Jobs that were removed, and what that frees."""
    done = "Would remove" if document["dry_run"] else "Removed"
    said = [
        f"{done} job {job.job_id} ({escape_line(job.name)}): {counted(job.tasks, 'task')}, "
        f"{counted(job.outputs, 'image')} of {size(job.output_bytes)}."
        for job in document["jobs"]
    ]
    return "\n".join(said or ["No job is that old."])


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
    said = [f"{done} {counted(each.removed, 'blob')} ({size(each.removed_bytes)}){logs}; {each.kept} stay."]
    if each.young:
        said.append(f"Nothing points to {each.young} of these yet: they are young, or somebody has asked for them.")
    said += [f"The store lacks {escape_line(lost.what)} ({lost.digest[:12]})." for lost in each.missing[:100]]
    if len(each.missing) > 100:
        said.append(f"The store lacks {len(each.missing) - 100} more; --json names them all.")
    return "\n".join(said)


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
        said = Text(found_item.finding, overflow="fold")
        if found_item.hint:
            said.append(f"\n{found_item.hint}", style="yellow")
        table.add_row(_mark(found_item), found_item.part, said)
    return table


def _mark(finding: "Finding") -> Text:
    """Broken, or good; or good with something that could be better."""
    if not finding.ok:
        return Text("✗", style="red")
    return Text("!", style="yellow") if finding.hint else Text("✓", style="green")


def state(name: str) -> Text:
    return Text(str(name), style=_COLOURS.get(str(name), ""))


def counted(count: int, noun: str) -> str:
    """`1 job`, `2 jobs`."""
    return f"{count} {noun}{'s' * (count != 1)}"


def size(count: float) -> str:
    """Bytes, readable."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def duration(seconds: float | None) -> str:
    """Seconds, readable; empty for None."""
    if seconds is None:
        return ""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"


def moment(text: str | None) -> str:
    """A UTC time in the user's own zone."""
    if text is None:
        return ""
    return datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def _waits(job: "JobStatus") -> str:
    """Why a job waits, unless its state says so."""
    reason = job["waiting_reason"] or ""
    return "" if reason == job["state"] else str(reason)


def _scene(scene: "SceneFacts", *, active: bool) -> RenderableType:
    width, height = scene.resolution
    return _grid(
        [
            ("scene", scene.name + ("  (active)" if active else "")),
            (
                "  cameras",
                ", ".join(f"{name}{' (active)' * (name == scene.camera)}" for name in scene.cameras) or "none",
            ),
            ("  frames", f"{scene.frame_start}-{scene.frame_end}, now at {scene.frame_current}, {scene.fps:g} fps"),
            ("  image", f"{width}x{height} at {scene.percentage} %, {scene.format}"),
            ("  engine", scene.engine + (f", {scene.samples} samples" if scene.samples else "")),
            ("  layers", ", ".join(scene.view_layers)),
            ("  unbaked", ", ".join(scene.unbaked) or None),
        ]
    )


def _dependencies(found: "Sequence[Dependency]") -> RenderableType:
    table = new_table("file", "kind", "size", "sha-256")
    for finding in found:
        held = size(finding.size) if finding.size is not None else Text("missing", style="red")
        table.add_row(Text(escape_line(finding.path), overflow="fold"), finding.kind, held, (finding.digest or "")[:12])
    return table


def _grid(rows: Iterable[tuple[str, RenderableType | None]]) -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold")
    grid.add_column(overflow="fold")
    for name, value in rows:
        if value is not None and value != "":
            grid.add_row(name, Text(escape_lines(value)) if isinstance(value, str) else value)
    return grid


class _Rows(Table):
    """A table that shows all text as it is."""

    def add_row(self, *cells: RenderableType | None, **more: Any) -> None:
        """A row; what is in it is neither markup nor an order to the terminal."""
        super().add_row(*(Text(escape_line(cell)) if isinstance(cell, str) else cell for cell in cells), **more)


def new_table(*columns: str) -> Table:
    table = _Rows(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(column, overflow="fold")
    return table
