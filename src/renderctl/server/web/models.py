"""The list of models, and the page of a model."""

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Path, Query, Response

from renderctl.core.models import Model
from renderctl.core.permissions import Subject
from renderctl.server.web.context import CurrentPage, PageContext, new_router
from renderctl.server.web.pagination import FilterText, url_with

router = new_router()
#: Models, files, missing files, versions and jobs that a page shows.
_PAGE_SIZE, _FILES, _MISSING, _VERSIONS, _JOBS = 50, 100, 50, 20, 10
ModelRef = Annotated[str, Path(max_length=300)]


@router.get("/models")
def models(context: CurrentPage, q: FilterText = "", project: FilterText = "", before: FilterText = "") -> Response:
    """Models, newest first, by the filters."""
    query = {"project": project or None, "search": q or None, "before": before or None}
    rows: list[Model] = context.verbs.list_models(**query, limit=_PAGE_SIZE)
    filters = {name: value for name, value in (("q", q), ("project", project)) if value}
    older = {**filters, "before": rows[-1].id} if len(rows) == _PAGE_SIZE else None
    return context.show(
        "models",
        models=[(model, model.facts.scene(None)) for model in rows],
        filters={"q": q, "project": project},
        before=before,
        projects=[project.name for project in context.verbs.list_projects()],
        older=url_with("/models", older) if older else None,
        newest=url_with("/models", filters),
        is_filtered=bool(filters),
    )


@router.get("/models/{model:path}")
def model(
    context: CurrentPage, model: ModelRef, project: FilterText = "", skip: Annotated[int, Query(ge=0, le=1 << 31)] = 0
) -> Response:
    """One model."""
    chosen: Model = context.verbs.show_model(model, project=project or None)
    versions = context.verbs.list_models(chosen.name, project=chosen.project, limit=_VERSIONS)
    return context.show(
        "model",
        model=chosen,
        scene=chosen.facts.scene(None),
        missing=_missing(chosen),
        files=_files(context, chosen, skip),
        versions=[version for version in versions if version.id != chosen.id],
        jobs=context.verbs.jobs(model_id=chosen.id, limit=_JOBS),
        can_remove=context.can("model.remove", Subject.in_project("model", chosen.ref, chosen.project, chosen.owner)),
    )


@dataclass(frozen=True)
class _Excerpt:
    """Some items of a longer list."""

    shown: list[Any]
    total: int
    earlier: int | None = None  #: how many items are before the previous page; None: there is none
    later: int | None = None


def _missing(model: Model) -> _Excerpt:
    return _Excerpt(list(model.facts.missing[:_MISSING]), len(model.facts.missing))


def _files(context: PageContext, model: Model, skip: int) -> _Excerpt:
    shown = context.verbs.model_files(model.id, skip=skip, limit=_FILES)
    later = skip + _FILES if skip + _FILES < model.files else None
    return _Excerpt(shown, model.files, max(0, skip - _FILES) if skip else None, later)
