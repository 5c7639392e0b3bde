"""The list of jobs: the start page."""

from fastapi import Response

from renderctl.core.states import JobState
from renderctl.server.web.context import CurrentPage, new_router
from renderctl.server.web.pagination import FilterText, url_with

router = new_router()
_PAGE_SIZE = 50


@router.get("/")
def jobs(
    context: CurrentPage,
    state: FilterText = "",
    owner: FilterText = "",
    q: FilterText = "",
    project: FilterText = "",
    before: FilterText = "",
) -> Response:
    """Jobs, newest first, by the filters."""
    states = tuple(filter(None, state.split(",")))
    query = {"owner": owner or None, "project": project or None, "before": before or None}
    rows = context.verbs.jobs(states, **query, search=q or None, limit=_PAGE_SIZE)
    filters = {"state": state, "owner": owner, "q": q, "project": project}
    older = {**filters, "before": rows[-1]["id"]} if len(rows) == _PAGE_SIZE else None
    return context.show(
        "jobs",
        jobs=rows,
        filters=filters,
        before=before,
        states=tuple(JobState),
        projects=[project.name for project in context.verbs.list_projects()],
        older=url_with("/", older) if older else None,
        newest=url_with("/", filters),
        is_filtered=any(filters.values()),
    )
