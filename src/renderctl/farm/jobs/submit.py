"""`submit`: a model, frames and options become a job."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from renderctl.core import limits
from renderctl.core.actors import Actor
from renderctl.core.errors import BadFrames, InvalidInput, UnknownName, did_you_mean
from renderctl.core.frames import FIRST_FRAME, LAST_FRAME, FrameSet
from renderctl.core.jobs import Input, Job, NewJob, RenderOptions, Replacement, require_valid_options
from renderctl.core.limits import require_few, require_text
from renderctl.core.models import Model, SceneFacts
from renderctl.core.permissions import ALL, Subject, visibility_of
from renderctl.core.quotas import Quotas, require_job_size
from renderctl.core.requirements import Requirements
from renderctl.farm import Farm
from renderctl.farm.authorization import authorized_jobs, require, subject_of_model, subject_of_project
from renderctl.farm.blenders import needed_blender
from renderctl.farm.jobs.tickets import enqueue_ticket
from renderctl.farm.models.blob_upload import upload_missing
from renderctl.farm.models.incoming_uploads import require_uploaded
from renderctl.farm.models.outside_files import OnOutside, refuse_outside
from renderctl.farm.models.replacements import hashed_inputs, replacing_files
from renderctl.farm.models.upload import missing_files
from renderctl.farm.people.quotas import quotas_for

_RANGE = "Say which frames: `-f 1-100`."


@dataclass(frozen=True)
class SubmitRequest:
    """How a model is to be rendered, as the user says it. None: as the scene says."""

    options: RenderOptions = field(default_factory=RenderOptions)
    frames: str | None = None  #: `1-100,120`; None: the scene's current frame
    animation: bool = False  #: the scene's own range
    cameras: tuple[str, ...] = ()  #: names, or `all`
    replacements: Mapping[str, Path] = field(default_factory=dict)
    inputs: tuple[Input, ...] = ()  #: files that were received already, for replacements of the options
    name: str | None = None
    project: str | None = None  #: None: the actor's own
    pool: str = "default"
    priority: int = 5
    max_slots: int | None = None
    max_attempts: int = 3
    frame_timeout_s: float | None = None
    after: tuple[str, ...] = ()  #: references to jobs that have to succeed first
    after_any: tuple[str, ...] = ()  #: to jobs that have to end first, however that may be
    paused: bool = False
    requires: tuple[str, ...] = ()  #: tags that a worker must have
    idempotency_key: str | None = None
    on_outside: OnOutside = refuse_outside  #: what becomes of files outside the folder of the scene
    frame_set: FrameSet | None = field(init=False, compare=False)  #: of `frames`

    def __post_init__(self) -> None:
        """What can be said without the scene is said at once. Raises BadFrames, InvalidInput."""
        if self.frames is not None and self.animation:
            raise InvalidInput("--frames and --animation exclude each other.")
        frame_set = FrameSet.parse_request(self.frames) if self.frames is not None else None
        object.__setattr__(self, "frame_set", frame_set)
        _require_valid(self)


def _require_valid(request: SubmitRequest) -> None:
    require_valid_options(request.options)
    lists = {
        "cameras": (request.cameras, limits.MAX_CAMERAS),
        "jobs to come after": ((*request.after, *request.after_any), limits.MAX_AFTER),
        "tags": (request.requires, limits.MAX_TAGS),
    }
    for what, (texts, most) in lists.items():
        require_few(what, texts, most)
        for text in texts:
            require_text(f"One of the {what}", text)
    require_few("files", request.inputs, limits.MAX_FILES)
    require_few("replacements", request.replacements, limits.MAX_REPLACEMENTS)
    for what, name in (("name", request.name), ("project", request.project), ("pool", request.pool)):
        if name is not None:
            require_text(f"The {what}", name)


@dataclass(frozen=True)
class Submitted:
    job: Job
    new: bool  #: False: the idempotency key had been used for the same request
    notes: tuple[str, ...] = ()


def submit(farm: Farm, actor: Actor, model: Model, request: SubmitRequest) -> Submitted:
    """Queue a job of the model.

    Raises BadFrames, UnknownName, MissingFiles, InvalidInput, NotFound (for `after`), Conflict, QuotaExceeded.
    """
    return _submit(farm, actor, model, request, reserved_for=None)


def submit_reserved(farm: Farm, actor: Actor, model: Model, request: SubmitRequest, worker_id: str) -> Submitted:
    """Queue a job that only one worker gets while it is alive. Raises what `submit` raises."""
    return _submit(farm, actor, model, request, reserved_for=worker_id)


def _submit(farm: Farm, actor: Actor, model: Model, request: SubmitRequest, *, reserved_for: str | None) -> Submitted:
    project = request.project or actor.default_project
    _admit(farm, actor, model, project, request.pool)
    require_uploaded(farm, actor, request.inputs, request.options.replacements)
    after, after_any = (_jobs_named(farm, refs, actor) for refs in (request.after, request.after_any))
    has_files = request.inputs or request.replacements
    since = farm.repository.time() if has_files else None
    quotas = quotas_for(farm, actor)
    new = _new_job(farm, model, request, quotas)
    new = replace(new, project=project, after=after, after_any=after_any, bound_to=reserved_for)
    job, fresh = farm.repository.jobs.add(new, actor=actor, since=since, quotas=quotas)
    if fresh and reserved_for is None and not request.paused:
        enqueue_ticket(farm, job)
    return Submitted(job, fresh, new.notes)


def _jobs_named(farm: Farm, refs: Sequence[str], actor: Actor) -> tuple[str, ...]:
    return tuple(job.id for job in authorized_jobs(farm, actor, refs, "job.see"))


def _admit(farm: Farm, actor: Actor, model: Model, project: str, pool: str) -> None:
    """Whether the actor may render this, for that project, in that pool. Raises NotFound, NotAllowed."""
    require(farm, actor, "model.see", subject_of_model(model))
    require(farm, actor, "job.submit", subject_of_project(project))
    if visibility_of(actor, "pool.use") is not ALL:
        known = farm.repository.projects.find(project)
        usable = known is None or known.may_use(pool)
        require(farm, actor, "pool.use", Subject("pool", pool, None, actor.projects if usable else frozenset()))


def _new_job(farm: Farm, model: Model, request: SubmitRequest, quotas: Quotas) -> NewJob:
    scene = model.facts.scene(request.options.scene)
    if model.facts.missing and not request.options.allow_missing:
        raise missing_files(model.facts)
    _check_view_layer(scene, request.options.view_layer)
    frames, cameras = _frames(scene, request), _cameras(scene, request.cameras)
    tasks = len(frames) * len(cameras)
    if tasks > limits.MAX_TASKS:
        raise InvalidInput(f"The job has {tasks:,} tasks.", hint=f"It may have {limits.MAX_TASKS:,}.")
    require_job_size(tasks, quotas)
    files, replacements = _replacements(farm, request)
    options = replace(request.options, replacements=(*request.options.replacements, *replacements))
    return NewJob(
        name=(request.name or model.name)[:255],
        model_id=model.id,
        options=options,
        frames=frames,
        cameras=cameras,
        inputs=(*request.inputs, *files),
        pool=request.pool,
        priority=request.priority,
        max_slots=request.max_slots,
        max_attempts=request.max_attempts,
        frame_timeout_s=request.frame_timeout_s,
        paused=request.paused,
        in_order=bool(scene.unbaked),
        requirements=_requirements(model, request),
        idempotency_key=request.idempotency_key,
        notes=_notes(scene),
    )


def _requirements(model: Model, request: SubmitRequest) -> Requirements:
    """What a worker must have: the tags, the device (every worker has a CPU), a Blender that can open the model."""
    device = request.options.device
    version = request.options.blender
    tags = (*request.requires, *(() if device in ("auto", "cpu") else (device,)))
    tags = (*tags, f"blender-{version}") if version else tags
    return Requirements(tuple(dict.fromkeys(tags)), needed_blender(model.facts))


def _frames(scene: SceneFacts, request: SubmitRequest) -> FrameSet:
    if request.frame_set is not None:
        return request.frame_set
    if request.animation:
        if scene.frame_start < FIRST_FRAME or scene.frame_end > LAST_FRAME or scene.frame_end < scene.frame_start:
            raise BadFrames(f"Scene {scene.name!r} has a range of frames that Blender does not have.", hint=_RANGE)
        return FrameSet((range(scene.frame_start, scene.frame_end + 1, max(1, scene.frame_step)),))
    return FrameSet.of([scene.frame_current])


def _cameras(scene: SceneFacts, wanted: Sequence[str]) -> tuple[str | None, ...]:
    if not wanted:
        return (None,)
    if "all" in wanted and "all" not in scene.cameras:
        return scene.cameras or (None,)
    for name in wanted:
        if name not in scene.cameras:
            hint = did_you_mean(name, list(scene.cameras)) or f"Scene {scene.name!r} has no camera at all."
            raise UnknownName(f"There is no camera {name!r}.", hint=hint)
    return tuple(dict.fromkeys(wanted))


def _check_view_layer(scene: SceneFacts, wanted: str | None) -> None:
    if wanted is not None and wanted not in scene.view_layers:
        raise UnknownName(f"There is no view layer {wanted!r}.", hint=did_you_mean(wanted, list(scene.view_layers)))


def _notes(scene: SceneFacts) -> tuple[str, ...]:
    if not scene.unbaked:
        return ()
    named = ", ".join(scene.unbaked[:5])
    return (f"The simulation of {named} is not baked: the frames are rendered in their order, one at a time.",)


def _replacements(farm: Farm, request: SubmitRequest) -> tuple[tuple[Input, ...], tuple[Replacement, ...]]:
    """The files as inputs of the job, uploaded, and which object each of them replaces."""
    if not request.replacements:
        return (), ()
    sources, replacements = replacing_files(farm, request.replacements, request.on_outside)
    files = hashed_inputs(farm, sources)
    upload_missing(farm, files)
    return tuple(files.values()), replacements
