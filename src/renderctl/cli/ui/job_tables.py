"""Jobs and models, as a person reads them."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, TypedDict

from rich.console import Group, RenderableType
from rich.text import Text

from renderctl.cli.ui.escaping import escape_line, escape_lines
from renderctl.cli.ui.table import counted, duration, grid, moment, new_table, size, state

if TYPE_CHECKING:
    from pathlib import Path

    from renderctl.core.job_status import JobStatus
    from renderctl.core.jobs import Attempt, RemovedJob
    from renderctl.core.models import Dependency, Model, SceneFacts
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
    return grid(rows)


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
    return Group(grid(head), *scenes, *([_dependencies(facts.dependencies)] if facts.dependencies else []))


def log_heading(attempt: "Attempt") -> str:
    """What parts the logs of several attempts."""
    camera = f", camera {attempt.camera}" if attempt.camera else ""
    place = f"task {attempt.task_id}, frame {attempt.frame}{camera}, on {attempt.worker_id}"
    return f"{escape_line(f'==> {place}: {attempt.state} <==')}\n"


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


def removed(document: RemovedJobs) -> str:
    """Jobs that were removed, and what that frees."""
    done = "Would remove" if document["dry_run"] else "Removed"
    lines = [
        f"{done} job {job.job_id} ({escape_line(job.name)}): {counted(job.tasks, 'task')}, "
        f"{counted(job.outputs, 'image')} of {size(job.output_bytes)}."
        for job in document["jobs"]
    ]
    return "\n".join(lines or ["No job is that old."])


def _waits(job: "JobStatus") -> str:
    """Why a job waits, unless its state says so."""
    reason = job["waiting_reason"] or ""
    return "" if reason == job["state"] else str(reason)


def _scene(scene: "SceneFacts", *, active: bool) -> RenderableType:
    width, height = scene.resolution
    return grid(
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
