"""Submitting: a model that is there, or a scene that is uploaded from the browser, and how it is to be rendered."""

from typing import Any

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
#: Models that are offered without being looked for.
_OFFERED = 12


@router.get("/submit")
def submit_page(
    context: CurrentPage,
    model: FilterText = "",
    project: FilterText = "",
    scene: FilterText = "",
    q: FilterText = "",
    allow_missing: FilterText = "",
) -> Response:
    """How a model is to be rendered; without one: which model, or what is to be uploaded."""
    if not model:
        return _choosing(context, q)
    found: Model = context.verbs.show_model(model, project=project or None)
    facts = found.facts.scene(scene or None)
    return _form(context, found, facts, _blank(found, facts) | ({"allow_missing": "on"} if allow_missing else {}))


@router.post("/submit")
def submit(context: FormPage, said: CheckedForm) -> Response:
    """Queue the job, and go to its page; or say what is wrong beside what was typed."""
    found: Model = context.verbs.show_model(said.get("model", ""))
    facts = found.facts.scene(said.get("scene"))
    wanted = parse(said, facts, found.name)
    if wanted.wrong:
        return _form(context, found, facts, said, wanted.wrong)
    try:
        done = context.verbs.submit(found, wanted.request)
    except RenderctlError as error:
        if type(error) is Conflict:  # the form was sent before, and has been changed since
            said = {**said, "key": new_id()}
        return _form(context, found, facts, said, {field_of(error): form_message(redact_error(error, context.request))})
    return RedirectResponse(f"/jobs/{done.job.id}", 303)


def _choosing(context: PageContext, q: str) -> Response:
    found, projects = context.verbs.list_models(search=q or None, limit=_OFFERED), own_projects(context)
    return context.show(
        "choose",
        models=[(each, each.facts.scene(None)) for each in found],
        q=q,
        projects=projects,
        trouble=_no_inspector(context, projects[0]) if projects else None,
    )


def _no_inspector(context: PageContext, project: str) -> RenderctlError | None:
    """Why no scene can be looked at here, where that is so; it is better known before gigabytes are sent."""
    try:
        context.verbs.require_inspector(project=project)
    except RenderctlError as error:
        return redact_error(error, context.request)
    return None


def _blank(model: Model, scene: SceneFacts) -> dict[str, str]:
    """The fields of a form that nobody has touched."""
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


def _form(context: PageContext, model: Model, scene: SceneFacts, said: dict[str, str], wrong: Any = None) -> Response:
    wrong = wrong or {}
    status = max((status_of(type(each)) for each in wrong.values()), default=200)
    return context.show(
        "submit",
        status=status,
        model=model,
        scene=scene,
        said=said,
        wrong=wrong,
        cameras={name for name in said if name.startswith(CAMERA)},
        camera=CAMERA,
        frames=len(range(scene.frame_start, scene.frame_end + 1, max(1, scene.frame_step))),
        **_choices(context, scene),
    )


def _choices(context: PageContext, scene: SceneFacts) -> dict[str, list[tuple[str, str]]]:
    """What can be chosen: the value, and how it is shown."""
    qualities = {name: f"{name}: {side} pixels, {samples} samples" for name, (side, samples) in QUALITIES.items()}
    shown = {"projects": own_projects(context), "pools": usable_pools(context), "view_layers": scene.view_layers}
    shown |= {"formats": tuple(FORMATS), "priorities": tuple(map(str, range(10, -1, -1)))}
    return {
        **{name: [(each, each) for each in values] for name, values in shown.items()},
        "engines": [(each, engine_name(each.upper())) for each in ENGINES],
        "qualities": list(qualities.items()),
    }
