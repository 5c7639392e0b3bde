"""The pages to submit a job: choose or upload a model, and set its options."""

from collections.abc import Mapping

from fastapi import Response
from fastapi.responses import RedirectResponse

from renderctl.core.errors import Conflict, RenderctlError
from renderctl.core.ids import new_id
from renderctl.core.jobs import ENGINES, FORMATS, QUALITIES
from renderctl.core.models import Model, SceneFacts
from renderctl.server.errors import redact_error, status_of
from renderctl.server.web.auth import CheckedForm, FormPage
from renderctl.server.web.context import CurrentPage, PageContext, new_router
from renderctl.server.web.form_choices import own_projects, usable_pools
from renderctl.server.web.pagination import FilterText
from renderctl.server.web.submit_form import CAMERA, field_of, form_message, parse
from renderctl.server.web.templating import engine_name

router = new_router()
_NO_ERRORS: Mapping[str, RenderctlError] = {}
#: Models that are listed without a search.
_LISTED = 12


@router.get("/submit")
def submit_page(
    context: CurrentPage,
    model: FilterText = "",
    project: FilterText = "",
    scene: FilterText = "",
    q: FilterText = "",
    allow_missing: FilterText = "",
) -> Response:
    """The options to render a model; without one, the choice of a model or an upload."""
    if not model:
        return _choose_model(context, q)
    chosen: Model = context.verbs.show_model(model, project=project or None)
    facts = chosen.facts.scene(scene or None)
    return _form(
        context, chosen, facts, _initial_fields(chosen, facts) | ({"allow_missing": "on"} if allow_missing else {})
    )


@router.post("/submit")
def submit(context: FormPage, form: CheckedForm) -> Response:
    """Submit the job and show its page, or the form with its errors."""
    chosen: Model = context.verbs.show_model(form.get("model", ""))
    facts = chosen.facts.scene(form.get("scene"))
    parsed = parse(form, facts, chosen.name)
    if parsed.errors:
        return _form(context, chosen, facts, form, parsed.errors)
    try:
        submitted = context.verbs.submit(chosen, parsed.request)
    except RenderctlError as error:
        if type(error) is Conflict:  # the form was submitted before, and has changed since
            form = {**form, "key": new_id()}
        return _form(
            context, chosen, facts, form, {field_of(error): form_message(redact_error(error, context.request))}
        )
    return RedirectResponse(f"/jobs/{submitted.job.id}", 303)


def _choose_model(context: PageContext, q: str) -> Response:
    models, projects = context.verbs.list_models(search=q or None, limit=_LISTED), own_projects(context)
    return context.show(
        "choose_model",
        models=[(model, model.facts.scene(None)) for model in models],
        q=q,
        projects=projects,
        inspector_error=_inspector_error(context, projects[0]) if projects else None,
    )


def _inspector_error(context: PageContext, project: str) -> RenderctlError | None:
    """Why this server cannot inspect scenes, if so: users learn it before they upload gigabytes."""
    try:
        context.verbs.require_inspector(project=project)
    except RenderctlError as error:
        return redact_error(error, context.request)
    return None


def _initial_fields(model: Model, scene: SceneFacts) -> dict[str, str]:
    """The fields of a new form."""
    step = f"x{scene.frame_step}" if scene.frame_step > 1 else ""
    frames = f"{scene.frame_start}-{scene.frame_end}{step}"
    return {
        "key": new_id(),
        "which": "range",
        "frames": frames if scene.frame_end > scene.frame_start else str(scene.frame_start),
        "priority": "5",
        "attempts": "3",
        "project": model.project,
    }


def _form(
    context: PageContext,
    model: Model,
    scene: SceneFacts,
    values: dict[str, str],
    errors: Mapping[str, RenderctlError] = _NO_ERRORS,
) -> Response:
    status = max((status_of(type(error)) for error in errors.values()), default=200)
    return context.show(
        "submit",
        status=status,
        model=model,
        scene=scene,
        values=values,
        errors=errors,
        cameras={name for name in values if name.startswith(CAMERA)},
        camera_prefix=CAMERA,
        frames=len(range(scene.frame_start, scene.frame_end + 1, max(1, scene.frame_step))),
        **_choices(context, scene),
    )


def _choices(context: PageContext, scene: SceneFacts) -> dict[str, list[tuple[str, str]]]:
    """The options of the selects: values and their labels."""
    qualities = {name: f"{name}: {side} pixels, {samples} samples" for name, (side, samples) in QUALITIES.items()}
    names = {"projects": own_projects(context), "pools": usable_pools(context), "view_layers": scene.view_layers}
    names |= {"formats": tuple(FORMATS), "priorities": tuple(map(str, range(10, -1, -1)))}
    return {
        **{name: [(value, value) for value in values] for name, values in names.items()},
        "engines": [(engine, engine_name(engine.upper())) for engine in ENGINES],
        "qualities": list(qualities.items()),
    }
