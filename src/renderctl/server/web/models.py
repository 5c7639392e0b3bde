"""Models: what was uploaded, and what is known about it."""

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Path, Query, Response

from renderctl.core.models import Model
from renderctl.core.permissions import Subject
from renderctl.server.web.context import CurrentPage, PageContext, new_router
from renderctl.server.web.pagination import FilterText, url_with

router = new_router()
#: Models, files, missing files, versions and jobs that a page shows.
_A_PAGE, _FILES, _MISSING, _VERSIONS, _JOBS = 50, 100, 50, 20, 10
ModelRef = Annotated[str, Path(max_length=300)]


@router.get("/models")
def models(context: CurrentPage, q: FilterText = "", project: FilterText = "", before: FilterText = "") -> Response:
    """Models, the newest first: all, or those that are asked for."""
    asked = {"project": project or None, "search": q or None, "before": before or None}
    found: list[Model] = context.verbs.list_models(**asked, limit=_A_PAGE)
    said = {name: value for name, value in (("q", q), ("project", project)) if value}
    older = {**said, "before": found[-1].id} if len(found) == _A_PAGE else None
    return context.show(
        "models",
        models=[(each, each.facts.scene(None)) for each in found],
        said={"q": q, "project": project},
        before=before,
        projects=[each.name for each in context.verbs.list_projects()],
        older=url_with("/models", older) if older else None,
        newest=url_with("/models", said),
        filtered=bool(said),
    )


@router.get("/models/{model:path}")
def model(
    context: CurrentPage, model: ModelRef, project: FilterText = "", skip: Annotated[int, Query(ge=0, le=1 << 31)] = 0
) -> Response:
    """One model."""
    found: Model = context.verbs.show_model(model, project=project or None)
    versions = context.verbs.list_models(found.name, project=found.project, limit=_VERSIONS)
    return context.show(
        "model",
        model=found,
        scene=found.facts.scene(None),
        missing=_missing(found),
        files=_files(context, found, skip),
        versions=[each for each in versions if each.id != found.id],
        jobs=context.verbs.jobs(model_id=found.id, limit=_JOBS),
        may_remove=context.can("model.remove", Subject.in_project("model", found.ref, found.project, found.owner)),
    )


@dataclass(frozen=True)
class _Some:
    """Some of many."""

    shown: list[Any]
    total: int
    earlier: int | None = None  #: how many are skipped on the page before; None: there is none
    later: int | None = None


def _missing(model: Model) -> _Some:
    return _Some(list(model.facts.missing[:_MISSING]), len(model.facts.missing))


def _files(context: PageContext, model: Model, skip: int) -> _Some:
    shown = context.verbs.model_files(model.id, skip=skip, limit=_FILES)
    later = skip + _FILES if skip + _FILES < model.files else None
    return _Some(shown, model.files, max(0, skip - _FILES) if skip else None, later)
